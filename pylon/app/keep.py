"""State that survives a hot reload in development: made once per process, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_kept: dict[str, Any] = {}


def keep(name: str, factory: Callable[[], T]) -> T:
    """Return what `factory` made when this name was first kept in this process.

    Module-level state is lost on reload; this is not. It is lost on restart: what must survive
    belongs in the database. Keep plain values only: classes of the app are new after a reload.
    """
    if name not in _kept:
        _kept[name] = factory()
    kept: T = _kept[name]
    return kept
