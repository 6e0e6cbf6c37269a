"""What the app's own code threw, in words that are bounded and can be stored.

An exception is the app's, too: its text may be huge, and asking for it may raise or never end.
What does not live here: who catches it (`app_code`) and what becomes of the call.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import pylon
from pylon import jsonvalue, limits
from pylon.errors import Internal, PayloadTooLarge, PylonError

T = TypeVar("T")
#: A refusal with its details, as JSON.
_REFUSAL_BYTES_MAX: Final = 65_536
_PACKAGE: Final = Path(pylon.__file__).parent


class AppFailed(Internal):
    """A function of the app failed; what it threw stays here, in words."""

    def __init__(self, message: str, *, said: str, traceback_text: str, **details: Any) -> None:
        super().__init__(message, **details)
        #: The exception's name and text.
        self.said = said
        self.traceback_text = traceback_text


def said_of(error: BaseException) -> str:
    """Return an exception's name and text, bounded; runs code of the app's."""
    name = type(error).__name__
    text = str(error)[: limits.JOB_ERROR_CHARACTERS_MAX]
    return f"{name}: {text}" if text else name


def traceback_of(error: BaseException) -> str:
    """Return a traceback from the app's first frame on, bounded; runs code of the app's."""
    lines = traceback.format_exception(type(error), error, _below_our_frames(error.__traceback__))
    text, most = "".join(lines), limits.JOB_TRACEBACK_CHARACTERS_MAX
    if len(text) <= most:
        return text
    half = most // 2  # where it was called and what was thrown are both worth more than the middle
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"


def described(error: BaseException, bounded: Callable[[Callable[[], str]], str]) -> tuple[str, str]:
    """Return (said, traceback) of an exception, whatever it does when it is asked.

    Args:
        error: what was thrown.
        bounded: runs a function with a budget; raises where it takes too long.
    """
    name = type(error).__name__
    found = []
    for ask in (said_of, traceback_of):
        try:
            found.append(bounded(lambda ask=ask: ask(error)))  # type: ignore[misc]
        except BaseException as trouble:  # noqa: BLE001 -- no text is worth a call, or the process
            found.append(f"{name} (its text could not be read: {type(trouble).__name__})")
    return found[0], found[1]


def _below_our_frames(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the app's first frame on: how it was called is of no use there."""
    rest = found
    while rest is not None and Path(rest.tb_frame.f_code.co_filename).is_relative_to(_PACKAGE):
        rest = rest.tb_next
    return rest or found


def demand_refusal_fits(error: PylonError) -> None:
    """Raise where a refusal can't be answered: it has no JSON, or is larger than a refusal is."""
    text = jsonvalue.encode_text(error.to_wire())
    if len(text) > _REFUSAL_BYTES_MAX:
        raise PayloadTooLarge(f"a refusal has at most {_REFUSAL_BYTES_MAX} bytes")


def demand_result_fits(text: str, name: str) -> str:
    """Return the JSON text of a result; raises PayloadTooLarge."""
    most = limits.RESULT_BYTES_MAX
    if len(text) > most // 4 and len(text.encode()) > most:
        raise PayloadTooLarge(
            f"{name} returned more than {most} bytes", hint="return less of it at a time"
        )
    return text


def demand_part_fits(text: str, name: str) -> str:
    """Return the JSON text of one part of a stream; raises PayloadTooLarge."""
    most = limits.PART_BYTES_MAX
    if len(text) > most // 4 and len(text.encode()) > most:
        raise PayloadTooLarge(f"{name} yielded a part of more than {most} bytes")
    return text


async def contained(work: Awaitable[T]) -> T:
    """Await code of the app's; raises Uncommon for what would end the loop or the task with it."""
    try:
        return await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Uncommon(error) from None  # nobody had cancelled it
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 -- SystemExit would end the loop
        raise Uncommon(error) from None


class Uncommon(Exception):
    """Something was raised that is no Exception."""

    def __init__(self, thrown: BaseException) -> None:
        super().__init__(type(thrown).__name__)
        self.thrown = thrown
