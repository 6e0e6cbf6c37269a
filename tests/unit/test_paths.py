"""The user's own folder: private, apart for each project, and a clear word where it can't be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pylon import paths


def test_everything_is_the_owner_s_alone_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are 0700 and files 0600 also where new files are open to all."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "above" / "state"))
    before = os.umask(0)
    try:
        token = paths.admin_token_path(tmp_path)
        paths.write_private(token, b"secret")
        made = [paths.state_dir(), paths.witness_dir(), paths.runtime_dir(tmp_path)]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o700] * 3
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """A shorter text leaves nothing of the longer one, and nothing lies beside it."""
    path = tmp_path / "runtime.json"
    paths.write_private(path, b"a long text")
    paths.write_private(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_projects_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders of one name are two projects; one folder by two spellings is one."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    for name in ("a", "b"):
        (tmp_path / name / "notes").mkdir(parents=True)
    one, other = tmp_path / "a" / "notes", tmp_path / "b" / "notes"
    (tmp_path / "link").symlink_to(one)
    assert paths.runtime_dir(one) != paths.runtime_dir(other)
    assert paths.runtime_dir(tmp_path / "link") == paths.runtime_dir(one)
    assert paths.runtime_dir(tmp_path / "a" / "x" / ".." / "notes") == paths.runtime_dir(one)


def test_a_home_without_room_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder cannot be made, the message names it and the variable that moves it."""
    (tmp_path / "home").write_text("a file is in the way")
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "home" / "state"))
    with pytest.raises(paths.StateFolderError, match="home") as raised:
        paths.state_dir()
    assert "PYLON_STATE_DIR" in str(raised.value.hint)


def test_a_socket_s_path_is_short_enough_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system takes about 100 bytes; beyond, the admin port is reached over TCP."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / ("deep" * 30)))
    assert paths.admin_socket_path(tmp_path) is None
