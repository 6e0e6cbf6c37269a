"""Puts the files of a launcher entry where they belong, knows which they are, and takes them away.

What was installed is written down with its hashes before the first file is: whatever a crash or a
full disk leaves can be removed, and nothing is ever removed that is not as Pylon made it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from pylon import jsonvalue, paths
from pylon.desktop.files import (
    DesktopFolder,
    DesktopShortcut,
    DesktopTaken,
    Installation,
    PlannedFile,
    Shortcut,
)
from pylon.errors import InvalidJson, PylonError

_RUN_SECONDS: Final = 60


@dataclass(slots=True)
class Record:
    """What was installed: files with the hashes that they may have, and folders made for them."""

    command: tuple[str, ...]
    files: dict[str, list[str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    theme: str = ""
    menu: str = ""
    #: What the shortcut was made from.
    shortcut: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a call did: files written or removed, and those that were left as they are."""

    done: tuple[str, ...]
    left: tuple[str, ...]


def launch_script() -> bytes:
    """Return the text of the script that finds the user's terminal."""
    return Path(__file__).with_name("launch.sh").read_bytes()


def own_command(argv0: str, executable: str, platform: str = sys.platform) -> tuple[str, ...]:
    """Return what runs this very Pylon from anywhere, its first word absolute.

    The name by which it was called, where that is `pylon`: of a link that an installer keeps
    (`~/.local/bin/pylon`) it is the link. Else the program beside the interpreter, by the name
    that it has on the PATH if it has one there; else the interpreter, which then must not take
    modules from the folder that it is started in.
    """
    name = "pylon.exe" if platform == "win32" else "pylon"
    called = Path(argv0)
    if platform == "win32" and called.suffix.lower() != ".exe":
        called = called.with_name(f"{called.name}.exe")
    if called.name == name:
        found = called if called.parent.name else Path(shutil.which(argv0) or "")
        if found.is_file():
            return (os.path.abspath(found),)
    beside = Path(executable).with_name(name)
    if beside.is_file():
        known = shutil.which("pylon")
        is_link_to_it = known is not None and Path(known).samefile(beside)
        return (os.path.abspath(known) if known and is_link_to_it else str(beside),)
    return executable, "-P", "-m", "pylon"


def read_record() -> Record | None:
    """Return what was installed; None where nothing was, or the file is not as it was written."""
    try:
        found: Any = jsonvalue.parse(paths.desktop_file().read_bytes())
        return Record(
            tuple(found["command"]), found["files"], found["folders"], found["theme"],
            found["menu"], found["shortcut"],
        )  # fmt: skip
    except (FileNotFoundError, InvalidJson, KeyError, TypeError):
        return None  # what is as it would be written is taken over by the next installation


def install(planned: Installation, command: Sequence[str]) -> Change:
    """Make everything as planned; what is so already is left alone.

    Raises DesktopTaken where something stands that is not Pylon's, DesktopFolder where a file
    can't be written, DesktopShortcut where Windows made none.
    """
    with paths.locked(paths.desktop_file()):
        before = read_record() or Record(tuple(command))
        wanted = {str(one.path): _hash(one.content) for one in planned.files}
        _refuse_what_is_taken(planned, before, wanted)
        record = Record(
            tuple(command), dict(before.files), list(before.folders),
            str(planned.theme or ""), str(planned.menu or ""), before.shortcut,
        )  # fmt: skip
        every = _paths_of(planned)
        for path, digest in wanted.items():
            record.files[path] = [*record.files.get(path, []), digest]
        missing = _missing_folders(every)
        record.folders = list(dict.fromkeys([*before.folders, *missing]))
        _write_record(record)
        try:
            written = [str(one.path) for one in planned.files if _write(one)]
            record.files.update({path: [digest] for path, digest in wanted.items()})
            if planned.shortcut is not None and _shorten(planned.shortcut, record):
                written.append(str(planned.shortcut.path))
        except PylonError:
            _forget_unless_something_is_there(record)
            raise
        gone = [path for path in before.files if path not in map(str, every)]
        left = [path for path in gone if not _unlink(path, record, is_forced=False)]
        _write_record(record)
    if written or gone:
        _tell_readers(record)
    return Change(tuple(written), tuple(left))


def remove(*, is_forced: bool = False) -> Change:
    """Remove what was installed; what somebody has changed since stays unless it is forced."""
    with paths.locked(paths.desktop_file()):
        record = read_record()
        if record is None:
            return Change((), ())
        there = [path for path in record.files if os.path.lexists(path)]
        left = [
            path for path in list(record.files) if not _unlink(path, record, is_forced=is_forced)
        ]
        for folder in sorted(record.folders, key=len, reverse=True):
            with suppress(OSError):  # others have put something there: it stays
                os.rmdir(folder)
                record.folders.remove(folder)
        if left:
            _write_record(record)
        else:
            paths.desktop_file().unlink()
    _tell_readers(record)
    return Change(tuple(one for one in there if one not in left), tuple(left))


def states(record: Record) -> dict[str, str]:
    """Return of each installed file whether it is there: `ok`, `missing` or `changed`."""
    return {path: _state(path, hashes) for path, hashes in record.files.items()}


def _state(path: str, hashes: list[str]) -> str:
    if not os.path.lexists(path):
        return "missing"
    return "ok" if _hash_of(path) in hashes else "changed"


def _refuse_what_is_taken(planned: Installation, record: Record, wanted: dict[str, str]) -> None:
    ours = set(record.files)
    for path in map(str, _paths_of(planned)):
        if path not in ours and os.path.lexists(path) and _hash_of(path) != wanted.get(path):
            raise DesktopTaken(
                f"{path} is there already, and not made by `pylon desktop install`",
                hint="move it away, or remove it, and install again", path=path,
            )  # fmt: skip


def _paths_of(planned: Installation) -> list[PurePath]:
    files = [one.path for one in planned.files]
    return files if planned.shortcut is None else [*files, planned.shortcut.path]


def _missing_folders(files: Iterable[PurePath]) -> list[str]:
    """Return the folders that have to be made for some files, outer ones first."""
    missing: dict[str, None] = {}
    for path in files:
        above = [one for one in Path(path).parents if not os.path.lexists(one)]
        missing.update(dict.fromkeys(map(str, reversed(above))))
    return list(missing)


def _write(one: PlannedFile) -> bool:
    """Write a file in one piece; False where it is so already."""
    path = Path(one.path)
    mode = 0o755 if one.is_program else 0o644
    beside = path.with_name(f".{path.name}.new")
    try:
        is_right = (
            sys.platform == "win32" or not path.exists() or path.stat().st_mode & 0o777 == mode
        )
        if is_right and _hash_of(str(path)) == _hash(one.content):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(one.content)
            beside.chmod(mode)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def _unwritable(path: Path, error: OSError) -> DesktopFolder:
    hint = "make its folder yours and writable, then install again"
    if sys.platform not in ("win32", "darwin"):
        hint += "; or name another one by XDG_DATA_HOME, which your menu must know, too"
    return DesktopFolder(f"{path} cannot be written: {error.strerror}", hint=hint, path=str(path))


def _shorten(shortcut: Shortcut, record: Record) -> bool:
    """Have the system make a shortcut; False where it is as it should be."""
    path = str(shortcut.path)
    source = _hash(repr((shortcut.maker, shortcut.values)).encode())
    if record.shortcut == source and _state(path, record.files.get(path, [])) == "ok":
        return False
    record.files.setdefault(path, [])
    _write_record(record)
    try:
        Path(shortcut.path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(Path(shortcut.path), error) from error
    code, said = run(shortcut.maker, dict(shortcut.values))
    if code != 0 or not os.path.lexists(path):
        raise DesktopShortcut(
            f"{path} was not made: {said.strip() or f'exit code {code}'}",
            hint="`pylon desktop remove` takes the rest away; `pylon desktop open` works without",
        )
    record.files[path] = [_hash_of(path) or ""]
    record.shortcut = source
    return True


def _unlink(path: str, record: Record, *, is_forced: bool) -> bool:
    """Remove a file that is as it was made, and forget it; False where it stays."""
    if _state(path, record.files[path]) == "changed" and not is_forced:
        return False
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            Path(path).unlink()
    except OSError as error:
        raise DesktopFolder(
            f"{path} cannot be removed: {error.strerror}",
            hint="make its folder yours and writable, then remove again", path=path,
        ) from error  # fmt: skip
    del record.files[path]
    return True


def _tell_readers(record: Record) -> None:
    """Have menus and icon themes look anew.

    Caches are made anew only where there are some: one that is made here would hide icons that
    other programs install later, and be a file that nobody removes.
    """
    if record.menu and (Path(record.menu) / "mimeinfo.cache").is_file():
        _ = run(("update-desktop-database", "-q", record.menu))
    if record.theme and Path(record.theme).is_dir():
        if (Path(record.theme) / "icon-theme.cache").is_file():
            _ = run(("gtk-update-icon-cache", "-q", "-t", "-f", record.theme))
        with suppress(OSError):
            os.utime(record.theme)  # by its time readers see that something below it is new


def run(command: Sequence[str], values: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a program of the system; returns its exit code and what it said."""
    try:
        done = subprocess.run(  # noqa: S603 -- programs of the system, values by the environment
            command, env={**os.environ, **(values or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_RUN_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _write_record(record: Record) -> None:
    paths.write_private(
        paths.desktop_file(),
        jsonvalue.encode({
            "command": list(record.command), "files": dict(record.files),
            "folders": list(record.folders), "theme": record.theme, "menu": record.menu,
            "shortcut": record.shortcut,
        }),
    )  # fmt: skip


def _forget_unless_something_is_there(record: Record) -> None:
    """After a failure: where no file of it exists, nothing is installed."""
    for folder in sorted(record.folders, key=len, reverse=True):
        with suppress(OSError):
            os.rmdir(folder)
    if not any(os.path.lexists(path) for path in record.files):
        paths.desktop_file().unlink(missing_ok=True)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(path: str) -> str | None:
    """Return the hash of a plain file; None of anything else."""
    try:
        return None if os.path.islink(path) else _hash(Path(path).read_bytes())
    except OSError:
        return None
