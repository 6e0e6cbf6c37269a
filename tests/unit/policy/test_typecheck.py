"""Nodes to meaning: every mistake with its place and the nearest name, and what passes."""

from __future__ import annotations

import pytest

from pylon import limits
from pylon.policy import ir
from pylon.policy.compiled import PolicyMistakes, compile_allow
from pylon.schema.model import Access, FieldKind
from tests.unit.policy.schemas import NOW, SCHEMA, answer, caller, mistakes, policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.count == '1'", "number is never equal to text"),
        ("data.count == true", "number is never equal to true or false"),
        ("data.open == 1", "true or false is never equal to number"),
        ("data.open < true", "true and false have no order"),
        ("data.price == data.count", "decimal is never equal to number"),
        ("data.price == 1.555", "more than 2 digits"),
        ("data.price == '1.00000000000000000000000000000000001'", "more than 2 digits"),
        ("data.sentAt == data.day", "time is never equal to date"),
        ("data.sentAt == '2026-01-01T00:00'", "must say its offset"),
        ("data.day == '2026-1-1'", "must be a date"),
        ("data.day == '2026-02-30'", "no day of the calendar"),
        ("data.json == 1", "can only be compared with null"),
        ("data.tags == 'a'", "can only be compared with null"),
        ("data.state == 'nope'", "is none of sent, edited"),
        ("data.state in ['sent', 'nope']", "is none of sent, edited"),
        ("data.count < null", "null has no order"),
        ("null in [1]", "null is in no list"),
        ("data.count in 'abc'", "the right side of in is a list"),
        ("data.count in data.body", "the right side of in is a list"),
        ("data.count in [1, 'a']", "number is never equal to text"),
        ("data.ratio in data.ratios", "only lists of texts, integers, dates and bools"),
        ("1 in data.tags", "number is never equal to text"),
        ("[1] == data.count", "a list stands on the right of in only"),
        ("data.big == 9223372036854775808", "64 bits"),
        ("auth.claims.x == auth.claims.y", "two claims have no known type"),
        ("auth.claims.x == data.price", "a claim is no decimal"),
        ("auth.claims.x in [1, 'a']", "one type only"),
        ("data.body", "this is a text, not true or false"),
        ("data.count && true", "this is a number, not true or false"),
        ("lower(data.count) == 'a'", "this is a number, not a text"),
        ("len(data.count) == 1", "len takes a text or a list"),
        ("startsWith(data.body, 1)", "this is a number, not a text"),
        ("data.body + days(1) == 'a'", "durations go on times only"),
        ("'soon' + days(1) > now", "must be a time"),
        ("now + days(36526) > data.sentAt", "more than a hundred years"),
        ("data.sentAt < '9999-12-31T00:00:00Z' + days(1)", "leaves the calendar"),
        ("data.sentAt > '0001-01-01T00:00:00Z' - days(1)", "leaves the calendar"),
        ("data.sentAt > '0001-01-01T00:00:00Z' - days(36525)", "leaves the calendar"),
        ("hasRole()", "hasRole takes 1 argument, not 0"),
        ("hasRole(data.body)", "hasRole takes role names in quotes"),
        ("hasAnyRole()", "takes at least one argument"),
        ("isOwner(1)", "isOwner takes no arguments, not 1"),
        ("contains(data.body)", "contains takes 2 arguments, not 1"),
        ("exists Membership(role == 'owner')", "no index to look in"),
        ("exists Membership(channelId == lower(data.body))", "exists compares with auth, data"),
        ("exists Membership(channelId in [lower(data.body)])", "exists compares with auth"),
        ("exists Membership(channelId == data.count)", "text is never equal to number"),
        ("exists Membership(channelId in ['a', null])", "null is in no list"),
        ("exists Membership(channelId == data.channelId, role < null)", "null has no order"),
        ("exists Membership(channelId == (exists User(id == 'a')))", "exists compares with"),
    ],
)
def test_what_can_never_be_true_does_not_load(text: str, message: str) -> None:
    """Wrong types, arities and comparisons stop the load, with the reason."""
    found = mistakes(text)
    assert len(found) == 1, found
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("data.chanelId == 'a'", "Message has no field chanelId", "did you mean channelId?"),
        ("data.BODY == 'a'", "Message has no field BODY", "did you mean body?"),
        ("auth.userid == 'a'", "auth has no userid", "did you mean userId?"),
        ("auth.claims == 'a'", "auth has no claims", "auth.claims.NAME"),
        ("dta.body == 'a'", "there is nothing called dta", "did you mean data?"),
        ("body == 'a'", "there is nothing called body", "write data.body"),
        ("isOwner", "there is nothing called isOwner", "write isOwner()"),
        ("hasRole == 'a'", "there is nothing called hasRole", "write hasRole(…)"),
        ("hasRol('a')", "there is no function hasRol", "did you mean hasRole?"),
        ("exists Membershp(channelId == 'a')", "no entity Membershp", "did you mean Membership?"),
        ("exists Membership(chanelId == 'a')", "no field chanelId", "did you mean channelId?"),
        ("exists Membership(role == 'owner')", "no index", 'by_role = index("role")'),
    ],
)
def test_unknown_names_come_with_the_nearest(text: str, message: str, hint: str) -> None:
    """A mistyped name is answered with the one that was probably meant."""
    (found,) = mistakes(text)
    assert message in found
    assert hint in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data", "data alone is no value"),
        ("auth", "auth alone is no value"),
        ("now.year == 1", "now has no parts"),
        ("data.json.x == 1", "json has no parts"),
        ("auth.userId.x == 'a'", "auth has no userId.x"),
        ("args.x == 1", "there are no arguments here"),
        ("old.body == 'a'", "old exists in update policies only"),
        ("new.body == 'a'", "new exists in update policies only"),
    ],
)
def test_names_have_their_places(text: str, message: str) -> None:
    """Roots are no values, and each is known only where it exists."""
    (found,) = mistakes(text)
    assert message in found


def test_a_mistake_points_at_its_word() -> None:
    """File, line and column are those of the app's source, with a caret below the line."""
    (found,) = mistakes("isOwner()\n  || data.bdy == 'a'")
    assert found.splitlines() == [
        "app.py:11:6: Message.read: Message has no field bdy",
        "    || data.bdy == 'a'",
        "       ^",
        "  hint: did you mean body?",
    ]
    (first_line,) = mistakes("isOwner() || data.bdy == 'a'")
    assert first_line.startswith("app.py:10:18: ")


def test_all_mistakes_of_a_text_come_at_once() -> None:
    """One look shows every mistake, both sides of a comparison included."""
    found = mistakes(
        "data.a == auth.b || !(data.c && hasRole()) || exists Membership(x == 1, y == 2)"
    )
    assert [one.splitlines()[0].partition("Message.read: ")[2] for one in found] == [
        "Message has no field a", "auth has no b", "Message has no field c",
        "hasRole takes 1 argument, not 0", "Membership has no field x", "Membership has no field y",
    ]  # fmt: skip


def test_exists_are_counted() -> None:
    """Eight exists load, nine do not."""
    one = "exists Membership(channelId == data.channelId)"
    assert not mistakes(" || ".join([one] * limits.POLICY_EXISTS_MAX))
    found = mistakes(" || ".join([one] * (limits.POLICY_EXISTS_MAX + 1)))
    assert "more than 8 exists" in found[0]


def test_is_owner_needs_one_owner() -> None:
    """isOwner() means the only field with default=actor; without one it does not load."""
    assert answer("isOwner()", authorId="u1") is True
    assert answer("isOwner()", authorId="u2") is False
    assert answer("isOwner()", caller(None), authorId="u2") is None
    with pytest.raises(PolicyMistakes, match="exactly one field with default=actor"):
        compile_allow("isOwner()", arguments={}, schema=SCHEMA)


def test_update_policies_see_both_images() -> None:
    """old and new are the stored and the coming row of an update."""
    compiled = policy("old.authorId == new.authorId", Access.UPDATE)
    assert compiled.speaks_of_both_images
    one, other = {"authorId": "u1"}, {"authorId": "u2"}
    allows = compiled.allows
    assert allows(caller("u1"), one, old=one, new=one, now=NOW)
    assert not allows(caller("u1"), other, old=one, new=other, now=NOW)


def test_claims_take_the_type_of_the_other_side() -> None:
    """A claim of another type is absent: there is no conversion, and 1 is not true."""
    text = "auth.claims.level == 1"
    assert answer(text, caller("u1", level=1)) is True
    assert answer(text, caller("u1", level=2)) is False
    for other in ("1", True, None, [1], 2**70, float("nan")):
        assert answer(text, caller("u1", level=other)) is None
    assert answer(text, caller("u1")) is None
    assert answer("auth.claims.org.name == 'a'", caller("u1", org={"name": "a"})) is True
    assert answer("auth.claims.paid", caller("u1", paid=True)) is True
    assert answer("!auth.claims.paid", caller("u1", paid=1)) is None


def test_claims_are_found_in_lists() -> None:
    """A claim in a written list has the type of the items."""
    text = "auth.claims.plan in ['pro', 'team']"
    assert answer(text, caller("u1", plan="pro")) is True
    assert answer(text, caller("u1", plan="free")) is False
    assert answer(text, caller("u1", plan=1)) is None


def test_literals_take_the_type_of_the_field() -> None:
    """Times with any offset, decimals as numbers or texts: kept in the row's own form."""
    assert answer("data.sentAt == '2026-11-23T13:00:00+01:00'", sentAt=NOW) is True
    assert answer("'2026-11-23T13:00:00+01:00' == data.sentAt", sentAt=NOW) is True
    assert answer("data.price == 1.5 && data.price == '1.50'", price=150) is True
    assert answer("1.5 < data.price", price=151) is True


def test_durations_move_to_the_side_that_can_carry_them() -> None:
    """A duration on a field is taken from now or the literal on the other side."""
    sent = "2026-11-23T11:00:00.000Z"
    assert answer("data.sentAt + hours(1) == now", sentAt=sent) is True
    assert answer("now - hours(1) == data.sentAt", sentAt=sent) is True
    assert answer("data.sentAt + hours(2) > now + minutes(59)", sentAt=sent) is True
    assert answer("data.sentAt - hours(1) == '2026-11-23T10:00:00Z'", sentAt=sent) is True


def test_constants_settle_at_load() -> None:
    """What is the same for every row and caller needs no column."""
    assert policy("null == null").condition == ir.Constant(value=True)
    assert policy("now == null").condition == ir.Constant(value=False)
    assert policy("auth.roles != null").condition == ir.Negation(ir.Constant(value=False))


def test_allow_sees_arguments_but_no_row() -> None:
    """In a function's guard there are auth, args and now."""
    kinds = {"channelId": FieldKind.STR, "at": FieldKind.DATETIME, "any": None}
    guard = compile_allow(
        "exists Membership(channelId == args.channelId, userId == auth.userId) && args.at < now",
        arguments=kinds, schema=SCHEMA,
    )  # fmt: skip
    args = {"channelId": "c", "at": "2026-01-01T00:00:00.000Z"}
    asked = []

    def lookup(node: ir.ExistsNode, values: tuple[object, ...]) -> bool:
        asked.append((node.entity, values))
        return True

    assert guard.allows(caller("u1"), None, now=NOW, args=args, lookup=lookup)
    assert asked == [("Membership", ("c", "u1"))]
    assert not guard.allows(caller("u1"), None, now=NOW, args={}, lookup=lookup)
    for text, message in (
        ("data.x == 1", "there is no data here"),
        ("args.chanelId == 'a'", "did you mean channelId?"),
        ("args.any == 1", "no type that a policy can compare"),
        ("args.at.x == 1", "there is no argument at.x"),
    ):
        with pytest.raises(PolicyMistakes, match=message):
            compile_allow(text, arguments=kinds, schema=SCHEMA)
