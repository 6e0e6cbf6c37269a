"""Settings as the owner sees them: the value in force, what named it, and what a change needs.

Secrets are never among them: those of the table, what `env:` names, passwords of addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pylon.errors import ConfigError
from pylon.server.background import texts_wrong
from pylon.server.config import (
    ENVIRONMENT,
    FILE,
    FLAG,
    Origin,
    ServerConfig,
    load_config,
    load_dotenv,
)
from pylon.server.provider_settings import KEYS, PROVIDERS
from pylon.server.settings_places import FILE_NAME, places_in, settings_mistake
from pylon.server.settings_table import NEEDS, RUNTIME, SETTINGS

#: What stands in the place of a secret.
HIDDEN: Final = "•••"
_PASSWORD: Final = re.compile(r"(://[^:@/?#]*:).*@")
_KINDS: Final = {str: "text", bool: "true or false", int: "integer", float: "number",
                 list: "list of texts"}  # fmt: skip
_DEFAULT: Final = "default"
_DOTENV: Final = ".env"
_SECRETS_OF_PROVIDERS: Final = ("client_secret",)


def settings_shown(
    project: Path, environment: Mapping[str, str], *, is_dev: bool,
    in_force: ServerConfig | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return every setting, and the mistakes that would stop the next start.

    Args:
        project: the project's folder.
        environment: the process environment, without what .env adds.
        is_dev: what the next start would be, where none is in force.
        in_force: what a running runtime has; None where none runs.
    """
    mistakes: list[ConfigError] = []
    added = _dotenv_of(project, environment, mistakes)
    whole = {**environment, **added}
    following = load_config(
        project, is_dev=is_dev if in_force is None else in_force.is_dev, flags={},
        environment=whole, told=mistakes.append,
    )  # fmt: skip
    mistakes += texts_wrong(following)
    places = places_in(_text_of(project))
    shown = in_force or following
    dotenv = frozenset(added)
    rows = [
        _row(key, shown, following, places, dotenv, is_sure=not mistakes) for key in SETTINGS
    ]  # fmt: skip
    return {
        "file": str(project / FILE_NAME), "has_file": (project / FILE_NAME).is_file(),
        "mode": "dev" if shown.is_dev else "serve", "is_running": in_force is not None,
        "settings": [*rows, *_providers(shown, places)],
        "mistakes": [_mistake(project, one) for one in _apart(mistakes)],
    }  # fmt: skip


def mistakes_of(project: Path, environment: Mapping[str, str]) -> list[ConfigError]:
    """Return everything in a project's settings that would stop its start."""
    found: list[ConfigError] = []
    whole = {**environment, **_dotenv_of(project, environment, found)}
    config = load_config(project, is_dev=True, flags={}, environment=whole, told=found.append)
    return _apart([*found, *texts_wrong(config)])


def _apart(mistakes: list[ConfigError]) -> list[ConfigError]:
    """Leave out what follows from another mistake only."""
    if not any(f"{PROVIDERS}." in one.message for one in mistakes):
        return mistakes
    return [one for one in mistakes if not one.message.startswith("auth.methods names oauth")]


def _row(
    key: str, shown: ServerConfig, following: ServerConfig,
    places: Mapping[str, tuple[int, int]], dotenv: frozenset[str], *, is_sure: bool,
) -> dict[str, Any]:  # fmt: skip
    setting, value = SETTINGS[key], shown[key]
    origin = shown.origins.get(key, Origin(_DEFAULT))
    line, column = places.get(key) or places.get(key.partition(".")[0]) or (None, None)
    is_stated = key in places
    is_hidden = setting.is_secret or (origin.kind == FILE and bool(origin.name))
    differs = is_sure and following[key] != value
    return {
        "key": key, "value": _masked(value, is_hidden=is_hidden), "default": setting.default,
        "kind": _KINDS[setting.kind], "doc": setting.doc, "is_secret": is_hidden,
        **_origin(origin, line if is_stated else None, dotenv),
        "line": line, "column": column, "needs": NEEDS[setting.reader],
        "waits": differs and origin.kind != FLAG,
        "next": _masked(following[key], is_hidden=is_hidden) if differs else None,
    }  # fmt: skip


def _origin(origin: Origin, line: int | None, dotenv: frozenset[str]) -> dict[str, Any]:
    """Return what named a value, and where that is, in words."""
    kind, where = origin.kind, ""
    if kind == FILE:
        where = FILE_NAME if line is None else f"{FILE_NAME}:{line}"
        where += f" (env:{origin.name})" if origin.name else ""
    elif kind == ENVIRONMENT:
        kind = _DOTENV if origin.name in dotenv else kind
        where = origin.name
    elif kind == FLAG:
        where = f"the start of `pylon dev` or `pylon serve`, as by {origin.name}"
    return {"origin": kind, "where": where}


def _providers(
    config: ServerConfig, places: Mapping[str, tuple[int, int]]
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for name, section in config[PROVIDERS].items():
        for key, value in section.items():
            whole = f"{PROVIDERS}.{name}.{key}"
            line, column = places.get(whole) or (None, None)
            is_hidden = key in _SECRETS_OF_PROVIDERS
            rows.append({
                "key": whole, "value": _masked(value, is_hidden=is_hidden), "default": None,
                "kind": _KINDS[KEYS[key].kind], "doc": KEYS[key].doc, "is_secret": is_hidden,
                **_origin(Origin(FILE), line, frozenset()), "line": line, "column": column,
                "needs": NEEDS[RUNTIME], "waits": False, "next": None,
            })  # fmt: skip
    return rows


def _masked(value: Any, *, is_hidden: bool) -> Any:
    if is_hidden and value:
        return HIDDEN
    if isinstance(value, str):
        return _PASSWORD.sub(rf"\1{HIDDEN}@", value)
    if isinstance(value, list):
        return [_masked(one, is_hidden=False) for one in value]
    return value


def _dotenv_of(
    project: Path, environment: Mapping[str, str], mistakes: list[ConfigError]
) -> dict[str, str]:  # fmt: skip
    try:
        return load_dotenv(project, environment)
    except ConfigError as error:
        mistakes.append(error)
        return {}


def _text_of(project: Path) -> str:
    path = project / FILE_NAME
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""


def _mistake(project: Path, error: ConfigError) -> dict[str, Any]:
    found = settings_mistake(project, error)
    return {
        "message": found.message, "file": found.file, "line": found.line, "column": found.column,
        "hint": found.hint, "code": error.code,
    }  # fmt: skip
