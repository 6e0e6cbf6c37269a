"""`pylon export` and `pylon import`: rows out and in again, beside a runtime and without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon.cli import importing
from pylon.cli.main import cli
from pylon.errors import Unavailable
from pylon.server.offline_rows import export_rows
from tests.conftest import Serve

APP = """
from __future__ import annotations
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from pylon import App, BigInt, Entity, File, Ref, field, unique

app = App("tree")


@app.entity(read="true", insert="true", update="true")
class Leaf(Entity):
    twig: Ref["Twig"]
    name: str
    size: int = 0
    price: Decimal | None = field(default=None, scale=2)
    big: BigInt | None = None
    heavy: float = 0.5
    kind: Literal["green", "red"] = "green"
    is_new: bool = True
    day: date | None = None
    at: datetime | None = None
    tags: list[str] = []
    facts: dict | None = None
    secret: str | None = field(default=None, private=True)
    photo: File | None = None
    made: str = field(default="x", immutable=True)


@app.entity(read="true", insert="true", update="true")
class Twig(Entity):
    name: str
    parent: Ref["Twig"] | None = None
    best: Ref["Leaf"] | None = None

    by_name = unique("name")
"""
TWIGS = [
    {"id": "a", "name": "late parent", "parent": "z", "best": "l1"},
    {"id": "z", "name": "root", "parent": "z", "best": None},
]
LEAVES = [
    {
        "id": "l1", "twig": "a", "name": '"quoted" =1+1', "size": 7, "price": "12.30",
        "big": "9007199254740993", "heavy": 0.1, "kind": "red", "is_new": False,
        "day": "2026-01-02", "at": "2026-01-02T03:04:05.678Z", "tags": ["x", "y,\n\"z\""],
        "facts": {"deep": [1, None]}, "secret": "s", "photo": None, "made": "by hand",
    },
    {
        "id": "l2", "twig": "z", "name": "", "size": 0, "heavy": -1e-7, "kind": "green",
        "is_new": True, "tags": [], "made": "x",
    },
]  # fmt: skip


def _lines(path: Path, *, order: str = "twigs first") -> Path:
    twigs = [{"_entity": "Twig", **one} for one in TWIGS]
    leaves = [{"_entity": "Leaf", **one} for one in LEAVES]
    rows = twigs + leaves if order == "twigs first" else leaves + twigs
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    return _project(tmp_path / "tree")


def _project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    _said(folder, "migrate", str(folder), "--apply")
    return folder


def _said(project: Path, *arguments: str, code: int = 0) -> str:
    named = () if arguments[0] == "migrate" else ("--project", str(project))
    asked = CliRunner().invoke(cli, [*arguments, *named])
    assert asked.exit_code == code, (asked.output, asked.exception)
    return asked.output or getattr(asked.exception, "message", str(asked.exception))


def _log(project: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project / ".pylon" / "app.db")) as database:
        return database.execute("SELECT entity, row_id, kind, cause FROM _pylon_log").fetchall()


@pytest.mark.parametrize("order", ["twigs first", "leaves first"])
def test_what_was_exported_comes_back_the_same(project: Path, tmp_path: Path, order: str) -> None:
    """All kinds of field, ids, private ones, rings; in any order; as changes in the log."""
    given = _lines(tmp_path / "in.jsonl", order=order)
    assert "4 rows inserted" in _said(project, "import", str(given))
    out, other = tmp_path / "out.jsonl", _project(tmp_path / "other")
    assert "2 Leaf, 2 Twig" in _said(project, "export", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    leaf = next(one for one in rows if one["id"] == "l1")
    assert leaf == {"_entity": "Leaf", **LEAVES[0]}
    assert "4 rows inserted" in _said(other, "import", str(out))
    assert _said(other, "export").splitlines() == out.read_text().splitlines()
    assert {cause for *_, cause in _log(other)} == {"import"}


def test_an_array_comes_back_the_same(project: Path, tmp_path: Path) -> None:
    """By its name or by `--format`; one of rows that do not say their entity takes the name's."""
    _said(project, "import", str(_lines(tmp_path / "in.jsonl")))
    out, other = tmp_path / "out.json", _project(tmp_path / "other")
    assert "2 Leaf, 2 Twig" in _said(project, "export", str(out))
    rows = json.loads(out.read_text())
    assert rows == [json.loads(one) for one in _said(project, "export").splitlines()]
    assert "4 rows inserted" in _said(other, "import", str(out))
    assert _said(other, "export", "--format", "json") == out.read_text()
    _said(other, "export", str(tmp_path / "none.json"), "--entity", "Leaf", "--where", "size > 99")
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert "0 rows inserted" in _said(other, "import", str(tmp_path / "none.json"))
    twigs, lines = tmp_path / "twig.json", tmp_path / "lines.json"
    bare = [{"id": "n", "name": "née"}, {"id": "m", "name": "m"}]
    twigs.write_text(json.dumps(bare, indent=2, ensure_ascii=False))
    assert "2 rows inserted" in _said(other, "import", str(twigs))
    # Files of this name had JSON lines once.
    lines.write_text('{"_entity":"Twig","id":"o","name":"o"}\n')
    assert "1 row inserted" in _said(other, "import", str(lines))


def test_a_table_comes_back_the_same(project: Path, tmp_path: Path) -> None:
    """CSV keeps nulls, empty texts, JSON, numbers and lines in cells apart."""
    _said(project, "import", str(_lines(tmp_path / "in.jsonl")))
    out, other = tmp_path / "leaf.csv", _project(tmp_path / "other")
    _said(project, "export", str(out), "--entity", "Leaf")
    _said(project, "export", str(tmp_path / "twig.jsonl"), "--entity", "Twig")
    text = (tmp_path / "twig.jsonl").read_text().replace('"best":"l1"', '"best":null')
    (tmp_path / "twig.jsonl").write_text(text)
    _said(other, "import", str(tmp_path / "twig.jsonl"))
    assert "2 rows inserted" in _said(other, "import", str(out), "--entity", "Leaf")
    for one in (project, other):
        _said(one, "export", str(tmp_path / f"{one.name}.jsonl"), "--entity", "Leaf")
    assert (tmp_path / "tree.jsonl").read_text() == (tmp_path / "other.jsonl").read_text()


def test_a_filter_picks_rows_and_wrong_ones_are_told(project: Path, tmp_path: Path) -> None:
    """`--where` in the policy language; unknown words and names are refused."""
    _said(project, "import", str(_lines(tmp_path / "in.jsonl")))
    found = _said(project, "export", "--entity", "Leaf", "--where", "size > 3")
    assert [json.loads(line)["id"] for line in found.splitlines()] == ["l1"]
    assert "size" in _said(project, "export", "--entity", "Leaf", "--where", "sise > 3", code=1)
    assert "no entity Lef" in _said(project, "export", "--entity", "Lef", code=1)
    assert "one --entity" in _said(project, "export", "--where", "size > 3", code=2)
    there = tmp_path / "in.jsonl"
    assert "there already" in _said(project, "export", str(there), code=1)


def test_an_export_that_nobody_reads_to_its_end_ends_quietly(project: Path, tmp_path: Path) -> None:
    """As `pylon export | head` does; the database is free again."""
    _said(project, "import", str(_lines(tmp_path / "in.jsonl")))

    def use(_: Any, rows: Any) -> None:
        next(rows)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        asyncio.run(export_rows(project, [], None, use))
    assert len(_said(project, "export").splitlines()) == 4


def test_a_mistake_is_told_by_its_line_and_nothing_of_its_part_is_kept(
    project: Path, tmp_path: Path
) -> None:
    """The file, the line, what is wrong; the rows before it in the part are not there."""
    path = _lines(tmp_path / "in.jsonl")
    with path.open("a") as stream:
        stream.write('\n{"_entity":"Twig","id":"b","name":7}\n')
    said = _said(project, "import", str(path), code=1)
    assert f"{path}:6: name must be" in said
    assert _log(project) == []
    for wrong, message in (
        ("[]", "a row is an object"), ('{"_entity":"Twg"}', "no entity Twg"),
        ('{"_entity":"Leaf","name":"x","twig":"a"}', "defaults are the app's"),
        ('{"_entity":"Twig","name":"x","parent":"nobody"}', "there is no Twig with this id"),
        (json.dumps({**LEAVES[1], "_entity": "Leaf", "twig": "nobody"}), "there is no Twig"),
    ):  # fmt: skip
        path.write_text(wrong)
        assert f"{path}:1: " in (said := _said(project, "import", str(path), code=1))
        assert message in said
    path.write_text("id,name\nq,hi\nr\n")
    assert f"{path}:3: 1 cells" in _said(
        project, "import", str(path), "--format", "csv", "--entity", "Twig", code=1
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b'\n{"name": }\n', ":2:10: no JSON: Expecting value", "import the file again"),
        (b'  {"name": }\n', ":1:12: no JSON", "import the file again"),
        (b'{"name":"caf\xe9"}\n', ":1:13: not UTF-8", "save the file as UTF-8"),
        (b"[1]\n", ":1: a row is an object", "one to a line"),
        (b'id,name\nq,"hi\nr,x\n', ":2: no CSV: a quote is opened in this row", "stands in quotes"),
        (b'id,name\nq,hi\nr,"h"i\n', ":3: no CSV: ", "written twice"),
        (b"id,name\nq\n", ":2: 1 cells", "an empty cell has its comma"),
        (b"id,caf\xe9\n", ":1: not UTF-8", "save the file as UTF-8"),
        (b"id,name\nq,x\nr,caf\xe9\n", ":3: not UTF-8", "save the file as UTF-8"),
        (b"id,name,name\n", ":1: the first line", "mend the first line"),
    ],
    ids=["JSON", "indented", "latin", "list", "open", "quote", "cells", "head", "cell", "heads"],
)
def test_a_file_that_is_broken_is_told_by_place_and_what_to_do(
    project: Path, tmp_path: Path, text: bytes, message: str, hint: str
) -> None:
    """The line, the column where there is one, and how to mend it."""
    path = tmp_path / ("in.jsonl" if text.lstrip().startswith((b"{", b"[")) else "in.csv")
    path.write_bytes(text)
    asked = CliRunner().invoke(
        cli, ["import", str(path), "--entity", "Twig", "--project", str(project)]
    )
    assert asked.exit_code == 1
    assert f"{path}{message}" in asked.output
    assert hint in asked.output


def test_a_file_may_have_the_name_of_what_its_rows_are_of(project: Path, tmp_path: Path) -> None:
    """In any case, in both formats; --entity goes first, and what a line says itself."""
    leaf = json.dumps({"_entity": "Leaf", **LEAVES[1], "twig": "a"})
    for name, text in (
        ("twig.jsonl", f'\n{{"id":"a","name":"a"}}\n{leaf}\n'),
        ("TWIG.csv", "id,name\nb,b\n"),
    ):
        (tmp_path / name).write_text(text)
        _said(project, "import", str(tmp_path / name))
    other = tmp_path / "leaf.jsonl"
    other.write_text('{"id":"c","name":"c"}\n')
    assert "twig is required" in _said(project, "import", str(other), code=1)
    assert "1 row inserted" in _said(project, "import", str(other), "--entity", "Twig")
    assert {(entity, row) for entity, row, *_ in _log(project)} == {
        ("Twig", "a"), ("Leaf", "l2"), ("Twig", "b"), ("Twig", "c"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "-"])
def test_rows_of_nobody_knows_what_are_refused_with_what_there_is(
    project: Path, tmp_path: Path, name: str
) -> None:
    """A file that says it in its first line says it in all of them."""
    path = name if name == "-" else str(tmp_path / name)
    text = "id,name\na,a\n" if name.endswith("csv") else '{"id":"a","name":"a"}\n'
    if name != "-":
        Path(path).write_text(text)
    asked = CliRunner().invoke(cli, ["import", path, "--project", str(project)], input=text)
    assert asked.exit_code == 1
    assert f"neither the rows of {path} nor its name say what they are of" in asked.output
    assert "give --entity, one of: Leaf, Twig" in asked.output
    twig = tmp_path / "twig.jsonl"
    twig.write_text('{"_entity":"Twig","id":"a","name":"a"}\n{"id":"b","name":"b"}\n')
    assert "twig.jsonl:2: the line does not say its entity" in _said(
        project, "import", str(twig), code=1
    )
    assert _log(project) == []


def test_the_same_file_is_imported_once(project: Path, tmp_path: Path) -> None:
    """What came before is left; --update changes rows that are there, and only what differs."""
    path = _lines(tmp_path / "in.jsonl")
    _said(project, "import", str(path))
    head = len(_log(project))
    assert "4 of them came from this file before" in _said(project, "import", str(path))
    assert "there is a Twig a already" in _said(project, "import", str(path), "--again", code=1)
    assert "0 rows inserted, 0 updated, 4 as" in _said(project, "import", str(path), "--update")
    assert len(_log(project)) == head
    path.write_text(path.read_text().replace("late parent", "early parent"))
    assert "0 rows inserted, 1 updated, 3 as" in _said(project, "import", str(path), "--update")


def test_an_import_that_was_cut_off_goes_on(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is there once, though the answer to a part that was stored never came."""
    path = tmp_path / "many.jsonl"
    rows = [{"_entity": "Twig", "name": f"t{n}"} for n in range(700)]  # no ids: these are minted
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    send, count = importing._Sender._send_parts, 0

    async def cut(self: Any, *args: Any, **keywords: Any) -> int:
        nonlocal count
        count += 1
        done = await send(self, *args, **keywords)
        if count == 2:
            raise Unavailable("gone")
        return done

    monkeypatch.setattr(importing._Sender, "_send_parts", cut)
    _said(project, "import", str(path), code=1)
    stored = len(_log(project))
    assert 0 < stored < 700
    # However many are sent at once the next time: a part is the same part.
    assert f"{700 - stored} rows inserted" in _said(project, "import", str(path))
    assert len(_log(project)) == 700


async def test_beside_a_runtime_live_clients_get_every_row(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through its admin surface, while somebody writes; what was exported meanwhile is whole."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))

    async def pylon(*arguments: str) -> str:
        return await asyncio.to_thread(_said, served.project, *arguments)

    path = tmp_path / "many.jsonl"
    rows = [{"_entity": "Twig", "id": f"t{n}", "name": f"t{n}"} for n in range(1_000)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    told, *inserted = await asyncio.gather(
        pylon("import", str(path), "--json"),
        *(ada.insert("Twig", name=f"live {n}") for n in range(20)),
    )
    assert json.loads(told)["inserted"] == 1_000
    assert len(inserted) == 20
    exported = (await pylon("export", "--entity", "Twig")).splitlines()
    assert len(exported) == 1_020
    path.write_text('{"id":"plain","twig":"t1","name":"with what the app fills in"}')
    await pylon("import", str(path), "--entity", "Leaf")
    leaf = json.loads(await pylon("export", "--entity", "Leaf"))
    assert (leaf["size"], leaf["kind"], leaf["made"]) == (0, "green", "x")
    path.write_text('{"_entity":"Leaf","id":"plain","made":"by foot"}')
    with pytest.raises(AssertionError, match="made is set on insert only"):
        await pylon("import", str(path), "--update")
    page = await ada.get("/api/entities/Twig?limit=1000")
    assert len(page.body["rows"]) == 1_000


def test_the_next_start_shows_everything_anew(project: Path, tmp_path: Path) -> None:
    """Slices can't be derived without the app, so it is not taken for granted what clients saw."""
    with closing(sqlite3.connect(project / ".pylon" / "app.db")) as database:
        database.execute("INSERT OR REPLACE INTO _pylon_meta VALUES ('read_meanings', '{}')")
        database.commit()
    _said(project, "import", str(_lines(tmp_path / "in.jsonl")))
    with closing(sqlite3.connect(project / ".pylon" / "app.db")) as database:
        assert not database.execute(
            "SELECT 1 FROM _pylon_meta WHERE key = 'read_meanings'"
        ).fetchall()
