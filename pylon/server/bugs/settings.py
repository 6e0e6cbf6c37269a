"""A project's pylon.toml without its secrets, and the secrets, so that nothing else says them.

Numbers, switches and a few words stay; every other text goes, whether it is a secret or not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pylon import jsonvalue
from pylon.errors import ConfigError
from pylon.schema.masking import is_secret_name
from pylon.server.config import load_dotenv
from pylon.server.settings_table import SETTINGS

#: Texts that say nothing of anybody.
_SHOWN: Final = frozenset(
    {"server.durability", "auth.methods", "jobs.queues", "backup.every", "backup.at", "web.package"}
)
#: Where it listens is another matter on another machine.
_ELSEWHERE: Final = frozenset({"server.port"})
_SECRET_MIN: Final = 6


@dataclass(slots=True)
class ShownSettings:
    """What may be shown of the settings."""

    toml: str = ""
    #: Keys that were taken out.
    taken_out: list[str] = field(default_factory=list)
    #: Texts that must not be shown anywhere.
    secrets: set[str] = field(default_factory=set, repr=False)


def shown_settings(project: Path, environment: Mapping[str, str]) -> ShownSettings:
    """Return the settings of a project; one that can't be read is taken out whole."""
    shown = ShownSettings()
    try:
        dotenv = load_dotenv(project, {})
    except ConfigError:
        dotenv = {}
    shown.secrets.update(_long(dotenv.values()))
    shown.secrets.update(_long(v for name, v in environment.items() if is_secret_name(name)))
    tree = _tree(project / "pylon.toml", shown)
    lines: list[str] = []
    for section, keys in tree.items():
        kept = [
            f"{name} = {text}"
            for name, value in (keys.items() if isinstance(keys, dict) else ())
            if (text := _shown(f"{section}.{name}", value, shown, {**environment, **dotenv}))
        ]
        if kept:
            lines += [f"[{section}]", *kept, ""]
    taken = [f"# {one} was taken out" for one in shown.taken_out]
    shown.toml = "\n".join([*lines, *taken, ""])
    return shown


def _tree(path: Path, shown: ShownSettings) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        shown.taken_out.append("all of it, which can't be read,")
        return {}


def _shown(key: str, value: Any, shown: ShownSettings, environment: Mapping[str, str]) -> str:
    """Return a value as TOML; empty for one that is taken out, whose texts become secrets."""
    if key == "auth.methods" and isinstance(value, list) and "oauth" in value:
        value = [one for one in value if one != "oauth"]  # its providers are taken out
        shown.taken_out.append("auth.methods: oauth")
    is_plain = isinstance(value, bool | int | float)
    is_known = key in SETTINGS and key not in _ELSEWHERE and (is_plain or key in _SHOWN)
    if is_known and not any(one.startswith("env:") for one in _texts(value)):
        return jsonvalue.encode_text(value)
    shown.taken_out.append(f"{key:.80}")
    for text in _texts(value):
        found = environment.get(text.removeprefix("env:"), "") if text.startswith("env:") else text
        shown.secrets.update(_long([found, *_parts(found)]))
    return ""


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for one in value.values():
                yield from _texts(one)
        case _:
            pass


def _parts(text: str) -> Iterator[str]:
    """Yield who signs in at an address, and how: they may stand elsewhere alone."""
    try:
        found = urlsplit(text)
        parts = (found.username, found.password)
    except ValueError:
        return
    for one in parts:
        if one:
            yield from {one, unquote(one)}


def _long(texts: Any) -> Iterator[str]:
    for one in texts:
        if len(one) >= _SECRET_MIN:
            yield one
