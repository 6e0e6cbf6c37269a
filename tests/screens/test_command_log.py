"""The command log: what was done here, each with the line that does the same in a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pylon import jsonvalue
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.tui.command_log import CommandLog
from tests.kept import make_project
from tests.screens.fakes import job, jobs, queue, queues, status
from tests.screens.test_dashboard import opened, until


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_what_was_done_stands_there_with_its_command(
    size: tuple[int, int], no_line_lies: list[str]
) -> None:
    """It is found in the palette, and y copies the line whole, with the project's folder."""
    async with opened(size) as (app, admin, pilot):
        app.command_log.project = Path("/srv/my chat")
        admin.answers["admin/jobs"] = jobs(job(1, state="dead"))
        admin.answers["admin/jobs/job-1/retry"] = {"state": "available"}
        admin.say(status(head=7), queues(queue("default")))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("6")
        await until(app, lambda text: "✗ dead" in text and text.count("1/1") == 3)
        await pilot.press("r")
        await until(app, lambda text: "$ pylon jobs retry job-1" in text)
        assert no_line_lies == ["pylon jobs retry job-1"]
        await pilot.press("colon")
        await until(app, lambda text: "Search for commands" in text)
        await pilot.press(*"command log", "enter")
        await until(app, lambda text: "Command log" in text.split("\n")[0] and "COMMAND" in text)
        assert ": Command log" in (await until(app, lambda text: "1/1" in text)).split("\n")[1]
        await pilot.press("y")
        await until(app, lambda text: "copied pylon jobs retry" in text)
        assert app.clipboard == "pylon jobs retry job-1 --project '/srv/my chat'"


async def test_what_is_done_to_projects_stands_there_too(tmp_path: Path) -> None:
    """By the project's folder: whichever project this dashboard is of."""
    old = make_project(tmp_path / "my old")
    registry.remember_project(old, SystemClock().now_ms())
    async with opened((120, 30)) as (app, admin, pilot):
        app.command_log.project = Path("/srv/chat")
        admin.say(status(head=7))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("1")
        await until(app, lambda text: "my old" in text and "stopped" in text)
        await pilot.press("F")
        await until(app, lambda text: "Forget my old?" in text)
        await pilot.press("y")
        await until(app, lambda text: "No project yet" in text)
        (done,) = app.command_log.done
        assert (done.what, done.line) == ("forget my old", f"pylon projects forget '{old}'")


#: What `str.splitlines` takes for the end of a line, and a value may have.
BREAKS = "\u2028\u2029\x85\x0b\x0c\x1c"


def test_a_value_with_any_break_stays_in_its_line() -> None:
    """Only a newline ends a line: what Unicode calls a break stands in quoted values."""
    log = CommandLog(lambda: "", lambda: None)
    log.project = Path("/srv/chat")
    words = ["pylon", "rows", "edit", "Note", "n1", "--set",
             jsonvalue.encode_text({"body": f"a{BREAKS}b"})]  # fmt: skip
    log.note_said("update", f"change 7\n$ {shlex.join(words)}")
    (done,) = log.done
    assert shlex.split(done.line) == [*words, "--project", "/srv/chat"]


async def test_what_is_about_no_project_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_line_lies: list[str]
) -> None:
    """Pylon is put into the applications menu from any project; the command takes no folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    async with opened((120, 30)) as (app, admin, pilot):
        app.command_log.project = Path("/srv/chat")
        admin.say(status(head=7))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("ctrl+p")
        await until(app, lambda text: "Search for commands" in text)
        await pilot.press(*"applications menu")
        await until(app, lambda text: "Put Pylon into the applications menu" in text)
        await pilot.press("enter")
        await until(app, lambda text: "$ pylon desktop install" in text)
        assert [one.line for one in app.command_log.done] == ["pylon desktop install"]
        assert no_line_lies == ["pylon desktop install"]
