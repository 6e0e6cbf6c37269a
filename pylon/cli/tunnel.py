"""A runtime on another machine, through the system's own ssh: found, and its socket brought here.

The far side's `pylon admin-door` says where the socket is; a second ssh forwards it to one in a
folder of ours alone. So no token travels, and nothing listens on a port. What does not live here:
the screens (`remote`).
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click

from pylon import jsonvalue
from pylon.cli.output import CommandFailed, print_line, say
from pylon.client.admin import AdminClient
from pylon.errors import InvalidJson, PylonError
from pylon.printable import clean
from pylon.supervisor.door import SupervisorRefused

_SSH_FAILED: Final = 255
_NOT_FOUND: Final = 127
_FIND_SECONDS: Final = 120.0
_OPEN_SECONDS: Final = 60.0
_END_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
#: For so long what ssh said last is waited for once it ended: another process may have its output.
_LAST_SECONDS: Final = 1.0
_SAID_BYTES: Final = 4_096
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)
#: A socket's path that means itself to ssh, and a token that is one word of a header.
_SOCKET: Final = re.compile(r"/[^$%:\\\"'\x00-\x1f\x7f]{1,200}\Z")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,500}\Z")
_PORTS: Final = 1 << 16
#: No master connection of the user's is used, nor left behind: this ssh ends with us.
_OPTIONS: Final = (
    "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ConnectTimeout=15",
    "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "-o", "ForwardAgent=no",
    "-o", "ForwardX11=no", "-o", "PermitLocalCommand=no", "-o", "ClearAllForwardings=no",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A project on another machine."""

    host: str
    path: str
    user: str | None = None
    port: int | None = None

    @property
    def where(self) -> str:
        """Return it as a person writes it."""
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{self.host}{f':{self.port}' if self.port else ''}{self.path}"

    def command(self, *options: str, is_batch: bool) -> list[str]:
        """Return the words of an ssh to it, without what it is to do there."""
        words = ["ssh", *_OPTIONS, "-o", f"BatchMode={'yes' if is_batch else 'no'}", *options]
        words += ["-p", str(self.port)] if self.port else []
        words += ["-l", self.user] if self.user else []
        return [*words, "--", self.host]


def place_of(url: str) -> Place:
    """Return what ssh://[USER@]HOST[:PORT]/PATH means; raises UsageError for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise click.UsageError("URL is no address") from None
    try:
        port = parts.port
    except ValueError:
        raise click.UsageError("the port of URL is no number") from None
    host, user, path = parts.hostname or "", parts.username, unquote(parts.path)
    if parts.password is not None:
        raise click.UsageError("a password does not belong into a URL: ssh asks for it")
    if not host or path in ("", "/") or parts.query or parts.fragment:
        raise click.UsageError("write ssh://HOST/PATH/OF/THE/PROJECT, or ssh://HOST/~/PATH")
    for word in (host, user or ""):
        if word.startswith("-") or not all(one.isalnum() or one in ".-_:%" for one in word):
            raise click.UsageError(f"{clean(word)!r} is no name for ssh")
    if any(not one.isprintable() for one in path):
        raise click.UsageError("the path has characters that no folder's name should have")
    return Place(host, path, user, port)


def attach_by_ssh(place: Place, remote_pylon: str, *, is_check: bool) -> int:
    """Open the dashboard on a project elsewhere, or only look; raises CommandFailed saying why."""
    if shutil.which("ssh") is None:
        raise CommandFailed("there is no ssh here", "install the system's OpenSSH client")
    is_batch = not sys.stdin.isatty()
    door = find_door(place, remote_pylon, is_batch=is_batch)
    return asyncio.run(_attach(place, door, is_batch=is_batch, is_check=is_check))


def find_door(place: Place, remote_pylon: str, *, is_batch: bool) -> dict[str, Any]:
    """Ask the far side where the runtime's socket is; raises CommandFailed saying what to do."""
    say(f"asking {place.host} for the runtime of {clean(place.path)} …")
    script = (
        'PATH="$PATH:$HOME/.local/bin" exec '
        f"{_quoted(remote_pylon)} admin-door --json {_quoted(place.path)}"
    )
    words = [*place.command(is_batch=is_batch), f"sh -c {shlex.quote(script)}"]
    try:
        done = subprocess.run(  # noqa: S603 -- the user's own ssh, words checked
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_FIND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{place.host} does not answer", "is it up, and its ssh?") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == _SSH_FAILED:
        raise CommandFailed(f"ssh to {place.host} failed: {_last(said)}", _advice(said))
    if done.returncode == _NOT_FOUND:
        raise CommandFailed(
            f"there is no {remote_pylon} on {place.host}",
            "say where it is: pylon attach --remote-pylon /path/to/pylon ssh://…",
        )
    if done.returncode != 0:
        # Told whole, remedy and all; where to read about the command there is no remedy here.
        wrong, usage, _ = said.removeprefix("pylon: ").partition("\n  `pylon admin-door --help`")
        hint = "ssh://HOST/PATH names the folder of a project there" if usage else None
        raise CommandFailed(f"{place.host} says: {wrong}", hint)
    for line in reversed(done.stdout.splitlines()):  # a profile there may print before it
        with suppress(InvalidJson, KeyError, TypeError, ValueError):
            found: dict[str, Any] = jsonvalue.parse(line)
            return _door_of(found["socket"], found["port"], found["token"])
    raise CommandFailed(
        f"what {place.host} said is no answer", f"is {remote_pylon} there the same version?"
    )


def _door_of(socket: Any, port: Any, token: Any) -> dict[str, Any]:
    """Return what the far side said, where it is what ours says; raises ValueError.

    Our ssh puts this machine's environment in the place of `${NAME}` in a socket's path, and other
    things of its own in that of `%h`: it would tell them to whoever asks for such a path.
    """
    is_path = isinstance(socket, str) and _SOCKET.match(socket) is not None
    is_token = isinstance(token, str) and _TOKEN.match(token) is not None
    if (
        type(port) is not int
        or not 0 < port < _PORTS
        or not ((socket is None or is_path) and (token is None or is_token))
    ):
        raise ValueError("no admin door says that")
    return {"socket": socket, "port": port, "token": token}


def _quoted(word: str) -> str:
    """Return a word for a shell there; `~/` and `/~/` mean its home."""
    for home in ("/~/", "~/"):
        if word.startswith(home):
            return f'"$HOME"/{shlex.quote(word.removeprefix(home))}'
    return shlex.quote(word)


def _last(said: str) -> str:
    lines = [clean(one) for one in said.splitlines() if one.strip()]
    return lines[-1] if lines else "it said nothing"


def _advice(said: str) -> str:
    if "Host key verification failed" in said:
        return "its key is not the known one, or not known yet: `ssh` to it once, and look at it"
    if "Permission denied" in said:
        return "no key of yours opens it: `ssh` to it must work first (ssh-add, ssh-copy-id)"
    return "`ssh` to it must work first; the same words say more with -v"


class Tunnel:
    """The ssh that brings the socket here; begun anew when the connection is lost."""

    def __init__(self, place: Place, door: dict[str, Any], folder: Path) -> None:
        self._place = place
        self.socket = folder / "admin.sock"
        port = f"127.0.0.1:{door['port']}"
        self._target = str(door["socket"]) if door["socket"] else port
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._said = b""
        self._why = ""

    @property
    def pid(self) -> int | None:
        """Return the id of our ssh while it lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def open(self, *, is_batch: bool) -> None:
        """Start ssh, and return once the socket is here; raises CommandFailed."""
        self.socket.unlink(missing_ok=True)
        words = self._place.command(
            "-N", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindMask=0177",
            "-L", f"{self.socket}:{self._target}", is_batch=is_batch,
        )  # fmt: skip
        self._process = process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        self._listening = asyncio.create_task(self._listen(process.stderr))
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                while not self.socket.exists():
                    if process.returncode is not None:
                        raise CommandFailed(
                            f"ssh to {self._place.host} failed: {await self._last_words()}",
                            "may it forward sockets there (AllowStreamLocalForwarding)?",
                        )
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            await self.close()
            raise CommandFailed(f"ssh to {self._place.host} brings nothing") from None

    async def _listen(self, said: asyncio.StreamReader) -> None:
        """Keep the last of what ssh says; unread, it fills a pipe, and ssh stands still."""
        self._said = b""
        while chunk := await said.read(_SAID_BYTES):
            self._said = (self._said + chunk)[-_SAID_BYTES:]

    async def _last_words(self) -> str:
        assert self._listening is not None
        await asyncio.wait([self._listening], timeout=_LAST_SECONDS)
        return _last(self._said.decode("utf-8", "replace"))

    async def keep_open(self) -> None:
        """Begin anew whenever ssh ends; never asks anything, since the screen is taken."""
        failures = 0
        while True:
            if self._process is not None:
                await self._process.wait()
                self._why = f"ssh ended: {await self._last_words()}"
                self._process = None
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            try:
                await self.open(is_batch=True)
                failures, self._why = 0, ""
            except CommandFailed as error:
                failures += 1
                self._why = error.message
            except OSError as error:  # no process can be made now
                failures += 1
                self._why = f"ssh can't be started: {error.strerror}"

    async def close(self) -> None:
        """End our ssh, by its number and no other."""
        process, self._process = self._process, None
        if self._listening is not None:
            self._listening.cancel()
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    # --- what the dashboard asks of a runtime that is elsewhere (`tui.elsewhere.Whereabouts`)

    is_supervised = False
    is_held = False

    async def look(self, *, is_first: bool) -> str:
        """Return why the runtime says nothing."""
        if self._why:
            return f"trying again: {clean(self._why)}"
        return "trying again: no runtime answers there"

    async def restart(self) -> None:
        """Say that this can be done there only."""
        raise SupervisorRefused(
            f"it is started anew there: ssh {self._place.host} pylon projects restart …"
        )

    async def stop(self) -> None:
        """Say that this can be done there only."""
        raise SupervisorRefused(
            f"it is stopped there: ssh {self._place.host} pylon projects stop …"
        )


@asynccontextmanager
async def opened_tunnel(
    place: Place, door: dict[str, Any], *, is_batch: bool
) -> AsyncIterator[Tunnel]:
    """Hold a tunnel open; its ssh and its socket are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pylon-"))
    tunnel = Tunnel(place, door, folder)
    keeping: asyncio.Task[None] | None = None
    try:
        await tunnel.open(is_batch=is_batch)
        keeping = asyncio.create_task(tunnel.keep_open())
        yield tunnel
    finally:
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await tunnel.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _attach(place: Place, door: dict[str, Any], *, is_batch: bool, is_check: bool) -> int:
    from pylon.cli.remote import look, said_of, show

    async with opened_tunnel(place, door, is_batch=is_batch) as tunnel:
        admin = AdminClient("http://localhost", socket_path=tunnel.socket, token=door["token"])
        try:
            status = await look(admin, place.where)
            if is_check:
                print_line(said_of(status, place.where))
                return 0
            return await show(admin, "", status, elsewhere=tunnel, where=place.where)
        except PylonError as error:
            if tunnel.pid is None:
                raise CommandFailed(await tunnel.look(is_first=True)) from error
            raise
        finally:
            await admin.close()
