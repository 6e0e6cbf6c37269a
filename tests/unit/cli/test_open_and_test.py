"""`pylon open` and `pylon test`: what they run, say and exit with."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pylon import jsonvalue
from pylon.cli import open as opening
from pylon.cli import test as testing
from pylon.cli.main import cli
from pylon.supervisor.registry import RunningRuntime
from pylon.tui import browser

RUNNING = RunningRuntime(1, 4321, "127.0.0.1", 0, "club", "dev")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('club')\n")
    return tmp_path


def _said(*arguments: str) -> Result:
    said = CliRunner().invoke(cli, arguments)
    assert not isinstance(said.exception, Exception), said.exception
    return said


def test_the_running_app_is_opened(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is printed in any case; without a runtime or a browser it says what to do."""
    opened: list[str] = []
    found = True

    async def open_page(url: str) -> bool:
        opened.append(url)
        return found

    monkeypatch.setattr(browser, "open_page", open_page)
    assert "no runtime runs" in _said("open", str(project)).output
    monkeypatch.setattr(opening, "running_runtime", lambda _: RUNNING)
    assert _said("open", str(project)).output == "http://127.0.0.1:4321\n"
    assert len(opened) == 1
    said = _said("open", str(project), "--print", "--json").output
    assert (jsonvalue.parse(said.encode()), len(opened)) == ({"url": "http://127.0.0.1:4321"}, 1)
    found = False
    without = _said("open", str(project))
    assert (without.exit_code, "no browser here" in without.output) == (1, True)


def test_the_tests_of_a_project_run_with_the_kit(project: Path) -> None:
    """Coroutines without a setting, arguments handed on, JSON, pytest's codes as ours."""
    (project / "test_club.py").write_text(
        "async def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2, 'no'\n"
    )
    asked = ["test", "--project", str(project), "--json", "-p", "no:cacheprovider"]
    said = CliRunner().invoke(cli, asked, standalone_mode=False)
    assert said.return_value == 1, said.output
    told = jsonvalue.parse(said.stdout.encode())
    assert (told["ok"], told["tests"], told["failures"]) == (False, 2, 1)
    assert told["failed"][0]["test"] == "test_club.test_bad"


@pytest.mark.parametrize(("of_pytest", "ours"), [(0, 0), (1, 1), (2, 130), (3, 1), (4, 2)])
def test_codes_of_pytest_become_ours(of_pytest: int, ours: int, tmp_path: Path) -> None:
    """Failed 1, wrong usage 2, interrupted 130."""
    assert testing._code(of_pytest, tmp_path, ()) == ours


def test_no_tests_and_no_pytest_say_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project without tests is no success."""
    with pytest.raises(testing.CommandFailed, match="no tests"):
        testing._code(5, project, ())
    with pytest.raises(testing.CommandFailed, match="is meant by -k chat"):
        testing._code(5, project, ("-k", "chat"))
    monkeypatch.setattr(testing, "_is_there", lambda name: name != "pytest_asyncio")
    said = _said("test", "--project", str(project))
    assert (said.exit_code, "pip install pytest-asyncio" in said.output) == (1, True)
