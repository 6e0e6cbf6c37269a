"""`pylon projects`: the shelf by commands, with what it says where something is not as asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon import paths
from pylon.supervisor.claim import supervised
from pylon.supervisor.registry import running_runtime
from tests.kept import (
    NARROW,
    WIDE,
    end,
    make_held,
    make_project,
    pylon,
    runtimes_of,
    until,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project of its own port; what runs in it is ended afterwards."""
    folder = make_project(tmp_path / "kept")
    yield folder
    end(folder)


def _told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pylon("projects", *arguments, "--json").stdout)
    return found


def _listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(pylon("projects", "--json").stdout)
    return found


def test_the_life_of_a_project_by_commands(project: Path) -> None:
    """Started by its folder, then called by its name: sleep, wake, restart, stop, forget."""
    started = _told("start", str(project), "--port", "0", "--sleep-after", "5")
    assert started["state"] == "running"
    assert started["port"] > 0
    assert started["mode"] == "dev"
    (row,) = _listed()
    assert (row["path"], row["state"], row["days_untouched"]) == (str(project), "running", 0)
    assert row["disk_bytes"] > 1000
    assert row["backup_at_ms"] is None
    assert "kept" in pylon("projects", "list").stdout
    refused = pylon("projects", "forget", "kept", code=1)
    assert "runs" in refused.stderr
    assert _told("sleep", "kept")["state"] == "asleep"
    assert runtimes_of(project) == []
    assert "is asleep on http://127.0.0.1:" in pylon("projects", "sleep", "kept").stdout
    assert _told("wake", "kept")["state"] == "running"
    before = runtimes_of(project)
    assert _told("restart", "kept")["state"] == "running"
    assert runtimes_of(project) not in ([], before)
    assert _told("start", "kept")["state"] == "running"
    assert _told("stop", "kept")["state"] == "stopped"
    assert supervised(project) is None
    assert _told("stop", "kept")["state"] == "stopped"
    assert _told("forget", "kept") == {"path": str(project), "forgotten": True}
    assert _listed() == []
    assert project.is_dir()
    again = pylon("projects", "forget", str(project), code=1)
    assert (f"{project} is not on the list" in again.stderr, again.stdout) == (True, "")


def test_what_is_asked_wrongly_is_said(project: Path, tmp_path: Path) -> None:
    """No such project, two of one name, one that nobody supervises, one that does not load."""
    assert "there is no project nobody" in pylon("projects", "stop", "nobody", code=1).stderr
    twin = make_project(tmp_path / "elsewhere" / "kept", "this is no Python\n")
    for one in (project, twin):
        done = pylon("projects", "sleep", str(one), code=1)
        assert "nobody supervises kept" in done.stderr
        assert f"pylon projects start {one}" in done.stderr
    failed = pylon("projects", "start", str(twin), "--port", "0", code=1)
    assert "app.py:1" in failed.stderr
    assert "did not start" in failed.stderr
    assert "starting kept …" in pylon("projects", "start", str(project), "--port", "0").stderr
    both = pylon("projects", "stop", "kept", code=1)
    assert "2 projects are called kept" in both.stderr
    assert str(twin) in both.stderr
    (bad,) = [one for one in _listed() if one["path"] == str(twin)]
    assert bad["state"] == "stopped"
    assert bad["error"]
    assert bad["error_at_ms"] > 0


def test_a_new_start_sleeps_no_longer_and_one_that_fails_is_said(project: Path) -> None:
    """One that sleeps wakes on its port; what can't start fails the command, and is not lost."""
    started = _told("start", str(project), "--port", "0")
    _told("sleep", "kept")
    woken = pylon("projects", "restart", "kept")
    assert "restarting kept …" in woken.stderr
    assert f"kept is running on http://127.0.0.1:{started['port']}" in woken.stdout
    app = project / "app.py"
    good = app.read_text()
    app.write_text("this is no Python\n")
    failed = pylon("projects", "restart", "kept", code=1)
    assert "kept did not start: " in failed.stderr
    assert f"mend it, then: pylon projects restart {project}" in failed.stderr
    for verb in ("start", "wake"):
        again = pylon("projects", verb, "kept", code=1)
        assert "kept did not start: " in again.stderr
        assert f"mend it, then: pylon projects {verb} {project}" in again.stderr
    app.write_text(good)
    assert _told("restart", "kept")["port"] == started["port"]


def test_a_start_that_a_migration_keeps_from_says_how_to_decide(tmp_path: Path) -> None:
    """In one sentence, with the command that tells how; applied, it starts under its keeper."""
    project = make_held(tmp_path / "held", WIDE)
    try:
        _told("start", str(project), "--port", "0")
        _told("sleep", str(project))
        (project / "app.py").write_text(NARROW)
        failed = pylon("projects", "start", str(project), code=1)
        why = "the migration needs a decision: drop Note.more: 3 rows have a value"
        assert f"held did not start: {why}\n" in failed.stderr
        assert f"whether it can be applied: pylon migrate {project}\n" in failed.stderr
        pylon("migrate", str(project), "--apply")
        assert _told("start", str(project))["state"] == "running"
    finally:
        end(project)


def test_a_new_start_that_nobody_can_make_is_said(project: Path) -> None:
    """Nothing runs, or it runs by itself: each with what to do instead."""
    idle = pylon("projects", "restart", str(project), code=1)
    assert f"kept is not running\n  pylon projects start {project}" in idle.stderr
    alone = subprocess.Popen(
        [sys.executable, "-m", "pylon.server", "--project", str(project), "--port", "0",
         "--detach"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: running_runtime(project) is not None)
        refused = pylon("projects", "restart", str(project), code=1)
        assert f"nobody supervises kept: process {alone.pid} runs by itself" in refused.stderr
        assert f"pylon projects stop {project}" in refused.stderr
        assert alone.poll() is None
    finally:
        alone.terminate()
        alone.wait()


def test_damaged_records_are_as_if_there_were_none(project: Path) -> None:
    """What a crash or a hand left half-written stops nobody."""
    pylon("projects", "start", str(project), "--port", "0")
    pylon("projects", "stop", str(project))
    for damage in (b"", b"{", b"[]", b'{"pid":"x"}', b"\xff"):
        paths.write_private(paths.supervisor_file(project), damage)
        (row,) = _listed()
        assert row["state"] == "stopped"
    assert _told("start", str(project), "--port", "0")["state"] == "running"
