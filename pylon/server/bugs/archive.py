"""The one file of a report: a zip of texts, made for reading before it is sent, and read warily.

Whoever opens one got it from a stranger: every part is bounded before it is unpacked, and named by
a list or, for code, by a path that stays inside. What does not live here: what the parts say
(`report`), and what is done with them (`replaying`).
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits_keeping, paths
from pylon.errors import InvalidJson, PylonError

FORMAT: Final = 1
README: Final = "README.txt"
ABOUT: Final = "about.json"
SCHEMA: Final = "schema.json"
START: Final = "start.jsonl"
CHANGES: Final = "changes.jsonl"
END: Final = "end.jsonl"
ACCOUNTS: Final = "accounts.jsonl"
FAILURES: Final = "failures.json"
SETTINGS: Final = "pylon.toml"
CODE: Final = "code/"
#: In the order in which they stand in the file; code comes after them.
PARTS: Final = (
    README, ABOUT, SCHEMA, "policies.json", SETTINGS, START, CHANGES, END, ACCOUNTS, FAILURES,
    "runtime.log", "doctor.json", "health.json",
)  # fmt: skip
#: The others may be absent: an empty part is left out.
_NEEDED: Final = frozenset({ABOUT, SCHEMA, FAILURES})
_CODE_PATH: Final = re.compile(r"code/(?:[A-Za-z_]\w{0,63}/){0,8}[A-Za-z_]\w{0,63}\.py\Z", re.ASCII)
_CHUNK: Final = 1 << 16
#: What is unpacked a piece at a time. Of the others, one step may make gigabytes of a few bytes.
_PACKINGS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class BugUnreadable(PylonError):
    """A file is no report that `pylon bug` made, or is damaged, or holds what none does."""

    code = "BUG_UNREADABLE"


def packed(parts: Mapping[str, str]) -> bytes:
    """Return the bytes of a report; parts that are empty are left out."""
    out = io.BytesIO()
    names = [
        *(one for one in PARTS if parts.get(one)),
        *sorted(one for one in parts if is_code(one)),
    ]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, parts[name])
    return out.getvalue()


def write(target: Path, data: bytes) -> None:
    """Write a report under a name that is free, readable by its owner only, whole or not at all.

    Raises FileExistsError and what the system refuses.
    """
    # What a killed one left must not look like a report that is there already.
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _give_name(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    paths.sync_folder(target.parent)


def _give_name(partial: Path, target: Path) -> None:
    try:
        os.link(partial, target)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        if target.exists():
            raise FileExistsError(target) from None
        partial.rename(target)


def is_code(name: str) -> bool:
    """Tell whether a part is a file of the app's code."""
    return _CODE_PATH.match(name) is not None


def opened(path: Path) -> dict[str, str]:
    """Return the parts of a report; raises BugUnreadable."""
    try:
        if path.stat().st_size > limits_keeping.BUG_FILE_BYTES_MAX:
            raise BugUnreadable(f"{path.name} is too large for a report")
        with zipfile.ZipFile(path) as archive:
            return _unpacked(archive)
    except OSError as error:
        raise BugUnreadable(
            f"{path} cannot be read: {error.strerror or error}",
            hint="name a file that `pylon bug` wrote",
        ) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError,
            OverflowError) as error:  # fmt: skip
        raise BugUnreadable(
            f"{path.name} is no report of a problem, or is damaged", hint="`pylon bug` makes one"
        ) from error


def _unpacked(archive: zipfile.ZipFile) -> dict[str, str]:
    found = archive.infolist()
    if len(found) > limits_keeping.BUG_PARTS_MAX:
        raise BugUnreadable(f"the report has more than {limits_keeping.BUG_PARTS_MAX} parts")
    parts: dict[str, str] = {}
    left = limits_keeping.BUG_UNPACKED_BYTES_MAX
    for one in found:
        name = one.filename
        if name in parts or (name not in PARTS and not is_code(name)):
            raise BugUnreadable(f"the report holds {name[:80]!r}, which none does")
        if one.compress_type not in _PACKINGS:
            raise BugUnreadable(f"{name} in the report is packed as none is")
        data = _bounded(archive, one, left)
        left -= len(data)
        try:
            parts[name] = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BugUnreadable(f"{name} in the report is not UTF-8") from error
    missing = sorted(_NEEDED - parts.keys())
    if missing:
        raise BugUnreadable(f"the report has no {missing[0]}", hint="`pylon bug` makes one")
    return parts


def _bounded(archive: zipfile.ZipFile, one: zipfile.ZipInfo, most: int) -> bytes:
    """Unpack one part; what its head says of its size is not believed."""
    made = io.BytesIO()
    with archive.open(one) as stream:
        while chunk := stream.read(_CHUNK):
            if made.tell() + len(chunk) > most:
                raise BugUnreadable(
                    f"the report unpacks to more than {limits_keeping.BUG_UNPACKED_BYTES_MAX} bytes"
                )
            made.write(chunk)
    return made.getvalue()


def json_part(parts: Mapping[str, str], name: str) -> Any:
    """Return the value of a part; raises BugUnreadable."""
    try:
        return jsonvalue.parse(parts[name].encode())
    except (InvalidJson, KeyError) as error:
        raise BugUnreadable(f"{name} in the report is no JSON") from error


def json_lines(parts: Mapping[str, str], name: str) -> list[dict[str, Any]]:
    """Return the objects of a part that has one in each line; raises BugUnreadable."""
    made = []
    for number, line in enumerate(parts.get(name, "").splitlines(), 1):
        try:
            value = jsonvalue.parse(line.encode())
        except InvalidJson as error:
            raise BugUnreadable(f"{name}:{number} in the report is no JSON") from error
        if not isinstance(value, dict):
            raise BugUnreadable(f"{name}:{number} in the report is no object")
        made.append(value)
    return made
