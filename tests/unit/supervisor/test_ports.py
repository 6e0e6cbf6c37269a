"""Ports of projects: remembered, given once, and let go with their folders."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pylon import paths
from pylon.errors import AddressInUse
from pylon.supervisor import ports

FIRST = 24_321


def _port(project: Path) -> int:
    bound = ports.bind_remembered(project, "127.0.0.1", FIRST)
    try:
        return int(bound.getsockname()[1])
    finally:
        bound.close()


def _folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for one in made:
        one.mkdir()
    return made


def test_each_keeps_the_one_it_had(tmp_path: Path) -> None:
    """Also where an earlier one is free, since its project is not running just now."""
    one, two = _folders(tmp_path, "one", "two")
    first, second = _port(one), _port(two)
    assert first != second
    assert (_port(two), _port(one)) == (second, first)


def test_a_foreign_program_moves_it_for_once(tmp_path: Path) -> None:
    """It comes back to its own port, and nobody got that meanwhile."""
    one, two = _folders(tmp_path, "one", "two")
    own = _port(one)
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", own))
        foreign.listen()
        moved = _port(one)
        assert moved != own
        assert _port(two) not in (own, None)
    assert _port(one) == own


def test_a_folder_that_is_gone_gives_its_port_back(tmp_path: Path) -> None:
    """So does a project that was taken off the list; a damaged list is an empty one."""
    one, two, three = _folders(tmp_path, "one", "two", "three")
    own, other = _port(one), _port(two)
    one.rmdir()
    assert _port(three) == own
    ports.forget_port(str(two))
    assert str(two) not in ports.known_ports()
    for damage in (b"", b"[]", b'{"x":"y"}', b'{"x":99999999}', b"\xff"):
        paths.write_private(paths.ports_file(), damage)
        assert ports.known_ports() == {}
    assert _port(two) in (own, other)


def test_no_port_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr(ports, "PORTS_TRIED", 0)
    with pytest.raises(AddressInUse, match="no port from 24321 on is free"):
        _port(tmp_path)
