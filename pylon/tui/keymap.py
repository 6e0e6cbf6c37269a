"""Keys as a person wants them: what can be bound, and the file that binds it otherwise.

Every binding has an id that stays. The file names ids and their keys; whatever in it can't hold
is said with its line, left out, and keeps its usual key. No mistake in it stops a start.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import Keys as KnownKeys
from textual.screen import ModalScreen

from pylon.printable import clean

#: As much of the file is read.
_BYTES_MAX: Final = 64_000
_MODIFIERS: Final = ("ctrl", "shift", "alt", "super", "meta", "hyper")
_SHORT: Final = {
    "/": "slash", "?": "question_mark", ":": "colon", "+": "plus", "-": "minus", "_": "underscore",
    "[": "left_square_bracket", "]": "right_square_bracket", ".": "full_stop", "esc": "escape",
    "return": "enter", "del": "delete", "pgup": "pageup", "pgdown": "pagedown", " ": "space",
}  # fmt: skip
_NAMED: Final = frozenset(str(one.value) for one in KnownKeys) | frozenset(_SHORT.values())
#: Keys that a terminal can't tell from another one: it sends the same for both.
_ONE_WITH: Final = {
    "ctrl+m": "enter", "ctrl+i": "tab", "ctrl+h": "backspace",
    "ctrl+left_square_bracket": "escape",
}  # fmt: skip
_SECTION: Final = re.compile(r"\s*\[([^\]]+)\]")
_NAME: Final = re.compile(r"\s*([A-Za-z0-9_\"'.-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Bound:
    """Something that can be bound."""

    id: str
    keys: tuple[str, ...]
    words: str
    #: Names of the classes that bind it.
    places: tuple[str, ...]


@dataclass(slots=True)
class Keymap:
    """What the file says that can hold, and what is wrong with the rest."""

    keys: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


def places() -> list[type[DOMNode]]:
    """Return every class of the dashboard that has keys: the app first, then by name."""
    import pylon.tui

    # All of it: a screen that nobody opened yet has keys, too.
    for module in pkgutil.walk_packages(pylon.tui.__path__, "pylon.tui."):
        importlib.import_module(module.name)
    found = {one for one in _below(DOMNode) if one.__module__.startswith("pylon.tui.")}
    return sorted(
        (one for one in found if "BINDINGS" in vars(one)),
        key=lambda one: (one.__name__ != "Dashboard", not _is_pane(one), one.__name__),
    )


def _is_pane(one: type) -> bool:
    return one.__name__.endswith("Pane")


def _below(root: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for one in root.__subclasses__():
        yield one
        yield from _below(one)


def own_bindings(place: type[DOMNode]) -> list[Binding]:
    """Return the bindings that a class adds to those of the classes it is made of."""
    return [one for one in vars(place).get("BINDINGS", ()) if isinstance(one, Binding)]


def catalogue() -> list[Bound]:
    """Return everything that can be bound, in the order of the places."""
    found: dict[str, Bound] = {}
    for place in places():
        for one in own_bindings(place):
            if one.id is None:  # a test finds those
                continue
            name = one.id
            before = found.get(name)
            keys = (*(before.keys if before else ()), *one.key.split(","))
            words = before.words if before and before.words else one.description
            seen = (*(before.places if before else ()), place.__name__)
            found[name] = Bound(
                name, tuple(dict.fromkeys(keys)), words, tuple(dict.fromkeys(seen))
            )  # fmt: skip
    return list(found.values())


def read_keymap(path: Path) -> Keymap:
    """Return what the file of keys says; nothing where there is no file."""
    result = Keymap()
    try:
        with path.open("rb") as stream:
            text = stream.read(_BYTES_MAX).decode()
        given = tomllib.loads(text)
    except FileNotFoundError:
        return result
    except (OSError, ValueError) as error:
        result.complaints.append(f"{path}: {error}; all keys are as usual")
        return result
    lines = _lines_of(text)
    known = {one.id: one for one in catalogue()}
    wanted: dict[str, str] = {}
    for name, value in _flat(given):
        where = f"{path}:{lines.get(name, 1)}"
        keys = [value] if isinstance(value, str) else value
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; `pylon keys` prints all ids"
            result.complaints.append(f"{where}: nothing has the id {clean(name)[:60]}{hint}")
        elif not (isinstance(keys, list) and keys and all(isinstance(one, str) for one in keys)):
            result.complaints.append(
                f'{where}: {name} takes a key, such as "f5", or a list of keys'
            )
        elif bad := next((one for one in keys if not _long(one)), None):
            result.complaints.append(
                f'{where}: {clean(bad)[:30]!r} is no key; such as "x", "G", "f5", "ctrl+x"'
            )
        elif same := next((one for one in keys if _long(one) in _ONE_WITH), None):
            usual = _ONE_WITH[_long(same)]
            result.complaints.append(
                f"{where}: terminals send {usual} for {same}; take {usual}, or another key"
            )
        else:
            wanted[name] = ",".join(_long(one) for one in keys)
    _drop_clashes(path, wanted, lines, result)
    result.keys = wanted
    return result


def _flat(table: dict[str, Any], lead: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{lead}{name}.")
        else:
            yield f"{lead}{name}", value


def _lines_of(text: str) -> dict[str, int]:
    """Return the line of each name of a TOML text that is known to be one."""
    lead, found = "", {}
    for number, line in enumerate(text.splitlines(), 1):
        section, name = _SECTION.match(line), _NAME.match(line)
        if section:
            lead = f"{_bare(section[1])}."
        elif name:
            found[lead + _bare(name[1])] = number
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)


def _long(key: str) -> str:
    """Return a key as the terminal library calls it; empty for what is none."""
    *modifiers, last = key.split("+") if len(key) > 1 and not key.endswith("+") else [key]
    if key.endswith("+") and len(key) > 1:
        *modifiers, last = [*key[:-2].split("+"), "+"]
    name = _SHORT.get(last, last)
    is_key = name in _NAMED or (len(name) == 1 and name.isprintable() and name != ",")
    if not is_key or any(one not in _MODIFIERS for one in modifiers):
        return ""
    return "+".join([*modifiers, name])


# --- what hides what


def _drop_clashes(
    path: Path, wanted: dict[str, str], lines: dict[str, int], result: Keymap
) -> None:  # fmt: skip
    """Take out of `wanted` what would hide something that is in reach now, the last line first."""
    usual = _hidden({})
    while clashes := {pair: key for pair, key in _hidden(wanted).items() if pair not in usual}:
        mine, other, key = max(
            (
                (lines.get(one, 1), one, other, key)
                for pair, key in clashes.items()
                for one, other in (pair, pair[::-1])
                if one in wanted
            ),
            key=lambda each: each[:3],
        )[1:]
        del wanted[mine]
        result.complaints.append(
            f"{path}:{lines.get(mine, 1)}: {mine} can't be on {key}: {other} is; it keeps its key"
        )


def _hidden(keymap: dict[str, str]) -> dict[tuple[str, str], str]:
    """Return pairs of ids that are on one key where both are in reach, with the key."""
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.launcher import Launcher
    from pylon.tui.widgets.line_list import LineList

    found: dict[tuple[str, str], str] = {}
    for place in places():
        chain = _merged(place, keymap)
        if not _is_modal(place):
            chain += _merged(LineList, keymap) if place is not LineList else []
            chain += _merged(Dashboard, keymap) if place not in (Dashboard, Launcher) else []
        by_key: dict[str, str] = {}
        for key, name in chain:
            other = by_key.setdefault(key, name)
            if other != name:
                found[min(name, other), max(name, other)] = key
    return found


def _is_modal(place: type[DOMNode]) -> bool:
    return issubclass(place, ModalScreen)


def _merged(place: type[DOMNode], keymap: dict[str, str]) -> list[tuple[str, str]]:
    """Return (key, id) of a place with those of the classes it is made of, ours only."""
    found: dict[str, Binding] = {}
    for one in reversed(place.__mro__):
        if one.__module__.startswith("pylon.tui.") and issubclass(one, DOMNode):
            for key, bindings in BindingsMap(own_bindings(one)).key_to_bindings.items():
                if bindings[-1].id is not None:
                    found[key] = bindings[-1]
    pairs = [(key, cast(str, one.id)) for key, one in found.items() if one.id not in keymap]
    for name in dict.fromkeys(cast(str, one.id) for one in found.values()):
        pairs += [(key, name) for key in keymap.get(name, "").split(",") if key]
    return pairs
