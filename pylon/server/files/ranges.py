"""Which part of a file a request asks for (RFC 9110, 13 and 14): ranges and validators.

One range is answered; several of them, and what is no range of bytes, are answered by the whole
file, as the standard allows: nobody gets to ask for a thousand small parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ONE: Final = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*\Z", re.ASCII | re.IGNORECASE)
#: More than any file has bytes.
_ENDLESS: Final = 10**19
_TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from `start` up to but not with `end`, of `size`."""

    start: int
    end: int
    size: int
    #: It was asked for, though it may be all there is (206); else it is the whole file (200).
    is_asked: bool = False

    @property
    def content_range(self) -> str:
        """Return the header that names the part."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def part_of(text: str | None, size: int) -> Part | None:
    """Return what a Range header asks for of a file; None where no byte of it is there (416)."""
    whole = Part(0, size, size)
    found = _ONE.match(text) if text else None
    if found is None:
        return whole
    first, last = found[1], found[2]
    if not (first or last):
        return whole
    if not first:  # the last so many bytes
        length = _number(last)
        if length and not size:
            return whole  # of nothing, the last so many bytes: no Content-Range can say that
        return Part(max(size - length, 0), size, size, is_asked=True) if length else None
    start = _number(first)
    if last and _number(last) < start:
        return whole  # no range at all: it is as if it were not there
    if start >= size:
        return None
    return Part(start, min(_number(last) + 1, size) if last else size, size, is_asked=True)


def _number(digits: str) -> int:
    return int(digits) if len(digits) < len(str(_ENDLESS)) else _ENDLESS


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Tell whether If-None-Match names an entity tag: the caller has the content (304)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(found[2] == etag for found in _TAG.finditer(if_none_match))


def range_holds(etag: str, if_range: str | None) -> bool:
    """Tell whether a range may be answered: If-Range, if given, names this very content."""
    return if_range is None or if_range.strip() == etag
