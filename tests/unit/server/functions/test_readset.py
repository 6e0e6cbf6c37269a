"""What a run looked at: which changes count, and for whom it would have ended the same."""

from __future__ import annotations

from typing import Any

import pytest

from pylon import limits_live
from pylon.identity import ANONYMOUS, SYSTEM, Identity, IdentityKind
from pylon.policy.compiled import CompiledPolicy, compile_policy
from pylon.policy.filters import compile_filter, compile_filter_text
from pylon.schema.model import Access, Entity, Field, FieldKind, Index, Schema
from pylon.server.functions.readset import ReadSet, pins_of
from pylon.server.storage.select import OrderTerm

MEMBER = Entity(
    name="Member",
    fields=(Field(name="room", kind=FieldKind.STR), Field(name="userId", kind=FieldKind.STR),
            Field(name="seen", kind=FieldKind.INT, nullable=True)),
    indexes=(Index(name="by_room", fields=("room", "userId")),),
)  # fmt: skip
MESSAGE = Entity(
    name="Message",
    fields=(Field(name="room", kind=FieldKind.STR), Field(name="n", kind=FieldKind.INT)),
)
SCHEMA = Schema(entities={"Member": MEMBER, "Message": MESSAGE})


def _user(name: str, *roles: str, **claims: Any) -> Identity:
    return Identity(
        kind=IdentityKind.USER, user_id=name, roles=frozenset(roles), claims=claims or {}
    )


def _policy(text: str) -> CompiledPolicy:
    return compile_policy(text, entity=MESSAGE, access=Access.READ, schema=SCHEMA)


def _message(row_id: str, **values: Any) -> dict[str, Any]:
    return {"id": row_id, "room": "a", "n": 1, "_seq": 1, **values}


def _concerns(reads: ReadSet, entity: str, before: Any, after: Any) -> bool:
    found = reads.entities.get(entity)
    image = after or before
    return found is not None and found.concerns(image["id"], before, after)


def test_a_row_by_its_id_counts_before_there_is_one() -> None:
    """Asking for a row that is missing is a question too."""
    reads = ReadSet()
    reads.note_row("Message", "m")
    assert _concerns(reads, "Message", None, _message("m"))
    assert not _concerns(reads, "Message", None, _message("other"))


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (None, {"n": 5}, True), ({"n": 5}, None, True), ({"n": 5}, {"n": 1}, True),
        ({"n": 1}, {"n": 5}, True), ({"n": 5}, {"n": 6}, True), ({"n": 1}, {"n": 2}, False),
        (None, {"n": 5, "room": "b"}, False), ({"n": 5, "room": "b"}, {"n": 5}, True),
    ],
)  # fmt: skip
def test_a_selection_counts_what_enters_leaves_and_stays(
    before: Any, after: Any, counts: bool
) -> None:
    """Both images are asked; a row that was and is outside changes nothing."""
    reads = ReadSet()
    selected = compile_filter({"room": "a", "n": {">=": 3}}, entity=MESSAGE)
    reads.note_selection("Message", None, selected, ANONYMOUS)
    made = [None if one is None else _message("m", **one) for one in (before, after)]
    assert _concerns(reads, "Message", *made) is counts


@pytest.mark.parametrize(
    ("order", "last", "before", "after", "counts"),
    [
        (("n",), 5, None, 6, False), (("n",), 5, None, 4, True), (("n",), 5, 5, 6, True),
        (("n",), 5, 6, 5, True), (("n",), 5, 6, 7, False), (("n",), 5, 9, None, False),
        (("n",), None, None, 900, True), (("-n",), 5, None, 4, False), (("-n",), 5, None, 6, True),
        (("-n",), 5, 4, 3, False), (("-n",), 5, 4, 5, True), (("-n",), 5, 5, None, True),
    ],
)  # fmt: skip
def test_behind_the_last_row_of_a_full_list_nothing_counts(
    order: tuple[str, ...], last: int | None, before: Any, after: Any, counts: bool
) -> None:
    """What stands behind it before and after; a list that is not full has no end."""
    reads = ReadSet()
    terms = (*(OrderTerm(one.lstrip("-"), one[0] == "-") for one in order), OrderTerm("id"))
    reads.note_selection(
        "Message", None, None, ANONYMOUS, terms,
        None if last is None else _message("m", n=last),
    )  # fmt: skip
    made = [None if one is None else _message("m", n=one) for one in (before, after)]
    assert _concerns(reads, "Message", *made) is counts


def test_of_equal_values_the_id_decides_what_stands_behind() -> None:
    """As in the list itself."""
    reads = ReadSet()
    order = (OrderTerm("n", descending=True), OrderTerm("id"))
    reads.note_selection("Message", None, None, ANONYMOUS, order, _message("m"))
    assert _concerns(reads, "Message", None, _message("a"))
    assert not _concerns(reads, "Message", None, _message("z"))


def test_rows_that_a_policy_hides_before_and_after_do_not_count() -> None:
    """Where it looks at nothing but the row and its reader."""
    reads = ReadSet()
    reads.note_selection("Message", _policy("data.n > 3 || hasRole('chief')"), None, _user("a"))
    assert not _concerns(reads, "Message", _message("m", n=1), _message("m", n=2))
    assert _concerns(reads, "Message", _message("m", n=1), _message("m", n=4))
    chief = ReadSet()
    chief.note_selection(
        "Message", _policy("data.n > 3 || hasRole('chief')"), None, _user("a", "chief")
    )
    assert _concerns(chief, "Message", _message("m", n=1), _message("m", n=2))


def test_a_policy_pins_what_its_reader_can_see() -> None:
    """Rows that the policy can never let through do not count; the pin is a fact of the caller."""
    reads = ReadSet()
    reads.note_selection("Message", _policy("data.room == auth.userId"), None, _user("a"))
    assert _concerns(reads, "Message", None, _message("m"))
    assert not _concerns(reads, "Message", None, _message("m", room="b"))


def test_only_what_must_be_equal_is_a_pin() -> None:
    """An alternative pins nothing, nor does a comparison with what is absent."""
    assert pins_of(_policy("data.room == 'a' && data.n == 1"), ANONYMOUS) == {"room": "a", "n": 1}
    assert pins_of(_policy("data.room == 'a' || data.n == 1"), ANONYMOUS) == {}
    assert pins_of(_policy("!(data.room == 'a')"), ANONYMOUS) == {}
    assert pins_of(_policy("data.room == auth.userId"), ANONYMOUS) == {}


def test_an_exists_is_pinned_to_caller_and_filter() -> None:
    """Memberships of others, and of rooms that the filter does not select, do not count."""
    reads = ReadSet()
    policy = _policy("exists Member(room == data.room, userId == auth.userId)")
    reads.note_selection("Message", policy, compile_filter({"room": "a"}, entity=MESSAGE),
                         _user("ann"))  # fmt: skip
    row = {"id": "x", "room": "a", "userId": "ann", "seen": None}
    assert _concerns(reads, "Member", None, row)
    assert _concerns(reads, "Member", row, {**row, "userId": "ben"})
    assert not _concerns(reads, "Member", row, {**row, "seen": 7})
    assert not _concerns(reads, "Member", None, {**row, "userId": "ben"})
    assert not _concerns(reads, "Member", None, {**row, "room": "b"})


def test_a_filter_that_looks_elsewhere_is_asked_by_its_pins_alone() -> None:
    """What an `exists` of a filter decides is not known of one row."""
    reads = ReadSet()
    selected = compile_filter_text(
        "n == 1 && exists Member(room == room)", entity=MESSAGE, schema=SCHEMA
    )
    reads.note_selection("Message", None, selected, ANONYMOUS)
    assert _concerns(reads, "Message", None, _message("m", n=1))
    assert not _concerns(reads, "Message", None, _message("m", n=2))
    assert _concerns(reads, "Member", None, {"id": "x", "room": "z", "userId": "q", "seen": None})


def test_too_much_of_one_entity_is_all_of_it() -> None:
    """Beyond the limit any change counts, and nothing more is kept of that entity."""
    reads = ReadSet()
    for number in range(limits_live.LIVE_READS_MAX):
        reads.note_row("Message", f"m{number}")
    assert not _concerns(reads, "Message", None, _message("other"))
    for number in range(5):
        reads.note_row("Message", f"n{number}")
    assert _concerns(reads, "Message", None, _message("other"))
    assert len(reads.entities["Message"].rows) <= 5


def _is_same_for(reads: ReadSet, first: Identity, other: Identity) -> bool:
    return reads.asked.of(first) == reads.asked.of(other)


def test_callers_are_alike_for_as_long_as_nothing_tells_them_apart() -> None:
    """Facts that were asked decide; those that were not do not."""
    ann, ben, chief = _user("ann"), _user("ben"), _user("ann", "chief")
    reads = ReadSet()
    assert _is_same_for(reads, ann, ANONYMOUS)
    assert not _is_same_for(reads, ann, SYSTEM)
    reads.note_sign_in()
    assert not _is_same_for(reads, ann, ANONYMOUS)
    assert _is_same_for(reads, ann, ben)
    reads.note_asked(_policy("hasRole('chief')"))
    assert _is_same_for(reads, ann, ben)
    assert not _is_same_for(reads, ann, chief)
    reads.note_asked(_policy("data.room == auth.userId"))
    assert not _is_same_for(reads, ann, ben)


def test_what_the_function_saw_of_its_caller_tells_apart() -> None:
    """`ctx.auth` shows user, address, roles and claims; equal ones are one caller."""
    reads = ReadSet()
    reads.note_caller()
    assert _is_same_for(reads, _user("ann", "chief"), _user("ann", "chief"))
    assert not _is_same_for(reads, _user("ann"), _user("ben"))
    assert not _is_same_for(reads, _user("ann"), _user("ann", "chief"))
    assert not _is_same_for(reads, _user("ann", vip=True), _user("ann", vip=1))


def test_one_and_true_are_two_answers() -> None:
    """A claim of 1 and one of true are equal in Python, and not the same fact."""
    reads = ReadSet()
    reads.note_asked(_policy("auth.claims.n == data.n"))
    assert _is_same_for(reads, _user("ann", n=1), _user("ben", n=1))
    assert not _is_same_for(reads, _user("ann", n=1), _user("ben", n=1.0))


def test_what_uses_the_time_is_timed() -> None:
    """A policy over `now` turns without a write."""
    reads = ReadSet()
    assert not reads.is_timed
    reads.note_time()
    assert reads.is_timed
