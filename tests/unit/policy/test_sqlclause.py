"""Clauses in SQLite itself: lists, empty lists, lookups, long rows of alternatives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from pylon.policy.compiled import lookup_sql
from pylon.policy.sqlclause import moved
from tests.unit.policy.schemas import MESSAGE, NOW, caller, mistakes, policy

CALLER = caller("u1", "owner")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """Open a database with one message and two memberships, one without role."""
    connection = sqlite3.connect(":memory:")
    names = ", ".join(f'"{one.name}"' for one in MESSAGE.fields)
    connection.execute(f'CREATE TABLE "Message" (id TEXT, {names})')
    connection.execute("INSERT INTO Message (id, channelId, count) VALUES ('m1', 'c', 1)")
    connection.execute(
        'CREATE TABLE "Membership" (id TEXT, channelId TEXT, userId TEXT, role TEXT, until TEXT)'
    )
    connection.execute("INSERT INTO Membership VALUES ('1', 'c', 'u1', NULL, NULL)")
    connection.execute("INSERT INTO Membership VALUES ('2', 'c', 'u2', 'owner', NULL)")
    yield connection
    connection.close()


def asked(database: sqlite3.Connection, text: str) -> int | None:
    """Return what SQLite says of the message."""
    clause = policy(text).clause(CALLER, alias="t", now=NOW)
    # Twelve brackets stand for what statements put around a clause.
    around = f"{'(' * 12}{clause.text}{')' * 12}"
    (found,) = database.execute(f'SELECT {around} FROM "Message" AS t', clause.params)
    return found[0]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ("role in ['owner']", 1), ("role in []", 0), ("userId == 'u1', role not in []", 0),
        ("userId == 'u2', role not in []", 1), ("userId == 'u1', role not in ['member']", 0),
        ("userId == 'u2', role not in auth.roles", 0), ("role in auth.roles", 1),
        ("userId == 'u1', role != 'owner'", 0), ("userId == 'u1', role == null", 1),
        ("userId == 'u2', role != null", 1), ("until > now", 0),
    ],
)  # fmt: skip
def test_an_absent_value_of_the_other_row_never_matches(
    database: sqlite3.Connection, filters: str, wanted: int
) -> None:
    """Inside an exists an absent value is in no list and outside of none, not even an empty one."""
    compiled = f"exists Membership(channelId == data.channelId, {filters})"
    assert asked(database, compiled) == wanted


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-11-23T12:00:00.123Z"]
)
@pytest.mark.parametrize("ms", [1, -1, 999, 1001, -86_400_001, 3_155_760_000_000])
def test_a_time_moves_alike_in_sqlite_and_python(
    database: sqlite3.Connection, moment: str, ms: int
) -> None:
    """To the millisecond, and past the calendar's ends: there a time is before or after all."""
    database.execute("UPDATE Message SET sentAt = ?", (moment,))
    sign, amount = "+" if ms > 0 else "-", f"{abs(ms) // 1000}.{abs(ms) % 1000:03}"
    shifted = moved(moment, ms)
    for op, wanted in (("==", 0), ("<", moment < shifted), (">", moment > shifted)):
        text = f"data.sentAt {op} data.sentAt {sign} seconds({amount})"
        assert asked(database, text) == int(wanted)
    assert policy(text).predicate(CALLER, {"sentAt": moment}, now=NOW) is (moment > shifted)
    assert (moment < shifted) is (ms > 0)


def test_an_absent_right_hand_side_is_unknown(database: sqlite3.Connection) -> None:
    """Unknown stays unknown under not, whatever rows there are."""
    text = "exists Membership(channelId == data.channelId, userId == data.body)"
    assert asked(database, text) is None
    assert asked(database, f"!{text}") is None


def test_long_rows_of_alternatives_stay_flat(database: sqlite3.Connection) -> None:
    """SQLite bounds the depth of an expression; four hundred alternatives are no problem."""
    assert asked(database, " || ".join(["data.count == 2"] * 400)) == 0
    assert asked(database, " && ".join(["data.count == 1"] * 400)) == 1


LEAVES = (
    "data.open", "startsWith(lower(data.body), lower(data.channelId))", "data.count not in [1, 2]",
    "exists Membership(channelId == data.channelId, role in ['owner'], userId not in auth.roles)",
)  # fmt: skip


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("!(data.count == 2 && ", ")"), ("(data.count == 2 || ", ")"), ("!(", " || data.open)"),
        ("(data.open || data.count == 1 && ", ")"), ("not ", ""), ("!(", ")"),
        ("(data.open == ", ")"), ("(", " != data.open)"), ("(data.open in [true, ", "])"),
        ("(!(data.open && (data.open || data.count == 1)) && ", ")"),
    ],
)  # fmt: skip
def test_deep_policies_stay_within_sqlite(
    database: sqlite3.Connection, opening: str, closing: str, leaf: str
) -> None:
    """The deepest expression that the language allows is one that SQLite's parser takes."""
    for depth in (64, 63, 62, 32, 31, 21, 20, 8, 7, 6):
        text = opening * depth + f"({leaf})" + closing * depth
        if not mistakes(text):
            assert asked(database, text) in (0, 1, None)
            return
    raise AssertionError("refused at any depth")


def test_folding_twice_is_folding_once(database: sqlite3.Connection) -> None:
    """A chain of lower is one lower."""
    text = "lower(" * 63 + "data.channelId" + ")" * 63 + " == 'c'"
    assert asked(database, text) == 1
    assert policy(text).clause(CALLER, alias="t", now=NOW).text.count("lower") == 1


def test_a_lookup_asks_for_one_row() -> None:
    """The statement for one exists is ready, with a mark for each right-hand value."""
    (node,) = policy(
        "exists Membership(channelId == data.channelId, role in ['member', 'owner'])"
    ).exists
    assert lookup_sql(node) == (
        'SELECT 1 FROM "Membership" AS x WHERE x."channelId" = ? AND x."role" IN (?, ?) LIMIT 1'
    )
