"""What a file is called and how it is sent: names, media types, and what a browser may do with it.

A name is only ever shown; it is part of no path (I80). A type is what an uploader said, so it
decides what is sent only where it is one of those that run no script (I79).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from pylon import limits_files

_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\Z")
_UNKNOWN: Final = "application/octet-stream"
#: Shown in place: pictures, sound, film, and plain text. None of them runs script where the
#: browser is told not to guess.
INLINE: Final = frozenset(
    {
        "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp",
        "audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/webm", "audio/wav",
        "audio/flac", "video/mp4", "video/webm", "video/ogg", "text/plain",
    }
)  # fmt: skip
#: Sent as what they are, and saved: programs open them, browsers do not run them.
_SAVED: Final = frozenset(
    {
        "application/pdf", "application/zip", "application/gzip", "application/json", "text/csv",
        "application/rtf", "application/msword", "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint", "application/epub+zip",
    }
)  # fmt: skip
_SAVED_PREFIXES: Final = (
    "application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.",
)  # fmt: skip
#: What a page that is made of a file may do: nothing, and be of no origin.
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
)


def clean_type(given: str | None) -> str:
    """Return the media type that a header names, without parameters."""
    text = (given or "").partition(";")[0].strip().lower()
    return text if _TYPE.match(text) else _UNKNOWN


def clean_name(given: str | None) -> str:
    """Return a file's name for people: the last part of a path, without control characters."""
    text = (given or "").encode("utf-8", "replace").decode()
    text = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = "".join(one for one in text if one.isprintable()).strip()
    if text.strip(".") == "":
        return "file"
    return text[: limits_files.FILE_NAME_CHARACTERS_MAX]


def header_name(given: str | None) -> str:
    """Return the name in an X-Filename header, where it stands percent-encoded."""
    return clean_name(unquote(given, errors="replace") if given else None)


def form_name(given: str | None) -> str:
    """Return the name in a form's part, where browsers escape three characters and no others."""
    text = given or ""
    for escaped, meant in (("%22", '"'), ("%0D", ""), ("%0A", "")):
        text = text.replace(escaped, meant)
    return clean_name(text)


def disposition(kind: str, name: str) -> str:
    """Return Content-Disposition: how to treat it, and its name in the two forms of RFC 6266."""
    plain = "".join(one if " " <= one <= "~" and one not in '"\\%' else "_" for one in name)
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe='')}"
    return value


def sent_headers(kind: str, name: str, *, is_download: bool = False) -> dict[str, str]:
    """Return the headers of a file's content.

    Args:
        kind: the stored type.
        name: the stored name.
        is_download: save it whatever it is.
    """
    is_inline = kind in INLINE and not is_download
    if kind not in INLINE and kind not in _SAVED and not kind.startswith(_SAVED_PREFIXES):
        kind = _UNKNOWN  # a page, a script, a style sheet: not even as a part of another page
    return {
        "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "Content-Disposition": disposition("inline" if is_inline else "attachment", name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Resource-Policy": "same-site",
        "Referrer-Policy": "no-referrer",
        # Kept by nobody but this browser, and asked for again before each use: rights may change.
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
    }
