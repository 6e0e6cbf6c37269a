"""Reading along: where in an expression one is after some words, and what its names are."""

from __future__ import annotations

import pytest

from pylon.policy.completing import Known, Machine, State, Typed, known_of, read, tokens_of
from pylon.policy.ir import TypeKind

KNOWN = Known("Task", {
    "Task": {"title": Typed(TypeKind.TEXT), "rank": Typed(TypeKind.NUMBER),
             "state": Typed(TypeKind.TEXT, ("open", "done")), "at": Typed(TypeKind.DATETIME)},
    "Note": {"taskId": Typed(TypeKind.TEXT)},
})  # fmt: skip


def after(text: str) -> Machine:
    """Return the machine behind a text, its last name taken as whole."""
    tokens = tokens_of(text)
    assert tokens is not None
    machine = read(tokens, KNOWN)
    machine.settle()
    return machine


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", State.VALUE), ("rank", State.AFTER), ("rank >", State.VALUE), ("rank > 3", State.DONE),
        ("rank > 3 &&", State.VALUE), ("auth.", State.DOT), ("auth.userId", State.AFTER),
        ("title not", State.NOT_IN), ("title not in ['a'", State.DONE), ("rank in []", State.DONE),
        ("at < now -", State.UNIT), ("at < now - days(3)", State.DONE),
        ("at + hours(1)", State.AFTER), ("lower(title)", State.AFTER), ("isOwner()", State.DONE),
        ("startsWith(title,", State.VALUE), ("startsWith(title, 'a')", State.DONE),
        ("exists", State.EXISTS), ("exists Note", State.EXISTS_OPEN),
        ("exists Note(", State.EXISTS_FIELD), ("exists Note(taskId", State.EXISTS_OP),
        ("exists Note(taskId == id", State.BROKEN), ("exists Note(taskId == title)", State.DONE),
        ("!(rank > 3)", State.DONE), ("nothing", State.BROKEN), ("rank > 3 4", State.BROKEN),
        ("exists Note(wrong", State.BROKEN), (")", State.BROKEN), ("rank, ", State.BROKEN),
        ("auth.(", State.BROKEN), ("rank # a comment\n", State.AFTER),
    ],
)  # fmt: skip
def test_words_lead_where_the_grammar_says(text: str, state: State) -> None:
    """And to nowhere where they are none of it."""
    assert after(text).state is state


def test_what_stands_on_the_left_is_known_on_the_right() -> None:
    """By its type and its choices, in a list and behind brackets too."""
    for text in ("state ==", "state in [", "state in ['open',", "(rank > 3 && state !="):
        left = after(text).left
        assert left is not None, text
        assert left.choices == ("open", "done")
    assert after("rank > 3 &&").left is None


def test_words_are_told_apart_and_what_is_open_stays_open() -> None:
    """Texts that do not end, comments, and characters that mean nothing."""
    assert [kind for kind, _, _ in tokens_of("a=='x' ") or ()] == [
        "name",
        "sign",
        "string",
        "space",
    ]
    assert (tokens_of("a == 'x") or ())[-1] == ("open", "'x", 5)
    assert tokens_of("a # b") is None
    assert tokens_of("a ~ b") is None


def test_private_fields_are_not_known_and_new_kinds_are_opaque() -> None:
    """A filter can't name the one; of the other it can ask whether it is there."""
    field = {"ref": None, "choices": [], "default": "actor", "private": False}
    fields = [{**field, "name": "a", "kind": "int"}, {**field, "name": "b", "kind": "vector"},
              {**field, "name": "c", "kind": "str", "private": True, "default": None}]  # fmt: skip
    known = known_of([{"name": "One", "fields": fields}], "One")
    assert {name: one.kind for name, one in known.fields["One"].items()} == {
        "id": TypeKind.TEXT, "a": TypeKind.NUMBER, "b": TypeKind.OPAQUE,
    }  # fmt: skip
    assert known.owned == frozenset()
