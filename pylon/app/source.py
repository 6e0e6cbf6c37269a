"""Where things stand in the app's source: classes, fields, decorators, functions.

Positions come from the syntax tree, because an annotation or a default has none at run time.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from pylon.app.literals import breaks_of
from pylon.schema.model import Position

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class ClassSource:
    """One class: where its names, annotations, values and policies stand."""

    module: ModuleSource
    node: ast.ClassDef
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    names: dict[str, ast.stmt] = field(default_factory=dict)
    #: Names that the body gives twice, with the second place.
    twice: dict[str, ast.stmt] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """Return where the class begins."""
        return self.module.at(self.node)

    def at(self, name: str | None) -> Position:
        """Return where a name of the body is given; the class itself where it is not."""
        return self.module.at(self.names.get(name or "", self.node))

    def at_annotation(self, name: str) -> Position:
        """Return where a field's annotation stands."""
        return self.module.at(self.annotations.get(name, self.names.get(name, self.node)))

    def at_value(self, name: str) -> Position:
        """Return where a name's value stands."""
        return self.module.at(self.values.get(name, self.names.get(name, self.node)))

    def at_keyword(self, name: str, keyword: str) -> Position:
        """Return where a keyword of `name = field(…)` stands."""
        for one in _keywords(self.values.get(name)):
            if one.arg == keyword:
                return self.module.at(one)
        return self.at(name)

    def at_text(self, name: str, text: str) -> Position:
        """Return where a text inside the value of a name stands."""
        value = self.values.get(name)
        for one in ast.walk(value) if value is not None else ():
            if isinstance(one, ast.Constant) and one.value == text:
                return self.module.at(one)
        return self.at(name)

    def at_policy(self, access: str) -> Position:
        """Return where the text of a policy begins."""
        return _at_call_text(self.module, self.node.decorator_list, access) or self.position

    def at_keyword_text(self, name: str, keyword: str) -> Position:
        """Return where the text of a keyword of `name = field(…)` begins."""
        value = self.values.get(name)
        return _at_call_text(self.module, [value] if value else [], keyword) or self.at(name)


@dataclass(slots=True)
class FunctionSource:
    """One function: where it, its arguments and the keywords of its decorator stand."""

    module: ModuleSource
    node: FunctionNode

    @property
    def position(self) -> Position:
        """Return where the function begins."""
        return self.module.at(self.node)

    @property
    def first_line(self) -> int:
        """Return the line that the compiled code names as its first: that of a decorator."""
        return min([self.node.lineno, *(one.lineno for one in self.node.decorator_list)])

    def at_argument(self, name: str) -> Position:
        """Return where an argument stands; `return` for the annotation of the result."""
        if name == "return":
            return self.module.at(self.node.returns or self.node)
        given = self.node.args
        for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
            if one is not None and one.arg == name:
                return self.module.at(one)
        return self.position

    def references(self) -> Iterator[tuple[str, str]]:
        """Yield the entities that `Ref["…"]` names, each with its argument (or `return`)."""
        given = self.node.args
        places = [(one.arg, one.annotation) for one in (*given.args, *given.kwonlyargs)]
        for argument, annotation in (*places, ("return", self.node.returns)):
            for one in _inside(annotation):
                match one:
                    case ast.Subscript(
                        value=ast.Name(id="Ref") | ast.Attribute(attr="Ref"),
                        slice=ast.Constant(value=str(name)) | ast.Name(id=name),
                    ):
                        yield argument, name
                    case _:
                        continue

    def at_keyword(self, keyword: str) -> Position:
        """Return where the value of a decorator's keyword begins."""
        return _at_call_text(self.module, self.node.decorator_list, keyword) or self.position


@dataclass(slots=True)
class ModuleSource:
    """All classes and functions of one file, by name, in order."""

    file: str
    lines: list[str]
    classes: dict[str, list[ClassSource]] = field(default_factory=dict)
    functions: dict[str, list[FunctionSource]] = field(default_factory=dict)
    #: What the module gives a name once, at its top: `RULE = "…"`.
    values: dict[str, ast.expr] = field(default_factory=dict)

    def at(self, node: ast.AST) -> Position:
        """Return the position of a node; columns count characters, as editors do."""
        line = getattr(node, "lineno", 1)
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        before = text.encode()[: getattr(node, "col_offset", 0)]
        return Position(self.file, line, len(before.decode(errors="replace")) + 1)

    def excerpt(self, line: int, column: int | None) -> str | None:
        """Return a line with a caret below the column."""
        if not 1 <= line <= len(self.lines) or not self.lines[line - 1].strip():
            return None
        text = self.lines[line - 1].rstrip()
        bare = text.lstrip()
        caret = max(0, (column or 1) - 1 - (len(text) - len(bare)))
        return f"    {bare}\n    {' ' * min(caret, len(bare))}^"

    def function(self, name: str, first_line: int) -> FunctionSource | None:
        """Return the function of a name whose code begins at a line, or the last of the name."""
        found = self.functions.get(name, [])
        exact = [one for one in found if one.first_line == first_line]
        nearest = exact or found[-1:]
        return nearest[0] if nearest else None


def read_module(path: Path, root: Path) -> ModuleSource:
    """Return the source of a module; files are named relative to the project's root."""
    stat = path.stat()
    try:
        name = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        name = path.name
    return _read(str(path), (stat.st_mtime_ns, stat.st_size), name)


@lru_cache(maxsize=64)
def _read(path: str, stamp: tuple[int, int], name: str) -> ModuleSource:
    data = Path(path).read_bytes()
    source = ModuleSource(name, data.decode(errors="replace").splitlines())
    tree = ast.parse(data)
    given = [(name, value) for one in tree.body for name, value in _given(one)]
    names = Counter(name for name, _ in given)
    source.values.update(
        (name, value) for name, value in given if value is not None and names[name] == 1
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            source.classes.setdefault(node.name, []).append(_read_class(source, node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            source.functions.setdefault(node.name, []).append(FunctionSource(source, node))
    return source


def _read_class(source: ModuleSource, node: ast.ClassDef) -> ClassSource:
    found = ClassSource(source, node)
    for statement in node.body:
        for name, value in _given(statement):
            if name in found.names:
                found.twice[name] = statement
            found.names[name] = statement
            if value is not None:
                found.values[name] = value
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.annotations[statement.target.id] = statement.annotation
    return found


def _given(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names that a statement of a class body gives, with their values."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case _:
            return


def _keywords(node: ast.expr | None) -> list[ast.keyword]:
    return node.keywords if isinstance(node, ast.Call) else []


def _inside(annotation: ast.expr | None) -> Iterator[ast.AST]:
    """Yield the nodes of an annotation, also of one in quotes."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return
    if annotation is not None:
        yield from ast.walk(annotation)


def _at_call_text(module: ModuleSource, calls: list[ast.expr], keyword: str) -> Position | None:
    """Return where the value of a call's keyword begins, behind the quotes of a text.

    A name leads to the text that the module gives it.
    """
    for call in calls:
        for one in _keywords(call):
            if one.arg != keyword:
                continue
            at = module.at(one.value)
            name = one.value.id if isinstance(one.value, ast.Name) else ""
            breaks = breaks_of(module.lines, module.values.get(name, one.value))
            if not breaks:
                return replace(at, is_whole=True)
            _, line, column = breaks[0]
            return Position(at.file, line, column, breaks)
    return None
