"""What a dump of all stacks says of a runtime that hangs: in which function of the app, and where.

The text that Python's faulthandler writes, and the project's folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_DUMP_BYTES_MAX: Final = 65_536
_FRAME: Final = re.compile(r'^ +File "(.+)", line (\d+) in (.+)$', re.MULTILINE)


def written_since(path: Path, before: int) -> str:
    """Return what stands in a file of dumps behind so many bytes, as far as it is worth reading."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(before)
        return stream.read(_DUMP_BYTES_MAX).decode("utf-8", "replace")


def loop_first(dump: str) -> str:
    """Return a dump of all threads with the one that was running, the loop's, on top."""
    threads = [one.strip("\n") for one in re.split(r"\n\s*\n", dump) if one.strip()]
    threads.sort(key=lambda one: not one.lstrip().startswith("Current thread"))
    return "\n\n".join(threads)


def held_by(dump: str, project: Path) -> str | None:
    """Return what holds the runtime, such as `resize at images.py:12 in shrink`; None if unknown.

    The function is the outermost of the project's frames, below which only Pylon is; the place is
    the innermost. A thread of the app's own may hold the interpreter: the first of the threads
    that has a frame of the project counts, the loop's before others.
    """
    for thread in loop_first(dump).split("\n\n"):
        frames = [
            (file.relative_to(project), line, name)
            for path, line, name in _FRAME.findall(thread)
            if (file := Path(path)).is_relative_to(project)
            and not {".venv", "site-packages"} & set(file.parts)
        ]
        if frames:
            (file, line, inner), (*_, outer) = frames[0], frames[-1]
            place = f"{outer} at {file}:{line}"
            return place if inner == outer else f"{place} in {inner}"
    return None
