"""`pylon migrate` beside a runtime that does not tell who is connected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli import migrate
from pylon.cli.main import cli
from pylon.cli.output import CommandFailed
from pylon.client.admin import AdminError

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("asked")


@app.entity(read="true")
class Note(Entity):
    title: str = "t"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project that has no database yet, and of which it is said that it runs."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(migrate, "running_runtime", lambda _: object())
    folder = tmp_path / "asked"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


def _asked(project: Path) -> tuple[str, str, dict[str, Any]]:
    """Return what the command prints, what it says beside that, and its JSON."""
    plain = CliRunner().invoke(cli, ["migrate", str(project)])
    told = CliRunner().invoke(cli, ["migrate", str(project), "--json"])
    assert (plain.exit_code, told.exit_code) == (0, 0), (plain.output, told.output)
    return plain.stdout, plain.stderr, jsonvalue.decode_trusted(told.stdout.encode())


@pytest.mark.parametrize(
    "trouble",
    [AdminError("it does not answer: no answer in time"), CommandFailed("no runtime runs")],
)
def test_a_runtime_that_does_not_answer_costs_the_plan_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, trouble: AdminError | CommandFailed
) -> None:
    """It says that nobody knows who is connected, and why."""

    def silent(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(migrate, "ask_runtime", silent)
    printed, said, told = _asked(project)
    assert "Note" in printed
    assert f"what it does to connected clients is not known: {trouble.message}" in said
    assert told["steps"]
    assert "clients" not in told


@pytest.mark.parametrize("names", [(), ("resync",), ("clients",)])
def test_an_older_runtime_is_asked_for_what_it_has(
    project: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """What is there is taken; where that says nothing of clients, it is said."""
    monkeypatch.setattr(migrate, "ask_runtime", lambda *_: {})
    _, said, told = _asked(project)
    assert "not known: the runtime does not tell" in said
    all_of_it = {
        "resync": ["x"], "clients": {"connected": 2, "resync": 2, "subscriptions": []},
    }  # fmt: skip
    plan = {"hash": told["hash"], **{name: all_of_it[name] for name in names}}
    monkeypatch.setattr(migrate, "ask_runtime", lambda *_: {"plan": plan})
    printed, said, told = _asked(project)
    assert {*names} == {*all_of_it} & {*told}
    assert told["code"] == []
    is_known = "clients" in names
    assert ("2 of 2 connected clients load anew" in printed) is is_known
    assert ("not known: the runtime does not tell" in said) is not is_known
