"""Random policies with their meaning by construction, and the odd rows they are asked about.

Each generated expression is a text and a function that says what the text means, written from the
policy language's rules alone and over the app's values (datetime, Decimal): it shares no code with
`pylon.policy`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.schema.fieldtypes import to_app
from pylon.schema.model import (
    Default,
    DefaultKind,
    Entity,
    Field,
    FieldKind,
    Index,
    Row,
    Schema,
)
from pylon.schema.validate import validate_insert

NOW = "2026-11-23T12:00:00.000Z"
_NOW = dt.datetime.fromisoformat(NOW)
STATES = ("draft", "sent", "Ünder 100%")


def _pair(name: str, kind: FieldKind, **rest: Any) -> tuple[Field, Field]:
    """Return a field that is always present, and its nullable twin."""
    return (
        Field(name=name, kind=kind, **rest),
        Field(name=f"{name}_n", kind=kind, nullable=True, **rest),
    )


NOTE = Entity(
    name="Note",
    fields=(
        *_pair("title", FieldKind.STR),
        *_pair("body", FieldKind.TEXT),
        *_pair("count", FieldKind.INT),
        *_pair("big", FieldKind.BIGINT),
        *_pair("ratio", FieldKind.FLOAT),
        *_pair("price", FieldKind.DECIMAL, scale=2),
        *_pair("open", FieldKind.BOOL),
        *_pair("at", FieldKind.DATETIME),
        *_pair("day", FieldKind.DATE),
        *_pair("state", FieldKind.ENUM, choices=STATES),
        Field(name="owner", kind=FieldKind.REF, ref="User",
              default=Default(DefaultKind.ACTOR), nullable=True),
        Field(name="days", kind=FieldKind.INT, nullable=True),
        *_pair("tags", FieldKind.LIST, item=FieldKind.STR),
        *_pair("counts", FieldKind.LIST, item=FieldKind.INT),
        *_pair("flags", FieldKind.LIST, item=FieldKind.BOOL),
        *_pair("times", FieldKind.LIST, item=FieldKind.DATETIME),
        *_pair("dates", FieldKind.LIST, item=FieldKind.DATE),
        Field(name="object", kind=FieldKind.OBJECT, nullable=True),
        Field(name="json", kind=FieldKind.JSON, nullable=True),
        Field(name="raw", kind=FieldKind.BYTES, nullable=True),
    ),
    indexes=tuple(
        Index(name=f"by_{name}", fields=(name,)) for name in ("title", "count_n", "at", "open_n")
    ),
)  # fmt: skip
MEMBER = Entity(
    name="Member",
    fields=(
        Field(name="title", kind=FieldKind.STR),
        Field(name="userId", kind=FieldKind.STR, nullable=True),
        Field(name="role", kind=FieldKind.ENUM, choices=STATES, nullable=True),
        Field(name="count", kind=FieldKind.INT, nullable=True),
        Field(name="big", kind=FieldKind.BIGINT, nullable=True),
        Field(name="ratio", kind=FieldKind.FLOAT, nullable=True),
        Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
        Field(name="open", kind=FieldKind.BOOL, nullable=True),
        Field(name="at", kind=FieldKind.DATETIME, nullable=True),
        Field(name="day", kind=FieldKind.DATE, nullable=True),
        Field(name="list", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
    ),
    indexes=tuple(Index(name=f"by_{name}", fields=(name,)) for name in ("title", "userId", "at")),
)
USER = Entity(name="User", fields=(Field(name="name", kind=FieldKind.STR, nullable=True),))
SCHEMA = Schema(entities={one.name: one for one in (NOTE, MEMBER, USER)})

# --- values ------------------------------------------------------------------------------

TEXTS = (
    "", "a", "A", "ab", "aB", "b", "%", "_", "a%", "'", '"', "\\", "it's \"so\"", "é", "É", "～",
    "\U0001f600", "\U0001f600a", "ﬀ", "ß", " ", "\n", "null", "1", "0", "true", "u1", "u2", "[]",
    "x" * 40,
)  # fmt: skip
SAFE = 2**53 - 1
INTS = (0, 1, -1, 2, 5, 40, SAFE, -SAFE, SAFE - 1)
BIGS = (0, 1, -1, 2**63 - 1, -(2**63), 2**53, 2**53 + 1, SAFE)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 0.1, 0.30000000000000004, 1e300, -1e300, 5e-324, 2.0**53,
          2.0**63, 1.5, 40.0)  # fmt: skip
DECIMALS = ("0.00", "-0.01", "1.00", "1.50", "9.99", "10.00", "92233720368547758.07")
TIMES = (
    "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", NOW, "2026-11-23T11:59:59.999Z",
    "2026-11-22T12:00:00.000Z", "1969-12-31T23:59:59.999Z", "2024-02-29T00:00:00.000Z",
    "2026-11-23T12:00:00.001Z", "2026-11-23T12:00:00.501Z",
)  # fmt: skip
DATES = ("0001-01-01", "9999-12-31", "2026-11-23", "2024-02-29", "1970-01-01")
_CHOICES: dict[FieldKind, tuple[Any, ...]] = {
    FieldKind.STR: TEXTS,
    FieldKind.TEXT: TEXTS,
    FieldKind.INT: INTS,
    FieldKind.BIGINT: BIGS,
    FieldKind.FLOAT: FLOATS,
    FieldKind.DECIMAL: DECIMALS,
    FieldKind.BOOL: (True, False),
    FieldKind.DATETIME: TIMES,
    FieldKind.DATE: DATES,
    FieldKind.ENUM: STATES,
    FieldKind.REF: ("u1", "u2", "u3"),
    FieldKind.OBJECT: ({}, {"a": None}),
    FieldKind.JSON: ({}, [], 0, "", False, "null"),
    FieldKind.BYTES: ("", "AAE="),
}
_ALPHABET = "aAbB%_'\"\\ éß～\U0001f600\n0"


def _value(chance: Random, kind: FieldKind) -> Any:
    match kind:
        case FieldKind.STR | FieldKind.TEXT if chance.random() < 0.2:
            return "".join(chance.choice(_ALPHABET) for _ in range(chance.randrange(6)))
        case FieldKind.INT if chance.random() < 0.1:
            return chance.randint(-SAFE, SAFE)
        case FieldKind.FLOAT if chance.random() < 0.1:
            return chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300)
        case _:
            return chance.choice(_CHOICES[kind])


def random_row(chance: Random, entity: Entity, row_id: str) -> Row:
    """Return a row of odd values, made as an insert makes it."""
    values: dict[str, Any] = {"id": row_id}
    for one in entity.fields:
        if one.nullable and chance.random() < 0.3:
            values[one.name] = None
        elif one.kind is FieldKind.LIST:
            assert one.item is not None
            values[one.name] = [_value(chance, one.item) for _ in range(chance.randrange(4))]
        else:
            values[one.name] = _value(chance, one.kind)
    row = validate_insert(entity, values, now=NOW, actor=None, new_id=lambda: row_id)
    return {**row, "_seq": 1}


def _user(user_id: str | None, *roles: str, email: str | None = None, **claims: Any) -> Identity:
    kind = IdentityKind.USER if user_id is not None else IdentityKind.ANONYMOUS
    return Identity(kind=kind, user_id=user_id, email=email, roles=frozenset(roles), claims=claims)


IDENTITIES = (
    ANONYMOUS,
    _user("u1"),
    _user("u1", "admin", "a", email="a"),
    _user("u2", "Ünder 100%", "'", email="\U0001f600", x="a", y=1, z=True),
    _user("u3", x=1, y=True, z="true", w={"x": NOW, "y": "2026-11-23", "z": None}),
    _user("u3", x=1.0, y=1, z=1, w={"x": "2026-11-23T13:00:00+01:00", "y": 0, "z": False}),
    _user(None, x=2**70, y=float("nan"), z=None, w="deep"),
    _user("u3", x="\ud800", y="2026-11-23", z=[], w={"x": "a\0", "y": SAFE, "z": True}),
)

# --- expressions -------------------------------------------------------------------------

Truth = bool | None
Meaning = Callable[["World"], Any]


@dataclass(slots=True)
class World:
    """What an expression may look at, in the app's values."""

    images: dict[str, Row]
    identity: Identity
    members: list[Row]


@dataclass(slots=True, frozen=True)
class Said:
    """A text and what it means."""

    text: str
    means: Meaning


@dataclass(slots=True)
class Budget:
    """What a policy has left of its bounds; `images` are the rows it may name."""

    images: tuple[str, ...] = ("data",)
    exists: int = 3


def app_row(entity: Entity, row: Row) -> Row:
    """Return a row in the app's values."""
    converted = {one.name: to_app(one, row[one.name]) for one in entity.fields}
    return {"id": row["id"], **converted}


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
            escaped = escaped.replace("\r", "\\r")
            if "'" in value or len(value) % 2:
                return '"' + escaped.replace('"', '\\"') + '"'
            return f"'{escaped}'"
        case dt.datetime():
            offset = value.astimezone(dt.timezone(dt.timedelta(hours=1)))
            return _literal(offset.isoformat(timespec="milliseconds"))
        case _:
            return str(value)


#: The types of the language, with the fields and claims that have them.
KINDS: dict[str, tuple[FieldKind, ...]] = {
    "text": (FieldKind.STR, FieldKind.TEXT, FieldKind.REF),
    "number": (FieldKind.INT, FieldKind.BIGINT, FieldKind.FLOAT),
    "decimal": (FieldKind.DECIMAL,),
    "bool": (FieldKind.BOOL,),
    "time": (FieldKind.DATETIME,),
    "date": (FieldKind.DATE,),
    "choice": (FieldKind.ENUM,),
}
_LITERALS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(TEXTS),
    "number": st.sampled_from((*INTS, *FLOATS, 2**63 - 1, 2**53 + 1)),
    "decimal": st.sampled_from((Decimal("1.5"), Decimal("9.99"), 0, -1, Decimal("0.01"))),
    "bool": st.booleans(),
    "time": st.sampled_from([dt.datetime.fromisoformat(one) for one in TIMES[2:]]),
    "date": st.sampled_from([dt.date.fromisoformat(one) for one in DATES]),
    "choice": st.sampled_from(STATES),
}
_CLAIMS = ("x", "y", "z", "w.x", "w.y", "w.z", "none")
_AMOUNTS = ("0", "1", "2", "3", "0.001", "0.5", "1.999")
_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
ORDER = ("<", "<=", ">", ">=")


def compare(op: str, left: Any, right: Any) -> Truth:
    """Return the answer of a comparison; unknown where a side is absent."""
    if left is None or right is None:
        return None
    if isinstance(left, str):
        left, right = left.encode(), right.encode()
    match op:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def negated(truth: Truth) -> Truth:
    """Return not; unknown stays unknown."""
    return None if truth is None else not truth


def every(truths: list[Truth]) -> Truth:
    """Return and."""
    if any(one is False for one in truths):
        return False
    return None if None in truths else True


def any_of(truths: list[Truth]) -> Truth:
    """Return or."""
    return negated(every([negated(one) for one in truths]))


def claim(identity: Identity, path: str, kind: str) -> Any:
    """Return a claim where it is of the wanted type."""
    value: Any = identity.claims
    for name in path.split("."):
        value = value.get(name) if hasattr(value, "get") else None
    match kind:
        case "text" | "choice" if isinstance(value, str) and "\0" not in value:
            return None if "\ud800" in value else value
        case "number" if type(value) is int and abs(value) < 2**63:
            return value
        case "number" if type(value) is float and value == value:
            return value
        case "bool" if type(value) is bool:
            return value
        case "time" if isinstance(value, str) and "T" in value:
            return dt.datetime.fromisoformat(value)
        case "date" if isinstance(value, str) and value[:4].isdigit() and len(value) == 10:
            return dt.date.fromisoformat(value)
        case _:
            return None


def _column(image: str, name: str) -> Meaning:
    return lambda world: world.images[image][name]


def _fields_of(kind: str) -> list[str]:
    return [one.name for one in NOTE.fields if one.kind in KINDS[kind]]


@st.composite
def columns(draw: st.DrawFn, kind: str, budget: Budget) -> Said:
    """Return a field of one type."""
    names = _fields_of(kind) + (["id"] if kind == "text" else [])
    return _of_image(draw, names, budget)


def _of_image(draw: st.DrawFn, names: list[str], budget: Budget) -> Said:
    image, name = draw(st.sampled_from(budget.images)), draw(st.sampled_from(names))
    return Said(f"{image}.{name}", _column(image, name))


@st.composite
def literals(draw: st.DrawFn, kind: str) -> Said:
    """Return a literal of one type."""
    value = draw(_LITERALS[kind])
    text = str(value) if kind == "date" else value
    return Said(_literal(text), lambda _: value)


@st.composite
def facts(draw: st.DrawFn, kind: str) -> Said:
    """Return what the caller is or claims."""
    if kind == "text" and draw(st.booleans()):
        if draw(st.booleans()):
            return Said("auth.userId", lambda world: world.identity.user_id)
        return Said("auth.email", lambda world: world.identity.email)
    path = draw(st.sampled_from(_CLAIMS))
    return Said(f"auth.claims.{path}", lambda world: claim(world.identity, path, kind))


MOMENT = Said("now", lambda _: _NOW)


def _lowered(value: str | None) -> str | None:
    if value is None:
        return None
    return "".join(chr(ord(one) + 32) if "A" <= one <= "Z" else one for one in value)


def _length(value: Any) -> int | None:
    return None if value is None else len(value)


@st.composite
def values(draw: st.DrawFn, kind: str, budget: Budget, depth: int = 0) -> Said:
    """Return a value of one type that is not a bare literal."""
    options = ["column", "column", "column", "fact"]
    if kind == "decimal":
        options = ["column"]
    if kind == "time":
        options.append("now")
    if kind in ("text", "number"):
        options.append("call")
    if kind == "bool" and depth < 3:
        options += ["condition", "admin"]
    match draw(st.sampled_from(options)):
        case "column":
            return draw(columns(kind, budget))
        case "fact" if depth < 9:
            return draw(facts(kind))
        case "now":
            return MOMENT
        case "condition":
            inner = draw(conditions(budget, depth + 1))
            return Said(f"({inner.text})", inner.means)
        case "admin":
            return Said("auth.isAdmin", lambda world: "admin" in world.identity.roles)
    if kind == "text":
        inner = draw(st.one_of(columns("text", budget), columns("choice", budget), facts("text")))
        return Said(f"lower({inner.text})", lambda world: _lowered(inner.means(world)))
    return draw(lengths(budget))


@st.composite
def lengths(draw: st.DrawFn, budget: Budget) -> Said:
    """Return len of a text or a list."""
    listed = [one.name for one in NOTE.fields if one.kind is FieldKind.LIST]
    which = draw(st.sampled_from(("text", "list", "roles")))
    if which == "roles":
        return Said("len(auth.roles)", lambda world: len(world.identity.roles))
    inner = draw(columns("text", budget)) if which == "text" else _of_image(draw, listed, budget)
    return Said(f"len({inner.text})", lambda world: _length(inner.means(world)))


# --- conditions --------------------------------------------------------------------------


@st.composite
def comparisons(draw: st.DrawFn, budget: Budget, depth: int) -> Said:
    """Return left op right, durations included."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    op = draw(st.sampled_from(("==", "!=") if kind == "bool" else ("==", "!=", *ORDER)))
    left = draw(values(kind, budget, depth))
    right = draw(st.one_of(literals(kind), values(kind, budget, depth)))
    if _is_claim(left) and (_is_claim(right) or kind in _TYPED_BY_FIELDS):
        right = draw(columns(kind, budget))
    if kind == "time":
        return _timed(draw, op, left, right)
    if draw(st.booleans()):
        left, right = right, left
    return _compared(op, left, right)


#: Their literals are texts, so only a field gives a claim this type.
_TYPED_BY_FIELDS = ("time", "date")


def _is_claim(said: Said) -> bool:
    return said.text.startswith("auth.claims.")


def _compared(op: str, left: Said, right: Said) -> Said:
    return Said(
        f"{left.text} {op} {right.text}",
        lambda world: compare(op, left.means(world), right.means(world)),
    )


def _timed(draw: st.DrawFn, op: str, left: Said, right: Said) -> Said:
    if draw(st.booleans()):
        left, right = right, left
    return _compared(op, _moved(draw, left), _moved(draw, right))


def _moved(draw: st.DrawFn, said: Said) -> Said:
    """Return a time with some durations behind it, as a number of milliseconds."""
    text, ms = said.text, 0
    for _ in range(draw(st.integers(0, 2))):
        unit = draw(st.sampled_from(sorted(_UNITS)))
        sign, amount = draw(st.sampled_from("+-")), draw(st.sampled_from(_AMOUNTS))
        text += f" {sign} {unit}({amount})"
        ms += int(Decimal(amount) * _UNITS[unit] * 1000) * (1 if sign == "+" else -1)

    def means(world: World) -> int | None:
        found = milliseconds(said.means(world))
        return None if found is None else found + ms

    return Said(text, means)


def milliseconds(moment: dt.datetime | None) -> int | None:
    """Return a time as a number that can be moved past the calendar's ends."""
    if moment is None:
        return None
    since = moment - dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    return since // dt.timedelta(milliseconds=1)


@st.composite
def absences(draw: st.DrawFn, budget: Budget) -> Said:
    """Return == null and != null of all that can be absent."""
    if draw(st.integers(0, 3)):
        value = _of_image(draw, ["id", *NOTE.by_name], budget)
    else:
        path = draw(st.sampled_from(_CLAIMS))
        value = draw(
            st.sampled_from(
                (
                    Said("auth.userId", lambda world: world.identity.user_id),
                    Said("auth.email", lambda world: world.identity.email),
                    Said(f"auth.claims.{path}", lambda world: _raw_claim(world.identity, path)),
                    Said("auth.roles", lambda _: ()),
                    Said("now", lambda _: NOW),
                    Said("lower(data.title_n)", lambda world: world.images["data"]["title_n"]),
                    Said("(data.open_n == true)", lambda world: world.images["data"]["open_n"]),
                )
            )
        )
    is_equal = draw(st.booleans())
    text = f"{value.text} {'==' if is_equal else '!='} null"
    if draw(st.booleans()):
        text = f"null {'==' if is_equal else '!='} {value.text}"
    return Said(text, lambda world: (value.means(world) is None) is is_equal)


def _raw_claim(identity: Identity, path: str) -> Any:
    value: Any = identity.claims
    for name in path.split("."):
        value = value.get(name) if hasattr(value, "get") else None
    return value


def member(value: Any, items: list[Any] | None) -> Truth:
    """Return value in items, which may hold nulls."""
    if value is None or items is None:
        return None
    truths = [compare("==", value, item) for item in items]
    return True if True in truths else None if None in truths else False


def _in(draw: st.DrawFn, value: Said, listed: str, items: Meaning) -> Said:
    op = draw(st.sampled_from(("in", "not in")))

    def means(world: World) -> Truth:
        truth = member(value.means(world), items(world))
        return negated(truth) if op == "not in" else truth

    return Said(f"{value.text} {op} {listed}", means)


@st.composite
def memberships(draw: st.DrawFn, budget: Budget, depth: int) -> Said:
    """Return in and not in of written lists."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    value = draw(values(kind, budget, depth))
    item = st.one_of(literals(kind), literals(kind), columns(kind, budget))
    if _is_claim(value) and kind in _TYPED_BY_FIELDS:
        item = columns(kind, budget)
    items = draw(st.lists(item, min_size=1 if _is_claim(value) else 0, max_size=3))
    if kind == "time":
        value, items = Said(value.text, _then(value.means, milliseconds)), [
            _moved(draw, one) for one in items
        ]  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        items.append(Said("null", lambda _: None))
    listed = f"[{', '.join(one.text for one in items)}]"
    return _in(draw, value, listed, lambda world: [one.means(world) for one in items])


_LISTS = {"tags": "text", "counts": "number", "flags": "bool", "times": "time", "dates": "date"}


@st.composite
def in_lists(draw: st.DrawFn, budget: Budget, depth: int) -> Said:
    """Return in and contains of fields that are lists, and of roles."""
    if draw(st.integers(0, 3)) == 0:
        of = Said("auth.roles", lambda world: sorted(world.identity.roles))
        kind = "text"
    else:
        name = draw(st.sampled_from(sorted(_LISTS)))
        kind = _LISTS[name]
        of = _of_image(draw, [name, f"{name}_n"], budget)
    value = draw(st.one_of(literals(kind), values(kind, budget, depth)))
    if draw(st.booleans()):
        return _in(draw, value, of.text, of.means)
    return Said(
        f"contains({of.text}, {value.text})",
        lambda world: member(value.means(world), of.means(world)),
    )


@st.composite
def text_tests(draw: st.DrawFn, budget: Budget) -> Said:
    """Return startsWith and contains."""
    whole = draw(st.one_of(columns("text", budget), columns("choice", budget), facts("text")))
    if draw(st.booleans()):
        whole = Said(f"lower({whole.text})", _then(whole.means, _lowered))
    part = draw(st.one_of(literals("text"), columns("text", budget), facts("text")))
    name = draw(st.sampled_from(("startsWith", "contains")))

    def means(world: World) -> Truth:
        one, other = whole.means(world), part.means(world)
        if one is None or other is None:
            return None
        return other in one if name == "contains" else one[: len(other)] == other

    return Said(f"{name}({whole.text}, {part.text})", means)


def _then(first: Meaning, then: Callable[[Any], Any]) -> Meaning:
    return lambda world: then(first(world))


@st.composite
def single_tests(draw: st.DrawFn, budget: Budget) -> Said:
    """Return what is true or false by itself."""
    column = draw(columns("bool", budget))
    roles = draw(st.lists(st.sampled_from(("admin", "a", "'", "none", STATES[2])), min_size=1,
                          max_size=3))  # fmt: skip
    path = draw(st.sampled_from(_CLAIMS))
    return draw(
        st.sampled_from(
            (
                column,
                Said("true", lambda _: True),
                Said("false", lambda _: False),
                Said(f"hasRole({_literal(roles[0])})", lambda world: roles[0] in
                     world.identity.roles),
                Said(f"hasAnyRole({', '.join(map(_literal, roles))})", lambda world:
                     any(one in world.identity.roles for one in roles)),
                Said("auth.isAdmin", lambda world: "admin" in world.identity.roles),
                Said("isOwner()", lambda world: compare(
                    "==", world.images["data"]["owner"], world.identity.user_id)),
                Said(f"auth.claims.{path}", lambda world: claim(world.identity, path, "bool")),
            )
        )
    )  # fmt: skip


@st.composite
def exists(draw: st.DrawFn, budget: Budget) -> Said:
    """Return an exists with one indexed filter and up to three others."""
    budget.exists -= 1
    key = draw(st.sampled_from(("title", "userId", "at")))
    first = draw(exists_filters(key, "time" if key == "at" else "text", budget,
                                ops=("==", "in")))  # fmt: skip
    kinds = {one.name: kind for one in MEMBER.fields for kind, of in KINDS.items()
             if one.kind in of}  # fmt: skip
    names = draw(st.lists(st.sampled_from(sorted([*kinds, "list"])), max_size=3))
    filters = [first] + [
        draw(exists_filters(name, kinds.get(name, "none"), budget)) for name in names
    ]

    def means(world: World) -> Truth:
        answers: list[Truth] = []
        for row in world.members:
            found = [one.means(world)(row) for one in filters]
            answers.append(None if any(one == "absent" for one in found) else every(found) is True)
        return None if None in answers else True in answers

    text = f"exists Member({', '.join(one.text for one in filters)})"
    return Said(text, means)


@st.composite
def exists_filters(
    draw: st.DrawFn, name: str, kind: str, budget: Budget, ops: tuple[str, ...] = ()
) -> Said:
    """Return one filter; its meaning takes the world, then the looked-at row."""
    choices = ops or (("==", "!=") if kind == "bool" else ("==", "!=", "in", "not in", *ORDER))
    op = "null" if kind == "none" or (not ops and draw(st.integers(0, 4)) == 0) else (
        draw(st.sampled_from(choices))
    )  # fmt: skip
    if op == "null":
        is_equal = draw(st.booleans())
        text = f"{name} {'==' if is_equal else '!='} null"
        return Said(text, lambda _: lambda row: (row[name] is None) is is_equal)
    outer = st.one_of(literals(kind), columns(kind, budget))
    if kind != "decimal":  # a claim is none
        outer = st.one_of(outer, facts(kind))
    if kind == "time":
        outer = st.one_of(outer, st.just(MOMENT))
    if op not in ("in", "not in"):
        value = draw(outer)
        if kind == "time":
            value = _moved(draw, value)
        return Said(
            f"{name} {op} {value.text}",
            lambda world: _absent_or(
                [value.means(world)], lambda items, row: compare(op, _of(row, name), items[0])
            ),
        )
    if kind == "text" and draw(st.integers(0, 2)) == 0:
        of = draw(st.sampled_from((
            Said("auth.roles", lambda world: sorted(world.identity.roles)),
            _of_image(draw, ["tags", "tags_n"], budget),
        )))  # fmt: skip
        return Said(
            f"{name} {op} {of.text}",
            lambda world: _absent_or(
                [of.means(world)], lambda items, row: _listed(op, row[name], items[0])
            ),
        )
    items = draw(st.lists(outer, max_size=3))
    if kind == "time":
        items = [_moved(draw, one) for one in items]
    return Said(
        f"{name} {op} [{', '.join(one.text for one in items)}]",
        lambda world: _absent_or(
            [one.means(world) for one in items],
            lambda found, row: _listed(op, _of(row, name), found),
        ),
    )


def _of(row: Row, name: str) -> Any:
    """Return a value of a looked-at row, times as numbers of milliseconds."""
    value = row[name]
    return milliseconds(value) if isinstance(value, dt.datetime) else value


def _listed(op: str, value: Any, items: Any) -> Truth:
    truth = member(value, items)
    return negated(truth) if op == "not in" else truth


def _absent_or(
    items: list[Any], test: Callable[[list[Any], Row], Truth]
) -> Callable[[Row], Any]:  # fmt: skip
    if any(one is None for one in items):
        return lambda _: "absent"
    return lambda row: test(items, row)


@st.composite
def conditions(draw: st.DrawFn, budget: Budget, depth: int = 0) -> Said:
    """Return a condition of the grammar's whole range."""
    leaves = ["compare", "compare", "compare", "absent", "in", "list", "text", "single"]
    if budget.exists > 0:
        leaves.append("exists")
    kinds = [*leaves, "and", "or", "not"] if depth < 3 else leaves
    match draw(st.sampled_from(kinds if depth else ["and", "or", "not", *leaves])):
        case "compare":
            return draw(comparisons(budget, depth))
        case "absent":
            return draw(absences(budget))
        case "in":
            return draw(memberships(budget, depth))
        case "list":
            return draw(in_lists(budget, depth))
        case "text":
            return draw(text_tests(budget))
        case "single":
            return draw(single_tests(budget))
        case "exists":
            return draw(exists(budget))
        case "not":
            inner = draw(conditions(budget, depth + 1))
            word = draw(st.sampled_from(("!", "not ")))
            return Said(f"{word}({inner.text})", _then(inner.means, negated))
        case word:
            return draw(joined(word, budget, depth))


@st.composite
def joined(draw: st.DrawFn, word: str, budget: Budget, depth: int) -> Said:
    """Return and, or of two or three conditions."""
    count = draw(st.integers(2, 3))
    items = [draw(conditions(budget, depth + 1)) for _ in range(count)]
    spelled = draw(st.sampled_from({"and": (" && ", " and "), "or": (" || ", " or ")}[word]))
    text = spelled.join(f"({one.text})" for one in items)
    fold = every if word == "and" else any_of
    return Said(text, lambda world: fold([one.means(world) for one in items]))


@st.composite
def expressions(draw: st.DrawFn, images: tuple[str, ...] = ("data",)) -> Said:
    """Return a whole policy over these images."""
    return draw(conditions(Budget(images)))
