"""The shelf: what it reads of a project's folder, without running any of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylon import jsonvalue
from pylon.supervisor.registry import KnownProject
from pylon.supervisor.shelf import shelved

HOUR = 3_600


def _touched(project: Path) -> int:
    return shelved(KnownProject(str(project), 0), None).touched_ms


def test_the_branch_in_use_says_when_the_data_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Main's database counts while it is in use, and not any more after a switch."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    project = tmp_path / "club"
    data = project / ".pylon"
    (data / "branches" / "try").mkdir(parents=True)
    for folder, at in ((data, 5 * HOUR), (data / "branches" / "try", 9 * HOUR)):
        (folder / "app.db").write_bytes(b"")
        os.utime(folder / "app.db", (at, at))
    assert _touched(project) == 5 * HOUR * 1000
    pointer = {"branch": "try", "switch": "t1", "before": "main"}
    (data / "branch.json").write_bytes(jsonvalue.encode(pointer))
    assert _touched(project) == 9 * HOUR * 1000
    assert shelved(KnownProject(str(project), 0), None).branch == "try"
    (data / "branch.json").write_bytes(b"{")
    assert shelved(KnownProject(str(project), 0), None).branch == "main"
