"""The truth table with unknowns, written out by hand; every reading is held to it.

T true, F false, U unknown. The rows: a field with a value, the same field null, a row of an older
schema that does not have the field at all, and no caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from pylon import limits
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.policy import reference
from pylon.policy.compiled import PolicyMistakes, compile_policy
from pylon.policy.explain import explain
from pylon.policy.scene import Question, Scene
from pylon.schema.model import Access, Entity, Field, FieldKind, Index, Row, Schema
from pylon.schema.wire import image_text, row_from_image, wire_text
from pylon.server.storage.looked_at import LookedAtRows
from pylon.server.storage.tables import create_table, tables_of
from pylon.server.storage.transaction import exists_in

NOW = "2026-11-23T12:00:00.000Z"
_KINDS = {
    "t": FieldKind.STR, "n": FieldKind.INT, "b": FieldKind.BOOL, "at": FieldKind.DATETIME,
    "u": FieldKind.STR,
}  # fmt: skip
THING = Entity(
    name="Thing",
    fields=(
        *(Field(name=name, kind=kind, nullable=True) for name, kind in _KINDS.items()),
        Field(name="l", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
    ),
)
LINK = Entity(
    name="Link",
    fields=(
        Field(name="key", kind=FieldKind.STR),
        Field(name="who", kind=FieldKind.STR, nullable=True),
    ),
    indexes=(Index(name="by_key", fields=("key",)), Index(name="by_who", fields=("who",))),
)
SCHEMA = Schema(entities={one.name: one for one in (THING, LINK)})
VALUE: Row = {
    "id": "r", "t": "m", "n": 5, "b": True, "at": "2026-11-23T11:00:00.000Z", "u": "u1", "l": ["m"],
    "_seq": 1,
}  # fmt: skip
NULL: Row = {**dict.fromkeys(VALUE), "id": "r", "_seq": 1}
LINKS: tuple[Row, ...] = (
    {"id": "1", "key": "m", "who": "u1", "_seq": 1}, {"id": "2", "key": "k", "who": None, "_seq": 1}
)  # fmt: skip
USER = Identity(
    kind=IdentityKind.USER, user_id="u1", email="a@x", roles=frozenset({"r"}), claims={"c": "m"}
)
_ANSWERS = {"T": True, "F": False, "U": None}

#: Text → answers for a value, null, a missing field (each for a user), and a value for nobody.
LEAVES: dict[str, str] = {
    # comparisons with a literal: an absent side is unknown
    "data.t == 'm'": "TUUT", "data.t == 'x'": "FUUF", "data.t != 'm'": "FUUF",
    "data.t != 'x'": "TUUT", "data.n < 5": "FUUF", "data.n < 6": "TUUT", "data.n <= 5": "TUUT",
    "data.n <= 4": "FUUF", "data.n > 5": "FUUF", "data.n > 4": "TUUT", "data.n >= 5": "TUUT",
    "data.n >= 6": "FUUF", "data.b == true": "TUUT", "data.b == false": "FUUF", "data.b": "TUUT",
    "data.at < now": "TUUT", "data.at + hours(2) < now": "FUUF", "'m' == data.t": "TUUT",
    # comparisons of two fields
    "data.t == data.u": "FUUF", "data.t == data.t": "TUUT", "data.t != data.t": "FUUF",
    # comparisons with null are never unknown
    "data.t == null": "FTTF", "data.t != null": "TFFT", "null == data.t": "FTTF",
    "data.b == null": "FTTF", "data.l == null": "FTTF", "data.at != null": "TFFT",
    "auth.userId == null": "FFFT", "auth.userId != null": "TTTF", "auth.email == null": "FFFT",
    "auth.claims.c == null": "FFFT", "auth.claims.d == null": "TTTT",
    # the caller: nobody is equal to nothing, not even to a null
    "auth.userId == data.u": "TUUU", "auth.userId != data.u": "FUUU",
    "auth.userId == 'u1'": "TTTU", "auth.userId == 'u2'": "FFFU", "auth.userId != 'u2'": "TTTU",
    "auth.email == 'a@x'": "TTTU", "auth.claims.c == data.t": "TUUU",
    "auth.claims.d == data.t": "UUUU", "auth.claims.c == 5": "UUUU",
    # roles are never unknown
    "hasRole('r')": "TTTF", "hasRole('s')": "FFFF", "hasAnyRole('s', 'r')": "TTTF",
    "auth.isAdmin": "FFFF", "'r' in auth.roles": "TTTF", "data.t in auth.roles": "FUUF",
    # in: without a match and with a null in the list it is unknown
    "data.t in ['m']": "TUUT", "data.t in ['x']": "FUUF", "data.t in []": "FUUF",
    "data.t in ['m', null]": "TUUT", "data.t in ['x', null]": "UUUU", "data.t in [data.u]": "FUUF",
    "data.t in ['x', data.u]": "FUUF", "data.t not in ['m']": "FUUF", "data.t not in ['x']": "TUUT",
    "data.t not in []": "TUUT", "data.t not in ['m', null]": "FUUF",
    "data.t not in ['x', null]": "UUUU", "auth.userId in ['u1']": "TTTU",
    "auth.userId not in ['u2']": "TTTU", "auth.userId in [data.u]": "TUUU",
    # in a list of the row
    "'m' in data.l": "TUUT", "'x' in data.l": "FUUF", "'x' not in data.l": "TUUT",
    "data.t in data.l": "TUUT", "contains(data.l, 'm')": "TUUT", "auth.userId in data.l": "FUUU",
    # calls with an absent argument
    "startsWith(data.t, 'm')": "TUUT", "startsWith(data.t, 'x')": "FUUF",
    "startsWith('mm', data.t)": "TUUT", "contains(data.t, '')": "TUUT",
    "startsWith(data.t, auth.claims.d)": "UUUU", "lower(data.t) == 'm'": "TUUT",
    "lower(data.t) == null": "FTTF", "len(data.t) == 1": "TUUT", "len(data.l) > 1": "FUUF",
    "len(data.t) != null": "TFFT", "len(auth.userId) == 2": "TTTU",
    # exists: an absent right-hand side is unknown; a null over there matches `== null` alone
    "exists Link(key == data.t)": "TUUT", "exists Link(key == data.u)": "FUUF",
    "exists Link(key == 'm', who == auth.userId)": "TTTU",
    "exists Link(who == auth.userId)": "TTTU", "exists Link(key == 'k', who == null)": "TTTT",
    "exists Link(key == 'k', who != null)": "FFFF", "exists Link(key == 'k', who != 'u9')": "FFFF",
    "exists Link(key == 'k', who not in ['u9'])": "FFFF", "exists Link(key in [data.t])": "TUUT",
    "exists Link(key in [])": "FFFF", "exists Link(key in data.l)": "TUUT",
    "exists Link(key in ['m', data.u])": "TUUT", "exists Link(key == 'nope')": "FFFF",
    # conditions as values, and constants
    "(data.t == 'm') == true": "TUUT", "(data.t == 'x') == data.b": "FUUF",
    "(data.t == 'm') == null": "FTTF", "true": "TTTT", "false": "FFFF",
}  # fmt: skip
NOT = {"T": "F", "F": "T", "U": "U"}
#: left, right → and, or: all nine, by hand.
JOINED = {
    "TT": "TT", "TF": "FT", "TU": "UT", "FT": "FT", "FF": "FF", "FU": "FU", "UT": "UT",
    "UF": "FU", "UU": "UU",
}  # fmt: skip
#: One leaf for each answer, whatever the caller.
OF_ANSWER = {"T": "data.n == 5", "F": "data.n == 6", "U": "data.n == null || data.n in [6, null]"}


class Readings:
    """All readings of a policy over one row: a table of it, its image, and the caller."""

    def __init__(self, row: Row, image: str) -> None:
        self.row, self.image = row, image
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.tables = tables_of(SCHEMA)
        for entity in SCHEMA.entities.values():
            self.connection.execute(create_table(entity))
        for entity, held in ((THING, (row,)), (LINK, LINKS)):
            table = self.tables[entity.name]
            for one in held:
                values = [*table.values(one), wire_text(entity, one)]
                self.connection.execute(table.insert_sql, values)
        self.connection.execute("CREATE TABLE images (image TEXT)")
        self.connection.execute("INSERT INTO images VALUES (?)", (image,))

    def _lookup(self, node: Any, values: tuple[Any, ...]) -> bool:
        return exists_in(self.connection, node, values)

    def _sql(self, text: str, params: tuple[Any, ...], table: str) -> bool | None:
        (found,) = self.connection.execute(f"SELECT ({text}) FROM {table}", params).fetchone()
        return None if found is None else bool(found)

    def of(self, text: str, identity: Identity) -> dict[str, bool | None]:
        """Return what each reading says."""
        policy = compile_policy(text, entity=THING, access=Access.READ, schema=SCHEMA)
        row = row_from_image(THING, self.image)
        clause = policy.clause(identity, alias="i", now=NOW)
        image = policy.image_clause(identity, column="i.image", now=NOW)
        assert image is not None
        world = reference.World(identity=identity, data=row, now=NOW, lookup=self._lookup)
        question = Question(schema=SCHEMA, policy=policy, entity=THING, access=Access.READ)
        looked_at = LookedAtRows(self.connection, self.tables)
        why = explain(question, Scene(identity=identity, now=NOW, rows=looked_at, row=row))
        assert why.is_allowed is (why.tree.answer is True)
        return {
            "predicate": policy.predicate(identity, row, now=NOW, lookup=self._lookup),
            "columns": self._sql(clause.text, clause.params, '"Thing" AS i'),
            "image": self._sql(image.text, image.params, "images AS i"),
            "reference": reference.evaluate(policy.condition, world),
            "explain": why.tree.answer,
        }


@pytest.fixture(scope="module")
def worlds() -> Iterator[tuple[Readings, Readings, Readings]]:
    """Return a row with values, with nulls, and from before its fields were declared."""
    made = (
        Readings(VALUE, image_text(THING, VALUE)), Readings(NULL, image_text(THING, NULL)),
        Readings(NULL, '{"id":"r","_seq":1}'),
    )  # fmt: skip
    yield made
    for one in made:
        one.connection.close()


def _check(readings: Readings, text: str, identity: Identity, wanted: str) -> None:
    found = readings.of(text, identity)
    assert found == dict.fromkeys(found, _ANSWERS[wanted]), (text, identity.user_id, wanted)


def test_each_operator_over_values_nulls_missing_fields_and_nobody(
    worlds: tuple[Readings, Readings, Readings],
) -> None:
    """Each leaf and its negation has the answer that the table says, in all five readings."""
    for text, answers in LEAVES.items():
        cases = [(worlds[0], USER), (worlds[1], USER), (worlds[2], USER), (worlds[0], ANONYMOUS)]
        for (readings, identity), wanted in zip(cases, answers, strict=True):
            _check(readings, text, identity, wanted)
            _check(readings, f"!({text})", identity, NOT[wanted])


def test_and_or_over_three_values(worlds: tuple[Readings, Readings, Readings]) -> None:
    """All nine pairs, in words and symbols, and under a negation."""
    for pair, (both, either) in JOINED.items():
        left, right = (f"({OF_ANSWER[one]})" for one in pair)
        for word, wanted in (("&&", both), ("and", both), ("||", either), ("or", either)):
            _check(worlds[0], f"{left} {word} {right}", USER, wanted)
            _check(worlds[0], f"not ({left} {word} {right})", USER, NOT[wanted])


def _long(count: int) -> str:
    """Return a text of so many bytes, of many alternatives and one long literal."""
    text = " || ".join(["data.n == 6"] * 500) + " || data.t == ''"
    return text[:-1] + "x" * (count - len(text)) + "'"


BOUNDS = {
    "bytes": (limits.POLICY_BYTES_MAX, _long),
    "brackets": (limits.POLICY_DEPTH_MAX, lambda n: "(" * n + "data.n == 6" + ")" * n),
    "negations": (limits.POLICY_DEPTH_MAX - 1, lambda n: "!" * n + "(data.n == 6)"),
    "operators": (limits.POLICY_DEPTH_MAX // 2 - 1,
                  lambda n: "(data.n == 6 || data.n == 5 && " * n + "data.n == 6" + ")" * n),
    "exists": (limits.POLICY_EXISTS_MAX, lambda n: " || ".join(["exists Link(key == 'nope')"] * n)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_texts_at_the_bounds(name: str, worlds: tuple[Readings, Readings, Readings]) -> None:
    """One below and at a bound all readings answer alike; one above the app does not load."""
    bound, text_of = BOUNDS[name]
    for size in (bound - 1, bound):
        wanted = "T" if name == "negations" and size % 2 else "F"
        _check(worlds[0], text_of(size), USER, wanted)
    with pytest.raises(PolicyMistakes):
        compile_policy(text_of(bound + 1), entity=THING, access=Access.READ, schema=SCHEMA)
