"""A project's code for somebody else: what app.py imports of it, without secrets that stand there.

No code runs: imports are read from the syntax tree.
"""

from __future__ import annotations

import ast
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pylon import limits_keeping
from pylon.app.finder import FOREIGN_FOLDERS
from pylon.schema.masking import is_secret_name
from pylon.schema.pseudonyms import Pseudonyms

_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
#: What a key looks like: long, of one piece, of letters and digits; or a JSON web token.
_KEY: Final = re.compile(
    r"(?=(?:[^0-9]*[0-9]){3})(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+=-]{20,}\Z|eyJ[\w.-]{20,}\Z"
)
#: An address with what opens it: only there is it replaced, since it may be a word of the code.
_LOGIN: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/@:\"']{0,64}:)([^\s/@\"']{1,200})(?=@)"
)
_LITERAL: Final = re.compile(r"[A-Za-z0-9][\w./:-]{0,39}\Z")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_SECRET_MIN: Final = 4


@dataclass(slots=True)
class ShownCode:
    """Files of the project, and what they say."""

    #: Text by path, from the project's folder.
    files: dict[str, str] = field(default_factory=dict)
    #: What is not there, and why.
    left_out: list[str] = field(default_factory=list)
    #: Texts that were taken out of it.
    taken_out: int = 0
    #: Short texts that stand in it.
    literals: set[str] = field(default_factory=set)
    #: Every word of it.
    words: set[str] = field(default_factory=set)


def shown_code(project: Path, pseudonyms: Pseudonyms, known: Iterable[str]) -> ShownCode:
    """Return the code of a project.

    Args:
        project: its folder.
        pseudonyms: what secrets and addresses in it become.
        known: texts that are known to be secret.
    """
    shown, size = ShownCode(), 0
    known = sorted(known, key=len, reverse=True)
    waiting = [Path("app.py") if (project / "app.py").is_file() else Path("app/__init__.py")]
    while waiting:
        path = waiting.pop(0)
        name = path.as_posix()
        if name in shown.files or any(one.startswith(f"{name}:") for one in shown.left_out):
            continue
        text = _read(project / path)
        size += len(text or "")
        if text is None or size > limits_keeping.BUG_CODE_BYTES_MAX:
            shown.left_out.append(f"{name}: it can't be read, or is too large")
            continue
        clean = _without_secrets(text, pseudonyms, known, shown)
        try:
            tree = ast.parse(clean)
        except (SyntaxError, ValueError, RecursionError):
            if clean != text:
                shown.left_out.append(f"{name}: a secret could not be taken out of it")
                continue
            tree = ast.Module([], [])  # it does not load, and that may be the very problem
        shown.files[name] = clean
        _learn(tree, clean, shown)
        waiting += _imported(project, path, tree)
    return shown


def literals_of(project: Path) -> frozenset[str]:
    """Return the short texts that stand in a project's code, but for its secrets."""
    return frozenset(shown_code(project, Pseudonyms(secrets.token_bytes(32)), ()).literals)


def _read(path: Path) -> str | None:
    try:
        if path.stat().st_size > limits_keeping.BUG_CODE_BYTES_MAX:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _imported(project: Path, path: Path, tree: ast.Module) -> Iterator[Path]:
    """Yield the files of the project that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from _files(project, one.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = list(path.parent.parts[: len(path.parent.parts) - node.level + 1])
            parts = (base if node.level else []) + (node.module or "").split(".")
            parts = [one for one in parts if one]
            yield from _files(project, parts)
            for one in node.names:
                yield from _files(project, [*parts, one.name])


def _files(project: Path, parts: list[str]) -> Iterator[Path]:
    for length in range(1, len(parts) + 1):
        if FOREIGN_FOLDERS & set(parts[:length]):
            return
        inside = Path(*parts[:length])
        for one in (inside / "__init__.py", inside.with_suffix(".py")):
            if (project / one).is_file() and not (project / one).is_symlink():
                yield one


def _without_secrets(
    text: str, pseudonyms: Pseudonyms, known: Iterable[str], shown: ShownCode
) -> str:
    try:
        found = list(_secrets_in(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        found = []
    for secret in [*known, *sorted(found, key=len, reverse=True)]:
        if secret in text:
            text = text.replace(secret, pseudonyms.scrambled(secret))
            shown.taken_out += 1
    text, logins = _LOGIN.subn(lambda one: one[1] + pseudonyms.scrambled(one[2]), text)
    shown.taken_out += logins
    return _EMAIL.sub(lambda one: pseudonyms.text(one[0]), text)


def _secrets_in(tree: ast.Module) -> Iterator[str]:
    """Yield texts that are given to something called like a secret, or that look like a key."""
    for node in ast.walk(tree):
        for text in _text_of(node):
            if _KEY.match(text):
                yield text
        for name, value in _given(node):
            if is_secret_name(name):
                yield from _text_of(value)


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a part of the code gives to what is called how."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((_name_of(one), value) for one in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield _name_of(target), value
        case ast.keyword(arg=str() as arg, value=value):
            yield arg, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        case ast.arguments():
            yield from ((one.arg, default) for one, default in _defaults(node))
        case ast.Call(args=[ast.Constant(value=str() as asked), value]):
            yield asked, value  # where a variable is not set: os.environ.get("TOKEN", "abc")
        case _:
            return


def _defaults(node: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    """Yield the arguments of a function that have a default, with it."""
    by_place = [*node.posonlyargs, *node.args]
    yield from zip(by_place[len(by_place) - len(node.defaults) :], node.defaults, strict=True)
    for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def _name_of(node: ast.expr) -> str:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _text_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        value = node.value
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(text, str) and len(text) >= _SECRET_MIN:
            yield text


def _learn(tree: ast.Module, text: str, shown: ShownCode) -> None:
    shown.words.update(_NAME.findall(text))
    texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)]
    shown.literals.update(one for one in texts if isinstance(one, str) and _LITERAL.match(one))
