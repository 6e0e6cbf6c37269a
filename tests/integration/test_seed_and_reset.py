"""`pylon seed` and `pylon reset`: once per database, told by line; kept, and brought back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli.main import cli
from tests.conftest import Serve

APP = """
from __future__ import annotations
from pylon import App, Entity

app = App("club")


@app.entity(read="true")
class Note(Entity):
    text: str


@app.mutation(internal=True)
def put(ctx, text: str) -> None:
    ctx.db.insert("Note", text=text)
"""
SEED = """
from app import Note


def seed(ctx):
    ctx.db.insert(Note, id="n1", text="hi")
    assert ctx.auth.user_id is None
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "club"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


def _said(*arguments: str, code: int = 0, typed: str = "") -> str:
    asked = CliRunner().invoke(cli, [*arguments], input=typed)
    assert asked.exit_code == code, (asked.output, asked.exception)
    return asked.output or (getattr(asked.exception, "message", "") if code else "")


def _notes(project: Path) -> list[str]:
    said = _said("export", "--entity", "Note", "--project", str(project))
    return [jsonvalue.parse(line.encode())["text"] for line in said.splitlines()]


def test_a_seed_runs_once_and_all_of_it_or_nothing(project: Path) -> None:
    """Before the first start, too; a failure names the line and leaves nothing behind."""
    seed = ("seed", "--project", str(project))
    assert "there is no seed.py" in _said(*seed, code=1)
    for text, message in (
        ("def seed(ctx)\n    pass", "seed.py:1"), ("import nowhere", "seed.py:1"),
        ("x = 1", "there is no function seed"),
        (SEED + "    raise ValueError('no')\n", "seed.py:8: ValueError: no"),
    ):  # fmt: skip
        (project / "seed.py").write_text(text)
        assert message in _said(*seed, code=1)
    assert _notes(project) == []
    (project / "seed.py").write_text(SEED)
    assert "is seeded" in _said(*seed)
    assert "was seeded before" in _said(*seed)
    assert '{"ran":false}' in _said(*seed, "--json")
    assert "seed.py:6: this id is taken" in _said(*seed, "--again", code=1)
    assert _notes(project) == ["hi"]


def test_a_seed_that_is_refused_names_the_line(project: Path) -> None:
    """What a write or a call of the seed is refused for has the line, and its own code."""
    seed = ("seed", "--project", str(project))
    for text, message in (
        ('def seed(ctx):\n    ctx.db.insert("Note", text=7)', "seed.py:2: text must be text"),
        ('def seed(ctx):\n    ctx.db.insert("Nite")', "seed.py:2: there is no entity Nite"),
        ('from app import put\n\nasync def seed(ctx):\n    await ctx.run(put, text=7)\n',
         "seed.py:4: text must be text"),
    ):  # fmt: skip
        (project / "seed.py").write_text(text)
        assert message in _said(*seed, code=1)


def test_a_seed_of_many_transactions_is_an_action(project: Path) -> None:
    """With `ctx.run` and `ctx.once`: what was done is not done again."""
    (project / "seed.py").write_text(
        "async def seed(ctx):\n"
        "    with ctx.as_system():\n"
        "        await ctx.once('a', 'put', text='once')\n"
        "        await ctx.run('put', text='each time')\n"
    )
    _said("seed", "--project", str(project))
    _said("seed", "--project", str(project), "--again")
    assert sorted(_notes(project)) == ["each time", "each time", "once"]


def test_a_reset_keeps_what_was_there(project: Path) -> None:
    """After the name is typed; the next start is empty, and a restore brings it back."""
    (project / "seed.py").write_text(SEED)
    _said("seed", "--project", str(project))
    assert "--yes gives it" in _said("reset", str(project), code=1, typed="other\n")
    told = jsonvalue.parse(_said("reset", str(project), "--yes", "--json").encode())
    assert not (project / ".pylon" / "app.db").exists()
    assert "no database yet" in _said("export", "--project", str(project), code=1)
    assert "there was no database" in _said("reset", str(project), "--yes")
    _said("seed", "--project", str(project))  # once per database: this is another
    _said("restore", told["kept"], "--yes", "--project", str(project))
    assert _notes(project) == ["hi"]
    assert Path(told["kept"]).name.startswith("before-reset-")


async def test_a_running_runtime_seeds_itself(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under `pylon dev`; nothing is reset beside it."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    (served.project / "seed.py").write_text(SEED)
    seed = ("seed", "--project", str(served.project))
    assert "is seeded" in await asyncio.to_thread(_said, *seed)
    assert "was seeded before" in await asyncio.to_thread(_said, *seed)
    ada = await served.login("ada@example.com")
    rows = (await ada.get("/api/entities/Note")).body["rows"]
    assert [one["text"] for one in rows] == ["hi"]
    with pytest.raises(AssertionError, match="stop it first"):
        await asyncio.to_thread(_said, "reset", str(served.project), "--yes")


def test_a_branch_begins_with_the_seed(project: Path) -> None:
    """Empty but for it, beside a running app or without one; a seed that fails leaves nothing."""
    folder = str(project)
    assert "there is no seed.py" in _said(
        "branch", "create", "none", "--seeded", "--project", folder, code=1
    )
    (project / "seed.py").write_text(SEED + "    raise ValueError('no')\n")
    assert "seed.py" in _said("branch", "create", "bad", "--seeded", "--project", folder, code=1)
    (project / "seed.py").write_text(SEED)
    said = _said("branch", "create", "fresh", "--seeded", "--switch", "--project", folder)
    assert "filled by seed.py: " in said
    branches = project / ".pylon" / "branches"
    assert [one.name for one in branches.iterdir()] == ["fresh"]
    assert {one.name for one in (branches / "fresh").iterdir()} >= {"app.db", "about.json"}
    assert _notes(project) == ["hi"]
    listed = jsonvalue.parse(_said("branch", "list", "--json", "--project", folder).encode())
    shown = [(one["is_seeded"], one["why"]) for one in listed["branches"]]
    assert shown == [(False, ""), (True, "seeded")]
    for wrong in (["--masked"], ["--of", "main"]):
        _said("branch", "create", "x", "--seeded", *wrong, "--project", folder, code=2)


async def test_a_branch_is_seeded_beside_a_running_app(serve: Serve) -> None:
    """The runtime goes on with its own rows, and switches to the new ones when asked."""
    served = await serve(APP)
    (served.project / "seed.py").write_text(SEED)
    state, folder = {"PYLON_STATE_DIR": str(served.state)}, str(served.project)

    def run(*arguments: str) -> str:
        done = CliRunner(env=state).invoke(cli, [*arguments, "--project", folder])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    await asyncio.to_thread(run, "branch", "create", "fresh", "--seeded")
    assert jsonvalue.parse((await asyncio.to_thread(run, "query", "Note", "--json")).encode())[
        "rows"
    ] == []  # fmt: skip
    await asyncio.to_thread(run, "branch", "switch", "fresh")
    rows = jsonvalue.parse((await asyncio.to_thread(run, "query", "Note", "--json")).encode())
    assert [one["text"] for one in rows["rows"]] == ["hi"]
