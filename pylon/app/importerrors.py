"""What went wrong while the app was imported, as mistakes: place, caret, nearest known name."""

from __future__ import annotations

import builtins
import linecache
import re
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import pylon
from pylon.app.finder import FOREIGN_FOLDERS
from pylon.errors import Mistake
from pylon.policy.mistakes import nearest

_CANNOT_IMPORT = re.compile(r"cannot import name '(\w+)' from (?:partially initialized module )?'")


def syntax_mistake(error: SyntaxError, root: Path) -> Mistake:
    """Return the mistake of a file that is not Python, with a caret."""
    text = (error.text or "").rstrip("\n")
    bare = text.lstrip()
    excerpt = None
    if bare:
        column = max(0, (error.offset or 1) - 1 - (len(text) - len(bare)))
        excerpt = f"    {bare}\n    {' ' * min(column, len(bare))}^"
    return Mistake(
        error.msg or "not Python",
        file=relative(error.filename or "app.py", root),
        line=error.lineno,
        column=max(error.offset or 1, 1),
        excerpt=excerpt,
    )


def import_mistake(error: BaseException, root: Path) -> Mistake:
    """Return the mistake at the innermost line of the project's own code."""
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        message = f"the app calls exit({'' if error.code is None else error.code}) while imported"
    place = _own_place(error.__traceback__, root)
    if place is None:
        return Mistake(message, file="app.py", hint=_hint(error, {}))
    summary, names = place
    text = summary.line or ""
    column, excerpt = None, None
    if text and summary.lineno is not None:
        whole = linecache.getline(summary.filename, summary.lineno).rstrip()
        before = whole.encode()[: summary.colno or 0]
        column = len(before.decode(errors="replace")) + 1
        indent = len(whole) - len(whole.lstrip())
        excerpt = f"    {text}\n    {' ' * max(0, min(column - 1 - indent, len(text)))}^"
    return Mistake(
        message,
        file=relative(summary.filename, root),
        line=summary.lineno,
        column=column,
        hint=_hint(error, names),
        excerpt=excerpt,
    )


def relative(filename: str, root: Path) -> str:
    """Return a file's name relative to the project, or bare where it lies elsewhere."""
    try:
        return Path(filename).resolve().relative_to(root).as_posix()
    except ValueError:
        return Path(filename).name


def _own_place(
    found: TracebackType | None, root: Path
) -> tuple[traceback.FrameSummary, dict[str, Any]] | None:
    """Return the innermost frame of the project with the names that it knows."""
    place = None
    for (frame, _), summary in zip(
        traceback.walk_tb(found), traceback.extract_tb(found), strict=True
    ):
        path = Path(summary.filename)
        if path.is_relative_to(root) and not FOREIGN_FOLDERS & set(path.relative_to(root).parts):
            place = summary, {**frame.f_globals, **frame.f_locals}
    return place


def _hint(error: BaseException, names: dict[str, Any]) -> str | None:
    """Return what to do about the usual mistakes."""
    match error:
        case ModuleNotFoundError() if error.name:
            known = [*sys.stdlib_module_names, *sys.modules]
            return nearest(error.name, known) or f"is {error.name} installed where Pylon runs?"
        case ImportError() if error.name:
            found = _CANNOT_IMPORT.match(str(error))
            return nearest(found[1], _names_in(error.name)) if found else None
        case NameError() if error.name:
            if error.name in names.get("__annotations__", {}):
                return f'write "{error.name}": fields are named in quotes'
            if error.name in pylon.__all__:
                return f"from pylon import {error.name}"
            return nearest(error.name, [*names, *vars(builtins), *pylon.__all__])
        case AttributeError() if error.name:
            return nearest(error.name, [one for one in dir(error.obj) if not one.startswith("_")])
        case TypeError() if "_idfunc" in str(error) or "NewType" in str(error):
            return "a type stands behind a colon: body: Text"
        case RuntimeError() if "no running event loop" in str(error):
            return "nothing runs while a module is imported; use @app.on_start"
        case _:
            return None


def _names_in(module: str) -> list[str]:
    imported = sys.modules.get(module)
    return list(getattr(imported, "__all__", None) or dir(imported))
