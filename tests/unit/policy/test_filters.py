"""Filter objects and filter expressions."""

from __future__ import annotations

from typing import Any

import pytest

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.identity import ANONYMOUS
from pylon.policy.filters import compile_filter, compile_filter_text
from tests.unit.policy.schemas import MESSAGE, NOW, SCHEMA, caller, row

ROW = row(authorId="u1", channelId="c", state="sent", count=3, big=2**60, ratio=1.5, price=150,
          open=True, sentAt=NOW, day="2026-11-23", tags=["a", "b"])  # fmt: skip


def selects(where: Any, **values: Any) -> bool:
    """Tell whether a filter object selects the row."""
    return compile_filter(where, entity=MESSAGE).matches({**ROW, **values})


def refused(where: Any, **rest: Any) -> InvalidArgument:
    """Return what is said of a wrong filter object."""
    with pytest.raises(InvalidArgument) as caught:
        compile_filter(where, entity=MESSAGE, **rest)
    return caught.value


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (None, True), ({}, True), ({"count": 3}, True), ({"count": 3.0}, True),
        ({"count": 3, "state": "edited"}, False), ({"count": {">": 2, "<": 4}}, True),
        ({"count": {"!=": 3}}, False), ({"count": {"in": [1, 3]}}, True),
        ({"count": {"in": []}}, False), ({"count": {"not in": []}}, True),
        ({"count": {"in": [3, None]}}, True), ({"count": {"not in": [1, None]}}, False),
        ({"body": None}, True), ({"body": {"==": None}}, True), ({"body": {"!=": None}}, False),
        ({"body": "a"}, False), ({"not": {"body": "a"}}, False), ({"not": {}}, False),
        ({"and": []}, True), ({"or": []}, False), ({"or": [{"count": 1}, {"open": True}]}, True),
        ({"and": [{"count": 3}, {"not": {"open": False}}]}, True),
        ({"price": "1.5"}, True), ({"price": {"<": "1.49"}}, False),
        ({"big": str(2**60)}, True), ({"big": {">": "9"}}, True), ({"ratio": {">": 1}}, True),
        ({"sentAt": "2026-11-23T13:00:00+01:00"}, True), ({"day": {">=": "2026-11-23"}}, True),
        ({"tags": {"contains": "a"}}, True), ({"tags": {"contains": "c"}}, False),
        ({"channelId": {"startsWith": "c"}}, True), ({"channelId": {"contains": ""}}, True),
        ({"id": "m1"}, True), ({"id": {"in": ["x"]}}, False), ({"json": None}, True),
    ],
)  # fmt: skip
def test_filters_select(where: Any, wanted: bool) -> None:
    """Members are joined by and, operators by field; three values; only true selects."""
    assert selects(where) is wanted


def test_matching_an_absent_value_is_unknown() -> None:
    """Neither a comparison nor its negation selects a row whose value is absent."""
    for where in ({"count": 3}, {"count": {"!=": 3}}, {"count": {"in": [3]}},
                  {"count": {"not in": [4]}}, {"not": {"count": {"<": 9}}}):  # fmt: skip
        assert not selects(where, count=None)


@pytest.mark.parametrize(
    ("where", "field", "message"),
    [
        ([], "where", "a filter is an object"),
        ("", "where", "a filter is an object"),
        (False, "where", "a filter is an object"),
        ({"not": []}, "where", "a filter is an object"),
        ({"or": {}}, "or", "or takes a list of filters"),
        ({"nosuch": 1}, "nosuch", "Message has no field nosuch"),
        ({"_seq": 1}, "_seq", "Message has no field _seq"),
        ({"count": {"like": 1}}, "count", "there is no operator like"),
        ({"count": {}}, "count", "count has no operator"),
        ({"count": "3"}, "count", "count must be an integer"),
        ({"count": True}, "count", "count must be an integer"),
        ({"count": 2**53}, "count", "2^53-1"),
        ({"count": {"<": None}}, "count", "null has no order"),
        ({"count": {"in": 3}}, "count", "in takes a list"),
        ({"count": {"startsWith": 3}}, "count", "startsWith takes a text"),
        ({"big": "9223372036854775808"}, "big", "64 bits"),
        ({"price": 1.5}, "price", "must be a decimal as text"),
        ({"price": "1.555"}, "price", "more than 2 digits"),
        ({"open": 1}, "open", "must be true or false"),
        ({"open": {"<": True}}, "open", "true and false have no order"),
        ({"sentAt": "2026-11-23T12:00:00"}, "sentAt", "must say its offset"),
        ({"day": "2026-02-30"}, "day", "no day of the calendar"),
        ({"state": "nope"}, "state", "must be one of sent, edited"),
        ({"authorId": "not an id"}, "authorId", "must be the id of a User"),
        ({"tags": ["a"]}, "tags", "can only be compared with null"),
        ({"tags": {"contains": 1}}, "tags", "must be text"),
        ({"ratios": {"contains": 1}}, "ratios", "can't be searched"),
        ({"json": {"==": {}}}, "json", "can only be compared with null"),
        ({"json": {"in": [1]}}, "json", "can't stand in a list"),
        ({"body": {"contains": "\0"}}, "body", "NUL"),
        ({"body": {"startsWith": "\ud800"}}, "body", "surrogates"),
    ],
)
def test_wrong_filters_name_their_field(where: Any, field: str, message: str) -> None:
    """An unknown field or operator and a value of the wrong type are refused by name."""
    error = refused(where)
    assert message in error.message
    assert error.details["field"] == field


def test_private_and_unknown_are_refused_in_the_same_words() -> None:
    """Nobody can tell a field that he may not see from one that does not exist."""

    def words(error: InvalidArgument, name: str) -> tuple[Any, ...]:
        wire = error.to_wire()
        return (wire["message"].replace(name, "X"), wire["details"]["field"] == name,
                wire.get("hint"), sorted(wire))  # fmt: skip

    private, unknown = refused({"secret": "a"}), refused({"zzzzz": "a"})
    hidden = refused({"channelId": "a"}, hidden=frozenset({"channelId"}))
    assert words(private, "secret") == words(unknown, "zzzzz") == words(hidden, "channelId")
    for op in ({"like": 1}, {"==": []}, {}):
        assert refused({"secret": op}).message == "Message has no field secret"


def test_a_slip_in_a_name_is_told_with_the_nearest_one() -> None:
    """The hint names a field that may be asked for, never a private or hidden one."""
    assert refused({"chanelId": "a"}).hint == "did you mean channelId?"
    assert refused({"chanelId": "a"}, hidden=frozenset({"channelId"})).hint is None
    assert refused({"secre": "a"}).hint is None


def test_filters_are_bounded() -> None:
    """At most 100 terms, 8 levels, and 1,000 items in a list."""
    compile_filter({"or": [{"count": 1}] * limits.FILTER_TERMS_MAX}, entity=MESSAGE)
    assert "100 terms" in refused({"or": [{"count": 1}] * (limits.FILTER_TERMS_MAX + 1)}).message
    where: dict[str, Any] = {"count": 1}
    for _ in range(limits.FILTER_DEPTH_MAX - 1):
        where = {"not": where}
    compile_filter(where, entity=MESSAGE)
    assert "8 levels" in refused({"not": where}).message
    compile_filter({"count": {"in": [1] * limits.FILTER_LIST_MAX}}, entity=MESSAGE)
    assert "1000 items" in refused({"count": {"in": [1] * 1001}}).message


# --- expressions -------------------------------------------------------------------------


def selected(text: str, args: dict[str, Any] | None = None, **values: Any) -> bool | None:
    """Return what a filter expression says of the row."""
    compiled = compile_filter_text(text, entity=MESSAGE, schema=SCHEMA, args=args)
    return compiled.predicate(caller("u1"), {**ROW, **values}, now=NOW)


def text_refused(text: str, args: dict[str, Any] | None = None) -> InvalidArgument:
    """Return what is said of a wrong filter expression."""
    with pytest.raises(InvalidArgument) as caught:
        compile_filter_text(text, entity=MESSAGE, schema=SCHEMA, args=args)
    return caught.value


@pytest.mark.parametrize(
    ("text", "args", "wanted"),
    [
        ("count == 3 and data.open", {}, True),
        ("count > args.least", {"least": 2}, True),
        ("sentAt >= args.since", {"since": "2026-11-23T13:00:00+01:00"}, True),
        ("sentAt > args.since - days(1)", {"since": NOW}, True),
        ("day == args.day", {"day": "2026-11-23"}, True),
        ("price == args.price", {"price": "1.50"}, True),
        ("state in args.states", {"states": ["sent"]}, True),
        ("state not in args.states", {"states": ["sent"]}, False),
        ("state not in args.states", {"states": ["edited", None]}, None),
        ("count in args.counts", {"counts": []}, False),
        ("open == args.open", {"open": True}, True),
        ("args.open", {"open": True}, True),
        ("contains(tags, args.tag)", {"tag": "a"}, True),
        ("startsWith(channelId, lower(args.part))", {"part": "C"}, True),
        ("authorId == auth.userId", {}, True),
    ],
)
def test_expressions_select(text: str, args: dict[str, Any], wanted: bool | None) -> None:
    """A bare name is a field; an argument takes the type of what it stands beside."""
    assert selected(text, args) is wanted


@pytest.mark.parametrize(
    "text",
    [
        "count == args.x", "count != args.x", "!(count < args.x)", "count in [args.x]",
        "args.x in [1]", "args.x in tags", "count in args.x", "contains(tags, args.x)",
        "startsWith(channelId, args.x)", "sentAt > args.x - days(1)", "args.x", "len(args.x) == 1",
        "lower(args.x) == 'a'", "exists Membership(channelId == args.x)",
        "exists Membership(channelId in args.x)",
    ],
)  # fmt: skip
def test_an_argument_that_is_null_is_absent(text: str) -> None:
    """What compares an absent argument is unknown, and so selects nothing."""
    assert selected(text, {"x": None}) is None


def test_whether_an_argument_is_null_can_be_asked() -> None:
    """Absence is asked for with the literal."""
    assert selected("args.x == null || count == args.x", {"x": None}) is True
    assert selected("args.x == null || count == args.x", {"x": 4}) is False


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        ("count = 3", {}, "write =="),
        ("cout == 3", {}, "did you mean count?"),
        ("count == args.x", {}, "there is no argument x"),
        ("count == args.lest", {"least": 1}, "did you mean least?"),
        ("count == args.x", {"x": "3"}, "number is never equal to text"),
        ("count == args.x", {"x": {}}, "no type that a policy can compare"),
        ("count in args.x", {"x": [[1]]}, "more than plain values"),
        ("sentAt > args.x", {"x": "yesterday"}, "must be a time"),
        ("count == args.x", {"x": float("nan")}, "not finite"),
        ("body == args.x", {"x": "\0"}, "NUL"),
        ("count in args.x", {"x": [1] * 1001}, "more than 1000 items"),
        ("old.count == 1", {}, "old exists in update policies only"),
    ],
)
def test_wrong_expressions_are_refused(text: str, args: dict[str, Any], message: str) -> None:
    """A mistake in an expression is the caller's, with its caret."""
    assert message in text_refused(text, args).message


def test_private_and_unknown_expressions_are_refused_in_the_same_words() -> None:
    """In expressions too a private field is one that does not exist, also inside an exists."""
    private = text_refused("secret == 'a'")
    assert "Message has no field secret" in private.message
    assert private.hint is None
    assert "secret" not in str(text_refused("secre == 'a'").hint)
    looked_at = text_refused("exists Membership(channelId == channelId, secret == 'a')").message
    assert "Membership has no field secret" in looked_at


def test_a_filter_asks_nothing_of_a_caller_it_does_not_name() -> None:
    """Filter objects are the same for everybody."""
    compiled = compile_filter({"count": 3}, entity=MESSAGE)
    assert compiled.class_key(caller("u1")) == compiled.class_key(ANONYMOUS)
