"""The JSON Schema of pylon.toml says what the settings take, and refuses what they refuse."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pylon.errors import ConfigError
from pylon.server.config import load_config
from pylon.server.settings_schema import settings_schema
from pylon.server.settings_table import SETTINGS

_TYPES = {
    "object": dict, "string": str, "boolean": bool, "integer": int, "number": (int, float),
    "array": list,
}  # fmt: skip
_WRONG = {str: "7", bool: '"yes"', int: '"7"', float: '"7"', list: '"x"'}


def _fits(schema: dict[str, Any], value: Any) -> bool:
    """Judge by the few words of JSON Schema that the schema uses."""
    kind = schema.get("type")
    is_kind = kind is None or isinstance(value, _TYPES[kind])
    if not is_kind or (isinstance(value, bool) and kind != "boolean"):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if not schema.get("minimum", value) <= value if kind in ("integer", "number") else False:
        return False
    if "maximum" in schema and value > schema["maximum"]:
        return False
    if kind == "array":
        return all(_fits(schema["items"], one) for one in value)
    if kind != "object":
        return True
    keys = schema.get("properties", {})
    (pattern,) = schema.get("patternProperties", {"": None}).values()
    has_all = all(name in value for name in schema.get("required", ()))
    return has_all and all(
        _fits(keys.get(name, pattern), one) if name in keys or pattern else False
        for name, one in value.items()
    )


def _is_taken(tmp_path: Path, text: str) -> bool:
    (tmp_path / "pylon.toml").write_text(text)
    try:
        load_config(tmp_path, is_dev=True, flags={}, environment={})
    except ConfigError:
        return False
    return True


def _line(key: str, value: str) -> str:
    section, _, name = key.partition(".")
    return f"[{section}]\n{name} = {value}\n"


@pytest.mark.parametrize("key", list(SETTINGS))
def test_a_setting_is_described_with_its_type_and_default(key: str, tmp_path: Path) -> None:
    """Its default fits, another type does not: for the schema as for a start."""
    section, _, name = key.partition(".")
    schema = settings_schema()
    shown = schema["properties"][section]["properties"][name]
    setting = SETTINGS[key]
    assert (shown["description"], shown["default"]) == (setting.doc, setting.default)
    assert _fits(shown, setting.default)
    wrong = _line(key, _WRONG[setting.kind])
    assert not _fits(schema, tomllib.loads(wrong))
    assert not _is_taken(tmp_path, wrong)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (_line("server.prot", "1"), False), ("[serve]\nport = 1\n", False),
        (_line("server.port", "0"), True), (_line("server.port", "70000"), False),
        (_line("server.durability", '"fast"'), False), (_line("auth.session_days", "0"), False),
        (_line("auth.methods", '["magik"]'), False), (_line("auth.methods", '["guest"]'), True),
        (_line("limits.heartbeat_seconds", "1"), True),
        ('[auth]\nmethods = ["oauth"]\n[auth.oauth.github]\nclient_id = "x"\n', True),
        ('[auth]\nmethods = ["oauth"]\n[auth.oauth.github]\nclient_secret = "x"\n', False),
        ('[auth]\nmethods = ["oauth"]\n[auth.oauth.github]\nclient_idd = "x"\n', False),
    ],
)  # fmt: skip
def test_the_schema_and_a_start_agree(text: str, fits: bool, tmp_path: Path) -> None:
    """On names, bounds, choices and providers."""
    assert _fits(settings_schema(), tomllib.loads(text)) is fits
    assert _is_taken(tmp_path, text) is fits
