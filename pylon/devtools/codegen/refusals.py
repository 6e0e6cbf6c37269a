"""The codes that an app refuses with, read from its source: what a page may have to answer to.

A code that is put together while the app runs cannot be seen here, and is left out.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pylon.devtools.watch import IGNORED_FOLDERS

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z", re.ASCII)
_NOT_THE_APP = re.compile(r"(test_.*|.*_test|conftest)\.py\Z")


def refusal_codes(root: Path) -> tuple[str, ...]:
    """Return the codes in `Refused("CODE", …)` of a project's files, sorted; each once."""
    found: set[str] = set()
    for path in _sources(root):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue  # what cannot be read is not what the app was loaded from
        found.update(_codes_of(tree))
    return tuple(sorted(found))


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if one not in IGNORED_FOLDERS)
        for name in sorted(names):
            if name.endswith(".py") and not _NOT_THE_APP.match(name):
                yield Path(folder, name)


def _codes_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called(node) != "Refused":
            continue
        given = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "code")]
        for one in given[:1]:
            if isinstance(one, ast.Constant) and _CODE.match(str(one.value)):
                yield str(one.value)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
