"""`pylon studio`: the dashboard of a project, also in a browser of this machine."""

from __future__ import annotations

import asyncio
import importlib
import re
import secrets
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.output import CommandFailed, print_line, say
from pylon.cli.project import find_project, project_argument
from pylon.cli.starting import start_kept, until_stopped, woken
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.supervisor.door import SupervisorRefused, ask_supervisor

_INSTALL: Final = (
    "pip install 'pylon-runtime[web]'; for a Pylon of uv, pipx, a package: docs/install.md"
)
#: The page asks another host for a font, which its policy forbids: it does not even try.
_FOREIGN_FONT: Final = re.compile(r'<link[^>]*href="https://[^>]*>')
#: Keys go to the terminal from the start.
_FOCUS: Final = """<script>
const looking = setInterval(() => {
  const line = document.querySelector(".xterm-helper-textarea");
  if (line) { line.focus(); clearInterval(looking); }
}, 50);
</script>"""
#: Each page is a process of its own.
PAGES_MAX: Final = 8
_SHUTDOWN_SECONDS: Final = 5.0


@click.command(short_help="Open the dashboard, or serve it to a browser of this machine.")
@project_argument
@click.option("--web", "is_web", is_flag=True, help="In a browser of this machine.")
@click.option("--port", type=click.IntRange(0, 65535), help="With --web: port (default: any).")
@click.option("--open", "is_opening", is_flag=True, help="Open the browser.")
def studio(path: str | None, is_web: bool, port: int | None, is_opening: bool) -> int:
    """Open the dashboard of the project at PATH; with --web serve it to a browser.

    Only this machine reaches it, by a link that works once; the terminal then has the next one.
    A project that does not run is started for it, and stopped with it.
    """
    project = find_project(path)
    if not is_web:
        if port is not None:
            raise click.UsageError("--port goes with --web")
        from pylon.cli.dashboard import open_project

        return open_project(project, is_opening=is_opening)
    _demand_package()
    is_ours = woken(project) is None and registry.running_runtime(project) is None
    if is_ours and start_kept(project, sleep_after=0) is None:
        raise CommandFailed(f"{project.name} did not start", "see above")
    try:
        return asyncio.run(_serve(project, port or 0, is_opening=is_opening))
    finally:
        if is_ours:
            asyncio.run(_stop(project))


async def _stop(project: Path) -> None:
    """Stop what was started for the pages, and wait until it is gone."""
    try:
        await ask_supervisor(project, "stop")
    except SupervisorRefused as error:
        say(error.message)
    await until_stopped(project, SystemClock())


def _demand_package() -> None:
    try:
        importlib.import_module("textual_serve.server")
    except ImportError:
        raise CommandFailed("textual-serve is not installed", _INSTALL) from None


async def _serve(project: Path, port: int, *, is_opening: bool) -> int:
    from aiohttp import web

    from pylon.cli.web_gate import HOST, WebGate
    from pylon.tui.browser import open_page

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        hint = "another program has it; without --port any will do"
        raise CommandFailed(f"cannot listen on {HOST}:{port}: {error.strerror}", hint) from error

    def tell_next() -> None:
        if sys.stdout.isatty():
            print_line(f"that link is used up; the next one: {gate.link}")

    gate = WebGate(int(listener.getsockname()[1]), lambda: secrets.token_urlsafe(24), tell_next)
    runner = web.AppRunner(
        _application(project, gate), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        print_line(f"studio on {gate.link}")
        if is_opening:
            await open_page(gate.link)
        await stopped.wait()
    finally:
        await runner.cleanup()
    return 0


def _application(project: Path, gate: Any) -> Any:
    """Return what serves the pages: all of textual-serve's, below a path of ours."""
    import jinja2
    from aiohttp import web

    command = shlex.join([sys.executable, "-P", "-m", "pylon", "studio", str(project)])
    server = importlib.import_module("textual_serve.server").Server(
        command, title=f"pylon · {project.name}", public_url=gate.origin
    )
    pages = asyncio.Semaphore(PAGES_MAX)

    async def index(request: web.Request) -> web.StreamResponse:
        answer: web.Response = await server.handle_index(request)
        answer.text = _FOREIGN_FONT.sub("", answer.text or "").replace(
            "</body>", _FOCUS + "</body>"
        )
        return answer

    async def page(request: web.Request) -> web.StreamResponse:
        if pages.locked():
            return web.Response(status=503, text=f"{PAGES_MAX} pages are open: close one\n")
        async with pages:
            answer: web.StreamResponse = await server.handle_websocket(request)
            return answer

    app = web.Application(middlewares=[gate.middleware])
    importlib.import_module("aiohttp_jinja2").setup(
        app, loader=jinja2.FileSystemLoader(server.templates_path)
    )
    app.add_routes(
        [
            web.get(f"{gate.prefix}/", index, name="index"),
            web.get(f"{gate.prefix}/ws", page, name="websocket"),
            web.get(f"{gate.prefix}/download/{{key}}", server.handle_download, name="download"),
            web.static(f"{gate.prefix}/static", server.statics_path, name="static"),
        ]
    )
    return app
