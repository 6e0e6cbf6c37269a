"""The dashboard of a project, and the launcher outside one: where a terminal becomes Pylon.

Composes what does not know each other: the supervisor, the dev session and the screens.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pylon import limits
from pylon.cli.address import address_of, check_settings, web_setting
from pylon.cli.output import CommandFailed
from pylon.cli.progress import meanwhile
from pylon.cli.project import find_project, is_project
from pylon.cli.saves import watched
from pylon.cli.settings import closed_settings
from pylon.cli.starting import woken
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.supervisor.claim import AlreadySupervised, Record, supervised
from pylon.tui.browser import open_page

if TYPE_CHECKING:
    from pylon.devtools.session import DevSession
    from pylon.tui.dashboard import Dashboard

#: Pictures a second over SSH.
_FPS_AFAR: Final = "15"
#: By then everything that the screens are made of is there.
_SETTLED_SECONDS: Final = 3.0


@click.command(name="dashboard", hidden=True)
@click.argument("path")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--open", "is_opening", is_flag=True, help="Open the app in the browser.")
def dashboard(path: str, host: str | None, port: int | None, is_opening: bool) -> int:
    """Open the dashboard of the project at PATH."""
    return open_project(find_project(path), host=host, port=port, is_opening=is_opening)


def demand_terminal(instead: str = "pylon dev --no-tui, or pylon serve") -> None:
    """Make ready to draw on the terminal; raises CommandFailed where there is none."""
    if os.environ.get("SSH_CONNECTION"):
        # The library reads it when it is imported: less goes over a line that may be slow.
        os.environ.setdefault("TEXTUAL_FPS", _FPS_AFAR)
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    # In a browser (`studio --web`) there is none, and Textual draws over pipes.
    is_web = os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")
    if not is_web and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandFailed("the dashboard needs a terminal", f"without one: {instead}")


def open_dashboard(path: str | None) -> int:
    """Open the dashboard of the project here, or the launcher where there is none."""
    here = Path.cwd() if path is None else Path(path)
    if is_project(here):
        return open_project(here.resolve())
    return open_shelf()


def open_shelf() -> int:
    """Open the list of the user's projects, and then what was chosen there."""
    demand_terminal("pylon projects")
    _load("your projects", "pylon.tui.launcher")
    from pylon.devtools import scaffold
    from pylon.tui.launcher import Launcher

    launcher = Launcher(
        SystemClock(), lambda name: scaffold.objection(Path.cwd(), name),
        [(one.name, one.summary) for one in scaffold.templates()],
    )  # fmt: skip
    choice = asyncio.run(launcher.run_until_told())
    if choice is None or (choice.open is None and choice.create is None):
        return launcher.return_code or 0
    if choice.open is not None:
        return open_project(find_project(str(choice.open)))
    from pylon.cli.new import install_packages

    made = scaffold.create_project(Path.cwd(), str(choice.create), choice.template)
    install_packages(made, None, may_ask=True)
    return open_project(made)


def open_project(
    project: Path, *, host: str | None = None, port: int | None = None, is_opening: bool = False,
    extra: tuple[str, ...] = (),
) -> int:  # fmt: skip
    """Open a project's dashboard; attaches where it runs, or is supervised, already."""
    demand_terminal()
    following: Path | None = project
    code = 0
    while following is not None:
        code, following = _open_one(following, host, port, is_opening=is_opening, extra=extra)
        host, port, extra = None, None, ()
    return code


def _open_one(
    project: Path, host: str | None, port: int | None, *, is_opening: bool, extra: tuple[str, ...]
) -> tuple[int, Path | None]:
    """Open one dashboard; returns its code and the project to go on with, if any."""
    registry.remember_project(project, SystemClock().now_ms())
    # Who supervises it counts, and not whether its runtime is up: it may be starting anew just now.
    record = woken(project)
    running = registry.running_runtime(project)
    if record is not None or running is not None:
        return _attach_to(project, record, running, is_opening=is_opening)
    address = address_of(project, host, port, is_dev=True, allow_remote="--allow-remote" in extra)
    try:
        return asyncio.run(_supervised(project, address, is_opening=is_opening, extra=extra))
    except AlreadySupervised:
        return _attach_to(project, supervised(project), None, is_opening=is_opening)


def _attach_to(
    project: Path, record: Record | None, running: registry.RunningRuntime | None, *,
    is_opening: bool,
) -> tuple[int, Path | None]:  # fmt: skip
    url = record.url if record is not None else "" if running is None else running.url
    mode = record.mode if record is not None else "" if running is None else running.mode
    if is_opening and not url.endswith(":0"):
        asyncio.run(open_page(url))
    return asyncio.run(_attached(project, url, is_dev=mode == "dev"))


async def _supervised(
    project: Path, address: tuple[str, int, bool], *, is_opening: bool, extra: tuple[str, ...]
) -> tuple[int, Path | None]:
    _load(project.name, "pylon.tui.dashboard")
    from pylon.devtools.session import DevSession
    from pylon.server.offline import until_free
    from pylon.supervisor.lifecycle import ProcessState
    from pylon.supervisor.supervisor import Supervisor
    from pylon.tui.dashboard import Dashboard

    host, port, may_move = address
    clock = SystemClock()
    supervisor = Supervisor(
        project, clock, mode="dev", host=host, port=port, may_move=may_move, extra=extra,
        watches=True, web_command=lambda: web_setting(project, "web.dev"),
    )  # fmt: skip
    supervisor.claim()
    opening: asyncio.Task[None] | None = None
    app = Dashboard(clock, supervisor.admin, supervisor=supervisor)
    app.closed_settings = lambda: closed_settings(project)
    session = DevSession(
        project,
        supervisor,
        _reports_to(app),
        clock,
        lambda: check_settings(project),
        lambda: web_setting(project, "web.package"),
    )
    app.reloading.now = session.reload_now

    async def open_when_up() -> None:
        await supervisor.until(ProcessState.RUNNING, ProcessState.FAILED, timeout_s=60)
        await open_page(supervisor.url)

    try:
        with meanwhile(f"opening {project.name} …"):
            await until_free(project, within_s=limits.ORPHAN_SECONDS)
            await supervisor.start()
        app.url = supervisor.url
        opening = asyncio.create_task(open_when_up()) if is_opening else None
        return await run_screens(app, session)
    finally:
        if opening is not None:
            opening.cancel()
        # However the screens ended, the runtime must not stay behind.
        with meanwhile(f"stopping {project.name} …"):
            await supervisor.stop()


def _load(name: str, module: str) -> None:
    """Import the screens, which takes a second or more on a small machine, and say so."""
    with meanwhile(f"opening {name} …"):
        importlib.import_module(module)


def greeting_of(url: str) -> str:
    """Return what a dashboard of a runtime that was started elsewhere says when it opens."""
    is_up = bool(url) and not url.endswith(":0")
    where = f"it runs already on {url}" if is_up else "it is starting elsewhere"
    return f"{where}: this dashboard watches it, and leaves it running"


async def _attached(project: Path, url: str, *, is_dev: bool) -> tuple[int, Path | None]:
    _load(project.name, "pylon.tui.dashboard")
    from pylon.client.admin import AdminClient
    from pylon.devtools.control import AttachedControl
    from pylon.devtools.session import DevSession
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.elsewhere import Elsewhere

    clock = SystemClock()
    admin = AdminClient.local(project)
    app = Dashboard(clock, admin, elsewhere=Elsewhere(project))
    app.command_log.project, app.state.project_name = project, project.name
    app.closed_settings = lambda: closed_settings(project, is_dev=is_dev)
    app.url = url
    app.state.environment = "dev" if is_dev else "production"
    app.greeting = greeting_of(url)
    session = None
    if is_dev:
        session = DevSession(
            project, AttachedControl(admin, project), _reports_to(app), clock,
            lambda: check_settings(project), lambda: web_setting(project, "web.package"),
        )  # fmt: skip
        app.reloading.now = session.reload_now
    try:
        return await run_screens(app, session)
    finally:
        await admin.close()


def _reports_to(app: Dashboard) -> Any:
    def take(report: Any) -> None:
        app.take_reload(
            ok=report.ok, note=report.summary, mistakes=report.mistakes, plan=report.plan
        )

    return take


async def run_screens(app: Dashboard, session: DevSession | None) -> tuple[int, Path | None]:
    """Run the screens, with the watch over the project's files beside them."""

    def tell(words: str) -> None:
        app.take_reload(ok=False, note=words, mistakes=(words,), plan="")

    watching = watched(session.run(), tell) if session is not None else None
    # It stays until the end: a collection that looks through all of it holds keys up for 60 ms.
    settling = asyncio.get_running_loop().call_later(_SETTLED_SECONDS, gc.freeze)
    try:
        code = await app.run_until_told()
    finally:
        settling.cancel()
        gc.unfreeze()
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return code or app.return_code or 0, app.next_project
