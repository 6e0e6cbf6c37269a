"""Where things stand in the app's source: classes, fields, decorators, functions.

Positions come from the syntax tree, because an annotation or a default has none at run time.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pylon.schema.model import Position


@dataclass(slots=True)
class ClassSource:
    """One class: its position, its annotated names, and the policies of its decorator."""

    position: Position
    fields: dict[str, Position] = field(default_factory=dict)
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    keywords: dict[str, Position] = field(default_factory=dict)


@dataclass(slots=True)
class ModuleSource:
    """All classes and functions of one file, by name."""

    file: str
    classes: dict[str, ClassSource] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)

    def at(self, node: ast.AST) -> Position:
        """Return the position of a node."""
        return Position(self.file, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1)


@lru_cache(maxsize=64)
def _read(path: str, stamp: tuple[int, int], name: str) -> ModuleSource:
    tree = ast.parse(Path(path).read_bytes())
    source = ModuleSource(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            source.classes.setdefault(node.name, _read_class(source, node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            source.functions.setdefault(node.name, node)
    return source


def read_module(path: Path, root: Path) -> ModuleSource:
    """Return the source of a module; files are named relative to the project's root."""
    stat = path.stat()
    try:
        name = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        name = path.name
    return _read(str(path), (stat.st_mtime_ns, stat.st_size), name)


def _read_class(source: ModuleSource, node: ast.ClassDef) -> ClassSource:
    found = ClassSource(source.at(node))
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.fields[statement.target.id] = source.at(statement)
            found.annotations[statement.target.id] = statement.annotation
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found.fields[target.id] = source.at(statement)
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                if keyword.arg is not None:
                    found.keywords[keyword.arg] = source.at(keyword.value)
    return found
