"""Where a mistake of the settings stands in pylon.toml, for editors: line and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pylon.errors import ConfigError, Mistake

FILE_NAME: Final = "pylon.toml"
_PREFIX: Final = re.compile(rf"{re.escape(FILE_NAME)}:(?:(\d+):)? ", re.ASCII)
_TOML_PLACE: Final = re.compile(r"\(at line (\d+), column (\d+)\)", re.ASCII)
#: It begins where a word does: begun anew at each letter of a long one, it would take for ever.
_KEY: Final = re.compile(r"(?<![a-z_])[a-z_]+(?:\.[a-z0-9_-]+)+", re.ASCII)
_SECTION: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]", re.ASCII)
_NAME: Final = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=", re.ASCII)


def settings_mistake(project: Path, error: ConfigError) -> Mistake:
    """Return the mistake with its place; without one where it does not come from pylon.toml."""
    message, path = error.message, project / FILE_NAME
    prefix = _PREFIX.match(message)
    if prefix is None and not _KEY.match(message):
        return Mistake(message, hint=error.hint)  # of the environment, or of another file
    text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
    bare = message if prefix is None else message[prefix.end() :]
    place = _of_syntax(bare) or _of_key(bare, text)
    if place is None and prefix is None:
        return Mistake(message, hint=error.hint)
    line, column = place or (int(prefix[1]) if prefix is not None and prefix[1] else 1, 1)
    return Mistake(bare, file=FILE_NAME, line=line, column=column, hint=error.hint)


def _of_syntax(message: str) -> tuple[int, int] | None:
    found = _TOML_PLACE.search(message)
    return None if found is None else (int(found[1]), int(found[2]))


def _of_key(message: str, text: str) -> tuple[int, int] | None:
    """Return where the first key that the message names is set."""
    places = places_in(text)
    for key in _KEY.findall(message):
        if key in places:
            return places[key]
    return None


def places_in(text: str) -> dict[str, tuple[int, int]]:
    """Return the place of each key and section, by its whole name."""
    places: dict[str, tuple[int, int]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        head, name = _SECTION.match(line), _NAME.match(line)
        if head is not None:
            section = f"{head[1]}."
            places.setdefault(head[1], (number, head.start(1) + 1))
        elif name is not None:
            places.setdefault(section + name[1], (number, name.start(1) + 1))
    return places
