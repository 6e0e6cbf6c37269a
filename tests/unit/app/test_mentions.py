"""What a function's source names of the schema, and what it leaves unsaid."""

from __future__ import annotations

import ast

import pytest

from pylon.app.mentions import Mention, Use, mentions_of, names_in
from pylon.app.source import FunctionSource, ModuleSource

ENTITIES = ("Note", "Box")


def mentions(body: str) -> list[Mention]:
    """Return the mentions of a function with this body."""
    text = "def f(ctx, x):\n" + "\n".join(f"    {one}" for one in body.splitlines())
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    source = FunctionSource(ModuleSource("app.py", text.splitlines()), node)
    return mentions_of(source, lambda name: name if name in ENTITIES else None)


def named(body: str) -> set[str]:
    """Return fields that are named of a known entity, each with its use."""
    return {
        f"{one.use.value} {one.entity}.{one.field}"
        for one in mentions(body)
        if one.entity and one.field
    }


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("ctx.db.list(Note, where={'a': 1})", {"filters by Note.a"}),
        ("ctx.db.list(Note, {'a': 1}, ['-b', 'c'])",
         {"filters by Note.a", "orders by Note.b", "orders by Note.c"}),
        ("ctx.db.list('Note', order='-b')", {"orders by Note.b"}),
        ("ctx.db.count(Note, where={'or': [{'a': 1}, {'not': {'b': {'>': 2}}}]})",
         {"filters by Note.a", "filters by Note.b"}),
        ("w = {'a': 1}\nctx.db.list(Note, where=w)", {"filters by Note.a"}),
        ("ctx.db.list(Note, where='a == args.q && exists Box(noteId == data.id, kind == b)')",
         {"filters by Note.a", "filters by Note.id", "filters by Note.b", "filters by Box.noteId",
          "filters by Box.kind"}),
        ("ctx.db.first(Note, a=x)", {"filters by Note.a"}),
        ("ctx.db.insert(Note, a=x, b=1)", {"writes Note.a", "writes Note.b"}),
        ("ctx.db.update(Note, x, a=x)", {"writes Note.a"}),
        ("db = ctx.db\nreturn db.get(Note, x).a", {"reads Note.a"}),
        ("rows = ctx.db.list(Note)\nreturn [one.a for one in sorted(rows)]", {"reads Note.a"}),
        ("for one in ctx.db.list(Note)[:3]:\n    print(one['a'])", {"reads Note.a"}),
        ("one = ctx.db.get(Note, x) or ctx.db.first(Note, b=1)\nreturn getattr(one, 'a')",
         {"filters by Note.b", "reads Note.a"}),
        ("last = [one for one in ctx.db.list(Note)][0]\nreturn last.a", {"reads Note.a"}),
        ("(models := ctx.db).list(Other, where={'a': 1})", set()),
        ("x.list(Note, where={'a': 1})", set()),
        ("ctx.db.list(Note, where='a ==')", set()),
    ],
)  # fmt: skip
def test_fields_are_named_with_what_is_done_to_them(body: str, wanted: set[str]) -> None:
    """Filters as objects and as text, orders, writes, and what is read of rows."""
    assert named(body) == wanted


def test_what_is_read_of_something_unknown_is_said_to_be_of_nobody() -> None:
    """Its name is known, of what it is is not."""
    (one,) = mentions("return x.title")
    assert (one.use, one.entity, one.field) == (Use.READS, None, "title")


def test_an_insert_says_which_fields_it_gives_where_it_says_so() -> None:
    """With `**values` it does not."""
    given = [
        one.given
        for one in mentions("ctx.db.insert(Note, a=1)\nctx.db.insert(Note, **x)")
        if one.use is Use.INSERTS
    ]
    assert given == [frozenset({"a"}), None]


def test_texts_and_null_are_kept_and_places_are_lines() -> None:
    """So that a choice that is gone, and null where there must be a value, are found."""
    found = {
        one.field: one for one in mentions("ctx.db.insert(\n    Note, a='old',\n    b=None, c=x)")
    }
    assert found["a"].value == "old"
    assert found["b"].value is None
    assert found["c"].value is ...
    assert (found["a"].position.line, found["b"].position.line) == (3, 4)


def test_an_expression_names_the_row_through_data_and_bare() -> None:
    """Not the caller, the arguments or the time."""
    text = "data.a == auth.userId && (b in args.c || !(d < now - days(3)))"
    assert set(names_in(text, "Note")) == {("Note", "a"), ("Note", "b"), ("Note", "d")}
