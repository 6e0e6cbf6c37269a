"""Policies of single fields: SQL and Python leave out the same, and say the same bytes."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.identity import ANONYMOUS, SYSTEM, Identity
from pylon.policy.compiled import PolicySet, no_lookup
from pylon.policy.fields import FieldPolicies
from pylon.schema.wire import masked_text, wire_text
from tests.unit.policy.schemas import MESSAGE, NOW, caller, policy, row

OWNER, STAFF, NOBODY = caller("u1"), caller("u2", "staff"), caller("u3")
FIELDS = FieldPolicies({
    "body": policy("isOwner()"),
    "count": policy("hasRole('staff')"),
    "ratio": policy("isOwner() || data.open && now > data.sentAt"),
    "json": policy("auth.userId != null"),
})  # fmt: skip
VALUES: dict[str, Any] = {"authorId": "u1", "channelId": "c", "state": "sent", "count": 1,
                          "sentAt": NOW}  # fmt: skip
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def sql_text(values: dict[str, Any], identity: Identity, fields: FieldPolicies = FIELDS) -> str:
    """Return a row's wire text as SQLite makes it."""
    names = [one.name for one in MESSAGE.fields]
    connection = sqlite3.connect(":memory:")
    listed = ", ".join(f'"{name}"' for name in ("id", *names, "_wire"))
    connection.execute(f'CREATE TABLE "Message" ({listed})')
    stored = [one if isinstance(one, str | int | float | None) else None
              for one in (values[name] for name in ("id", *names))]  # fmt: skip
    connection.execute(
        f'INSERT INTO "Message" VALUES ({", ".join("?" * (len(names) + 2))})',
        [*stored, wire_text(MESSAGE, values)],
    )
    wire = fields.wire(identity, alias="t", now=NOW)
    found = connection.execute(f'SELECT {wire.text} FROM "Message" AS t', wire.params).fetchone()
    connection.close()
    return str(found[0])


def hidden(identity: Identity, **values: Any) -> set[str]:
    """Return what a caller does not get of a row."""
    return set(FIELDS.hidden_from(identity, row(**{**VALUES, **values}), NOW, no_lookup))


@given(
    st.fixed_dictionaries({
        "body": st.none() | _TEXTS, "json": _JSON, "open": st.none() | st.booleans(),
        "ratio": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "tags": st.none() | st.lists(_TEXTS, max_size=2), "channelId": _TEXTS,
        "sentAt": st.sampled_from([NOW, "2020-01-01T00:00:00.000Z"]),
    }),
    st.sampled_from([OWNER, STAFF, NOBODY, ANONYMOUS, SYSTEM]),
)  # fmt: skip
def test_sql_and_python_leave_the_same_bytes(values: dict[str, Any], identity: Identity) -> None:
    """A list, read by SQLite, and a live change, made in memory, say the same text of a row."""
    whole = row(**{**VALUES, **values})
    without = FIELDS.hidden_from(identity, whole, NOW, no_lookup)
    assert sql_text(whole, identity) == masked_text(MESSAGE, whole, without)


def test_a_field_is_there_where_its_policy_is_true_of_the_row() -> None:
    """False and unknown both leave it out."""
    assert hidden(OWNER) == {"count"}
    assert hidden(NOBODY) == {"body", "count", "ratio"}
    assert hidden(NOBODY, open=False) == {"body", "count", "ratio"}
    assert hidden(NOBODY, open=True, sentAt="2020-01-01T00:00:00.000Z") == {"body", "count"}
    assert hidden(ANONYMOUS) == {"body", "count", "ratio", "json"}
    assert hidden(SYSTEM) == set()


@pytest.mark.parametrize(
    ("identity", "unusable"),
    [
        (OWNER, {"body", "count", "ratio"}), (STAFF, {"body", "ratio"}),
        (ANONYMOUS, {"body", "count", "ratio", "json"}), (SYSTEM, set()),
    ],
)  # fmt: skip
def test_a_field_may_be_asked_by_where_the_right_is_the_caller_s(
    identity: Identity, unusable: set[str]
) -> None:
    """Where it depends on the row, the time or other rows, its name can't stand in a question."""
    assert FIELDS.unusable(identity) == unusable


@pytest.mark.parametrize(
    "text",
    ["data.count == 1", "now > auth.claims.since",
     "exists Membership(channelId == 'c', userId == auth.userId)"],
)  # fmt: skip
def test_what_may_change_its_mind_lets_nobody_ask(text: str) -> None:
    """A right that comes and goes without the caller changing is none to ask by."""
    assert FieldPolicies({"body": policy(text)}).unusable(OWNER) == {"body"}


def test_equal_facts_get_equal_fields() -> None:
    """Callers who cannot differ share the text; a role that a field asks for tells them apart."""
    assert FIELDS.facts(OWNER) == FIELDS.facts(caller("u1", "guest"))
    assert FIELDS.facts(OWNER) != FIELDS.facts(caller("u1", "staff"))


def test_an_error_hides_the_field() -> None:
    """What can't be decided is not shown."""
    looked = FieldPolicies(
        {"body": policy("exists Membership(channelId == data.channelId, userId == auth.userId)")}
    )
    assert looked.hidden_from(OWNER, row(**VALUES), NOW, no_lookup) == {"body"}
    assert looked.exists
    assert not looked.uses_now


def test_an_entity_without_field_policies_pays_nothing() -> None:
    """Its wire text is the column itself."""
    none = PolicySet({}).fields_of("Message")
    assert not none
    assert none.wire(OWNER, alias="t", now=NOW).text == 't."_wire"'
    assert FieldPolicies({"count": policy("hasRole('staff')")}).wire(
        STAFF, alias="t", now=NOW
    ).text == 't."_wire"'  # fmt: skip


def test_the_members_keep_their_order() -> None:
    """A masked text is the whole one without some members."""
    whole = row(**VALUES)
    left = jsonvalue.decode_trusted(masked_text(MESSAGE, whole, frozenset({"body", "count"})))
    every = jsonvalue.decode_trusted(wire_text(MESSAGE, whole))
    assert list(left) == [name for name in every if name not in ("body", "count")]
