"""The pieces of an app's code that Pylon runs, each with what of the schema it names.

Functions, webhooks, hooks; `seed.py` and data migrations that wait. What a piece calls of the
project by name is part of it. No code runs.
"""

from __future__ import annotations

import ast
import inspect
import logging
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from pylon.app.definition import AppDefinition
from pylon.app.mentions import Mention, mentions_of
from pylon.app.seedfile import SEED_FILE
from pylon.app.source import FunctionSource, read_module

_log = logging.getLogger("pylon.app")
#: So many functions are looked at for one piece: whoever calls more is known by these.
_FOLLOWED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of code, and what it names."""

    name: str
    kind: str
    mentions: tuple[Mention, ...]
    #: Where the source can't be read any more, or is beyond us: what it names is not known.
    is_unread: bool = False


def pieces_of(
    definition: AppDefinition, known: Container[str], files: Iterable[Path] = ()
) -> list[Piece]:
    """Return the pieces of an app.

    Args:
        definition: the app.
        known: names of entities, also of those that it does not have any more.
        files: data migrations that wait.
    """
    root = definition.root
    found = [
        _piece(one.name, one.kind.value, one.handler, root, known)
        for one in definition.functions.values()
    ]
    found += [
        _piece(one.name, "webhook", one.handler, root, known)
        for one in definition.webhooks.values()
    ]
    found += [
        _piece(one.__name__, "hook", one, root, known)
        for one in (*definition.on_start, *definition.on_stop)
    ]
    seed = root / SEED_FILE
    beside = [(seed, "seed")] if seed.is_file() else []
    beside += [(one, "data migration") for one in files]
    return found + [_beside(path, kind, root, known) for path, kind in beside]


def _contained(name: str, kind: str, read: Callable[[], Piece]) -> Piece:
    """Return a piece; one that the analysis fails at is unread, and costs nothing else."""
    try:
        return read()
    except Exception:  # noqa: BLE001 -- a nesting too deep, an object of the app's that is odd
        _log.exception("app.code_not_read %s %s", kind, name)
        return Piece(name, kind, (), is_unread=True)


def _piece(
    name: str, kind: str, handler: Callable[..., Any], root: Path, known: Container[str]
) -> Piece:
    return _contained(name, kind, lambda: _handler(name, kind, handler, root, known))


def _handler(
    name: str, kind: str, handler: Callable[..., Any], root: Path, known: Container[str]
) -> Piece:
    mentions: list[Mention] = []
    waiting: list[FunctionType] = [
        one for one in (inspect.unwrap(handler),) if isinstance(one, FunctionType)
    ]
    seen: set[int] = set()
    is_unread = not waiting
    while waiting and len(seen) < _FOLLOWED_MAX:
        function = waiting.pop(0)
        if id(function) in seen:
            continue
        seen.add(id(function))
        source = _source_of(function, root)
        if source is None:
            is_unread = is_unread or len(seen) == 1
            continue
        names = function.__globals__
        mentions += mentions_of(source, partial(_entity, names=names, known=known))
        waiting += [one for one in _called(source, names) if _is_own(one, root)]
    return Piece(name, kind, tuple(mentions), is_unread)


def _beside(path: Path, kind: str, root: Path, known: Container[str]) -> Piece:
    name = path.relative_to(root).as_posix()
    return _contained(name, kind, lambda: _file(path, name, kind, root, known))


def _file(path: Path, name: str, kind: str, root: Path, known: Container[str]) -> Piece:
    """Return a file that was not run: all functions of it."""
    try:
        module = read_module(path, root)
    except (OSError, SyntaxError, ValueError):
        return Piece(name, kind, (), is_unread=True)
    mentions = [
        mention
        for each in module.functions.values()
        for one in each
        for mention in mentions_of(one, lambda word: word if word in known else None)
    ]
    return Piece(name, kind, tuple(mentions))


def _entity(word: str, names: dict[str, Any], known: Container[str]) -> str | None:
    """Return the entity that a word of a module stands for: by its class, or by its name."""
    meant = names.get(word)
    if isinstance(meant, type):
        word = meant.__name__
    return word if word in known else None


def _source_of(function: FunctionType, root: Path) -> FunctionSource | None:
    code = function.__code__
    try:
        module = read_module(Path(code.co_filename), root)
    except (OSError, SyntaxError, ValueError):  # edited since, and half written
        return None
    return module.function(function.__name__, code.co_firstlineno)


def _called(source: FunctionSource, names: dict[str, Any]) -> Iterator[FunctionType]:
    """Yield the functions that a function calls by a name, or by `module.name`."""
    for node in ast.walk(source.node):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                found = names.get(name)
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id=module))):
                held = names.get(module)
                # What else has attributes may run code of the app's when it is asked for one.
                found = vars(held).get(name) if isinstance(held, ModuleType) else None
            case _:
                continue
        if isinstance(found, FunctionType):
            yield found


def _is_own(function: FunctionType, root: Path) -> bool:
    """Tell whether a function is the project's own."""
    path = Path(function.__code__.co_filename)
    return path.is_relative_to(root) and "site-packages" not in path.parts
