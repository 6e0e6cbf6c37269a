"""What a File field holds: the file object, whole; a file never changes once it is stored.

Because of that the object is kept in the row as it is read, and every path that shows a row shows
it without another look. What was given for a field names the file by its id; the rest is filled in
by who looks the file up (`is_whole` tells the two apart).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pylon.ids import is_id

FILE_TYPESCRIPT: Final = (
    "{ id: string; url: string; size: number; type: string; sha256: string; name: string }"
)
_TEXT: Final = {"type": "string"}
FILE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A file; to set it, give the object or its id as text.",
    "properties": {
        "id": {**_TEXT, "pattern": "^[A-Za-z0-9_-]{1,64}$"}, "url": _TEXT,
        "size": {"type": "integer", "minimum": 0}, "type": _TEXT,
        "sha256": {**_TEXT, "pattern": "^[0-9a-f]{64}$"}, "name": _TEXT,
    },
    "required": ["id"],
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A stored file: in an entity the type of a field, in code what such a field holds.

    `size` is in bytes, `type` a media type as the uploader said it, `url` a path of this runtime.
    """

    id: str
    url: str
    size: int
    type: str
    sha256: str
    name: str


def url_of(file_id: str) -> str:
    """Return the path that a file is read at."""
    return f"/api/files/{file_id}"


def file_object(file_id: str, size: int, kind: str, sha256: str, name: str) -> dict[str, Any]:
    """Return the file object, as fields hold it and clients read it."""
    return {
        "id": file_id, "url": url_of(file_id), "size": size, "type": kind, "sha256": sha256,
        "name": name,
    }  # fmt: skip


def parse_file(value: Any) -> dict[str, Any]:
    """Return which file is meant, by its id; whatever else was said of it is not looked at.

    Raises ValueError for what is neither an id nor an object with one.
    """
    named = value.get("id") if isinstance(value, dict) else value
    if is_id(named):
        return {"id": named}
    raise ValueError("must be the id of a file, or its file object")


def file_from_app(value: Any) -> dict[str, Any]:
    """Return which file the app's code means; raises ValueError."""
    return parse_file(value.id if isinstance(value, File) else value)
