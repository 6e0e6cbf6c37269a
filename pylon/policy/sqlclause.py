"""Meaning to SQL: a clause with bound parameters, over columns or over a stored JSON image.

The text depends on the expression alone and never on the caller, so that SQLite's statement
cache works; what the caller contributes are parameters. No text from a request or a literal
becomes SQL: names come from the schema, values are bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.ir import Slot, SlotKind, TypeKind
from pylon.policy.slots import answer
from pylon.schema.fieldtypes import datetime_ms
from pylon.schema.model import FieldKind

#: Items of one row of AND or OR, and how deep an item may be to keep its place.
_WIDTH_MAX = 100
_FLAT_DEPTH = 8
_OPERATORS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class SqlClause:
    """A condition to stand in WHERE, in parentheses, and its parameters in order."""

    text: str
    params: tuple[Any, ...]


def both(left: SqlClause, right: SqlClause) -> SqlClause:
    """Return two clauses joined by AND; the more deeply nested one best stands on the left.

    While SQLite's parser reads the right one it still holds what came before, and its stack is
    of a fixed size.
    """
    return SqlClause(f"({left.text} AND {right.text})", (*left.params, *right.params))


class NoImageForm(Exception):
    """A double in stored JSON is not read back to the last bit: ask the predicate instead."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a parameter's value comes from."""

    constant: Any = None
    slot: Slot | None = None
    now_ms: int | None = None
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class SqlTemplate:
    """A clause whose parameters are not bound yet."""

    text: str
    parameters: tuple[Parameter, ...]

    def bind(
        self, identity: Identity, now: str, arguments: Mapping[str, Any] | None = None
    ) -> SqlClause:
        """Return the clause for one caller at one time."""
        return SqlClause(
            self.text, tuple(_bound(one, identity, now, arguments) for one in self.parameters)
        )


def _bound(
    one: Parameter, identity: Identity, now: str, arguments: Mapping[str, Any] | None
) -> Any:
    if one.slot is not None:
        value = answer(one.slot, identity)
        return jsonvalue.encode_text(value) if one.slot.kind is SlotKind.ROLES else value
    if one.now_ms is not None:
        return shifted_now(now, one.now_ms)
    if one.argument is not None:
        return (arguments or {}).get(one.argument)
    return one.constant


def shifted_now(now: str, ms: int) -> str:
    """Return the canonical text of now plus `ms`."""
    return iso_ms(datetime_ms(now) + ms) if ms else now


_FIRST_MS = datetime_ms("0001-01-01T00:00:00.000Z")
_LAST_MS = datetime_ms("9999-12-31T23:59:59.999Z")
#: Texts that stand before and after every time.
BEFORE_ALL, AFTER_ALL = "", "~"


def moved(moment: str, ms: int) -> str:
    """Return the canonical text of a time plus `ms`, or what stands beyond the calendar's end."""
    there = datetime_ms(moment) + ms
    if there < _FIRST_MS:
        return BEFORE_ALL
    return iso_ms(there) if there <= _LAST_MS else AFTER_ALL


class SqlWriter:
    """Writes one condition; `column` says how a field of the row is spelled."""

    def __init__(self, column: Callable[[ir.Column], str]) -> None:
        self._column = column
        self._parameters: list[Parameter] = []
        self._aliases = 0

    def write(self, condition: ir.Condition) -> SqlTemplate:
        """Return the template of a condition."""
        text = self._inside(condition)
        return SqlTemplate(text, tuple(self._parameters))

    def _inside(self, node: ir.Condition) -> str:
        """Return a condition that can stand anywhere."""
        text = self._condition(node, is_negated=False)
        return text if _is_leaf(node) else f"({text})"

    def _condition(self, node: ir.Condition, *, is_negated: bool) -> str:
        match node:
            case ir.Negation(item):
                return self._condition(item, is_negated=not is_negated)
            case ir.Conjunction(items):
                return self._joined("OR" if is_negated else "AND", items, is_negated=is_negated)
            case ir.Disjunction(items):
                return self._joined("AND" if is_negated else "OR", items, is_negated=is_negated)
            case _:
                leaf = self._leaf(node)
                return f"NOT {leaf}" if is_negated else leaf

    def _leaf(self, node: ir.Condition) -> str:
        match node:
            case ir.Constant(value):
                return {True: "1", False: "0", None: "NULL"}[value]
            case ir.Cmp(op, left, right):
                return f"({self._value(left)} {_OPERATORS[op]} {self._value(right)})"
            case ir.Absent(value):
                return f"({self._value(value)} IS NULL)"
            case ir.Member(value, items):
                return self._member(value, items)
            case ir.MemberOf(value, of):
                return self._member_of(value, of)
            case ir.TextTest():
                return self._text_test(node)
            case ir.Holds(value):
                return f"({self._value(value)} = 1)"
            case ir.FactHolds(slot):
                self._parameters.append(Parameter(slot=slot))
                return "?"
            case ir.ExistsTest(exists):
                return self._exists(exists)
            case ir.Negation() | ir.Conjunction() | ir.Disjunction():
                raise AssertionError("no leaf")

    def _joined(self, word: str, items: tuple[ir.Condition, ...], *, is_negated: bool) -> str:
        """Join items by AND, OR: flat, because the depth of SQLite's parser stack is bounded.

        For the same reason deep items go first: what stands before them waits on that stack.
        """
        pieces = [self._piece(item, word, is_negated=is_negated) for item in items]
        pieces.sort(key=lambda piece: -_depth(piece[0]) if _depth(piece[0]) > _FLAT_DEPTH else 0)
        for _, parameters in pieces:
            self._parameters += parameters
        texts = [text for text, _ in pieces]
        while len(texts) > _WIDTH_MAX:  # its expressions have a bounded depth too
            parts = [texts[at : at + _WIDTH_MAX] for at in range(0, len(texts), _WIDTH_MAX)]
            texts = [f"({f' {word} '.join(part)})" for part in parts]
        return f" {word} ".join(texts)

    def _piece(
        self, item: ir.Condition, word: str, *, is_negated: bool
    ) -> tuple[str, list[Parameter]]:
        outer, self._parameters = self._parameters, []
        text = self._condition(item, is_negated=is_negated)
        parameters, self._parameters = self._parameters, outer
        is_or = _is_disjunction(item, is_negated=is_negated)
        return (f"({text})" if word == "AND" and is_or else text), parameters

    def _member(self, value: ir.Value, items: tuple[ir.Value, ...]) -> str:
        if not items:
            return f"(CASE WHEN {self._value(value)} IS NULL THEN NULL ELSE 0 END)"
        left = self._value(value)
        return f"({left} IN ({', '.join(self._value(item) for item in items)}))"

    def _member_of(self, value: ir.Value, of: ir.Value) -> str:
        absent = f"{self._value(value)} IS NULL OR {self._value(of)} IS NULL"
        listed = self._value(of)
        return (
            f"(CASE WHEN {absent} THEN NULL ELSE EXISTS (SELECT 1 FROM json_each({listed})"
            f" WHERE value = {self._value(value)}) END)"
        )

    def _text_test(self, node: ir.TextTest) -> str:
        if node.is_prefix:
            text, part = self._value(node.text), self._value(node.part)
            return f"(substr({text}, 1, length({part})) = {self._value(node.part)})"
        return f"(instr({self._value(node.text)}, {self._value(node.part)}) > 0)"

    def _exists(self, node: ir.ExistsNode) -> str:
        values = [value for one in node.filters for value in flat_values(one)]
        checks = [f"{self._value(value)} IS NULL" for value in values if can_be_absent(value)]
        self._aliases += 1
        body = exists_sql(node, f"x{self._aliases}", self._value)
        if not checks:
            return f"EXISTS ({body})"
        return f"(CASE WHEN {' OR '.join(checks)} THEN NULL ELSE EXISTS ({body}) END)"

    def _value(self, node: ir.Value) -> str:
        match node:
            case ir.Const(value):
                self._parameters.append(Parameter(constant=value))
                return "?"
            case ir.Fact(slot):
                self._parameters.append(Parameter(slot=slot))
                return "?"
            case ir.Argument(name):
                self._parameters.append(Parameter(argument=name))
                return "?"
            case ir.Now(ms):
                self._parameters.append(Parameter(now_ms=ms))
                return "?"
            case ir.Column():
                return self._column(node)
            case ir.Moved(value, ms):
                return self._moved(value, ms)
            case ir.Lower(value):
                return f"lower({self._value(value)})"
            case ir.Length(value):
                function = "json_array_length" if value.type.kind is TypeKind.LIST else "length"
                return f"{function}({self._value(value)})"
            case ir.Judged(condition):
                return self._inside(condition)

    def _moved(self, value: ir.Value, ms: int) -> str:
        """Write a time plus `ms`: whole seconds by SQLite, milliseconds as integers.

        SQLite keeps fractions as doubles and cuts them, so it never gets to see one.
        """
        seconds, rest = divmod(ms, 1000)
        if ms < 0:
            end, sign, beyond = iso_ms(_FIRST_MS - ms), "<", BEFORE_ALL
        else:
            end, sign, beyond = iso_ms(_LAST_MS - ms), ">", AFTER_ALL
        past = f"{self._value(value)} {sign} '{end}' THEN '{beyond}'"
        whole = f"substr({self._value(value)}, 1, 19)"

        def milliseconds() -> str:
            return f"(CAST(substr({self._value(value)}, 21, 3) AS INTEGER) + {rest})"

        carry = f"printf('%+d seconds', {seconds} + {milliseconds()} / 1000)"
        second = f"strftime('%Y-%m-%dT%H:%M:%S', {whole}, {carry})"
        return f"(CASE WHEN {past} ELSE {second} || printf('.%03dZ', {milliseconds()} % 1000) END)"


def _is_leaf(node: ir.Condition) -> bool:
    return not isinstance(node, ir.Negation | ir.Conjunction | ir.Disjunction)


def _is_disjunction(node: ir.Condition, *, is_negated: bool) -> bool:
    """Tell whether a condition is written as items joined by OR."""
    while isinstance(node, ir.Negation):
        node, is_negated = node.item, not is_negated
    return isinstance(node, ir.Conjunction if is_negated else ir.Disjunction)


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif character == ")":
            depth -= 1
    return deepest


def flat_values(one: ir.ExistsFilter) -> tuple[ir.Value, ...]:
    """Return the right-hand values of an exists filter, in the order of their placeholders."""
    if one.value is None:
        return ()
    return one.value if isinstance(one.value, tuple) else (one.value,)


def can_be_absent(value: ir.Value) -> bool:
    """Tell whether a right-hand side can be absent, which makes the exists unknown."""
    match value:
        case ir.Const(constant):
            return constant is None
        case ir.Now():
            return False
        case ir.Moved(moment):
            return can_be_absent(moment)
        case ir.Fact(_, _, nullable):
            return nullable
        case ir.Column():
            return value.nullable
        case _:
            return True


def exists_sql(node: ir.ExistsNode, alias: str, write: Callable[[ir.Value], str]) -> str:
    """Return the SELECT of an exists; `write` spells each right-hand value."""
    terms = []
    for one in node.filters:
        left = f'{alias}."{one.field}"'
        if one.value is None:
            terms.append(f"{left} IS {'NOT ' if one.op == '!=' else ''}NULL")
        elif isinstance(one.value, tuple):
            terms.append(_listed(left, one.op, ", ".join(write(item) for item in one.value)))
        elif one.op in ("in", "not in"):
            terms.append(_listed(left, one.op, f"SELECT value FROM json_each({write(one.value)})"))
        else:
            terms.append(f"{left} {_OPERATORS[one.op]} {write(one.value)}")
    return f'SELECT 1 FROM "{node.entity}" AS {alias} WHERE {" AND ".join(terms)}'


def _listed(left: str, op: str, items: str) -> str:
    if op == "in":
        return f"{left} IN ({items})"
    # To SQLite an absent value is in no empty list either; to us it is unknown.
    return f"({left} IS NOT NULL AND {left} NOT IN ({items}))"


def lookup_sql(node: ir.ExistsNode) -> str:
    """Return the statement that answers one exists for given right-hand values."""
    return exists_sql(node, "x", lambda _: "?") + " LIMIT 1"


def inverse_sql(node: ir.ExistsNode, place: int) -> str:
    """Return the statement that finds for which values of one filter's field an exists holds.

    Its parameters are the right-hand values of the other filters, and how many to find at most.
    """
    field = node.filters[place].field
    others = tuple(one for at, one in enumerate(node.filters) if at != place)
    rest = exists_sql(ir.ExistsNode(node.entity, others), "x", lambda _: "?") if others else ""
    where = rest.partition(" WHERE ")[2] if others else "1"
    return f'SELECT DISTINCT x."{field}" FROM "{node.entity}" AS x WHERE {where} LIMIT ?'


def column_of(alias: str) -> Callable[[ir.Column], str]:
    """Return the spelling of fields as columns of `alias`."""
    return lambda column: f'{alias}."{column.name}"'


def column_in_image(image: str) -> Callable[[ir.Column], str]:
    """Return the spelling of fields inside a JSON image; raises NoImageForm for doubles."""

    def spelled(column: ir.Column) -> str:
        if column.field_kind is FieldKind.FLOAT:
            raise NoImageForm(column.name)
        return f"json_extract({image}, '$.\"{column.name}\"')"

    return spelled
