"""What a doctor looks at on the machine: Python, SQLite, the loop, the disk, open files, the clock.

The world is asked in `Machine.look`; what its answers mean is decided here.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pylon import limits, sqlite
from pylon.clock import iso_ms
from pylon.server.doctor.findings import ERROR, NOTE, WARNING, Finding

_PYTHON_MIN: Final = (3, 11)
_DISK_LOW_SHARE: Final = 0.1
_DISK_LOW_BYTES: Final = 2 * 1024 * limits.MIB
_DISK_FULL_BYTES: Final = 256 * limits.MIB
_AHEAD_MS: Final = 60_000
#: File systems on which locks and shared memory of SQLite are not to be trusted.
_NETWORK: Final = frozenset({
    "nfs", "nfs4", "cifs", "smbfs", "smb3", "fuse.sshfs", "9p", "afpfs", "webdav", "davfs2",
    "fuse.rclone", "glusterfs", "ceph", "vboxsf", "drvfs",
})  # fmt: skip
_SYNCED: Final = ("Dropbox", "OneDrive", "Google Drive", "iCloud", "Nextcloud", "Mobile Documents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The answers of the world."""

    python: tuple[int, int, int]
    sqlite: tuple[int, int, int]
    has_uvloop: bool
    is_windows: bool
    disk_free: int
    disk_total: int
    #: The most files that a process may open, if it asks; None for no bound.
    files_hard: int | None
    file_system: str
    now_ms: int

    @classmethod
    def look(cls, data: Path, now_ms: int) -> Machine:
        """Ask the world about the machine that a project's data is on."""
        there = next(one for one in (data, *data.parents) if one.exists())
        disk = shutil.disk_usage(there)
        return cls(
            python=sys.version_info[:3], sqlite=sqlite3_version(),
            has_uvloop=importlib.util.find_spec("uvloop") is not None,
            is_windows=sys.platform == "win32", disk_free=disk.free, disk_total=disk.total,
            files_hard=_files_hard(), file_system=_file_system(there), now_ms=now_ms,
        )  # fmt: skip


def sqlite3_version() -> tuple[int, int, int]:
    """Return the version of the SQLite library that this process has."""
    major, minor, patch = map(int, sqlite.LIBRARY_VERSION.split("."))
    return major, minor, patch


def _files_hard() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def _file_system(path: Path) -> str:
    """Return the kind of file system that a path is on; empty where nobody knows."""
    import psutil

    best, kind = "", ""
    resolved = str(path.resolve())
    for one in psutil.disk_partitions(all=True):
        mount = one.mountpoint.rstrip("/") + "/"
        if (resolved + "/").startswith(mount) and len(mount) > len(best):
            best, kind = mount, one.fstype
    return kind


def machine_findings(machine: Machine, data: Path, newest_ms: int | None) -> Iterator[Finding]:
    """Yield what deserves a look.

    Args:
        machine: the answers of the world.
        data: the project's `.pylon`.
        newest_ms: when the newest change was made; None where there is none.
    """
    yield from _programs(machine)
    yield from _disk(machine, data)
    hard = machine.files_hard
    if hard is not None and hard < limits.OPEN_FILES_WANTED:
        yield Finding(
            kind="open-files-few", level=WARNING if hard < 4_096 else NOTE,
            what=f"a process may open {hard} files, and a runtime asks for"
                 f" {limits.OPEN_FILES_WANTED}",
            where="ulimit -Hn", why="each connection is an open file: above that nobody gets in",
            fix="raise it: LimitNOFILE=16384 in the systemd unit, or `ulimit -n 16384` before",
        )  # fmt: skip
    if newest_ms is not None and newest_ms > machine.now_ms + _AHEAD_MS:
        yield Finding(
            kind="clock-behind", level=WARNING,
            what=f"the clock says {iso_ms(machine.now_ms)}, and the newest change is of"
                 f" {iso_ms(newest_ms)}",
            where="the machine's clock",
            why="sessions and codes live longer than they should; order does not depend on it",
            fix="set the clock: timedatectl set-ntp true",
        )  # fmt: skip


def _programs(machine: Machine) -> Iterator[Finding]:
    if machine.python < _PYTHON_MIN:
        yield Finding(
            kind="python-old", level=ERROR,
            what=f"Python is {'.'.join(map(str, machine.python))}", where="the interpreter",
            why="Pylon needs 3.11 or newer", fix="install a newer Python, and Pylon into it",
        )  # fmt: skip
    for fault in sqlite.known_faults(machine.sqlite):
        last = ".".join(map(str, fault.last))
        yield Finding(
            kind="sqlite-fault", level=NOTE if fault.but else ERROR,
            what=f"SQLite {'.'.join(map(str, machine.sqlite))} has the fault {fault.name}",
            where="the SQLite library of this Python",
            why=f"{fault.what}. {fault.but}" if fault.but else fault.what,
            fix=f"a Python with SQLite above {last}; meanwhile open app.db with nothing else"
                " that writes",
        )  # fmt: skip
    if not machine.has_uvloop and not machine.is_windows:
        yield Finding(
            kind="uvloop-missing", level=NOTE, what="uvloop is not installed",
            where="the interpreter", why="the runtime is about a third slower without it",
            fix="pip install uvloop",
        )  # fmt: skip


def _disk(machine: Machine, data: Path) -> Iterator[Finding]:
    free = machine.disk_free
    is_low = free < _DISK_LOW_BYTES and free < machine.disk_total * _DISK_LOW_SHARE
    if is_low or free < _DISK_FULL_BYTES:
        yield Finding(
            kind="disk-full", level=ERROR if free < _DISK_FULL_BYTES else WARNING,
            what=f"{free // limits.MIB} MiB are free of {machine.disk_total // limits.MIB}",
            where=str(data), why="a full disk refuses every write, and every backup",
            fix="make room: pylon backups, pylon files sweep, pylon log stats",
        )  # fmt: skip
    kind = machine.file_system
    if kind in _NETWORK:
        yield Finding(
            kind="disk-network", level=ERROR, what=f"the data lies on a network disk ({kind})",
            where=str(data), why="SQLite's locks are not to be trusted there: it can be corrupted",
            fix="move the project to a disk of this machine, and send backups to that one",
        )  # fmt: skip
    synced = next((one for one in _SYNCED if one in str(data)), None)
    if synced is not None:
        yield Finding(
            kind="disk-synced", level=ERROR, what=f"the data lies in a folder of {synced}",
            where=str(data), why="it copies database and journal apart: the copy is no database,"
                                 " and may come back",
            fix="move the project out of it; `[backup] to` may point into it",
        )  # fmt: skip
