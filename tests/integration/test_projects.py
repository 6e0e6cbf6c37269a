"""`pylon projects`: the shelf by commands, with what it says where something is not as asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon import paths
from pylon.supervisor.claim import supervised
from tests.kept import end, make_project, pylon, runtimes_of

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
    """Started by its folder, then called by its name: sleep, wake, stop, forget."""
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
    assert _told("start", "kept")["state"] == "running"
    assert _told("stop", "kept")["state"] == "stopped"
    assert supervised(project) is None
    assert _told("stop", "kept")["state"] == "stopped"
    assert _told("forget", "kept") == {"path": str(project), "forgotten": True}
    assert _listed() == []
    assert project.is_dir()


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
    pylon("projects", "start", str(project), "--port", "0")
    both = pylon("projects", "stop", "kept", code=1)
    assert "2 projects are called kept" in both.stderr
    assert str(twin) in both.stderr
    (bad,) = [one for one in _listed() if one["path"] == str(twin)]
    assert bad["state"] == "stopped"
    assert bad["error"]
    assert bad["error_at_ms"] > 0


def test_damaged_records_are_as_if_there_were_none(project: Path) -> None:
    """What a crash or a hand left half-written stops nobody."""
    pylon("projects", "start", str(project), "--port", "0")
    pylon("projects", "stop", str(project))
    for damage in (b"", b"{", b"[]", b'{"pid":"x"}', b"\xff"):
        paths.write_private(paths.supervisor_file(project), damage)
        (row,) = _listed()
        assert row["state"] == "stopped"
    assert _told("start", str(project), "--port", "0")["state"] == "running"
