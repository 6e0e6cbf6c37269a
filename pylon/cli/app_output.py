"""What an app's own code prints while a command runs it: talk, and never the command's data.

A script reads stdout (`pylon migrate --json | jq`), and so does the dashboard; an app that prints
as it is imported, with or without a line's end, must not stand within that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pylon.app.definition import AppDefinition

_OUT: Final = 1
_ERR: Final = 2
_has_run = False


@contextmanager
def on_stderr() -> Iterator[None]:
    """Have all that is written to stdout meanwhile go to stderr: prints, and descriptor 1 itself.

    A process that the app starts writes there, too.
    """
    global _has_run  # noqa: PLW0603 -- of this process, for its end
    _has_run = True
    if sys.stdout is None or sys.stderr is None:  # whoever closed one of them reads no data
        yield
        return
    sys.stdout.flush()
    kept = os.dup(_OUT)
    os.dup2(_ERR, _OUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(kept, _OUT)
        os.close(kept)


def read_app(project: Path) -> AppDefinition:
    """Load the app of a project, which runs its module; raises LoadFailed."""
    from pylon.app.loader import load_app

    with on_stderr():
        return load_app(project, generation=0)


def end_of_data() -> None:
    """Have what the app's code prints as the process ends (`atexit`) be talk, too."""
    if not _has_run or sys.stdout is None or sys.stderr is None:
        return
    sys.stdout.flush()
    os.dup2(_ERR, _OUT)
