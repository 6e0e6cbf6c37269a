"""Times and dates: what is accepted, and the one form in which each is kept.

A time is kept as `2026-11-23T12:00:00.000Z`, which sorts as text. Any offset is taken and turned
into UTC; what could not be kept exactly (no offset, finer than a millisecond, outside the years
1 to 9999) is refused.
"""

from __future__ import annotations

import datetime as dt
import re

from pylon.clock import iso_ms

_WANTED = "must be a time such as 2026-11-23T12:00:00.000Z"
_CANONICAL = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z\Z"
)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?"
    r"(?:[.,]([0-9]{1,30}))?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?\Z"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_datetime(text: str) -> str:
    """Return the canonical text of an ISO 8601 time with offset; raises ValueError otherwise."""
    if _CANONICAL.match(text) and text[8:10] <= "28" and text[:4] != "0000":
        return text  # what our own clients send: every such text is a time already
    found = _ISO.match(text)
    if found is None:
        raise ValueError(_WANTED + (", not a date" if _DATE.match(text) else ""))
    date, minutes, seconds, fraction, offset = found.groups()
    if fraction is not None and (seconds is None or fraction[3:].strip("0")):
        raise ValueError("is finer than a millisecond" if seconds else _WANTED)
    if offset is None:
        raise ValueError("must say its offset from UTC (a naive time is ambiguous)")
    zone = "+00:00" if offset in "Zz" else offset
    exact = f"{date}T{minutes}{seconds or ':00'}.{(fraction or '')[:3].ljust(3, '0')}{zone}"
    try:
        moment = dt.datetime.fromisoformat(exact)
    except ValueError:
        raise ValueError(_WANTED) from None
    return canonical_datetime(moment)


def canonical_datetime(moment: dt.datetime) -> str:
    """Return `2026-11-23T12:00:00.000Z`; raises ValueError for naive or out-of-range times."""
    if moment.utcoffset() is None:
        raise ValueError("must say its offset from UTC (a naive time is ambiguous)")
    try:
        utc = moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("is out of range") from None
    if utc.microsecond % 1000:
        raise ValueError("is finer than a millisecond")
    return iso_ms(_milliseconds(utc))


def datetime_ms(text: str) -> int:
    """Return the Unix milliseconds of a canonical time."""
    return _milliseconds(dt.datetime.fromisoformat(text))


def _milliseconds(utc: dt.datetime) -> int:
    since = utc - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def parse_date(text: str) -> str:
    """Return the date as given, `2026-11-23`; raises ValueError for anything else."""
    if not _DATE.match(text):
        raise ValueError("must be a date such as 2026-11-23")
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no day of the calendar") from None
    return text
