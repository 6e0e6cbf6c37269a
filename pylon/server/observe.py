"""What operators see: structured log lines with stable event names, and the ring of recent calls.

A line is `event field=value …`; the event name comes first and never changes. Text from callers
is cleaned of control characters before it reaches a terminal (I99).
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pylon import jsonvalue, limits
from pylon.clock import Clock, iso_ms
from pylon.printable import clean_block
from pylon.server.calls import Call, CallBook


class Observer:
    """Counters, recent calls, recent log lines and sent mails; one per runtime."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = CallBook(clock.now_ms, clock.monotonic)
        self.lines: deque[dict[str, str]] = deque(maxlen=limits.LOG_LINES_KEPT_MAX)
        self.mails: deque[dict[str, Any]] = deque(maxlen=limits.OUTBOX_MAILS_MAX)
        self.counters: dict[str, int] = {"errors": 0, "calls": 0, "writes": 0, "refused": 0}
        #: What the last reload that changed a policy changed for whom.
        self.policy_change: dict[str, Any] | None = None
        self._listeners: list[Callable[[str, Any], None]] = []

    def listen(self, listener: Callable[[str, Any], None]) -> Callable[[], None]:
        """Call `listener(kind, value)` for calls, logs and mails; returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, kind: str, value: Any) -> None:
        for listener in self._listeners:
            listener(kind, value)

    def begin(self, name: str, kind: str, user: str | None, cause: str) -> Call:
        """Take a call that begins."""
        return self.calls.begin(name, kind, user, cause)

    def end(
        self, call: Call, outcome: str = "done", code: str | None = None, error: str | None = None
    ) -> None:
        """Take the end of a call, and tell who listens."""
        self.counters["calls"] += 1
        self.calls.end(call, outcome, code, error)
        if self._listeners:
            self._tell("calls", call)

    def note_mail(self, mail: dict[str, Any]) -> None:
        """Keep one mail that was sent."""
        self.mails.append(mail)
        self._tell("mail", mail)

    def note_policy_change(self, change: dict[str, Any]) -> None:
        """Keep what a reload changed for whom."""
        self.policy_change = change
        self._tell("policy_change", change)

    def note_workflow(self, run_id: str) -> None:
        """Say that a run of a workflow has moved."""
        if self._listeners:
            self._tell("workflows", run_id)

    def note_line(self, level: str, event: str, message: str) -> None:
        """Keep one line of the log."""
        line = {
            "at": iso_ms(self.clock.now_ms()), "level": level, "event": event, "message": message
        }  # fmt: skip
        self.lines.append(line)
        self._tell("logs", line)


class _Handler(logging.Handler):
    def __init__(self, observer: Observer, *, as_json: bool) -> None:
        super().__init__()
        self._observer = observer
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line and print it on stderr."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        event = message.split(" ", 1)[0]
        level = record.levelname.lower()
        # What ended by a failure that was told on a line of its own is no second one.
        if record.levelno >= logging.ERROR and not getattr(record, "is_told", False):
            self._observer.counters["errors"] += 1
        self._observer.note_line(level, event, message)
        if self._as_json:
            text = jsonvalue.encode_text(
                {"level": level, "logger": record.name, "message": message}
            )
        else:
            text = f"{level:<7} {clean_block(message)}"
        with suppress(OSError):  # nobody reads any more: whoever started us is gone
            sys.stderr.write(text + "\n")


def set_up_logging(observer: Observer, *, as_json: bool) -> None:
    """Send the log of Pylon and of the app to stderr and to the observer."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(_Handler(observer, as_json=as_json))
    root.setLevel(logging.INFO)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
