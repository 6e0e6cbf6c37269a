"""Named points at which a test build of the runtime kills itself; the product knows none of them.

`arm()` wraps the product from outside and is called by `pylon.testing.warm_runtime` alone, which is
no way that `pylon dev` or `pylon serve` take: a variable that was left in an environment does
nothing to them. `PYLON_CRASH_AT=label:n` names the point and its n-th passing; with
`label:n:path` passings count only once there is a file of that path.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from pylon import sqlite
from pylon.server.storage import commits, writer
from pylon.server.storage.lineage import Witness
from pylon.sqlite import RawConnection
from pylon.testing.file_crash_points import FILING, wrap_files

VARIABLE: Final = "PYLON_CRASH_AT"
#: Passed while a runtime starts over a folder that was killed.
STARTING: Final = (
    "open.before", "open.during", "open.after", "begin.before", "begin.after", "commit.before",
    "witness.before", "witness.after",
)  # fmt: skip
#: Passed while operations are carried out.
WORKING: Final = (
    "begin.before", "begin.after", "row.before", "row.after", "log.before", "log.after",
    "op.before", "op.after", "commit.before", "commit.during", "commit.after", "answer.before",
    "answer.sent", "checkpoint.before", "checkpoint.during", "checkpoint.after",
)  # fmt: skip
#: Records after which a test build copies the WAL back, so that checkpoints are among the work.
_CHECKPOINT_RECORDS: Final = 40
#: Within this time a point named `during` strikes, while a thread of SQLite's is at work.
_DURING_SECONDS: Final = 0.0015


class CrashPoints:
    """Counts the passings of one point and kills the process at the n-th."""

    def __init__(self, label: str, number: int, armed_by: str = "") -> None:
        self._label = label
        self._left = number
        self._armed_by = armed_by
        self._last: str | None = None
        self.passed: Counter[str] = Counter()

    def reach(self, label: str) -> None:
        """Pass a point."""
        self.passed[label] += 1
        if label != self._label or (self._armed_by and not os.path.exists(self._armed_by)):
            return
        self._left -= 1
        if self._left:
            return
        if label.endswith(".during"):
            # Each passing has another moment, so that many runs cover what lies in between.
            delay = _DURING_SECONDS * (os.getpid() % 16) / 16
            threading.Thread(target=_die, args=(delay,), daemon=True).start()
        else:
            _die(0)

    def statement(self, sql: str) -> None:
        """Pass the points of a statement that is about to run on the writer's connection.

        Between two statements nothing happens but in memory, so the point after one is passed
        where the next begins.
        """
        if self._last is not None:
            self.reach(f"{self._last}.after")
        self._last = kind = _kind(sql)
        if kind is not None:
            self.reach(f"{kind}.before")
        if kind == "commit":
            self._last = None  # what comes after it is passed where it returned
            self.reach("commit.during")


def _die(delay: float) -> None:
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)


def _kind(sql: str) -> str | None:
    words = sql.split(None, 6)
    first = words[0].upper()
    if first in ("BEGIN", "COMMIT"):
        return first.lower()
    if first not in ("INSERT", "UPDATE", "DELETE"):
        return None
    for table, kind in (("_pylon_log", "log"), ("_pylon_ops", "op"), ("_pylon_", None)):
        if any(word.startswith(table) for word in words):
            return kind
    return "row"


def arm(spec: str) -> CrashPoints:
    """Wrap the product so that it passes its points, and dies at `label:n`; "" dies nowhere."""
    label, _, rest = spec.partition(":")
    number, _, armed_by = rest.partition(":")
    if label and label not in (*STARTING, *WORKING, *FILING):
        raise ValueError(f"there is no crash point {label}")
    points = CrashPoints(label, int(number or 1), armed_by)
    _wrap_opening(points)
    _wrap_writing(points)
    _wrap_answers(points)
    wrap_files(points.reach)
    return points


def _wrap_opening(points: CrashPoints) -> None:
    open_writer = sqlite.Engine.open_writer

    async def opened(engine: sqlite.Engine, *given: Any, **named: Any) -> sqlite.Connection:
        points.reach("open.before")
        points.reach("open.during")
        connection = await open_writer(engine, *given, **named)
        points.reach("open.after")
        connection.raw.set_trace_callback(points.statement)
        return connection

    sqlite.Engine.open_writer = opened  # type: ignore[assignment, method-assign]
    write = Witness.write

    def witnessed(witness: Witness, head: int, token: str | None = None) -> None:
        if token is not None:
            points.reach("witness.before")
        write(witness, head, token)
        if token is not None:
            points.reach("witness.after")

    Witness.write = witnessed  # type: ignore[assignment, method-assign]


def _wrap_writing(points: CrashPoints) -> None:
    def around(name: str, label: str, before: tuple[str, ...]) -> None:
        real: Callable[[RawConnection], None] = getattr(commits, name)

        def wrapped(connection: RawConnection) -> None:
            for one in before:
                points.reach(f"{label}.{one}")
            real(connection)
            points.reach(f"{label}.after")

        setattr(commits, name, wrapped)

    around("_commit", "commit", ())
    around("checkpoint", "checkpoint", ("before", "during"))
    for name in ("_CHECKPOINT_RECORDS_IDLE", "_CHECKPOINT_RECORDS_BUSY"):
        assert hasattr(writer, name)
        setattr(writer, name, _CHECKPOINT_RECORDS)
    publish = writer.Writer._publish

    def published(self: writer.Writer, *given: Any) -> None:
        points.reach("answer.before")
        publish(self, *given)

    writer.Writer._publish = published  # type: ignore[assignment, method-assign]


def _wrap_answers(points: CrashPoints) -> None:
    write_eof = web.Response.write_eof

    async def written(answer: web.Response, data: bytes = b"") -> None:
        await write_eof(answer, data)
        points.reach("answer.sent")

    web.Response.write_eof = written  # type: ignore[assignment, method-assign]
