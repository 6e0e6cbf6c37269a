"""Text literals of the app's source: at which line and column each character of a value stands.

A policy is often several literals behind one another, or has escapes in it: a mistake in its value
is told at its own place of the file.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

#: (offset in the value, line, column); lines and columns count from 1.
Break = tuple[int, int, int]
_OPENING = re.compile(r"([A-Za-z]{0,2})(\'\'\'|\"\"\"|'|\")")
_ESCAPE = re.compile(
    r"\\(?:\n|N\{[^}]*\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)"
)


def breaks_of(lines: list[str], node: ast.expr) -> tuple[Break, ...]:
    """Return where the parts of a text's value stand; nothing for what is no literal text."""
    found: list[Break] = []
    offset = 0
    try:
        for one in _literals(node):
            for text, line, column in _tokens(lines, one):
                for at, row, place in _breaks(text, line, column):
                    found.append((offset + at, row, place))
                offset += len(ast.literal_eval(text))
    except (ValueError, SyntaxError, IndexError, tokenize.TokenError):
        return ()
    return tuple(found)


def _literals(node: ast.expr) -> Iterator[ast.Constant]:
    """Yield the literals of `"a" "b"` and `"a" + "b"` in order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _literals(node.left)
        yield from _literals(node.right)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    else:
        raise ValueError("no text")  # noqa: TRY004 -- caught above with the others


def _tokens(lines: list[str], node: ast.Constant) -> Iterator[tuple[str, int, int]]:
    """Yield the literals that stand behind one another, each with the place of its opening."""
    first, last = node.lineno, node.end_lineno or node.lineno
    start = len(lines[first - 1].encode()[: node.col_offset].decode())
    end = len(lines[last - 1].encode()[: node.end_col_offset].decode())
    part = lines[first - 1 : last]
    part[-1] = part[-1][:end]
    part[0] = " " * start + part[0][start:]
    # In brackets, so that the lines are one expression as they were where the literal stands.
    source = "(" + "\n".join(part) + ")"
    for one in tokenize.generate_tokens(io.StringIO(source).readline):
        if one.type == tokenize.STRING:
            row, column = one.start
            yield one.string, first + row - 1, column if row == 1 else column + 1


def _breaks(text: str, line: int, column: int) -> Iterator[Break]:
    """Yield the place of one literal's first character, and of each behind an escape or a line."""
    found = _OPENING.match(text)
    if found is None:
        raise ValueError("no text")
    prefix, quotes = found.groups()
    at, end, offset = found.end(), len(text) - len(quotes), 0
    column += at
    yield offset, line, column
    while at < end:
        escape = None if "r" in prefix.lower() else _ESCAPE.match(text, at)
        taken = escape[0] if escape else text[at]
        at += len(taken)
        offset += 0 if taken == "\\\n" else 1
        line, column = (line + 1, 1) if taken.endswith("\n") else (line, column + len(taken))
        if escape or taken == "\n":
            yield offset, line, column
