"""The registry that an app's module fills: `app = App("name")` and its decorators.

Nothing is checked here beyond what a decorator must know; `definition.freeze` checks everything
and reports all mistakes at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pylon.errors import Mistake

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class DeclaredEntity:
    """A class and the keywords of its decorator."""

    cls: type
    policies: dict[str, Any]
    sync: bool


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """A function, its kind and the keywords of its decorator."""

    kind: str
    handler: Callable[..., Any]
    keywords: dict[str, Any]


class App:
    """One app: entities, functions and hooks, in order of declaration."""

    def __init__(self, name: str, version: str = "0") -> None:
        self.name = name
        self.version = version
        self.entities: list[DeclaredEntity] = []
        self.functions: list[DeclaredFunction] = []
        self.start_hooks: list[Callable[..., Any]] = []
        self.stop_hooks: list[Callable[..., Any]] = []
        self.mistakes: list[Mistake] = []

    def entity(self, *, sync: bool = True, **policies: Any) -> Callable[[C], C]:
        """Declare an entity with its policies: read, insert, update, delete."""

        def declare(cls: C) -> C:
            self.entities.append(DeclaredEntity(cls, policies, sync))
            return cls

        return declare

    def query(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a query: `def`, reads only."""
        return self._declare("query", handler, keywords)

    def mutation(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare a mutation: `def`, reads and writes in one transaction."""
        return self._declare("mutation", handler, keywords)

    def action(self, handler: F | None = None, /, **keywords: Any) -> Any:
        """Declare an action: `async def`, may do I/O."""
        return self._declare("action", handler, keywords)

    def on_start(self, handler: F) -> F:
        """Run a coroutine function when a generation of the app starts."""
        self.start_hooks.append(handler)
        return handler

    def on_stop(self, handler: F) -> F:
        """Run a coroutine function when a generation of the app ends."""
        self.stop_hooks.append(handler)
        return handler

    def _declare(self, kind: str, handler: F | None, keywords: dict[str, Any]) -> Any:
        if handler is not None:
            self.functions.append(DeclaredFunction(kind, handler, keywords))
            return handler

        def declare(later: F) -> F:
            self.functions.append(DeclaredFunction(kind, later, keywords))
            return later

        return declare

    def __getattr__(self, name: str) -> Any:
        """Note the use of a decorator that this version does not have, with its place."""
        if name not in ("job", "cron", "workflow", "webhook", "shard", "room"):
            raise AttributeError(f"App has no {name}")
        caller = sys._getframe(1)
        self.mistakes.append(
            Mistake(
                f"@app.{name} is not in this version of Pylon",
                file=caller.f_code.co_filename,
                line=caller.f_lineno,
                hint="remove it, or install a version that has it",
            )
        )
        return _ignoring


def _ignoring(*args: Any, **_: Any) -> Any:
    """Stand in for a missing decorator, with or without arguments."""
    if len(args) == 1 and (callable(args[0]) and not isinstance(args[0], str)):
        return args[0]
    return lambda declared: declared
