"""The sections `[auth.oauth.NAME]` of pylon.toml: who signs people in elsewhere.

What is checked here is the form; what a provider publishes is checked when somebody goes there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pylon.errors import ConfigError

#: Where they stand among the settings.
PROVIDERS: Final = "auth.oauth"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One key of a section."""

    kind: type
    doc: str


KEYS: Final[Mapping[str, ProviderKey]] = {
    "client_id": ProviderKey(str, "What the provider calls this app."),
    "client_secret": ProviderKey(str, "The secret beside it; none for an app without one."),
    "issuer": ProviderKey(str, "Address of an OIDC issuer, or of a GitHub server of your own."),
    "kind": ProviderKey(str, "oidc or github; by default github for the name github."),
    "label": ProviderKey(str, "What the sign-in page calls it."),
    "scopes": ProviderKey(list, "What is asked for."),
    "trust_email": ProviderKey(
        bool, "An address that it calls verified opens the account that has it here."
    ),
}
_KINDS: Final = {str: "a text", list: "a list of texts", bool: "true or false"}


def provider_settings(
    file: str, tree: object, resolve: Callable[[str, Any], Any]
) -> dict[str, dict[str, Any]]:
    """Return the sections by name, in their order; raises ConfigError naming file and key.

    Args:
        file: the file's name, for the message.
        tree: what stands under `auth.oauth`.
        resolve: takes a key and its value; resolves `env:NAME`.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{file}: {PROVIDERS} has sections: [auth.oauth.github]")
    return {name: _section(file, name, given, resolve) for name, given in tree.items()}


def _section(
    file: str, name: str, given: object, resolve: Callable[[str, Any], Any]
) -> dict[str, Any]:
    where = f"{PROVIDERS}.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{file}: {where}: a provider is named by a-z, 0-9, - and _")
    if not isinstance(given, dict):
        raise ConfigError(f"{file}: {where} is a section of its own: [{where}]")
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1, cutoff=0.4)
            raise ConfigError(
                f"{file}: there is no setting {where}.{key}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        values[key] = found = resolve(f"{where}.{key}", value)
        kind = KEYS[key].kind
        items = found if isinstance(found, list) else []
        is_good = type(found) is kind and all(isinstance(one, str) and one for one in items)
        if not is_good or found in ("", []):
            raise ConfigError(f"{file}: {where}.{key} is {_KINDS[kind]}")
    _check(file, where, name, values)
    return values


def _check(file: str, where: str, name: str, values: Mapping[str, Any]) -> None:
    if "client_id" not in values:
        raise ConfigError(
            f"{file}: {where} has no client_id", hint="the provider shows it for your app"
        )
    kind = values.get("kind", "github" if name == "github" else "oidc")
    if kind not in ("oidc", "github"):
        raise ConfigError(f"{file}: {where}.kind is oidc or github")
    if kind == "oidc" and name != "google" and "issuer" not in values:
        raise ConfigError(
            f"{file}: {where} has no issuer", hint='such as issuer = "https://id.example.com"'
        )
