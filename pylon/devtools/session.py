"""Hot reload: watch the project, decide what each save calls for, and see it through.

The order is that of DESIGN "Hot reload": syntax first, then a try in the warm checker, then the
runtime itself, which swaps one reference or keeps the old version. A half-written or broken file
never runs. What does not live here: starting and stopping processes (`supervisor`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pylon.app.loader import compile_sources
from pylon.clock import Clock
from pylon.devtools.check_process import CheckProcess
from pylon.devtools.codegen.keeper import TypesKeeper
from pylon.devtools.reload import ReloadAction, ReloadPlan, plan_reload
from pylon.devtools.watch import IGNORED_FOLDERS, is_watched, watch
from pylon.errors import PylonError


class RuntimeControl(Protocol):
    """What the session may ask of the running runtime."""

    async def reload(self) -> dict[str, Any]:
        """Load the app anew; answers {"ok", "generation", "mistakes", "plan"}."""
        ...

    async def refresh_pages(self) -> None:
        """Make open pages of this project load again."""
        ...

    async def restart(self, reason: str) -> None:
        """Start the runtime anew on the same port."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadReport:
    """What one save led to. `mistakes` are paragraphs with file, line and caret."""

    action: ReloadAction
    ok: bool
    files: tuple[str, ...]
    ms: float
    generation: int | None = None
    mistakes: tuple[str, ...] = ()
    #: The migration that waits for consent, in words; empty where there is none.
    plan: str = ""

    @property
    def summary(self) -> str:
        """Return the save in a few words."""
        files = ", ".join(self.files) or "the app"
        match self.action:
            case ReloadAction.REFRESH_PAGES:
                return f"{files}: pages refreshed"
            case ReloadAction.RESTART:
                return f"{files}: restarted"
            case _ if not self.ok:
                return f"{files}: not loaded"
            case _:
                return f"{files}: generation {self.generation} live in {self.ms:.0f} ms"


class DevSession:
    """Watches one project until stopped; `listener` gets a report for each save that mattered."""

    def __init__(
        self,
        root: Path,
        control: RuntimeControl,
        listener: Callable[[ReloadReport], None],
        clock: Clock,
        check_settings: Callable[[], None] = lambda: None,
        package: Callable[[], str] = lambda: "",
    ) -> None:
        """Make a session.

        Args:
            root: the project's folder.
            control: the running runtime.
            listener: gets a report for each save that mattered.
            clock: tells the time.
            check_settings: raises PylonError where the settings would stop a start.
            package: tells the folder that is to hold the client for a bundler; empty: none.
        """
        self._root = root
        self._check_settings = check_settings
        self._control = control
        self._listener = listener
        self._clock = clock
        self._stop = asyncio.Event()
        #: Set once saves are looked for.
        self.is_watching = asyncio.Event()
        self._hashes: dict[Path, str | None] = {}
        self._check = CheckProcess(root)
        self._types = TypesKeeper(root, package)

    async def run(self) -> None:
        """Watch and act until `stop()`; the checker ends with it."""
        self._hashes = await asyncio.to_thread(_hash_tree, self._root)
        await self._check.start()
        keeper = asyncio.get_running_loop().create_task(self._types.run(), name="pylon-types")
        self._types.ask()
        # It runs when the loop first waits for events, so when no save can be missed any more.
        missed = asyncio.get_running_loop().create_task(self._see_missed(), name="pylon-missed")
        self.is_watching.set()
        try:
            async for changed in watch(self._root, stop=self._stop):
                await self.act_on(changed)
        finally:
            for task in (keeper, missed):
                task.cancel()
            await asyncio.gather(keeper, missed, return_exceptions=True)
            await self._check.stop()

    async def _see_missed(self) -> None:
        """See through what was saved before the watching began: its events went to nobody."""
        now = await asyncio.to_thread(_hash_tree, self._root)
        paths = {*now, *self._hashes}
        changed = {path for path in paths if now.get(path) != self._hashes.get(path)}
        if changed:
            await self.act_on(frozenset(changed))

    def stop(self) -> None:
        """End `run()` soon."""
        self._stop.set()

    async def act_on(self, changed: frozenset[Path]) -> ReloadReport | None:
        """See one batch through; None where nothing changed that matters."""
        after = {path: _hash_file(self._root / path) for path in changed}
        plan = plan_reload(changed, self._hashes, after)
        self._hashes.update(after)
        if plan.action is ReloadAction.NOTHING:
            return None
        return await self._see_through(plan)

    async def reload_now(self) -> ReloadReport:
        """Reload the app although no file changed (the dashboard's key `R`)."""
        return await self._see_through(ReloadPlan(ReloadAction.RELOAD_APP, ()))

    async def _see_through(self, plan: ReloadPlan) -> ReloadReport:
        started = self._clock.monotonic()
        outcome = await self._carry_out(plan.action, plan.files)
        report = ReloadReport(
            action=plan.action,
            ok=not outcome.get("mistakes"),
            files=tuple(str(path) for path in plan.files),
            ms=(self._clock.monotonic() - started) * 1000,
            generation=outcome.get("generation"),
            mistakes=tuple(outcome.get("mistakes", ())),
            plan=_plan_in_words(outcome.get("plan")),
        )
        self._listener(report)
        if report.ok and plan.action is not ReloadAction.REFRESH_PAGES:
            self._types.ask()
        return report

    async def _carry_out(self, action: ReloadAction, files: tuple[Path, ...]) -> dict[str, Any]:
        try:
            match action:
                case ReloadAction.REFRESH_PAGES:
                    await self._control.refresh_pages()
                    return {}
                case ReloadAction.RESTART:
                    self._check_settings()
                    await self._control.restart(f"{', '.join(str(path) for path in files)} changed")
                    return {}
                case _:
                    return await self._reload(files)
        except PylonError as error:
            hint = f"\n  hint: {error.hint}" if error.hint else ""
            return {"mistakes": [error.message + hint]}

    async def _reload(self, files: tuple[Path, ...]) -> dict[str, Any]:
        existing = [self._root / path for path in files if (self._root / path).is_file()]
        mistakes = compile_sources(existing, self._root)
        if mistakes:
            return {"mistakes": [mistake.render() for mistake in mistakes]}
        verdict = await self._check.check()
        if not verdict["ok"]:
            return verdict
        return await self._control.reload()


def _plan_in_words(plan: object) -> str:
    return plan if isinstance(plan, str) else ""


def _hash_file(path: Path) -> str | None:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:  # gone, or not readable: as if it were not there
        return None


def _hash_tree(root: Path) -> dict[Path, str | None]:
    """Return the hashes of all watched files, so that the first save is compared with something."""
    hashes: dict[Path, str | None] = {}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    if entry.name not in IGNORED_FOLDERS:
                        waiting.append(entry)
                elif entry.is_file() and is_watched(entry.relative_to(root)):
                    hashes[entry.relative_to(root)] = _hash_file(entry)
    return hashes
