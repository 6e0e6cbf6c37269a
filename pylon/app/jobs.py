"""How a job is run: the keywords of `@app.job` and `@app.cron`, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.app.schedule import Schedule

JOB_KEYWORDS: Final = ("queue", "retries", "backoff", "timeout", "concurrency", "unique")
CRON_KEYWORDS: Final = ("schedule", "tz", "queue", "retries", "backoff", "timeout")
#: What `ctx.jobs.enqueue` takes for itself.
RESERVED_ARGUMENTS: Final = ("key", "delay", "at", "priority")
_QUEUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
_RETRIES_MAX: Final = 100

#: note(message, keyword)
Note = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Queue, retries and bounds of one job function."""

    queue: str = "default"
    #: Runs after the first.
    retries: int = limits.JOB_RETRIES
    backoff_s: float = limits.JOB_BACKOFF_SECONDS
    #: None: the default of its colour.
    timeout_s: float | None = None
    #: Runs of this function at a time; None: as many as its queue has.
    concurrency: int | None = None
    #: Arguments whose values make the key of a job that has none given; None: no key.
    unique: tuple[str, ...] | None = None
    schedule: Schedule | None = None
    #: `async def`: may do I/O, and is no transaction.
    is_coroutine: bool = False

    def key_of(self, args: Mapping[str, Any]) -> str | None:
        """Return the key that a job's arguments make, where the function is unique by them."""
        if self.unique is None:
            return None
        return jsonvalue.stable_hash([args.get(name) for name in self.unique])


def is_queue_name(name: object) -> bool:
    """Tell whether this can be the name of a queue."""
    return isinstance(name, str) and _QUEUE.match(name) is not None


def seconds_of(given: object) -> float | None:
    """Return a time as seconds; None for what is neither a finite number nor a timedelta."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return float(seconds) if math.isfinite(seconds) else None


def read_options(
    keywords: Mapping[str, Any], arguments: tuple[str, ...], *, is_cron: bool,
    is_coroutine: bool, timeout_s: float | None, note: Note,
) -> JobOptions:  # fmt: skip
    """Return the options that a decorator's keywords ask for; mistakes are noted."""
    reader = _Reader(keywords, note)
    schedule = reader.schedule() if is_cron else None
    return JobOptions(
        queue=reader.queue(),
        retries=reader.integer("retries", 0 if is_cron else limits.JOB_RETRIES, 0, _RETRIES_MAX),
        backoff_s=reader.backoff(),
        timeout_s=timeout_s,
        concurrency=1 if is_cron else reader.concurrency(),
        unique=reader.unique(arguments),
        schedule=schedule,
        is_coroutine=is_coroutine,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    keywords: Mapping[str, Any]
    note: Note

    def schedule(self) -> Schedule | None:
        try:
            return Schedule.parse(self.keywords.get("schedule"), self.keywords.get("tz", "UTC"))
        except ValueError as error:
            self.note(str(error), "tz" if "zone" in str(error) else "schedule")
            return None

    def queue(self) -> str:
        queue = self.keywords.get("queue", "default")
        if not is_queue_name(queue):
            self.note("queue is a short name of letters, digits, - and _", "queue")
            return "default"
        return str(queue)

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self.keywords.get(name, default)
        if type(value) is not int or not least <= value <= most:
            self.note(f"{name} is a whole number from {least} to {most}", name)
            return default
        return value

    def concurrency(self) -> int | None:
        if self.keywords.get("concurrency") is None:
            return None
        return self.integer("concurrency", 1, 1, limits.JOBS_RUNNING_MAX)

    def backoff(self) -> float:
        seconds = seconds_of(self.keywords.get("backoff", limits.JOB_BACKOFF_SECONDS))
        if seconds is None or not 0 <= seconds <= limits.JOB_BACKOFF_SECONDS_MAX:
            most = limits.JOB_BACKOFF_SECONDS_MAX
            self.note(f"backoff is 0 to {most:g} seconds, or a timedelta", "backoff")
            return limits.JOB_BACKOFF_SECONDS
        return seconds

    def unique(self, arguments: tuple[str, ...]) -> tuple[str, ...] | None:
        given = self.keywords.get("unique", False)
        if isinstance(given, bool):
            return tuple(sorted(arguments)) if given else None
        names = (given,) if isinstance(given, str) else given
        if not isinstance(names, list | tuple) or not names:
            self.note("unique is True, or the names of arguments", "unique")
            return None
        for name in names:
            if name not in arguments:
                self.note(f"unique names {name}, which is no argument", "unique")
        return tuple(str(name) for name in names)
