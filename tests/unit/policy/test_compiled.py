"""What is compiled: three values, fail closed, classes of callers, and what a policy looks at."""

from __future__ import annotations

import logging

import pytest

from pylon.identity import ANONYMOUS
from pylon.policy.compiled import PolicySet, no_lookup
from pylon.schema.model import Access
from tests.unit.policy.schemas import NOW, answer, caller, policy, row

MEMBER = "exists Membership(channelId == data.channelId, userId == auth.userId)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("data.body == 'a'", None), ("data.body != 'a'", None), ("!(data.body == 'a')", None),
        ("data.body == data.body", None), ("data.body == null", True), ("data.body != null", False),
        ("data.body in []", None), ("data.body not in []", None), ("data.count in []", False),
        ("data.count in [1, null]", True), ("data.count in [2, null]", None),
        ("data.count not in [2, null]", None), ("data.count not in [2]", True),
        ("data.open", None), ("!data.open", None), ("data.open || true", True),
        ("data.open && false", False), ("data.open && true", None), ("data.open || false", None),
        ("lower(data.body) == null", True), ("len(data.body) > 0", None),
        ("startsWith(data.body, '')", None), ("contains(data.tags, 'a')", None),
        ("'a' in data.tags", None), ("lower('ÀB') == 'Àb'", True),
    ],
)  # fmt: skip
def test_three_values(text: str, wanted: bool | None) -> None:
    """An absent operand makes unknown, and unknown stays unknown under not."""
    assert answer(text, count=1) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("auth.userId == data.authorId", None), ("auth.userId != data.authorId", None),
        ("!(auth.userId == data.authorId)", None), ("auth.userId == null", True),
        ("auth.userId != null", False), ("hasRole('admin')", False), ("!hasRole('admin')", True),
        ("auth.isAdmin", False), ("auth.email == 'a'", None), ("isOwner()", None),
        (MEMBER, None), (f"!{MEMBER}", None), ("'a' in auth.roles", False),
    ],
)  # fmt: skip
def test_an_anonymous_caller_is_equal_to_nothing(text: str, wanted: bool | None) -> None:
    """Nobody owns nothing: not even a row without owner, and not through a negation."""
    assert answer(text, ANONYMOUS, authorId=None, channelId="c") is wanted


def test_text_is_compared_by_its_bytes() -> None:
    """Order is that of UTF-8: an astral character comes after every other one."""
    assert answer("data.body > '\uff5e'", body="\U0001f600") is True
    assert answer("data.body > 'Z'", body="a") is True


def test_an_error_is_unknown_denies_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong while evaluating denies, and the log names policy and row."""
    compiled = policy(MEMBER)
    message = row(channelId="c")
    with caplog.at_level(logging.ERROR, "pylon.policy"):
        found = compiled.predicate(caller("u1"), message, now=NOW, lookup=no_lookup)
    assert found is None
    assert not compiled.allows(caller("u1"), message, now=NOW)
    assert "policy.failed Message.read denied, row m1" in caplog.text


def test_missing_is_denied() -> None:
    """An entity without a policy for an access is closed for it."""
    denied = PolicySet({}).get("Message", Access.READ)
    assert not denied.allows(caller("u1", "admin"), row(), now=NOW)
    assert denied.clause(caller("u1"), alias="t", now=NOW).text == "0"


def test_classes_of_callers() -> None:
    """Callers who get equal answers for every row share a key; roles reduce to one bool."""
    signed_in = policy("auth.userId != null && hasRole('a')")
    assert signed_in.class_key(caller("u1", "a", "b")) == signed_in.class_key(caller("u2", "a"))
    assert signed_in.class_key(caller("u1")) != signed_in.class_key(caller("u1", "a"))
    owner = policy("isOwner()")
    assert owner.class_key(caller("u1")) != owner.class_key(caller("u2"))
    open_to_all = policy("data.open")
    assert open_to_all.class_key(caller("u1")) == open_to_all.class_key(ANONYMOUS)


def test_claims_of_different_types_are_different_callers() -> None:
    """A claim of 1 and one of true are not mixed up, though Python holds them equal."""
    compiled = policy("auth.claims.paid == true")
    assert not compiled.allows(caller("u1", paid=1), row(), now=NOW)
    assert compiled.allows(caller("u1", paid=True), row(), now=NOW)
    assert not compiled.allows(caller("u1", paid=1), row(), now=NOW)
    assert compiled.class_key(caller("u1", paid=1)) != compiled.class_key(caller("u1", paid=True))


def test_what_a_policy_looks_at() -> None:
    """Its exists, whether it uses the time, and whether it names both images."""
    compiled = policy(f"{MEMBER} || !({MEMBER}) || data.sentAt < now - days(1)")
    assert [node.entity for node in compiled.exists] == ["Membership"]
    assert compiled.uses_now
    assert not compiled.speaks_of_both_images
    assert not policy("data.open").uses_now


def test_missing_indexes_are_advice() -> None:
    """A field that an exists is keyed by wants an index, or a change of view is found slowly."""
    assert policy(MEMBER).warnings == ()
    assert policy("exists User(id == data.authorId)").warnings == (), "a Ref has an index"
    (advice,) = policy("exists User(id == data.body)").warnings
    assert 'Message has no index that begins with body: add by_body = index("body")' in advice
    assert policy("exists User(id == data.body)", Access.DELETE).warnings == ()


def test_an_exists_that_moves_everything_is_advice() -> None:
    """Nothing of the row keys it, or only what clients do not have."""
    for text in ("exists Membership(channelId == 'a')", "exists User(id == data.secret)"):
        (advice,) = policy(text).warnings
        assert "all rows of Message read anew by everybody" in advice


def test_clauses_depend_on_the_text_alone() -> None:
    """Callers differ in parameters, never in SQL; no value of anybody becomes SQL."""
    compiled = policy("auth.userId == data.authorId && data.body == '\"; DROP TABLE x'")
    one = compiled.clause(caller("'; --"), alias="t", now=NOW)
    other = compiled.clause(ANONYMOUS, alias="t", now=NOW)
    assert one.text == other.text
    assert "DROP" not in one.text
    assert one.params == ("'; --", '"; DROP TABLE x')
    assert other.params == (None, '"; DROP TABLE x')


def test_doubles_have_no_form_over_images() -> None:
    """A double in stored JSON is not read back to the last bit: the predicate is asked."""
    assert policy("data.ratio > 1").image_clause(caller("u1"), column="i", now=NOW) is None
    assert policy("data.count > 1").image_clause(caller("u1"), column="i", now=NOW) is not None


def test_both_images_have_no_clause() -> None:
    """A policy over old and new can't be asked of a table, which holds one image."""
    compiled = policy("old.open && new.open", Access.UPDATE)
    with pytest.raises(AssertionError):
        compiled.clause(caller("u1"), alias="t", now=NOW)
    with pytest.raises(AssertionError):
        compiled.image_clause(caller("u1"), column="i", now=NOW)
