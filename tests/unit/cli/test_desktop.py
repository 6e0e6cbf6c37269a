"""`pylon desktop`: what it says, prints and exits with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pylon import jsonvalue
from pylon.cli import dashboard
from pylon.cli.main import cli
from pylon.desktop import here
from pylon.desktop.files import ID
from pylon.errors import PylonError

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the menu of Linux")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / 'a "home" of\u00fc'
    folder.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def _said(*arguments: str) -> Result:
    said = CliRunner().invoke(cli, ("desktop", *arguments))
    assert said.exit_code == 0, said.output
    return said


def _json(*arguments: str) -> dict[str, object]:
    said = CliRunner().invoke(cli, ("desktop", *arguments, "--json"), standalone_mode=False)
    found = jsonvalue.parse(said.stdout.encode())
    assert isinstance(found, dict)
    return {**found, "code": said.return_value or 0}


def test_install_status_remove(home: Path) -> None:
    """Lines name the files; a second time says that it is so already."""
    assert "no" in _said("status").stdout
    first = _said("install")
    entry = home / ".local/share/applications" / f"{ID}.desktop"
    assert str(entry) in first.stdout.splitlines()
    assert "in the applications menu" in first.stderr
    again = _said("install")
    assert (again.stdout, "already" in again.stderr) == ("", True)
    assert str(Path(sys.executable).with_name("pylon")) in _said("status").stdout
    assert str(entry) in _said("remove").stdout.splitlines()
    assert list(home.iterdir()) == []
    assert "nothing was installed" in _said("remove").stderr


def test_json_says_the_same(home: Path) -> None:
    """Each command has its object."""
    assert _json("status")["installed"] is False
    made = _json("install")
    assert sorted(made["written"]) == made["files"]  # type: ignore[call-overload]
    found = _json("status")
    assert (found["installed"], found["ok"], found["problems"]) == (True, True, [])
    assert found["command"] == made["command"]
    assert len(_json("remove")["removed"]) == 5  # type: ignore[arg-type]


def test_an_entry_that_points_at_nothing_is_said_and_mended(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pylon was moved: status exits 1 and names the command; install mends it."""
    old = home / "old/pylon"
    with monkeypatch.context() as was:
        was.setattr(here, "own", lambda: (str(old),))
        _said("install")
    said = CliRunner().invoke(cli, ("desktop", "status"), standalone_mode=False)
    assert said.return_value == 1
    assert f"points at nothing: there is no {old}" in said.stderr
    assert "`pylon desktop install` mends it" in said.stderr
    _said("install")
    assert _json("status")["code"] == 0


def test_a_pylon_that_does_not_start_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its program is there, and its interpreter is gone."""
    broken = home / "pylon"
    broken.write_text("#!/gone/python\n")
    broken.chmod(0o755)
    with monkeypatch.context() as was:
        was.setattr(here, "own", lambda: (str(broken),))
        _said("install")
    found = _json("status")
    (problem,) = found["problems"]  # type: ignore[misc]
    assert f"does not start: {broken}" in problem
    assert found["code"] == 1


def test_an_entry_that_somebody_changed_is_shown_and_no_failure(home: Path) -> None:
    """It is his; the file is named with its state, and how it would be written anew."""
    _said("install")
    entry = home / ".local/share/applications" / f"{ID}.desktop"
    entry.write_text("[Desktop Entry]\n")
    said = _said("status")
    assert f"changed        {entry}" in said.stdout.splitlines()
    assert "until `pylon desktop install` writes it anew" in said.stderr
    assert (_json("status")["ok"], _json("status")["code"]) == (True, 0)
    assert str(entry) in _said("install").stdout


def test_another_pylon_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there, and not this one, is no problem."""
    other = home / "pylon"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    with monkeypatch.context() as was:
        was.setattr(here, "own", lambda: (str(other),))
        _said("install")
    assert "another Pylon" in _said("status").stderr


def test_the_entry_of_a_package_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own stands before it, and is what these commands are about."""
    entry = tmp_path / "system/applications" / f"{ID}.desktop"
    entry.parent.mkdir(parents=True)
    entry.touch()
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "system"))
    assert str(entry) in _said("status").stdout
    assert str(entry) in _said("install").stderr
    _said("remove")
    assert entry.exists()


def test_a_data_home_that_is_no_folder_is_said_with_a_code(home: Path) -> None:
    """Where it is, and the way out."""
    (home / ".local").write_text("")
    said = CliRunner().invoke(cli, ("desktop", "install"))
    assert isinstance(said.exception, PylonError)
    assert said.exception.code == "DESKTOP_FOLDER"
    assert str(home) in said.exception.message
    assert "XDG_DATA_HOME" in (said.exception.hint or "")


def test_open_is_the_shelf_even_where_home_is_a_project(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It opens the list, from home, whatever folder the menu started it in."""
    (home / "app.py").write_text("")
    opened: list[Path] = []

    def shelf() -> int:
        opened.append(Path.cwd())
        return 0

    monkeypatch.setattr(dashboard, "open_shelf", shelf)
    monkeypatch.chdir(tmp_path)
    _said("open")
    assert opened == [home]


def test_holding_waits_for_enter_after_a_failure() -> None:
    """There is no terminal here: its words stay until enter, and its code is passed on."""
    said = CliRunner().invoke(cli, ("desktop", "open", "--hold"), input="\n", standalone_mode=False)
    assert said.return_value == 1
    assert "press enter to close" in said.stderr
