"""When a policy over `now` changes its mind, read off the policy itself."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.policy.compiled import compile_policy
from pylon.policy.timing import Timing, joined, timing_of
from pylon.schema.model import Access, Entity, Field, FieldKind, Index, Schema

_AT = FieldKind.DATETIME
OFFER = Entity(
    name="Offer",
    fields=(
        Field(name="shop", kind=FieldKind.STR),
        Field(name="until", kind=_AT, nullable=True),
        Field(name="secret", kind=_AT, private=True, nullable=True),
    ),
    indexes=(Index(name="shop", fields=("shop",)), Index(name="until", fields=("until",))),
)
PASS = Entity(
    name="Pass",
    fields=(
        Field(name="shop", kind=FieldKind.STR),
        Field(name="userId", kind=FieldKind.STR),
        Field(name="ends", kind=_AT),
    ),
    indexes=(Index(name="shop", fields=("shop",)),),
)
SCHEMA = Schema(entities={one.name: one for one in (OFFER, PASS)})


def _policy(text: str) -> Any:
    return compile_policy(text, entity=OFFER, access=Access.READ, schema=SCHEMA)


def _timing(text: str) -> Timing:
    return timing_of(OFFER, _policy(text).condition)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("data.until > now", 0),
        ("now < data.until", 0),
        ("!(data.until <= now - hours(1))", -3_600_000),
        ("data.until + hours(1) > now", -3_600_000),
        ("data.until - days(1) < now - days(2)", -86_400_000),
    ],
)
def test_a_time_of_the_row_turns_it_there(text: str, ms: int) -> None:
    """Whichever side it stands on, and however it is shifted."""
    (rule,) = _timing(text).rules
    assert (rule.entity, rule.looks_at, rule.field, rule.ms) == ("Offer", "Offer", "until", ms)
    assert _timing(text).unforeseen == frozenset()
    assert rule.key({"until": "t"}) == ((("until", "t"),), ())


def test_both_ends_of_the_time_that_passed_count() -> None:
    """A turn is at its time or just after, as the comparison has it."""
    (rule,) = _timing("data.until > now - seconds(1)").rules
    since, until = "2026-01-01T00:00:01.000Z", "2026-01-01T00:00:03.000Z"
    assert rule.between(since, until) == ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:02.000Z")


def test_a_time_of_a_looked_at_row_turns_its_slice() -> None:
    """The rows and callers that the looked-at row decides for, and no others."""
    timing = _timing("exists Pass(shop == data.shop, userId == auth.userId, ends > now)")
    (rule,) = timing.rules
    assert (rule.looks_at, rule.field) == ("Pass", "ends")
    where, who = rule.key({"shop": "s", "userId": "ann", "ends": "t"}) or ((), ())
    assert where == (("shop", "s"),)
    assert [value for _, value in who] == ["ann"]
    assert timing.looks_at == {"Pass"}


def test_a_time_that_clients_lack_turns_everything() -> None:
    """They could not tell which rows are meant."""
    (rule,) = _timing("data.secret > now").rules
    assert rule.key({"secret": "t"}) == ((), ())


def test_a_literal_turns_all_rows_once() -> None:
    """At its time, shifts counted."""
    text = "now - hours(1) > '2027-01-01T00:00:00Z'"
    assert _timing(text).moments == (("Offer", "2027-01-01T01:00:00.000Z"),)


@pytest.mark.parametrize(
    "text", ["auth.claims.until > now", "data.until in [now]", "data.until > now && now == now"]
)
def test_what_tells_no_time_is_unforeseen(text: str) -> None:
    """Such an entity is told anew now and then."""
    assert _timing(text).unforeseen == {"Offer"}


def test_what_uses_no_time_never_turns() -> None:
    """Nothing is looked for."""
    assert not _timing("data.shop == 'a'")
    assert not joined([])
    assert joined([_timing("data.until > now"), Timing()]) == _timing("data.until > now")


def test_advice_names_the_index_and_what_costs() -> None:
    """The next turn is looked up; what can't be, is said."""
    assert _policy("data.until > now").warnings == ()
    (ends,) = _policy("exists Pass(shop == data.shop, ends > now)").warnings
    assert 'add by_ends = index("ends")' in ends
    index, everything = _policy("data.secret > now").warnings
    assert "Offer.secret is compared with now and has no index" in index
    assert "all rows of Offer are read anew" in everything
    (unforeseen,) = _policy("auth.claims.until > now").warnings
    assert "does not say when it turns" in unforeseen
