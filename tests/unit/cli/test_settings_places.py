"""`pylon check` tells where in pylon.toml a mistake stands, as editors read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli.main import cli


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('[mail]\nurl = "smtp://h"\n\n[server]\n  prot = 1\n', 5, 3, "no setting server.prot"),
        ('[server]\nport = "x"\n', 2, 1, "server.port is an integer"),
        ("[log]\nretain_days = 3\n[server]\nport = 70000\n", 4, 1, "server.port is 0 to"),
        ("[server]\nport = = 1\n", 2, 8, "Invalid value"),
        ("server.port = 70000\n", 1, 1, "server.port is 0 to"),
        ("[serve]\nport = 1\n", 2, 1, "no setting serve.port"),
        ("port = 1\n", 1, 1, "setting port"),
        ('[auth]\nmethods = ["oauth"]\n[auth.oauth.github]\nclient_i = "x"\n', 4, 1, "client_i"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_settings_has_its_place(
    text: str, line: int, column: int, message: str, tmp_path: Path
) -> None:
    """File, line and column of the key, in JSON and in lines."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('club')\n")
    (tmp_path / "pylon.toml").write_text(text)
    said = CliRunner().invoke(cli, ["check", str(tmp_path), "--json"])
    assert said.exit_code == 1
    (mistake,) = jsonvalue.parse(said.stdout.encode())["mistakes"]
    assert (mistake["file"], mistake["line"], mistake["column"]) == ("pylon.toml", line, column)
    assert message in mistake["message"]
    assert (mistake["severity"], mistake["code"]) == ("error", "CONFIG_ERROR")
    plain = CliRunner().invoke(cli, ["check", str(tmp_path)])
    assert f"pylon.toml:{line}:{column}: error: {mistake['message']} [CONFIG_ERROR]" in plain.output


def test_a_mistake_of_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pylon.toml did not say is not looked for in it."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('club')\n")
    monkeypatch.setenv("PYLON_SERVER_PORT", "x")
    said = CliRunner().invoke(cli, ["check", str(tmp_path), "--json"])
    (mistake,) = jsonvalue.parse(said.stdout.encode())["mistakes"]
    assert (mistake["file"], mistake["line"]) == (None, None)
    assert "PYLON_SERVER_PORT" in mistake["message"]


def test_an_editor_reads_every_first_line(tmp_path: Path) -> None:
    """Mistakes of the app and of the settings go through the pattern that editors use."""
    (tmp_path / "app.py").write_text(
        "from pylon import App, Entity\napp = App('club')\n"
        "@app.entity(read='nme == 1')\nclass A(Entity):\n    name: str\n"
    )
    (tmp_path / "pylon.toml").write_text("[server]\nprot = 1\n")
    said = CliRunner().invoke(cli, ["check", str(tmp_path)])
    pattern = re.compile(r"(.+?):(\d+):(\d+): (error|warning): (.*) \[([A-Z_]+)\]")
    found = [match.groups() for line in said.stderr.splitlines() if (match := pattern.match(line))]
    assert [(file, line, severity, code) for file, line, _, severity, _, code in found] == [
        ("app.py", "3", "error", "APP_ERROR"), ("pylon.toml", "2", "error", "CONFIG_ERROR"),
    ]  # fmt: skip
