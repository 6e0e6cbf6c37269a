"""What `pylon doctor` looks at where it runs: the terminal, the port, and a runtime elsewhere."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pylon.cli.progress import Waiting
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import Clock
from pylon.server.doctor.findings import ERROR, NOTE, WARNING, Finding
from pylon.server.hosts import is_this_machine
from pylon.version import __version__

_COLUMNS, _ROWS = 80, 24
_TMUX_SYNC: Final = (3, 4)
_SKEW_MS: Final = 5_000
_UTF8: Final = re.compile(r"utf-?8", re.IGNORECASE)


def terminal_findings(
    environment: Mapping[str, str], *, is_terminal: bool, size: tuple[int, int],
    tmux_version: tuple[int, int] | None,
) -> Iterator[Finding]:  # fmt: skip
    """Yield what the dashboard would suffer from in this terminal.

    Args:
        environment: the process environment.
        is_terminal: stdout is one.
        size: its columns and rows.
        tmux_version: of the tmux around it; None outside of one.
    """
    if not is_terminal:
        yield Finding(
            kind="terminal-none", level=NOTE, what="this is no terminal", where="stdout",
            why="the dashboard needs one", fix="pylon dev --no-tui, pylon serve, and --json",
        )  # fmt: skip
        return
    term = environment.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        yield Finding(
            kind="terminal-dumb", level=ERROR, what=f"TERM is {term or 'not set'}", where="TERM",
            why="nothing can be drawn", fix="export TERM=xterm-256color, or another terminal",
        )  # fmt: skip
    if size[0] < _COLUMNS or size[1] < _ROWS:
        yield Finding(
            kind="terminal-small", level=WARNING, what=f"it has {size[0]}×{size[1]} characters",
            where="the window", why="the dashboard wants 80×24", fix="make it larger",
        )  # fmt: skip
    language = next((environment[one] for one in ("LC_ALL", "LC_CTYPE", "LANG")
                     if environment.get(one)), "")  # fmt: skip
    if not _UTF8.search(language) and sys.platform != "win32":
        yield Finding(
            kind="terminal-encoding", level=WARNING, what=f"the locale is {language or 'not set'}",
            where="LANG", why="glyphs and names come out as question marks",
            fix="export LANG=C.UTF-8",
        )  # fmt: skip
    if environment.get("NO_COLOR") is not None:
        yield Finding(
            kind="terminal-colour", level=NOTE, what="NO_COLOR is set", where="NO_COLOR",
            why="the dashboard shows no colours; nothing is said by colour alone",
            fix="unset NO_COLOR",
        )  # fmt: skip
    elif "256" not in term and environment.get("COLORTERM") not in ("truecolor", "24bit"):
        yield Finding(
            kind="terminal-colours-few", level=NOTE, what=f"TERM={term} has few colours",
            where="TERM", why="themes look coarse", fix="export COLORTERM=truecolor, where true",
        )  # fmt: skip
    if tmux_version is not None and tmux_version < _TMUX_SYNC:
        yield Finding(
            kind="terminal-tmux", level=NOTE, where="tmux",
            what=f"tmux {tmux_version[0]}.{tmux_version[1]} knows no synchronized updates",
            why="the dashboard flickers in it; copying wants `set -g set-clipboard on`",
            fix="tmux 3.4 or newer; TEXTUAL_FPS=15 helps meanwhile",
        )  # fmt: skip
    if environment.get("KITTY_WINDOW_ID") and environment.get("TMUX"):
        yield Finding(
            kind="terminal-kitty-keys", level=NOTE, what="kitty with tmux between", where="TERM",
            why="some keys arrive twice, or not at all",
            fix="export TEXTUAL_DISABLE_KITTY_KEY=1, if keys misbehave",
        )  # fmt: skip


def this_terminal() -> list[Finding]:
    """Return the findings about the terminal that this runs in."""
    is_terminal = sys.stdout.isatty()
    size = os.get_terminal_size(sys.stdout.fileno()) if is_terminal else (_COLUMNS, _ROWS)
    tmux = _tmux_version() if os.environ.get("TMUX") else None
    return list(
        terminal_findings(
            os.environ, is_terminal=is_terminal, size=(size[0], size[1]), tmux_version=tmux
        )
    )


def entry_findings() -> Iterator[Finding]:
    """Yield what is wrong with the entry of the applications menu, where one was installed."""
    from pylon.desktop import here
    from pylon.desktop.install import read_record, states

    def mend() -> None:
        _ = here.install_here()

    record = read_record()
    if record is None:
        return
    has_edits = "changed" in states(record).values()  # they would be written over
    for problem in here.problems(record):
        yield Finding(
            kind="menu-entry", level=WARNING, what=problem, where="pylon desktop status",
            why="a click on Pylon in the applications menu opens nothing, or not this",
            fix="pylon desktop install", mend=None if has_edits else mend,
        )  # fmt: skip


def _tmux_version() -> tuple[int, int] | None:
    try:
        said = subprocess.run(
            ["tmux", "-V"],  # noqa: S607 -- the one in the path is what is asked about
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)", said)
    return None if found is None else (int(found[1]), int(found[2]))


def port_findings(host: str, port: int, own_pid: int | None) -> Iterator[Finding]:
    """Yield who has the port of a project, unless it is the project itself."""
    if port == 0 or own_pid is not None:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            yield Finding(
                kind="port-taken", level=WARNING, where=f"{host}:{port}",
                what=f"port {port} can't be had: {_holder(port) or error.strerror}",
                why="pylon serve does not start; pylon dev moves to a later port",
                fix="end that program, or [server] port = another one",
            )  # fmt: skip


def _holder(port: int) -> str:
    """Return who listens on a port, as far as this user may know."""
    import psutil

    try:
        found = psutil.net_connections(kind="inet")
    except (psutil.Error, OSError):
        return ""
    for one in found:
        is_it = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        if is_it and one.pid is not None:
            try:
                return f"{psutil.Process(one.pid).name()} (process {one.pid}) has it"
            except psutil.Error:
                return f"process {one.pid} has it"
    return ""


async def remote_findings(url: str, token: str, clock: Clock) -> list[dict[str, Any]]:
    """Return what deserves a look about a runtime elsewhere, its own findings included."""
    admin = AdminClient(url, token=token)
    asked_ms = clock.machine_ms()
    try:
        with Waiting(f"no answer yet of {url}")():
            answer = await admin.get("admin/doctor")
    except AdminError as error:
        is_token = error.code in ("UNAUTHENTICATED", "FORBIDDEN_ORIGIN")
        return [
            Finding(
                kind="remote-token" if is_token else "remote-silent", level=ERROR,
                what=error.message, where=url, why="nothing of it can be looked at",
                fix="PYLON_ADMIN_TOKEN is that of the runtime" if is_token
                    else "is it running, and is that its address? is it kept from /api/admin?",
            ).to_json()
        ]  # fmt: skip
    finally:
        await admin.close()
    passed_ms = clock.machine_ms() - asked_ms
    local = list(_compared(url, answer, asked_ms + passed_ms // 2, passed_ms))
    return [*(one.to_json() for one in local), *answer["findings"]]


def _compared(
    url: str, answer: Mapping[str, Any], now_ms: int, passed_ms: int
) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        yield Finding(
            kind="remote-plain", level=ERROR, what="the address is plain http", where=url,
            why="whoever is on the way reads the admin token", fix="https://, by a proxy",
        )  # fmt: skip
    if answer["version"] != __version__:
        yield Finding(
            kind="remote-version", level=NOTE, where=url,
            what=f"it runs Pylon {answer['version']}, and this is {__version__}",
            why="the dashboard may not understand all that it says",
            fix=f"pip install pylon-runtime=={answer['version']}",
        )  # fmt: skip
    skew_ms = int(answer["now_ms"]) - now_ms
    if abs(skew_ms) > _SKEW_MS + passed_ms:
        yield Finding(
            kind="clock-skew", level=WARNING, where=url,
            what=f"its clock is {abs(skew_ms) / 1000:.0f} s {'ahead' if skew_ms > 0 else 'behind'}",
            why="codes and sessions end sooner or later than they should",
            fix="set both clocks: timedatectl set-ntp true",
        )  # fmt: skip
