"""The registry that an app's module fills: `app = App("name")` and its decorators.

Nothing is checked here beyond what a decorator must know; `definition.freeze` checks everything
and reports all mistakes at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pylon.policy.mistakes import nearest

F = TypeVar("F", bound=Callable[..., Any])

#: Decorators of APP.md that this version does not have.
LATER: Final = ("shard", "room")
_DECORATORS: Final = (
    "entity", "query", "mutation", "action", "job", "cron", "workflow", "webhook", "on_start",
    "on_stop",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeclaredEntity:
    """A class and the keywords of its decorator."""

    cls: Any
    policies: dict[str, Any]
    sync: Any


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """A function, its kind and the keywords of its decorator."""

    kind: str
    handler: Any
    keywords: dict[str, Any]
    #: File and line of the declaration.
    made_at: tuple[str, int]


@dataclass(frozen=True, slots=True)
class MisusedName:
    """A use of something that App does not have, with its place."""

    message: str
    path: str
    line: int
    hint: str | None


def _caller(depth: int = 2) -> tuple[str, int]:
    """Return file and line of the app's own code that called."""
    frame = sys._getframe(depth)
    return frame.f_code.co_filename, frame.f_lineno


class App:
    """One app: entities, functions and hooks, in order of declaration."""

    def __init__(self, name: str, version: str = "0", *, min_client: int = 0) -> None:
        """Make it.

        Args:
            name: 1 to 64 printable characters.
            version: what the app calls itself.
            min_client: pages that connect as an older `build` are told to be loaded again.
        """
        self.name = name
        self.version = version
        self.min_client = min_client
        self.entities: list[DeclaredEntity] = []
        self.functions: list[DeclaredFunction] = []
        self.webhooks: list[DeclaredFunction] = []
        self.start_hooks: list[Any] = []
        self.stop_hooks: list[Any] = []
        self.misused: list[MisusedName] = []
        #: File and line where it is made.
        self.made_at = _caller()

    def entity(self, declared: Any = None, /, *, sync: Any = True, **policies: Any) -> Any:
        """Declare an entity with its policies: read, insert, update, delete."""

        def declare(cls: Any) -> Any:
            self.entities.append(DeclaredEntity(cls, policies, sync))
            return cls

        if isinstance(declared, str):
            message = "@app.entity takes each policy by its name"
            self.misused.append(MisusedName(message, *_caller(), 'write read="…"'))
            return declare
        return declare if declared is None else declare(declared)

    def query(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a query: `def`, reads only."""
        return self._declare("query", handler, keywords)

    def mutation(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a mutation: `def`, reads and writes in one transaction."""
        return self._declare("mutation", handler, keywords)

    def action(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare an action: `async def`, may do I/O."""
        return self._declare("action", handler, keywords)

    def job(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a job: `def`, one transaction, or `async def`, may do I/O; run from a queue."""
        return self._declare("job", handler, keywords)

    def cron(self, schedule: Any, /, **keywords: Any) -> Any:
        """Declare a job that runs once per slot of a schedule: five fields, as in crontab."""
        if callable(schedule):  # written without its schedule
            return self._declare("cron", schedule, keywords)
        return self._declare("cron", None, {"schedule": schedule, **keywords})

    def webhook(self, name: Any, /, **keywords: Any) -> Any:
        """Declare what other services send to `/api/webhooks/{name}`: `async def`, raw request."""
        made_at = _caller()

        def declare(handler: Any) -> Any:
            self.webhooks.append(
                DeclaredFunction("webhook", handler, {"name": name, **keywords}, made_at)
            )
            return handler

        if callable(name):  # written without its name
            handler, name = name, None
            return declare(handler)
        return declare

    def workflow(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a workflow: `async def`, durable, written as steps."""
        return self._declare("workflow", handler, keywords)

    def on_start(self, handler: F) -> F:
        """Run a coroutine function when a generation of the app starts."""
        self.start_hooks.append(handler)
        return handler

    def on_stop(self, handler: F) -> F:
        """Run a coroutine function when a generation of the app ends."""
        self.stop_hooks.append(handler)
        return handler

    def _declare(self, kind: str, handler: Any, keywords: dict[str, Any]) -> Any:
        made_at = _caller(3)

        def declare(later: Any) -> Any:
            self.functions.append(DeclaredFunction(kind, later, keywords, made_at))
            return later

        return declare if handler is None else declare(handler)

    def __getattr__(self, name: str) -> Any:
        """Note the use of a decorator that does not exist, with its place, and go on.

        So one such use hides no other mistake; the app does not load with it.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        message, hint = f"App has no {name}", nearest(name, (*_DECORATORS, *LATER))
        if name in LATER:
            message = f"@app.{name} is not in this version of Pylon"
            hint = "remove it, or install a version that has it"
        self.misused.append(MisusedName(message, *_caller(), hint))
        return _ignoring


def _ignoring(*args: Any, **_: Any) -> Any:
    """Stand in for a missing decorator, with or without arguments."""
    if len(args) == 1 and callable(args[0]):
        return args[0]
    return lambda declared: declared
