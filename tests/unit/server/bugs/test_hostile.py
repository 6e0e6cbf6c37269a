"""A report that a stranger wrote: bounded, kept inside its folder, and never run."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon import limits_keeping
from pylon.app.loader import load_app
from pylon.cli.main import cli
from pylon.server.bugs import archive
from pylon.server.bugs.archive import BugUnreadable
from pylon.server.bugs.replaying import Replayed, read_bug, replay_bug
from pylon.server.bugs.stand_in import stand_in_app

FIELD: dict[str, Any] = {
    "name": "text", "kind": "str", "nullable": False, "private": False, "choices": [], "ref": None,
    "on_delete": "restrict", "scale": 0, "item": None, "bounds": {}, "search": False,
}  # fmt: skip
ESCAPE = "\x1b[31m\u202e"


def _schema(name: str = "Note", **field: Any) -> dict[str, Any]:
    return {name: {"fields": [{**FIELD, **field}], "indexes": []}}


def _change(number: int = 5, **given: Any) -> dict[str, Any]:
    return {
        "seq": number, "tx": number, "at": 1_700_000_000_000, "kind": "insert", "entity": "Note",
        "id": f"n{number}", "values": {"text": "walk"}, "user": None, "cause": "http", **given,
    }  # fmt: skip


def _job(**given: Any) -> dict[str, Any]:
    return {
        "id": "j1", "name": "polish", "state": "dead", "at": "2026-11-29T12:00:00.000Z",
        "args": {}, "user": None, "attempt": 1, "cause": None, "error": "E", "traceback": None,
        **given,
    }  # fmt: skip


def _lines(values: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in values)


def _report(
    folder: Path, *, schema: Any = None, changes: list[dict[str, Any]] | None = None,
    end: list[dict[str, Any]] | None = None, jobs: list[dict[str, Any]] | None = None,
    about: dict[str, Any] | None = None, more: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    changes = [_change()] if changes is None else changes
    if end is None:
        end = [{name: one[name] for name in ("entity", "id", "values")} for one in changes]
    parts = {
        archive.ABOUT: json.dumps(about or {"format": 1, "app": "shop"}),
        archive.SCHEMA: json.dumps(_schema() if schema is None else schema),
        archive.CHANGES: _lines(changes), archive.END: _lines(end),
        archive.FAILURES: json.dumps({"jobs": jobs or []}), **(more or {}),
    }  # fmt: skip
    path = folder / f"report{len(list(folder.iterdir()))}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in parts.items():
            made.writestr(name, text)
    return path


async def _replayed(path: Path, folder: Path) -> Replayed:
    return await replay_bug(read_bug(path), folder)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path_factory.mktemp("state")))


async def test_a_report_is_replayed_at_its_numbers(tmp_path: Path) -> None:
    """What a change was numbered it is again, though the numbers before it are of nothing."""
    done = await _replayed(_report(tmp_path), tmp_path / "p")
    assert (done.difference, done.first, done.changes) == ("", 5, 1)


@pytest.mark.parametrize(
    "name",
    ["../app.py", "/etc/passwd", "code/../app.py", "code/a/../../x.py", "code/.pylon/x.py",
     "code/app.py/", "code\\app.py", "code/a b.py", "code/x.sh", "code/__init__", "other.txt",
     ".env", "code/\u202eapp.py", "code/app.py\x00", "code//app.py"],
)  # fmt: skip
def test_no_part_lies_elsewhere(tmp_path: Path, name: str) -> None:
    """A part is one of the list, or code below the folder; any other refuses the file whole."""
    path = _report(tmp_path)
    with zipfile.ZipFile(path, "a") as made:
        info = zipfile.ZipInfo("x")
        info.filename = name
        made.writestr(info, "x")
    try:
        parts = archive.opened(path)
    except BugUnreadable:
        return
    assert set(parts) <= {*archive.PARTS, "code/app.py"}  # zipfile ends a name at NUL


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_in_one_step_is_not_unpacked(tmp_path: Path, packing: int) -> None:
    """A few hundred bytes of these become gigabytes before anybody can count them."""
    path = _report(tmp_path)
    with zipfile.ZipFile(path, "a", packing) as made:
        made.writestr(archive.START, "\n" * 1_000_000)
    with pytest.raises(BugUnreadable, match="packed as none is"):
        archive.opened(path)


def test_what_is_too_large_is_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb ends at the limit, whatever its head says; so do a large file and many parts."""
    path = _report(tmp_path, more={"runtime.log": "0" * 3_000_000})
    monkeypatch.setattr(limits_keeping, "BUG_UNPACKED_BYTES_MAX", 1_000_000)
    with pytest.raises(BugUnreadable, match="unpacks to more"):
        archive.opened(path)
    monkeypatch.setattr(limits_keeping, "BUG_PARTS_MAX", 3)
    with pytest.raises(BugUnreadable, match="more than 3 parts"):
        archive.opened(path)
    monkeypatch.setattr(limits_keeping, "BUG_FILE_BYTES_MAX", 10)
    with pytest.raises(BugUnreadable, match="too large"):
        archive.opened(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    """No zip, cut off, a part twice, a part missing, another format, no UTF-8, no JSON."""
    (tmp_path / "text").write_text("hello")
    whole = _report(tmp_path).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-30])
    (tmp_path / "bent").write_bytes(whole[:60] + b"\xff" * 40 + whole[100:])
    twice = _report(tmp_path)
    with zipfile.ZipFile(twice, "a") as made:
        made.writestr(archive.ABOUT, "{}")
    bad = [tmp_path / "nothing", tmp_path / "text", tmp_path / "cut", tmp_path / "bent", twice]
    bad += [
        _report(tmp_path, about={"format": 99}), _report(tmp_path, about={"format": [ESCAPE]}),
        _report(tmp_path, more={archive.SCHEMA: "[" * 100_000}),
        _report(tmp_path, more={archive.CHANGES: "nothing\n"}),
        _report(tmp_path, more={archive.CHANGES: "[]\n"}),
    ]  # fmt: skip
    for path in bad:
        with pytest.raises(BugUnreadable):
            read_bug(path)


@pytest.mark.parametrize(
    "schema",
    [
        _schema('Note"; DROP TABLE _pylon_log; --'), _schema("_pylon_log"), _schema("sqlite_x"),
        _schema("SQLite_x"), _schema(name="id") | {"Other": {"fields": [], "indexes": 7}},
        {"Note": {"fields": [FIELD, {**FIELD, "name": "TEXT"}], "indexes": []}},
        {"Note": {"fields": [], "indexes": []}, "note": {"fields": [], "indexes": []}},
        {"Note": {"fields": [{**FIELD, "name": 'a" TEXT, "b'}], "indexes": []}},
        {"Note": {"fields": [{**FIELD, "name": "id"}], "indexes": []}},
        {"Note": {"fields": [{**FIELD, "kind": "ref", "ref": "Nothing"}], "indexes": []}},
        {"Note": {"fields": [{**FIELD, "kind": "sql"}], "indexes": []}},
        {"Note": {"fields": [FIELD],
                  "indexes": [{"name": "x", "fields": ['t"'], "unique": False}]}},
        {"Note": {"fields": [{**FIELD, "kind": "enum", "choices": [1]}], "indexes": []}},
        [], {"Note": None}, {"Note": {}},
    ],
)  # fmt: skip
def test_a_schema_is_one_before_it_reaches_a_statement(tmp_path: Path, schema: Any) -> None:
    """Names are names, and everything refers to what is there."""
    with pytest.raises(BugUnreadable):
        read_bug(_report(tmp_path, schema=schema))


@pytest.mark.parametrize(
    "change",
    [_change(kind="slice"), _change(id="../x"), _change(id=7), _change(user="a b"),
     _change(at="now"), _change(seq=0), _change(tx=2**60), _change(values=[]),
     _change(entity=None), {"seq": 5}],
)  # fmt: skip
def test_a_change_is_one(tmp_path: Path, change: dict[str, Any]) -> None:
    """Its kind, number, time, ids and values have their forms."""
    with pytest.raises(BugUnreadable):
        read_bug(_report(tmp_path, changes=[change], end=[]))


@pytest.mark.parametrize(
    "job", [_job(name=""), _job(args=[]), _job(at="soon"), _job(attempt="many"), _job(user="a b")]
)
def test_a_job_is_one(tmp_path: Path, job: dict[str, Any]) -> None:
    """So is a job."""
    with pytest.raises(BugUnreadable):
        read_bug(_report(tmp_path, jobs=[job]))


def test_no_job_of_ours_comes_along(tmp_path: Path) -> None:
    """A mail that a stranger wrote is not sent by a press of `retry`."""
    path = _report(tmp_path, jobs=[_job(name="pylon.mail", args={"to": "eve@example.com"}), _job()])
    assert [one.name for one in read_bug(path).jobs] == ["polish"]


@pytest.mark.parametrize(
    ("changes", "end", "said"),
    [
        ([_change(values={"text": 7})], None, "change 5: it is refused"),
        ([_change(values={})], None, "change 5: it is refused"),
        ([_change(entity="Other")], None, "there is no entity Other"),
        ([_change(kind="update")], None, "there is no Note n5"),
        ([_change(), _change(6, id="n5")], None, "change 6: it is refused"),
        ([_change()], [{"entity": "Note", "id": "n5", "values": {"text": "ran"}}],
         'Note/n5 in the end: text was "ran", and is "walk"'),
        ([_change()], [{"entity": "Note", "id": "n5", "values": None}], "n5 in the end"),
        ([_change()], [], "0 rows changed, now 1"),
    ],
)  # fmt: skip
async def test_the_first_difference_is_told(
    tmp_path: Path, changes: list[dict[str, Any]], end: Any, said: str
) -> None:
    """A change that is refused, or that did something else, or a row that ended otherwise."""
    done = await _replayed(_report(tmp_path, changes=changes, end=end), tmp_path / "p")
    assert said in done.difference


async def test_a_pattern_is_not_asked(tmp_path: Path) -> None:
    """One that takes for ever takes no time: rows passed it where they were written."""
    schema = _schema(bounds={"pattern": "(a+)+b", "max_length": "100"})
    changes = [_change(values={"text": "a" * 60})]
    done = await _replayed(_report(tmp_path, schema=schema, changes=changes), tmp_path / "p")
    assert done.difference == ""


def test_an_app_of_the_schema_holds_no_code(tmp_path: Path) -> None:
    """Choices and names stand in it as literals; it loads, and every access is closed."""
    nasty = "');\n__import__('os').system('touch /tmp/x')#"
    schema = {
        "Note": {
            "fields": [
                {**FIELD, "kind": "enum", "choices": [nasty, '"']},
                {**FIELD, "name": "of", "kind": "ref", "ref": "Note", "nullable": True,
                 "on_delete": "set_null"},
                {**FIELD, "name": "cost", "kind": "decimal", "scale": 2, "bounds": {"min": "1.5"}},
                {**FIELD, "name": "tags", "kind": "list", "item": "str", "private": True},
            ],
            "indexes": [{"name": "cost", "fields": ["cost"], "unique": True},
                        {"name": "by", "fields": ["of", "cost"], "unique": False}],
        }
    }  # fmt: skip
    bug = read_bug(_report(tmp_path, schema=schema, changes=[]))
    project = tmp_path / "project"
    project.mkdir()
    (project / "app.py").write_text(stand_in_app(bug.schema))
    made = load_app(project, generation=0).schema.entities["Note"]
    assert made.by_name["text"].choices == (nasty, '"')
    assert [(one.name, one.unique) for one in made.indexes] == [("by", False), ("cost", True)]
    assert not made.policies


def test_commands_say_what_a_report_says_without_its_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its parts nor a difference steer the terminal; what is wrong ends with 1."""
    end = [{"entity": "Note", "id": "n5", "values": {"text": ESCAPE}}]
    path = _report(tmp_path, end=end, about={"format": 1, "app": f"../{ESCAPE}x"},
                   more={"code/app.py": f"# {ESCAPE}"})  # fmt: skip
    runner = CliRunner()
    shown = runner.invoke(cli, ["bug", "show", str(path), "code/app.py"])
    listed = runner.invoke(cli, ["bug", "show", str(path)])
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    done = runner.invoke(cli, ["bug", "replay", str(path), "--no-code"], standalone_mode=False)
    assert [one.name for one in here.iterdir()] == ["31mx-bug"]
    assert "Made by" in (here / "31mx-bug" / "app.py").read_text()
    assert (shown.exit_code, listed.exit_code, done.return_value) == (0, 0, 1)
    assert "replayed  differs: Note/n5 in the end" in done.output
    for one in (shown, listed, done):
        assert not {"\x1b", "\u202e"} & set(one.output)


def test_a_report_is_written_where_files_have_one_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, for its owner only, and never over something that is there."""

    def refused(*_: Any) -> None:
        raise PermissionError(1, "no links here")

    for link in (archive.os.link, refused):
        monkeypatch.setattr(archive.os, "link", link)
        target = tmp_path / f"{link.__name__}.zip"
        archive.write(target, b"one")
        with pytest.raises(FileExistsError):
            archive.write(target, b"two")
        assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"one", 0o600)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_one_left_is_no_report_that_is_there(tmp_path: Path) -> None:
    """Another process's half of a file is in nobody's way."""
    (tmp_path / f".a.zip.{os.getppid()}.partial").touch()
    (tmp_path / ".a.zip.partial").touch()
    archive.write(tmp_path / "a.zip", b"one")
    assert (tmp_path / "a.zip").read_bytes() == b"one"


def test_a_folder_that_is_there_is_left(tmp_path: Path) -> None:
    """Nothing is written into a folder with something in it, or through a link."""
    path = _report(tmp_path)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "app.py").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for into in (taken, link, path):
        done = CliRunner().invoke(cli, ["bug", "replay", str(path), "--into", str(into)])
        assert done.exit_code == 1
    assert (taken / "app.py").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
