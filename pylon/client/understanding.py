"""Answers of another shape than this Pylon reads: what reading one raises, and the words for it.

A runtime of another version leaves members out, or gives them other types. What does not live
here: who goes on in spite of it (`tui.enduring`, `cli.another_version`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pylon
from pylon.version import __version__

#: What reading an answer of another shape raises; a fault of any other kind is one of ours.
MISUNDERSTANDINGS: Final = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
_PACKAGE: Final = str(Path(pylon.__file__).parent)
_ERROR_CHARACTERS_MAX: Final = 160


def not_understood(what: str, error: BaseException, theirs: str = "") -> str:
    """Return the words for an answer that was not understood.

    Args:
        what: which answer, or what could not be shown.
        error: what reading it raised.
        theirs: the version that the runtime says it is of; empty where it did not.
    """
    versions = f" ({theirs[:40]}, and this is {__version__})" if theirs else ""
    return f"a runtime of another version{versions}: {what}: {_short(error)} in {place_of(error)}"


def place_of(error: BaseException) -> str:
    """Return the innermost line of Pylon's own that an error came through, as `file.py:88`."""
    place, at = "", error.__traceback__
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            place = f"{Path(name).name}:{at.tb_lineno}"
        at = at.tb_next
    return place or "?"


def _short(error: BaseException) -> str:
    """Return an error in one line: it may hold what was sent, however long that is."""
    words = " ".join(str(error)[: 2 * _ERROR_CHARACTERS_MAX].split())
    return f"{type(error).__name__} {words[:_ERROR_CHARACTERS_MAX]}".rstrip()
