"""A new generation in the running runtime: load, migrate, swap one reference, tell everybody."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.app.loader import load_app
from pylon.clock import Clock
from pylon.errors import LoadFailed, PylonError
from pylon.schema.diff import diff
from pylon.schema.model import Schema
from pylon.server.functions.data_migrations import DataMigrations
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.functions.failures import contained
from pylon.server.functions.next_code import code_under
from pylon.server.functions.policy_effect import PolicyEffects
from pylon.server.storage.database import Database
from pylon.server.storage.known_policies import use_policies
from pylon.server.storage.migrate import MigrationRefused, migrate
from pylon.server.storage.migration_plan import demand_same_plan, make_plan
from pylon.server.storage.served_policies import ServedPolicies
from pylon.server.sync.hub import Hub

_log = logging.getLogger("pylon.reload")
#: Lines of the log at most on code that names what goes.
_NOTED_MAX = 20
Hook = Callable[..., Awaitable[Any]]


def load_next(old: AppDefinition) -> AppDefinition:
    """Return the app as its files say now; raises LoadFailed with every mistake."""
    return load_app(old.root, generation=old.generation + 1)


class Reloader:
    """Swaps generations; a failed one changes nothing."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, hub: Hub, executor: Executor,
        tell: Callable[[], None], clock: Clock, policies: ServedPolicies | None = None,
        effects: PolicyEffects | None = None,
        load: Callable[[AppDefinition], AppDefinition] = load_next,
    ) -> None:  # fmt: skip
        """Make a reloader.

        Args:
            database: is migrated.
            definitions: hold the generation that serves.
            hub: tells those who are connected.
            executor: runs hooks.
            tell: has what runs beside requests (jobs, workflows) go by the new definition.
            clock: measures.
            policies: in production, what was served before.
            effects: in development, what an edit of a policy changes for whom.
            load: returns the generation after one; raises LoadFailed.
        """
        self._database = database
        self._definitions = definitions
        self._hub = hub
        self._executor = executor
        self._tell = tell
        self._clock = clock
        #: In production: what was served before, and may not be widened unsaid.
        self._policies = policies
        self._effects = effects
        self._load = load
        #: Two at once would take each other's generation for the one before theirs.
        self._is_reloading = asyncio.Lock()

    async def reload(self, *, consent: bool = False, plan: str | None = None) -> dict[str, Any]:
        """Load the app anew; answers {"ok", "generation", "ms", "mistakes", "plan", "migrated"}.

        One at a time: who asks meanwhile waits, and gets a generation of his own. Consent to a
        `plan`, by its hash, is none to another one.
        """
        async with self._is_reloading:
            return await self._reload(consent=consent, agreed=plan)

    async def _reload(self, *, consent: bool, agreed: str | None) -> dict[str, Any]:
        started = self._clock.monotonic()
        old = self._definitions.current
        try:
            new = self._load(old)
        except LoadFailed as failure:
            return self._failed(old, [one.render() for one in failure.mistakes], started)
        breaks = await self._breaks(new)
        try:
            if self._policies is not None:
                await self._policies.demand(new)
            if agreed is not None:
                await self._demand_plan(new, agreed)
            data = DataMigrations(self._database, new)
            await data.try_first(consent=consent)
            plan = await migrate(self._database, new.schema, consent=consent)
        except LoadFailed as failure:
            return self._failed(old, [one.render() for one in failure.mistakes], started)
        except MigrationRefused as refused:
            self._definitions.waiting = new
            answer = self._failed(old, [refused.message], started)
            return {**answer, "plan": "\n".join([refused.details["plan"], *breaks])}
        except PylonError as error:
            return self._failed(old, [error.message], started)
        self._definitions.current, self._definitions.waiting = new, None
        self._database.slice_rules = new.slice_rules
        self._hub.app_reloaded()
        self._tell()
        await self._follow_policies(new)
        await self._remember_policies(new)
        applied, mistakes = await _applied(data)
        await run_hooks(old, old.on_stop, self._executor)
        await run_hooks(new, new.on_start, self._executor)
        if self._effects is not None:
            self._effects.after_reload(old, new)
        ms = (self._clock.monotonic() - started) * 1000
        _log.info("app.reloaded generation %d in %.0f ms", new.generation, ms)
        return {
            "ok": not mistakes, "generation": new.generation, "ms": round(ms, 1),
            "mistakes": mistakes,
            "plan": "\n".join([plan.render(), *breaks]), "migrated": applied,
        }  # fmt: skip

    async def _breaks(self, new: AppDefinition) -> list[str]:
        """Return lines on the code of an app that names what its own schema takes away."""
        try:
            code = await contained(asyncio.to_thread(_code_left, self._database.schema, new))
        except Exception:  # noqa: BLE001 -- advice, of code of the app's: worth no good reload
            _log.exception("app.code_not_read what generation %d breaks is not known",
                           new.generation)  # fmt: skip
            return ["  what it breaks of the code is not known: the log says why"]
        for one in code["code"][:_NOTED_MAX]:
            _log.warning("app.code_left_behind %s: %s", one["words"], one["step"])
        unread = [f"  the source of {name} can't be read" for name in code["unread"][:_NOTED_MAX]]
        return [*(f"  {one['words']}" for one in code["code"]), *unread]

    async def _demand_plan(self, new: AppDefinition, agreed: str) -> None:
        plan = await self._database.readers.run(lambda reader: make_plan(reader.raw, new.schema))
        demand_same_plan(plan, agreed)

    async def _follow_policies(self, new: AppDefinition) -> None:
        try:
            changed = await use_policies(self._database, new.slice_rules, new.read_meanings)
        except PylonError as error:
            # It stays noted as the one of before: the next reload, or start, makes up for it.
            _log.error("app.policies_not_followed replicas keep what they have: %s", error.message)
        else:
            if changed:
                _log.info("app.policies_changed replicas follow for %s", ", ".join(changed))

    async def _remember_policies(self, new: AppDefinition) -> None:
        if self._policies is None:
            return
        try:
            await self._policies.remember(new)
        except PylonError as error:
            # The next reload, or start, is held against those served before: it asks once more.
            _log.error("app.policies_not_remembered %s", error.message)

    def _failed(self, old: AppDefinition, mistakes: list[str], started: float) -> dict[str, Any]:
        _log.warning("app.reload_failed generation %d serves on", old.generation)
        ms = (self._clock.monotonic() - started) * 1000
        return {
            "ok": False, "generation": old.generation, "ms": round(ms, 1), "mistakes": mistakes,
            "plan": "",
        }  # fmt: skip


def _code_left(old: Schema, new: AppDefinition) -> dict[str, Any]:
    return code_under(new, old, diff(old, new.schema))


async def _applied(data: DataMigrations) -> tuple[list[str], list[str]]:
    """Apply data migrations, whose trial went well; returns their names, or what kept them."""
    try:
        return await data.apply(), []
    except PylonError as error:  # the next save, or start, tries again
        _log.error("migration.failed %s", error.message)
        return [], [error.message]


async def run_hooks(definition: AppDefinition, hooks: Iterable[Hook], executor: Executor) -> None:
    """Run the start or stop hooks of a generation.

    One that fails, or takes longer than `limits.HOOK_SECONDS`, is logged and harms nobody.
    """
    for hook in hooks:
        task = asyncio.ensure_future(_run(definition, hook, executor))
        try:
            done, _ = await asyncio.wait((task,), timeout=limits.HOOK_SECONDS)
        finally:
            task.cancel()  # whether it lets itself be cancelled or not, nobody waits for it
        if not done:
            _log.error("app.hook_timed_out %s of generation %d was cancelled after %g s",
                       hook.__name__, definition.generation, limits.HOOK_SECONDS)  # fmt: skip


async def _run(definition: AppDefinition, hook: Hook, executor: Executor) -> None:
    try:
        if inspect.signature(hook).parameters:
            await contained(hook(executor.hook_context(definition, hook.__name__)))
        else:
            await contained(hook())
    except Exception:  # noqa: BLE001 -- the app's own code
        _log.exception("app.hook_failed %s of generation %d", hook.__name__,
                       definition.generation)  # fmt: skip
