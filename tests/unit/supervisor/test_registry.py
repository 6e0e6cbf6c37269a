"""The list of projects and what runs: survives what others leave in its files."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from pylon import jsonvalue, paths
from pylon.supervisor import registry


def test_the_last_used_comes_first_and_none_twice(tmp_path: Path) -> None:
    """Opening a project again moves it up; forgetting one touches no file of it."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    registry.remember_project(tmp_path / "a", 1)
    registry.remember_project(tmp_path / "b", 2)
    registry.remember_project(tmp_path / "a" / ".." / "a", 3)
    assert [one.name for one in registry.known_projects()] == ["a", "b"]
    registry.forget_project(str((tmp_path / "a").resolve()))
    assert [one.name for one in registry.known_projects()] == ["b"]
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("stored", [b"", b"{", b"[1]", b"{}", b'[{"path":"x"}]', b"null", b"\xff"])
def test_a_damaged_list_is_an_empty_one(tmp_path: Path, stored: bytes) -> None:
    """It is a convenience: what cannot be read does not stop anybody, and is written anew."""
    paths.write_private(paths.projects_file(), stored)
    assert registry.known_projects() == []
    registry.remember_project(tmp_path, 1)
    assert len(registry.known_projects()) == 1


def _write_runtime(project: Path, **changed: object) -> None:
    started = int(psutil.Process(os.getpid()).create_time() * 1000)
    stored = {"pid": os.getpid(), "port": 4321, "host": "127.0.0.1", "started_ms": started,
              "app": "notes", "mode": "dev"} | changed  # fmt: skip
    paths.write_private(paths.runtime_file(project), jsonvalue.encode(stored))


def test_a_runtime_counts_while_its_process_lives(tmp_path: Path) -> None:
    """A file of a dead process, or of one whose number another program has now, does not count."""
    assert registry.running_runtime(tmp_path) is None
    _write_runtime(tmp_path)
    found = registry.running_runtime(tmp_path)
    assert found is not None
    assert found.url == "http://127.0.0.1:4321"
    _write_runtime(tmp_path, started_ms=1_000)  # this process began long after that runtime
    assert registry.running_runtime(tmp_path) is None
    _write_runtime(tmp_path, pid=2**22 + 1)
    assert registry.running_runtime(tmp_path) is None


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b'{"pid":"x"}', b"null", b'{"pid":-1}'])
def test_a_damaged_file_is_no_runtime(tmp_path: Path, stored: bytes) -> None:
    """What a crash left half-written is as if nothing ran."""
    paths.write_private(paths.runtime_file(tmp_path), stored)
    assert registry.running_runtime(tmp_path) is None
