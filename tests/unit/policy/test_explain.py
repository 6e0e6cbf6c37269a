"""Explanations: the tree with its values, the node that decided, what is shown of other rows."""

from __future__ import annotations

import pytest

from pylon.identity import ANONYMOUS
from pylon.policy.scene import Sight
from pylon.schema.model import Access
from tests.unit.policy.looked_at import member, why
from tests.unit.policy.schemas import NOW, caller, row

MEMBER = "exists Membership(channelId == data.channelId, userId == auth.userId, role == 'owner')"
U1 = caller("u1", "editor")
MESSAGE = row(authorId="u7", channelId="c1", state="sent", count=3, big=2**60, price=150,
              sentAt=NOW, secret="hush")  # fmt: skip


def test_the_whole_answer() -> None:
    """Verdict, policy as written, each node with its answer and values, who decided, the flip."""
    text = f"isOwner()  ||  {MEMBER}"
    found = why(text, U1, MESSAGE, member("m1", "c1", "u1", "member")).to_json()
    tree = found.pop("tree")
    decided = f"data.authorId == auth.userId || {MEMBER}"
    assert found == {
        "allowed": False, "entity": "Message", "id": "m1", "access": "read", "policy": text,
        "decided_by": decided, "flip": "would pass if role of the Membership m1 were 'owner'",
    }  # fmt: skip
    owner, exists = tree.pop("items")
    assert tree == {"kind": "any", "text": decided, "value": "false", "decides": True}
    assert owner == {
        "kind": "test", "text": "data.authorId == auth.userId", "value": "false",
        "operands": {"data.authorId": "u7", "auth.userId": "u1"},
        "flip": "would pass if data.authorId were 'u1'",
    }  # fmt: skip
    assert exists == {
        "kind": "exists", "text": MEMBER, "value": "false",
        "operands": {"data.channelId": "c1", "auth.userId": "u1"},
        "nearest": {"id": "m1", "channelId": "c1", "userId": "u1", "role": "member"},
        "misses": ["role == 'owner'"],
        "flip": "would pass if role of the Membership m1 were 'owner'",
    }  # fmt: skip


def test_the_row_that_matched_is_shown() -> None:
    """An exists that holds names its row."""
    found = why(MEMBER, U1, MESSAGE, member("m9", "c1", "u1", "owner")).to_json()
    assert found["allowed"] is True
    assert "flip" not in found
    match = {"id": "m9", "channelId": "c1", "userId": "u1", "role": "owner"}
    assert found["tree"]["match"] == match


def test_of_near_rows_the_callers_own_is_nearest() -> None:
    """Of rows that satisfy as many filters, the one that names the caller is shown."""
    others = [member(f"m{n}", "c1", f"u{n}", "owner") for n in range(2, 6)]
    found = why(MEMBER, U1, MESSAGE, *others, member("mine", "c1", "u1", "member"))
    witness = found.tree.witness
    assert witness is not None
    assert (witness.row_id, witness.misses) == ("mine", ("role == 'owner'",))


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("true && data.count == 4 && false", "data.count == 4"),
        ("data.body == 'x' && false", "false"),
        ("data.body == 'x' && true", "data.body == 'x'"),
        ("false || data.count == 3 || true", "data.count == 3"),
        ("!(data.count == 3)", "!(data.count == 3)"),
        ("!(data.count == 4 || data.count == 3)", "data.count == 3"),
        ("false || data.body == 'x'", "data.body == 'x'"),
        ("data.count == 4 || hasRole('x')", "data.count == 4 || hasRole('x')"),
        ("data.count == 3 && hasRole('editor')", "data.count == 3 && hasRole('editor')"),
        ("data.count in [1, null]", "data.count in [1, null]"),
    ],
)
def test_the_first_node_that_settles_it_decides(text: str, decided: str) -> None:
    """One false of an and, one true of an or; where all were needed, all decide."""
    assert why(text, U1, MESSAGE).decided_by.text == decided


def test_values_have_the_form_that_clients_know() -> None:
    """Decimals and large integers are texts, absent values are null, lists are lists."""
    text = (
        "data.price > 1 && data.big > 1 && data.body == 'x' && 'x' in auth.roles"
        " && len(auth.roles) > 3 && data.sentAt + hours(1) > now && (data.count == 3) == true"
    )
    steps = why(text, U1, MESSAGE).tree.items
    assert [dict(one.values) for one in steps] == [
        {"data.price": "1.50"}, {"data.big": str(2**60)}, {"data.body": None},
        {"auth.roles": ["editor"]}, {"len(auth.roles)": 1},
        {"data.sentAt": NOW, "now - hours(1)": "2026-11-23T11:00:00.000Z"}, {},
    ]  # fmt: skip
    assert [one.answer for one in steps] == [True, True, None, False, False, True, True]
    assert steps[-1].items[0].text == "data.count == 3"


def test_a_write_shows_the_gate_that_it_failed_at() -> None:
    """Not signed in, not readable, disabled: these come before the policy and are shown then."""
    found = why("true", ANONYMOUS, MESSAGE, access=Access.INSERT)
    assert [one.label for one in found.tree.items] == ["signed in", ""]
    found = why("true", U1, MESSAGE, access=Access.DELETE, read="isOwner()")
    assert [(one.label, one.answer) for one in found.tree.items] == [
        ("may read", False),
        ("", True),
    ]
    assert found.decided_by.text == "data.authorId == auth.userId"
    assert why("true", U1, MESSAGE, access=Access.DELETE).tree.text == "true"
    found = why("true", U1, MESSAGE, is_disabled=True)
    assert not found.is_allowed
    assert found.tree.items[0].label == "the account is disabled"


def test_an_update_shows_both_images() -> None:
    """Before and after stand apart where they differ, and as one where nothing would change."""
    mine = row(authorId="u1")
    found = why("isOwner()", U1, mine, access=Access.UPDATE, after={**mine, "authorId": "u2"})
    assert [(one.label, one.answer) for one in found.tree.items] == [
        ("before", True), ("after", False)
    ]  # fmt: skip
    assert why("isOwner()", U1, mine, access=Access.UPDATE).tree.label == ""
    spoken = why("old.authorId == new.authorId", U1, mine, access=Access.UPDATE,
                 after={**mine, "authorId": "u2"})  # fmt: skip
    assert spoken.tree.label == "before and after"
    assert dict(spoken.tree.values) == {"old.authorId": "u1", "new.authorId": "u2"}


def test_what_the_reader_may_not_see_is_not_there() -> None:
    """Hidden fields show as hidden, rows that may not be read are neither match nor nearest."""
    sight = Sight(hidden=frozenset({"secret"}), may_see=lambda *_: False)
    found = why("data.secret == 'x'", U1, MESSAGE, sight=sight).to_json()
    assert found["tree"]["operands"] == {"data.secret": "(hidden)"}
    for role in ("owner", "member"):
        found = why(MEMBER, U1, MESSAGE, member("m1", "c1", "u1", role), sight=sight).to_json()
        assert "match" not in found["tree"]
        assert "nearest" not in found["tree"]
        assert "m1" not in str(found["tree"])
    private = "exists Membership(channelId == data.channelId, secret == 'psst')"
    near = member("m1", "c1", "u1", secret="other")
    seen = why(private, U1, MESSAGE, near, sight=Sight(hides_private=True)).tree.witness
    assert seen is not None
    assert dict(seen.values)["secret"] == "(hidden)"


def test_an_error_while_evaluating_denies_and_is_shown() -> None:
    """A row that no insert could have made: unknown, with what went wrong."""
    broken = {**MESSAGE, "count": "three"}
    found = why("data.count > 1", U1, broken)
    assert not found.is_allowed
    assert found.tree.answer is None
    assert "TypeError" in str(found.tree.error)
