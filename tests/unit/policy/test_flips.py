"""The nearest flip: the smallest single change that passes, and never one that does not."""

from __future__ import annotations

import pytest

from pylon.identity import ANONYMOUS, Identity
from pylon.policy.scene import Sight
from pylon.schema.model import Access
from tests.unit.policy.looked_at import flip, member, why
from tests.unit.policy.schemas import NOW, caller, row

MEMBER = "exists Membership(channelId == data.channelId, userId == auth.userId, role == 'owner')"
U1 = caller("u1")
MESSAGE = row(
    authorId="u7", channelId="c1", state="sent", count=3, sentAt=NOW, price=150, tags=["a"],
    secret="hush", body="Hello",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "identity", "wanted"),
    [
        ("auth.userId != null", ANONYMOUS, "signed in"),
        ("auth.email != null", ANONYMOUS, "signed in"),
        ("isOwner()", ANONYMOUS, "signed in as user 'u7'"),
        ("hasRole('editor')", U1, "role `editor`"),
        ("hasRole('editor')", ANONYMOUS, "signed in with role `editor`"),
        ("'editor' in auth.roles", U1, "role `editor`"),
        ("hasAnyRole('editor', 'owner')", U1, "role `editor`"),
        ("!hasRole('banned')", caller("u1", "banned"), "without role `banned`"),
        ("auth.isAdmin || isOwner()", U1, "data.authorId were 'u1'"),
        ("auth.isAdmin", U1, "role `admin`"),
        ("auth.userId == 'u9'", U1, "the caller were user 'u9'"),
        ("auth.email == 'a@x.org'", U1, "auth.email were 'a@x.org'"),
        ("auth.claims.org == 'acme'", U1, "auth.claims.org were 'acme'"),
        ("auth.claims.org.id == 7", caller("u1", org={"name": "x"}), "auth.claims.org.id were 7"),
        ("auth.userId == null", U1, "nobody were signed in"),
        ("data.state == 'edited'", U1, "data.state were 'edited'"),
        ("data.state != 'sent'", U1, "data.state were 'edited'"),
        ("data.count > 3", U1, "data.count were 4"),
        ("data.count < 3", U1, "data.count were 2"),
        ("data.count > 3.5", U1, "data.count were 4"),
        ("data.count == 3.5", U1, None),
        ("data.ratio > 9007199254740993", U1, None),
        ("2 >= data.count", U1, "data.count were 2"),
        ("data.price >= 2.50", U1, "data.price were 2.50"),
        ("data.count in [7, 8]", U1, "data.count were 7"),
        ("data.count not in [3, 4]", U1, "data.count were 2"),
        ("data.body == null", U1, "data.body were null"),
        ("data.channelId == null", U1, None),
        ("data.big != null", U1, "data.big were 0"),
        ("data.open", U1, "data.open were true"),
        ("!(data.open == null)", U1, "data.open were true"),
        ("'b' in data.tags", U1, "data.tags contained 'b'"),
        ("'a' not in data.tags", U1, "data.tags did not contain 'a'"),
        ("startsWith(data.body, 'Re: ')", U1, "data.body were 'Re: Hello'"),
        ("!contains(data.body, 'ell')", U1, "data.body were ''"),
        ("lower(data.body) == 'bye'", U1, "data.body were 'bye'"),
        ("now > '2027-01-01T00:00:00Z'", U1, "now were after 2027-01-01T00:00:00.000Z"),
        ("data.sentAt + hours(1) < now", U1, "data.sentAt were '2026-11-23T10:59:59.999Z'"),
        ("now > '2027-01-01T00:00:00Z' && now < '2027-01-01T01:00:00Z'", U1,
         "now were 2027-01-01T00:00:00.001Z"),
        (MEMBER, U1, "a Membership with channelId 'c1', userId 'u1', role 'owner' existed"),
        (MEMBER, ANONYMOUS, None),
        ("exists Membership(channelId == data.channelId, userId == auth.userId)", ANONYMOUS,
         None),
        ("false", U1, None), ("data.count > 3 && data.count < 4", U1, None),
        ("data.count == 4 && data.state == 'edited'", U1, None),
    ],
)  # fmt: skip
def test_the_smallest_change_that_passes(text: str, identity: Identity, wanted: str | None) -> None:
    """Roles before fields, fields before being somebody else; two changes are none."""
    assert flip(text, identity, MESSAGE) == wanted


def test_a_looked_at_row_is_changed_before_one_is_added() -> None:
    """The caller's own row that misses one filter is nearer than a new one."""
    mine = member("m1", "c1", "u1", "member")
    other = member("m2", "c1", "u2", "owner")
    assert flip(MEMBER, U1, MESSAGE, other, mine) == "role of the Membership m1 were 'owner'"
    assert flip(MEMBER, U1, MESSAGE, other) == (
        "a Membership with channelId 'c1', userId 'u1', role 'owner' existed"
    )


def test_a_field_that_leads_to_another_row() -> None:
    """Where the caller is a member elsewhere, the row might be there."""
    found = why(MEMBER, U1, MESSAGE, member("m1", "c9", "u1", "owner"))
    assert "would pass if data.channelId were 'c9'" in [one.text for one in found.flips]


def test_a_row_that_should_not_be_there() -> None:
    """Under `!` the one that matches would have to go; of two, none alone is enough."""
    ban = "!exists Membership(channelId == data.channelId, userId == auth.userId)"
    one, two = member("m1", "c1", "u1"), member("m2", "c1", "u1")
    assert flip(ban, U1, MESSAGE, one) == "the Membership m1 did not exist"
    texts = [found.text for found in why(ban, U1, MESSAGE, one, two).flips]
    assert not any("exist" in text for text in texts)


def test_a_change_of_a_value_that_is_used_twice_counts_everywhere() -> None:
    """What helps one part and breaks another is never named."""
    assert flip("data.count == 4 && data.count < 4", U1, MESSAGE) is None
    assert flip("hasRole('editor') && !hasRole('editor')", U1, MESSAGE) is None


def test_an_update_names_the_image() -> None:
    """The row may not be taken: what is wrong is what would be stored."""
    mine = row(authorId="u1", count=1)
    taken = {**mine, "authorId": "u2"}
    assert (
        flip("isOwner()", U1, mine, access=Access.UPDATE, after=taken) == "new.authorId were 'u1'"
    )
    assert (
        flip("isOwner()", U1, taken, access=Access.UPDATE, after=mine) == "old.authorId were 'u1'"
    )
    assert flip("isOwner()", U1, taken, access=Access.UPDATE) == "data.authorId were 'u1'"
    both = "old.state == 'sent' && new.state == 'edited'"
    sent = row(authorId="u1", state="sent")
    assert flip(both, U1, sent, access=Access.UPDATE) == "new.state were 'edited'"


def test_gates_count_too() -> None:
    """A write that the policy allows stays denied while the row may not be read."""
    assert flip("true", ANONYMOUS, MESSAGE, access=Access.UPDATE) == "signed in"
    assert flip("true", U1, MESSAGE, access=Access.DELETE, read="hasRole('x')") == "role `x`"
    assert flip("hasRole('y')", U1, MESSAGE, access=Access.DELETE, read="hasRole('x')") is None
    assert flip("true", U1, MESSAGE, is_disabled=True) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("!(now != data.sentAt)", "0001-01-01T00:00:00.000Z"),
        ("now < data.sentAt - days(1)", "0001-01-01T00:00:00.000Z"),
        ("data.sentAt + days(1) < data.sentAt - days(9)", "9999-12-31T23:59:59.999Z"),
        ("exists Membership(channelId == data.channelId, until > data.sentAt + days(1))",
         "9999-12-31T23:59:59.999Z"),
    ],
)  # fmt: skip
def test_the_calendar_has_two_ends(text: str, at: str) -> None:
    """No change leads past the first or the last day."""
    found = why(text, U1, row(channelId="c1", sentAt=at))
    assert not found.is_allowed
    assert not any("~" in one.text or "''" in one.text for one in found.flips)


def test_hidden_values_are_not_named() -> None:
    """A flip names no value of a field that may not be shown, and does not change one."""
    sight = Sight(hidden=frozenset({"secret"}))
    assert flip("data.body == data.secret", U1, MESSAGE) == "data.body were 'hush'"
    assert flip("data.body == data.secret", U1, MESSAGE, sight=sight) is None
    keyed = "exists Membership(channelId == data.secret, userId == auth.userId)"
    assert flip(keyed, U1, MESSAGE) == "a Membership with channelId 'hush', userId 'u1' existed"
    assert flip(keyed, U1, MESSAGE, sight=sight) is None


def test_a_row_that_may_not_be_seen_is_not_named() -> None:
    """That a row stands in the way is said, which one is not."""
    ban = "!exists Membership(channelId == data.channelId, userId == auth.userId)"
    blind = Sight(may_see=lambda *_: False)
    found = why(ban, U1, MESSAGE, member("m1", "c1", "u1"), sight=blind)
    assert found.flips[0].text == "would pass if the Membership that matches did not exist"
    assert "m1'" not in str(found.to_json()["tree"])


def test_tries_are_bounded() -> None:
    """Hundreds of alternatives are not all tried, and the answer stays true."""
    text = " && ".join(f"data.count != {n}" for n in range(300)) + " && hasRole('z')"
    found = why(text, U1, row(count=500))
    assert len(found.flips) <= 1
