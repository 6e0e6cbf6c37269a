"""`pylon settings`: what is in force, what named it, the editor at the line, the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pylon import jsonvalue
from pylon.cli.main import cli
from pylon.cli.output import CommandFailed

TOML = '[server]\nport = 4400\n\n[mail]\nurl = "smtp://u:S3CR3T@mail.example:587"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with two settings, which is the folder of the moment."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "club"
    folder.mkdir()
    (folder / "app.py").write_text("from pylon import App\napp = App('club')\n")
    (folder / "pylon.toml").write_text(TOML)
    monkeypatch.chdir(folder)
    return folder


def _run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["settings", *words], standalone_mode=False)


def _json(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = jsonvalue.parse(_run(*words, "--json").stdout.encode())
    return found


def test_settings_are_listed_with_what_named_them(project: Path) -> None:
    """Of a project that does not run, what the next start takes; secrets are hidden."""
    said = _run("--changed")
    assert (said.exit_code, said.return_value) == (0, 0)
    lines = said.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["server.port", "4400", "pylon.toml:2"],
        ["mail.url", '"smtp://u:•••@mail.example:587"', "pylon.toml:5"],
    ]
    assert "it does not run" in said.stderr
    assert "S3CR3T" not in said.output
    found = _json("--search", "server port")
    assert [one["key"] for one in found["settings"]] == ["server.port"]
    assert (found["mode"], found["is_running"]) == ("dev", False)
    assert _json("list", "--production")["mode"] == "serve"


def test_one_setting_is_told_whole(project: Path) -> None:
    """Meaning, default, what a change needs; a slip names the nearest."""
    said = _run("show", "server.port").stdout
    for word in ("4400", "pylon.toml:2", "default        4321", "a new start of `pylon dev`"):
        assert word in said, word
    assert _json("show", "server.port")["line"] == 2
    wrong = _run("show", "server.prot").exception
    assert isinstance(wrong, CommandFailed)
    assert wrong.hint == "did you mean server.port?"


def test_mistakes_are_told_as_editors_read_them(project: Path) -> None:
    """Place, severity, words, code; and the exit code says that there are some."""
    (project / "pylon.toml").write_text("[server]\n  prot = 1\nport = 70000\n")
    said = _run()
    assert said.return_value == 1
    assert "pylon.toml:2:3: error: there is no setting server.prot [CONFIG_ERROR]" in said.stderr
    assert "pylon.toml:3:1: error: server.port is 0 to 65535 [CONFIG_ERROR]" in said.stderr
    assert [one["line"] for one in _json()["mistakes"]] == [2, 3]


def test_the_file_is_opened_at_the_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a real editor process, which gets the line; what it left wrong is told at once."""
    editor = project / "vi"
    editor.write_text('#!/bin/sh\necho "$@" > said; printf "[server]\\nprot = 1\\n" > pylon.toml\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    asked = _json("edit", "mail.url")
    assert asked == {"file": str(project / "pylon.toml"), "line": 5}
    said = _run("edit", "mail.url")
    assert (project / "said").read_text() == f"+5 {project / 'pylon.toml'}\n"
    assert said.return_value == 1
    assert "pylon.toml:2:1: error: there is no setting server.prot" in said.stderr
    monkeypatch.setenv("VISUAL", str(project / "gone"))
    (project / "pylon.toml").write_text(TOML)
    failed = _run("edit")
    assert isinstance(failed.exception, CommandFailed)


def test_the_schema_is_that_of_check(project: Path) -> None:
    """All words for it print the same JSON Schema, and the help names a command that is there."""
    schema = jsonvalue.parse(_run("schema").stdout.encode())
    assert _run("--schema").stdout == _run("schema", "--json").stdout == _run("schema").stdout
    other = CliRunner().invoke(cli, ["check", "--settings-schema"]).stdout
    assert schema == jsonvalue.parse(other.encode())
    assert schema["properties"]["server"]["properties"]["port"]["default"] == 4321
