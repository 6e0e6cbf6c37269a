"""The JSON Schema of pylon.toml, made of the tables of settings, for editors."""

from __future__ import annotations

from typing import Any, Final

from pylon.server.provider_settings import KEYS
from pylon.server.settings_table import AUTH_METHODS, SETTINGS, Setting

_TYPES: Final[dict[type, dict[str, Any]]] = {
    str: {"type": "string"}, bool: {"type": "boolean"}, int: {"type": "integer"},
    float: {"type": "number"}, list: {"type": "array", "items": {"type": "string"}},
}  # fmt: skip
_PORT_MAX: Final = 65_535
#: What a key takes beyond its type.
_NARROWER: Final[dict[str, dict[str, Any]]] = {
    "server.port": {"maximum": _PORT_MAX},
    "server.durability": {"enum": ["full", "normal"]},
    "auth.methods": {"items": {"enum": list(AUTH_METHODS)}},
}


def settings_schema() -> dict[str, Any]:
    """Return the schema: a section each, no other keys, with defaults and what each is for."""
    sections: dict[str, dict[str, Any]] = {}
    for key, setting in SETTINGS.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = _of(key, setting)
    sections["auth"]["oauth"] = {
        "type": "object",
        "description": "Who signs people in elsewhere, by name.",
        "patternProperties": {"^[a-z][a-z0-9_-]{0,31}$": _provider()},
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "pylon.toml",
        "type": "object",
        "properties": {name: _object(keys) for name, keys in sections.items()},
        "additionalProperties": False,
    }


def _of(key: str, setting: Setting) -> dict[str, Any]:
    shown = {**_TYPES[setting.kind], "description": setting.doc, "default": setting.default}
    if setting.kind in (int, float):
        shown["minimum"] = setting.least
    return {**shown, **_NARROWER.get(key, {})}


def _provider() -> dict[str, Any]:
    keys: dict[str, dict[str, Any]] = {
        name: {**_TYPES[one.kind], "description": one.doc} for name, one in KEYS.items()
    }
    keys["kind"]["enum"] = ["oidc", "github"]
    return {**_object(keys), "required": ["client_id"]}


def _object(keys: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": keys, "additionalProperties": False}
