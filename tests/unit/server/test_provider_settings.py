"""Sections of providers: what is missing or misspelt is named before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.errors import ConfigError
from pylon.server.config import load_config

METHODS = '[auth]\nmethods = ["magic", "oauth"]\n'


def _load(folder: Path, toml: str, environment: dict[str, str] | None = None) -> object:
    (folder / "pylon.toml").write_text(toml)
    return load_config(folder, is_dev=False, flags={}, environment=environment or {})["auth.oauth"]


def test_sections_are_read_with_their_secrets(tmp_path: Path) -> None:
    """In their order; a secret comes from the environment."""
    toml = f'{METHODS}[auth.oauth.github]\nclient_id = "a"\nclient_secret = "env:GH"\n'
    assert _load(tmp_path, toml, {"GH": "s"}) == {
        "github": {"client_id": "a", "client_secret": "s"}
    }


@pytest.mark.parametrize(
    ("toml", "said", "hint"),
    [
        (f"{METHODS}[auth.oauth.github]", "auth.oauth.github has no client_id", "shows it"),
        (f'{METHODS}[auth.oauth.own]\nclient_id = "a"', "auth.oauth.own has no issuer", "such as"),
        (f'{METHODS}[auth.oauth.github]\nclientid = "a"', "auth.oauth.github.clientid",
         "client_id?"),
        (f"{METHODS}[auth.oauth.github]\nclient_id = 7", "client_id is a text", None),
        (f'{METHODS}[auth.oauth.github]\nclient_id = ""', "client_id is a text", None),
        (f'{METHODS}[auth.oauth.github]\nclient_id = "env:GH"', "GH, which is not set", ".env"),
        (f'{METHODS}[auth.oauth.github]\nclient_id = "a"\nscopes = [1]', "a list of texts", None),
        (f'{METHODS}[auth.oauth.x]\nclient_id = "a"\nkind = "saml"', "oidc or github", None),
        (f'{METHODS}[auth.oauth."A B"]\nclient_id = "a"', "named by a-z", None),
        ('[auth]\nmethods = ["oauth"]\noauth = 1', "has sections", None),
        ('[auth]\nmethods = ["oauth"]\noauth = {github = 1}', "a section of its own", None),
        (METHODS, "there is no provider", "go together"),
        ('[auth.oauth.github]\nclient_id = "a"', "does not name oauth", "go together"),
    ],
)  # fmt: skip
def test_a_slip_is_named(tmp_path: Path, toml: str, said: str, hint: str | None) -> None:
    """With the section, the key and what to do."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, toml)
    assert said in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
