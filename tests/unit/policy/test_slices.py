"""What a change of a looked-at row moves: derived from the policy, exact, and collapsed."""

from __future__ import annotations

from typing import Any

import pytest

from pylon import limits
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.policy.compiled import compile_policy
from pylon.policy.ir import Slot, SlotKind
from pylon.policy.reference import World, evaluate
from pylon.policy.slices import (
    Slice,
    SliceRule,
    by_looked_at,
    meaning_text,
    relaxed,
    rules_of,
    slice_from_json,
    slice_to_json,
    slices_of,
)  # fmt: skip
from pylon.schema.model import Access, Entity, Field, FieldKind, Index, Schema

USER = Slot(SlotKind.USER_ID)
ANN = Identity(kind=IdentityKind.USER, user_id="ann")
_STR = FieldKind.STR


def _fields(*names: str, **special: Any) -> tuple[Field, ...]:
    plain = tuple(Field(name=name, kind=_STR, nullable=True) for name in names)
    return (*plain, *(Field(name=name, **given) for name, given in special.items()))


ITEM = Entity(
    name="Item",
    fields=_fields(
        "ch", "owner", secret={"kind": _STR, "private": True},
        guarded={"kind": _STR, "read": "true"}, n={"kind": FieldKind.INT},
        ratio={"kind": FieldKind.FLOAT},
    ),
)  # fmt: skip
MEMBER = Entity(
    name="Member",
    fields=_fields("ch", "user", "role", "email", n={"kind": FieldKind.INT, "nullable": True}),
    indexes=tuple(Index(name=one, fields=(one,)) for one in ("ch", "user", "role", "n", "email")),
)
SCHEMA = Schema(entities={one.name: one for one in (ITEM, MEMBER)})


def _condition(text: str) -> Any:
    return compile_policy(text, entity=ITEM, access=Access.READ, schema=SCHEMA).condition


def _rule(filters: str) -> SliceRule:
    (rule,) = rules_of(ITEM, _condition(f"exists Member({filters})"))
    return rule


def _row(**values: Any) -> dict[str, Any]:
    return {"id": "m", "ch": "a", "user": "ann", "role": "e", "n": None, "email": None, **values}


def _moved(filters: str, before: Any, after: Any) -> list[Any]:
    return [
        (dict(where), {slot.kind.value: value for slot, value in who})
        for where, who in _rule(filters).moved(before, after)
    ]


KEYED = "ch == data.ch, user == auth.userId"


def test_what_comes_and_goes_moves_its_slice() -> None:
    """The rows with the key of the looked-at row, for the caller whom it names."""
    moved = [({"ch": "a"}, {"user_id": "ann"})]
    assert _moved(KEYED, None, _row()) == moved
    assert _moved(KEYED, _row(), None) == moved


def test_both_images_move_their_slice() -> None:
    """What was shown by the row before, and what is by the row after."""
    assert _moved(KEYED, _row(), _row(ch="b")) == [
        ({"ch": "a"}, {"user_id": "ann"}), ({"ch": "b"}, {"user_id": "ann"})
    ]  # fmt: skip


def test_what_contributes_the_same_moves_nothing() -> None:
    """A change of a field that no filter names is no slice."""
    assert _moved(KEYED, _row(), _row(n=7)) == []


def test_a_literal_decides_whether_a_row_counts() -> None:
    """Coming to pass it, or no longer passing it, is a slice; never passing it is none."""
    filters = f"{KEYED}, role in ['e', 'o'], n > 2"
    moved = [({"ch": "a"}, {"user_id": "ann"})]
    assert _moved(filters, _row(n=3), _row(n=2)) == moved
    assert _moved(filters, _row(n=3, role="o"), _row(n=3)) == []
    assert _moved(filters, None, _row()) == []
    assert _moved(f"{KEYED}, n == null", _row(n=1), _row()) == moved
    assert _moved(f"{KEYED}, role != 'e'", _row(role="x"), _row()) == moved


def test_what_narrows_nothing_moves_where_it_differs() -> None:
    """A comparison that gives no key makes the slice larger, and any change of it moves."""
    filters = f"{KEYED}, n >= data.n"
    assert _rule(filters).others == ("n",)
    assert _moved(filters, _row(n=1), _row(n=2)) == [({"ch": "a"}, {"user_id": "ann"})]
    assert _moved(filters, _row(n=1), _row(n=1, role="x")) == []


@pytest.mark.parametrize("name", ["secret", "guarded"])
def test_a_field_that_clients_lack_is_no_key(name: str) -> None:
    """They could not tell which rows are meant, so the slice is all of them."""
    rule = _rule(f"user == data.{name}")
    assert rule.data == ()
    assert rule.others == ("user",)
    assert list(rule.moved(_row(), _row(user="bob"))) == [((), ())]


def test_values_that_clients_compare_otherwise_are_no_key() -> None:
    """An integer beside a double would be rounded on its way."""
    assert _rule("n == data.ratio").data == ()
    assert _rule("n == data.n").data == (("n", "n"),)


def test_a_key_with_an_absent_part_is_nobodys() -> None:
    """Null equals nothing, and nothing equals two values at once."""
    assert _moved(KEYED, None, _row(user=None)) == []
    assert _moved("ch == data.ch, role == data.ch", None, _row()) == []
    assert _moved("user == auth.userId, ch == data.ch, role == auth.userId", None, _row()) == []


def test_claims_name_callers_too() -> None:
    """By the claim's value in the type that it is compared in."""
    ((where, who),) = _rule("ch == data.ch, role == auth.claims.team").moved(None, _row())
    made = Slice("Item", where, (who,))
    team = Identity(kind=IdentityKind.USER, user_id="bob", claims={"team": "e"})
    slots = frozenset(slot for slot, _ in who)
    assert made.names(team, slots)
    assert not made.names(ANN, slots)
    assert slice_from_json("Item", slice_to_json(made)) == made


def test_keys_of_two_exists_do_not_cancel_out() -> None:
    """Each is asked alone: what one loses another may gain, and both moved."""
    condition = _condition(f"exists Member({KEYED}, role == 'e') && !exists Member({KEYED}, "
                           "role == 'x')")  # fmt: skip
    rules = by_looked_at(rules_of(ITEM, condition))
    assert slices_of(rules, [("Member", _row(), _row(role="x"))]) == [
        Slice("Item", (("ch", "a"),), (((USER, "ann"),),))
    ]


def test_a_transaction_names_callers_together() -> None:
    """Equal slices of one transaction are one, whoever is concerned; of too many, everybody."""
    rules = by_looked_at([_rule(KEYED)])

    def made(count: int) -> Slice:
        (found,) = slices_of(rules, [("Member", None, _row(user=f"u{n}")) for n in range(count)])
        return found

    assert made(2).who == (((USER, "u0"),), ((USER, "u1"),))
    assert len(made(limits.SLICE_WHO_MAX).who or ()) == limits.SLICE_WHO_MAX
    assert made(limits.SLICE_WHO_MAX + 1).who is None


def test_too_many_slices_are_one_of_everything() -> None:
    """A transaction that moves very much moves the entity."""
    rules = by_looked_at([_rule(KEYED)])
    changes = [("Member", None, _row(ch=f"c{n}")) for n in range(limits.SLICES_PER_ENTITY_MAX + 1)]
    assert slices_of(rules, changes) == [Slice("Item", (), None)]
    assert len(slices_of(rules, changes[1:])) == limits.SLICES_PER_ENTITY_MAX


def test_whoever_no_policy_asks_about_is_not_named() -> None:
    """A fact that the policy of now does not ask for was named by one of before."""
    made = Slice("Item", (), (((USER, "ann"),),))
    assert made.names(ANN, frozenset((USER,)))
    assert not made.names(ANN, frozenset())
    assert Slice("Item", (), None).names(ANONYMOUS, frozenset())


@pytest.mark.parametrize(
    ("text", "could_be"),
    [
        (f"exists Member({KEYED})", True),
        (f"!exists Member({KEYED})", True),
        (f"data.owner == auth.userId && exists Member({KEYED})", False),
        (f"data.owner == auth.userId || !(exists Member({KEYED}) || data.ch == 'a')", False),
        (f"!(exists Member({KEYED}) && data.ch == 'a')", True),
        ("exists Member(ch == data.owner, role == 'e')", False),
        ("(exists Member(ch == data.ch)) == true", True),
    ],
)
def test_each_exists_is_free_to_be_either(text: str, could_be: bool) -> None:
    """Only what else stands in the policy, and an absent right-hand side, says no."""
    row = {"id": "i", "ch": "a", "owner": None, "secret": None, "guarded": None, "n": 1}
    world = World(identity=ANN, data=row, now="", lookup=_nobody_asks)
    assert (evaluate(relaxed(_condition(text)), world) is True) is could_be
    nobody = World(identity=ANONYMOUS, data=row, now="", lookup=_nobody_asks)
    if "auth.userId" in text and "data.ch == 'a')" not in text:
        assert evaluate(relaxed(_condition(text)), nobody) is not True


def _nobody_asks(*_: Any) -> bool:
    raise AssertionError("no exists is asked")


def test_a_meaning_is_its_own_however_it_is_spelled() -> None:
    """Space, comments and the two spellings of a word mean the same; another literal does not."""
    one = meaning_text(_condition("data.ch == 'a' && auth.userId != null"))
    assert one == meaning_text(_condition("data.ch=='a' # so\n and auth.userId != null"))
    assert one != meaning_text(_condition("data.ch == 'b' && auth.userId != null"))


def test_one_more_choice_changes_no_meaning() -> None:
    """What a field may hold is not who may see it."""
    texts = set()
    for choices in (("a",), ("a", "b")):
        field = Field(name="state", kind=FieldKind.ENUM, choices=choices)
        entity = Entity(name="Item", fields=(field,))
        schema = Schema(entities={"Item": entity})
        policy = compile_policy(
            "data.state == 'a'", entity=entity, access=Access.READ, schema=schema
        )
        texts.add(meaning_text(policy.condition))
    assert len(texts) == 1
