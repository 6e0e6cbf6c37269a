"""Text to nodes, by pyparsing; once per text, at load, never per row.

The grammar is that of the policy language's specification (SPEC.md). Depth and length are
checked by a scan before parsing, because a parser that recurses is itself a target.
"""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyparsing as pp

from pylon import limits
from pylon.policy.ast import (
    And,
    Call,
    Compare,
    Exists,
    Filter,
    ListNode,
    Literal,
    Node,
    Not,
    Or,
    Path,
    Shift,
)  # fmt: skip
from pylon.schema.jsontree import check_text

ROOTS = frozenset({"auth", "data", "old", "new", "now", "args"})
_UNIT_MS = {"seconds": 1_000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
_WORDS = frozenset({"and", "or", "not", "in", "exists", "null", "true", "false"})
_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
#: Strings and comments: what is inside of them nests nothing.
_SKIPPED = re.compile(rf"{_STRING.pattern}|#[^\n]*")
_MANY_NEGATIONS = re.compile(rf"((!|\bnot\b)\s*){{{limits.POLICY_DEPTH_MAX + 1}}}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_TOO_DEEP = f"nested deeper than {limits.POLICY_DEPTH_MAX}"
_FRAMES_MAX = 5_000


class GrammarError(Exception):
    """The text is no expression; `at` is the offset where that showed."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@lru_cache(maxsize=4096)
def parse(text: str, *, bare_fields: bool = False) -> Node:
    """Return the node of an expression; raises GrammarError.

    Args:
        text: the expression.
        bare_fields: a bare name means `data.name` (filter expressions).
    """
    if len(text.encode("utf-8", "surrogatepass")) > limits.POLICY_BYTES_MAX:
        raise GrammarError(f"longer than {limits.POLICY_BYTES_MAX} bytes", 0)
    _check_brackets(text)
    frames_before = sys.getrecursionlimit()
    try:
        # The parser recurses some forty frames for each level that the limit allows.
        sys.setrecursionlimit(max(frames_before, _FRAMES_MAX))
        (node,) = _grammar(bare_fields).parse_string(_blank_comments(text), parse_all=True)
    except pp.ParseBaseException as error:
        raise GrammarError(_what_is_wrong(text, error.loc), error.loc) from None
    except RecursionError:
        raise GrammarError(_TOO_DEEP, 0) from None
    finally:
        sys.setrecursionlimit(frames_before)
    assert isinstance(node, Node)
    _check_depth(node)
    return node


def _check_depth(root: Node) -> None:
    """Raise GrammarError for a node too deep: whoever walks the tree later may recurse.

    A condition inside of a comparison, a list or a call counts for eight levels, because that is
    what it costs on the bounded stack of SQLite's parser.
    """
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        is_value = not isinstance(node, And | Or | Not)
        for below in _below(node):
            is_condition = isinstance(below, And | Or | Not | Compare | Exists)
            deeper = depth + (8 if is_value and is_condition else 1)
            if deeper > limits.POLICY_DEPTH_MAX:
                raise GrammarError(_TOO_DEEP, below.at)
            stack.append((below, deeper))


def _below(node: Node) -> tuple[Node, ...]:
    match node:
        case And(items) | Or(items) | ListNode(items):
            return items
        case Not(item):
            return (item,)
        case Compare(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Exists(_, filters):
            return tuple(one.value for one in filters)
        case Shift(value):
            return (value,)
        case Literal() | Path():
            return ()


def _check_brackets(text: str) -> None:
    depth = 0
    plain = _blank_strings(text)
    for at, character in enumerate(plain):
        if character in "([":
            depth += 1
            if depth > limits.POLICY_DEPTH_MAX:
                raise GrammarError(_TOO_DEEP, at)
        elif character in ")]":
            depth -= 1
    negations = _MANY_NEGATIONS.search(plain)
    if negations is not None:
        raise GrammarError(_TOO_DEEP, negations.start())


def _blank_comments(text: str) -> str:
    """Return the text with spaces for its comments: what the parser skips costs it dearly."""
    return _SKIPPED.sub(lambda one: " " * len(one[0]) if one[0][0] == "#" else one[0], text)


def _blank_strings(text: str) -> str:
    return _SKIPPED.sub(lambda found: " " * len(found[0]), text)


def _what_is_wrong(text: str, at: int) -> str:
    rest = text[at:].lstrip()
    if not rest:
        return "the expression ends too early"
    if rest[0] == "=" and not rest.startswith("=="):
        return "a single = is no comparison; write =="
    if rest[0] in "'\"":
        return "this text does not end"
    word = re.match(r"\w+|\S{1,3}", rest)
    return f"{word[0] if word else rest[:3]!r} is not expected here"


@lru_cache(maxsize=2)
def _grammar(bare_fields: bool) -> pp.ParserElement:
    expression = pp.Forward()
    opening, closing = pp.Suppress("("), pp.Suppress(")")
    name = pp.Regex(r"[A-Za-z_][A-Za-z0-9_]*")
    plain_name = ~pp.MatchFirst([pp.Keyword(word) for word in sorted(_WORDS)]) + name

    number = pp.Regex(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![A-Za-z0-9_.])")
    number.set_parse_action(lambda _, at, tokens: Literal(_number(tokens[0], at), at))
    string = pp.Regex(_STRING.pattern)
    string.set_parse_action(lambda _, at, tokens: Literal(_unquote(tokens[0], at), at))
    keyword = pp.MatchFirst([pp.Keyword(word) for word in ("null", "true", "false")])
    keyword.set_parse_action(
        lambda _, at, tokens: Literal({"null": None, "true": True, "false": False}[tokens[0]], at)
    )
    # A minus stands where nothing else can follow: the mistake is then found at its own place.
    comma = pp.Suppress(",")
    items = pp.Optional(expression + pp.ZeroOrMore(comma - expression))
    list_node = pp.Suppress("[") - items - pp.Suppress("]")
    list_node.set_parse_action(lambda _, at, tokens: ListNode(tuple(tokens), at))
    call = plain_name + opening - pp.Group(items) - closing
    call.set_parse_action(lambda _, at, tokens: Call(tokens[0], tuple(tokens[1]), at))
    path = plain_name + pp.ZeroOrMore(pp.Suppress(".") - name)
    path.set_parse_action(lambda _, at, tokens: _path(tuple(tokens), at, bare_fields))

    compare_op = pp.one_of("== != <= >= < >")
    in_op = pp.Keyword("in") | (pp.Keyword("not") - pp.Keyword("in"))
    in_op.set_parse_action(lambda tokens: " ".join(tokens))
    value = pp.Forward()
    exists_filter = name - (compare_op | in_op) - value
    exists_filter.set_parse_action(_exists_filter)
    exists = (
        pp.Suppress(pp.Keyword("exists")) - name - opening
        - pp.Group(exists_filter + pp.ZeroOrMore(comma - exists_filter)) - closing
    )  # fmt: skip
    exists.set_parse_action(lambda _, at, tokens: Exists(tokens[0], tuple(tokens[1]), at))

    atom = (
        number | string | keyword | list_node | exists | call | path
        | (opening - expression - closing)
    )  # fmt: skip
    unit = pp.MatchFirst([pp.Keyword(word) for word in _UNIT_MS])
    amount = pp.Regex(r"[0-9]{1,12}(\.[0-9]{1,3})?(?![0-9.])")
    duration = pp.one_of("+ -") - unit - opening - amount - closing
    value <<= atom + pp.ZeroOrMore(pp.Group(duration))
    value.set_parse_action(_shift)
    comparison = value + pp.Optional((compare_op | in_op) - value)
    comparison.set_parse_action(_comparison)
    negation = pp.Forward()
    negated = pp.Suppress(pp.Literal("!") + ~pp.Literal("=") | pp.Keyword("not")) - negation
    negated.set_parse_action(lambda _, at, tokens: Not(tokens[0], at))
    negation <<= negated | comparison
    conjunction = _joined(negation, "&&", "and", And)
    disjunction = _joined(conjunction, "||", "or", Or)
    expression <<= disjunction
    return expression


def _joined(
    item: pp.ParserElement, symbol: str, word: str, made: type[And | Or]
) -> pp.ParserElement:
    operator = pp.Suppress(pp.Literal(symbol) | pp.Keyword(word))
    joined = item + pp.ZeroOrMore(operator - item)
    joined.set_parse_action(
        lambda _, at, tokens: made(tuple(tokens), at) if len(tokens) > 1 else tokens[0]
    )
    return joined


def _number(text: str, at: int) -> int | float:
    if any(mark in text for mark in ".eE"):
        value = float(text)
        if not math.isfinite(value):
            raise GrammarError("the number is no finite double", at)
        return value
    is_short = len(text) <= limits.JSON_INTEGER_DIGITS_MAX + 1
    if not is_short or not -(2**63) <= int(text) < 2**63:
        raise GrammarError("the number does not fit into 64 bits", at)
    return int(text)


def _unquote(text: str, at: int) -> str:
    unknown = next((one[1] for one in _ESCAPE.finditer(text) if one[1] not in _ESCAPED), None)
    if unknown is not None:
        raise GrammarError(f"\\{unknown} means nothing in a text; write \\\\ for a backslash", at)
    value = _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text[1:-1])
    try:
        check_text(value)
    except ValueError as error:
        raise GrammarError(f"a text {error}", at) from None
    return value


def _path(names: tuple[str, ...], at: int, bare_fields: bool) -> Path:
    if bare_fields and names[0] not in ROOTS:
        names = ("data", *names)
    return Path(names, at)


def _exists_filter(_: str, at: int, tokens: Any) -> Filter:
    field, op, value = tokens
    return Filter(field, op, value, at)


def _shift(_: str, at: int, tokens: Any) -> Node:
    node: Node = tokens[0]
    if len(tokens) == 1:
        return node
    ms = sum(
        int(Decimal(amount) * _UNIT_MS[unit]) * (1 if sign == "+" else -1)
        for sign, unit, amount in tokens[1:]
    )
    return Shift(node, ms, at)


def _comparison(_: str, at: int, tokens: Any) -> Node:
    if len(tokens) == 1:
        node: Node = tokens[0]
        return node
    left, op, right = tokens
    return Compare(op, left, right, at)
