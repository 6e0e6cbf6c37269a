"""What each kind of step means for the code of an app: what breaks, what may, what is slower."""

from __future__ import annotations

import pytest

from pylon.app.affected import Verdict, affected
from pylon.app.handlers import pieces_of
from pylon.schema.diff import diff
from tests.unit.app.conftest import Load

NOTE = """
@app.entity(read="true")
class Box(Entity):
    label: str = "b"

@app.entity(read="true")
class Note(Entity):
    title: str = "t"
    rank: int = 0
    state: Literal["new", "old"] = "new"
    text: str | None = None
"""
CODE = """
def label(row):
    return row.label

@app.query
def ranked(ctx) -> int:
    return sum(one.rank for one in ctx.db.list(Note, where={"state": "old"}, order=["title"]))

@app.mutation
def add(ctx, text: str) -> None:
    ctx.db.insert(Note, title=text, state="old")

@app.mutation
def clear(ctx, note: str) -> None:
    ctx.db.update(Note, note, text=None)

@app.query
def labels(ctx) -> list[str]:
    return [label(one) for one in ctx.db.list(BOX)]

@app.on_start
async def warm(ctx) -> None:
    await ctx.run(ranked)

BOX = Box
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('    title: str = "t"\n', "",
         {"ranked breaks orders by Note.title", "add breaks writes Note.title"}),
        ('title: str = "t"', 'heading: str = field(default="t", renamed_from="title")',
         {"ranked breaks orders by Note.title", "add breaks writes Note.title"}),
        ("rank: int = 0", 'rank: str = "0"', {"ranked look at reads Note.rank"}),
        ("text: str | None = None", "text: str",
         {"add breaks inserts Note without text", "clear breaks writes null to Note.text"}),
        ("text: str | None = None", 'text: str = ""', {"clear breaks writes null to Note.text"}),
        ("text: str | None = None", "text: str | None = None\n    more: str",
         {"add breaks inserts Note without more"}),
        ("text: str | None = None", "text: str | None = None\n    more: str | None = None", set()),
        ('Literal["new", "old"]', 'Literal["new"]',
         {"ranked breaks filters by Note.state 'old'", "add breaks writes Note.state 'old'"}),
        ('title: str = "t"', 'title: str = field(default="t", private=True)',
         {"ranked breaks orders by Note.title"}),
        ('    label: str = "b"\n', '    name: str = "b"\n',
         {"labels may break reads a label, maybe of Box"}),
        ('title: str = "t"', 'title: str = "t"\n    by_rank = index("rank")', set()),
    ],
)  # fmt: skip
def test_each_step_names_the_code_that_it_concerns(
    load: Load, old: str, new: str, wanted: set[str]
) -> None:
    """And no other code; the app is the next one, which still says what it said before."""
    before = load(NOTE + CODE).schema
    after = load(NOTE.replace(old, new) + CODE)
    known = {*before.entities, *after.schema.entities}
    found = affected(diff(before, after.schema), pieces_of(after, known), after.schema)
    assert {f"{one.name} {one.verdict.value} {one.what}" for one in found} == wanted
    assert [one.verdict for one in found] == sorted(
        (one.verdict for one in found), key=list(Verdict).index
    )


def test_an_index_that_goes_makes_slower_what_asked_by_it(load: Load) -> None:
    """Unless another one begins with the same field."""
    indexed = NOTE.replace(
        "    text: str | None", '    by_title = index("title")\n    text: str | None'
    )
    before, after = load(indexed + CODE).schema, load(NOTE + CODE)
    (one,) = affected(diff(before, after.schema), pieces_of(after, {"Note"}), after.schema)
    assert (one.name, one.verdict) == ("ranked", Verdict.SLOWER)
    wide = load(
        NOTE.replace(
            "    text: str | None", '    by_both = index("title", "rank")\n    text: str | None'
        )
        + CODE
    )
    assert not affected(diff(before, wide.schema), pieces_of(wide, {"Note"}), wide.schema)


def test_an_entity_that_goes_breaks_what_names_it_also_beside_the_app(load: Load) -> None:
    """A function by a name that is not there any more, seed.py, and a data migration."""
    before = load(NOTE).schema
    gone = load(
        NOTE.split("@app.entity")[2].join(["@app.entity", ""])
        + '@app.query\ndef boxes(ctx) -> int:\n    return ctx.db.count("Box")\n'
    )
    (gone.root / "seed.py").write_text("def seed(ctx):\n    ctx.db.insert('Box', label='x')\n")
    late = gone.root / "migrations" / "0001_x.py"
    late.parent.mkdir()
    late.write_text(
        "from app import Box\ndef migrate(ctx):\n    for b in ctx.db.list(Box):\n        pass\n"
    )
    pieces = pieces_of(gone, set(before.entities), [late])
    found = affected(diff(before, gone.schema), pieces, gone.schema)
    places = {(one.kind, one.name): one.place for one in found}
    assert places.pop(("query", "boxes")) is not None
    assert places == {
        ("seed", "seed.py"): "seed.py:2",
        ("data migration", "migrations/0001_x.py"): "migrations/0001_x.py:3",
    }
    assert {one.verdict for one in found} == {Verdict.BREAKS}


def test_a_source_that_was_saved_half_written_is_said_to_be_unread(load: Load) -> None:
    """Nothing is claimed of it."""
    app = load(NOTE + CODE)
    (app.root / "app.py").write_text("def (:")
    pieces = pieces_of(app, set(app.schema.entities))
    assert all(one.is_unread and not one.mentions for one in pieces)


def test_code_that_cannot_be_analysed_is_said_to_be_unread(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    """The other pieces are read all the same; the log has what went wrong."""
    deep = f"@app.query\ndef deep(ctx) -> int:\n    row = ctx.db{'[0]' * 1_200}\n    return 1\n"
    app = load(NOTE + CODE + deep)
    pieces = pieces_of(app, set(app.schema.entities))
    assert {one.name for one in pieces if one.is_unread} == {"deep"}
    assert "app.code_not_read query deep" in caplog.text
    assert "RecursionError" in caplog.text


def test_what_only_looks_like_a_module_is_not_asked_for_its_name(load: Load) -> None:
    """Its name may be anything, and asking for it may do anything."""
    odd = """
class Odd:
    __name__ = []

    def __getattr__(self, name):
        raise SystemExit

    def run(self):
        return 1

ODD = Odd()

@app.query
def odd(ctx) -> int:
    return ODD.run() + ctx.db.count(Note)
"""
    app = load(NOTE + CODE + odd)
    (one,) = [each for each in pieces_of(app, {"Note"}) if each.name == "odd"]
    assert not one.is_unread
    assert {each.entity for each in one.mentions if each.entity} == {"Note"}
