"""`python -m pylon.server`: the runtime process that the supervisor starts.

It stops on SIGINT and SIGTERM, and when its standard input ends (the supervisor is gone), unless
it was started with --detach. SIGUSR1 writes every stack to the project's stacks file.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

from pylon import limits, paths, sqlite
from pylon.app.policy_coverage import FILE_NAME as COVERAGE_NAME
from pylon.clock import SystemClock
from pylon.errors import AppError, ConfigError, PylonError
from pylon.server.assembly import Runtime
from pylon.server.background import check_settings
from pylon.server.backups.restoring import Prepared
from pylon.server.config import ServerConfig, apply_dotenv, demand_loopback, load_config
from pylon.server.memory import bound_memory, memory_limit_mb
from pylon.server.storage.migrate import MigrationRefused
from pylon.server.storage.place import use_place

#: The app or its settings have mistakes: a save may mend them, so whoever supervises waits for one.
EXIT_APP_MISTAKES = 3
#: A migration waits for a decision: rows stand against it, or it would lose some.
EXIT_MIGRATION_WAITS = 4
#: Another branch is in use, and this process is not fit to go on with it: start another.
EXIT_SWITCHED = 75
_TOKEN_VARIABLE = "PYLON_ADMIN_TOKEN"  # noqa: S105 -- its name
_log = logging.getLogger("pylon.runtime")
#: New objects before each pass of the collector, and passes before it looks at older ones. A push
#: of rows makes thousands of objects and no cycle.
_COLLECT = (20_000, 20, 20)
#: How long a busy loop keeps the interpreter from a thread whose COMMIT is done. Python's own 5 ms
#: would be waited for twice in each commit, which is longer than many disks take to sync.
_SWITCH_SECONDS = 0.0002
_TASKS_SECONDS = 1.0
_exit_now = os._exit


def main(arguments: list[str] | None = None) -> int:
    """Run one project's runtime; returns the exit code."""
    given = _parser().parse_args(arguments)
    project = Path(given.project).resolve()
    sys.path.insert(0, str(project))
    try:
        apply_dotenv(project)
        config = load_config(
            project, is_dev=given.mode == "dev", environment=os.environ,
            flags={"server.host": given.host, "server.port": given.port},
        )  # fmt: skip
        check_settings(config)
        if config.is_dev and not given.allow_remote:
            demand_loopback(config["server.host"])
    except PylonError as error:
        _report(error)
        return EXIT_APP_MISTAKES
    _keep_from_exit()
    _ask_for_files()
    bound_memory(memory_limit_mb(config["limits.memory_mb"]))
    stacks = paths.stacks_path(project)
    # Not emptied before the folder is ours: another runtime's may be in it.
    descriptor = os.open(stacks, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, file=descriptor, all_threads=True)
    # What nobody foresaw is the app's code, as far as anybody can tell.
    code = EXIT_APP_MISTAKES
    try:
        code = _run(RuntimeProcess(config, given, lambda: os.ftruncate(descriptor, 0)))
    except SystemExit as error:  # of a task that the app started: no way to stop a runtime
        _print(sys.stderr, f"pylon: code of the app called sys.exit({error.code!r})\n")
    except Exception as error:  # noqa: BLE001 -- the process must end, whatever it was
        said = f"pylon: the runtime ended by {type(error).__name__}: {error}"
        _print(sys.stderr, f"{traceback.format_exc()}{said}\n")
    finally:
        os.close(descriptor)
    _end_threads(code)
    return code


def _print(stream: TextIO, text: str) -> None:
    """Print where anybody reads it: whoever started us may be gone, and that ends nothing."""
    with suppress(OSError):
        stream.write(text)
        stream.flush()


def _keep_from_exit() -> None:
    """Have `os._exit` be an error of who calls it here: in a child of ours it is what it was."""
    ours = os.getpid()

    def refused(status: int) -> NoReturn:
        if os.getpid() == ours:
            raise RuntimeError(f"os._exit({status}) would end everybody's runtime: raise instead")
        _exit_now(status)

    os._exit = refused


def _ask_for_files() -> None:
    """Have as many open files as connections may need, as far as the system lets us."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such bound
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_WANTED
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end_threads(code: int) -> None:
    """End the process although a thread, of the app perhaps, would keep it alive."""
    left = [one.name for one in threading.enumerate() if not one.daemon]
    if len(left) > 1:
        _print(sys.stderr, f"warning runtime.threads_left {', '.join(left[1:])}\n")
        _exit_now(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pylon.server", description=__doc__)
    parser.add_argument("--project", required=True)
    parser.add_argument("--mode", choices=["dev", "serve"], default="dev")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--migrate", action="store_true")
    parser.add_argument("--accept-policy-change", action="store_true")
    parser.add_argument("--policy-coverage", action="store_true")
    parser.add_argument("--allow-remote", action="store_true")
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--listen-fd", type=int)
    parser.add_argument("--web-port", type=int)
    return parser


class RuntimeProcess:
    """The coroutine of a runtime process, and its signals.

    A switch of branches ends one life of the runtime and begins another: on the same socket, which
    queues whoever comes meanwhile. A branch that it can't start on is left again.
    """

    def __init__(
        self, config: ServerConfig, given: argparse.Namespace, forget_stacks: Callable[[], None]
    ) -> None:
        self._config = config
        self._given = given
        self._forget_stacks = forget_stacks
        self._runtime = Runtime(config)
        self._stop_reason: str | None = None
        listen_fd = given.listen_fd
        self._door = None if listen_fd is None else socket.socket(fileno=listen_fd)
        self._admin_token = os.environ.get(_TOKEN_VARIABLE)

    @property
    def _coverage_path(self) -> Path | None:
        if not self._given.policy_coverage:
            return None
        return self._config.project / ".pylon" / COVERAGE_NAME

    async def __call__(self) -> int:
        """Start, wait, stop; as often as branches are switched."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop, signal.Signals(number).name)
        failed = await self._start()
        if failed is not None:
            return failed
        self._forget_stacks()
        if not self._given.detach:
            _watch_parent(loop, self._ask_to_stop)
        _calm_collector()
        sys.setswitchinterval(_SWITCH_SECONDS)
        host, port = self._config["server.host"], self._runtime.services.bound_port
        _print(sys.stdout, f"listening on http://{host}:{port}\n")
        while True:
            runtime = self._runtime
            await runtime.wait()
            await runtime.stop()
            is_over = not runtime.begins_again or self._stop_reason is not None
            await _end_tasks(0 if is_over else EXIT_SWITCHED)
            if is_over:
                if runtime.restoring is not None:
                    runtime.restoring.discard()
                return 0
            if runtime.restoring is not None:
                await _put_in_place(runtime.restoring)
            failed = await self._begin_again(runtime.services.branches.current)
            if failed is not None:
                return failed

    async def _begin_again(self, before: str) -> int | None:
        """Start on the branch in use now, or on the one before; returns an exit code if neither."""
        gc.unfreeze()
        self._runtime = Runtime(self._config)
        failed = await self._start()
        if failed is not None:
            _log.error("branch.not_started the runtime goes back to %s", before)
            data = self._config.project / ".pylon"
            use_place(data, before, os.urandom(16).hex(), before=before)
            self._runtime = Runtime(self._config)
            failed = await self._start()
        if failed is None:
            _calm_collector()
            _log.info("branch.switched to %s", self._runtime.services.branches.current)
            if self._stop_reason is not None:
                self._runtime.ask_to_stop(self._stop_reason)
        return failed

    async def _start(self) -> int | None:
        """Start a life; returns the exit code where that fails."""
        if self._admin_token is not None:
            os.environ[_TOKEN_VARIABLE] = self._admin_token  # the life before has taken it
        try:
            await self._runtime.start(
                may_migrate=self._given.mode == "dev" or self._given.migrate,
                accepts_policies=self._given.accept_policy_change,
                coverage=self._coverage_path,
                listen_fd=None if self._door is None else self._door.dup().detach(),
                web_port=self._given.web_port,
            )
        except (AppError, ConfigError) as mistaken:
            _report(mistaken)
            return EXIT_APP_MISTAKES
        except MigrationRefused as refused:
            _report(refused)
            return EXIT_MIGRATION_WAITS
        except PylonError as error:
            _report(error)
            return 1
        except (OSError, sqlite.Error) as error:
            _report(_not_started(error))
            return 1
        if self._door is None and self._runtime.door is not None:
            self._door = self._runtime.door.dup()
        return None

    def _ask_to_stop(self, reason: str) -> None:
        self._stop_reason = reason
        self._runtime.ask_to_stop(reason)


async def _put_in_place(prepared: Prepared) -> None:
    """Change the database for a backup; after a failure the one of before serves on."""
    try:
        restored = await prepared.put_in_place(SystemClock())
    except (PylonError, OSError) as error:
        prepared.discard()
        _log.error("restore.failed %s", error)
        return
    kept = "" if restored.kept is None else f"; what was there is {restored.kept.name}"
    _log.info("restore.done head=%d%s", restored.contents.head, kept)


def _report(error: PylonError) -> None:
    """Print why the runtime could not start, as one short paragraph."""
    hint = f"  {error.hint}\n" if error.hint else ""
    _print(sys.stderr, f"pylon: {error.message}\n{hint}")


def _not_started(error: Exception) -> PylonError:
    """Return what a start says that met the disk and not a mistake of the app."""
    hint = "look at the disk's space and at who may write to .pylon and to the state folder"
    return PylonError(f"the runtime could not start: {error}", hint=hint)


async def _end_tasks(code: int) -> None:
    """End the process although a task, of the app perhaps, does not let itself be cancelled."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if not left:
        return
    _, stubborn = await asyncio.wait(left, timeout=_TASKS_SECONDS)
    if stubborn:
        names = ", ".join(sorted(task.get_name() for task in stubborn))
        _print(sys.stderr, f"warning runtime.tasks_left {names}\n")
        _exit_now(code)


def _calm_collector() -> None:
    """Look for cycles less often, and never among what lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


def _watch_parent(loop: asyncio.AbstractEventLoop, ask_to_stop: Callable[[str], None]) -> None:
    """Stop when standard input ends: whoever started this runtime is gone."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            ask_to_stop("its supervisor is gone")

    try:
        loop.add_reader(descriptor, readable)
    except (OSError, ValueError, PermissionError):
        return  # standard input is a plain file: there is nobody to watch


def _run(start: RuntimeProcess) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(start())
    return uvloop.run(start())


if __name__ == "__main__":
    sys.exit(main())
