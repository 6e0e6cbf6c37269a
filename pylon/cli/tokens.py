"""Where the admin token of a runtime elsewhere comes from: the environment, the keyring, a person.

It is never taken from the command line, where other programs of the machine read it, and never
printed. The keyring is the system's own, through the package `keyring` (`pip install
pylon-runtime[keyring]`); without it there is none.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, Final

import click

from pylon.cli.output import CommandFailed, say

VARIABLE: Final = "PYLON_ADMIN_TOKEN"
_SERVICE: Final = "pylon"
_INSTALL: Final = "pip install 'pylon-runtime[keyring]'"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and where it came from: environment, keyring or person."""

    value: str
    source: str

    def __repr__(self) -> str:
        """Return no secret, wherever this is printed."""
        return f"Token(from {self.source})"


def token_for(origin: str) -> Token:
    """Return the token for a runtime; raises CommandFailed where there is none and nobody to ask.

    Args:
        origin: scheme, host and port of the runtime.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Token(_checked(given), "environment")
    kept = _kept(origin)
    if kept:
        return Token(_checked(kept), "keyring")
    return ask(origin)


def ask(origin: str) -> Token:
    """Ask the person at the terminal, without an echo; raises CommandFailed where there is none."""
    if not sys.stdin.isatty():
        raise CommandFailed(
            f"there is no admin token for {origin}",
            f"set {VARIABLE}, or keep it in the keyring: pylon attach --keep {origin}",
        )
    return Token(_checked(click.prompt("admin token", hide_input=True, err=True)), "person")


def _checked(value: str) -> str:
    value = value.strip()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise CommandFailed(
            "an admin token has no spaces and no special characters", "type it anew"
        )
    return value


def keep(origin: str, token: Token) -> None:
    """Put a token into the keyring; raises CommandFailed where there is no keyring."""
    _demanded(lambda ring: ring.set_password(_SERVICE, origin, token.value))
    say(f"the keyring has the token for {origin} now; `pylon attach --forget {origin}` removes it")


def forget(origin: str) -> None:
    """Remove a token from the keyring; raises CommandFailed where there is none."""
    if _demanded(lambda ring: ring.get_password(_SERVICE, origin)) is None:
        raise CommandFailed(f"the keyring has no token for {origin}")
    _demanded(lambda ring: ring.delete_password(_SERVICE, origin))
    say(f"the keyring has no token for {origin} any more")


def _kept(origin: str) -> str | None:
    ring = _keyring()
    if ring is None:
        return None
    try:
        found = ring.get_password(_SERVICE, origin)
    except ring.errors.KeyringError as error:
        # No keyring runs here, or it stays locked: the person is asked instead.
        say(f"the keyring does not answer ({type(error).__name__})")
        return None
    return str(found) if found else None


def _demanded(do: Any) -> Any:
    ring = _keyring()
    if ring is None:
        raise CommandFailed("there is no keyring here", _INSTALL)
    try:
        return do(ring)
    except ring.errors.KeyringError as error:
        raise CommandFailed(
            f"the keyring did not do it: {type(error).__name__}",
            f"is one running and unlocked? {VARIABLE} works without",
        ) from error


def _keyring() -> Any:
    try:
        ring = importlib.import_module("keyring")
        importlib.import_module("keyring.errors")
    except ImportError:
        return None
    return ring
