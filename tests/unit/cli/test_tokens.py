"""Where an admin token comes from: environment before keyring before a person, never printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pylon.cli import tokens
from pylon.cli.output import CommandFailed

ORIGIN = "https://chat.example"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The package keyring with a backend of our own; what it keeps."""
    keyring = pytest.importorskip("keyring", reason="pip install 'pylon-runtime[keyring]'")
    backend = pytest.importorskip("keyring.backend")
    kept: dict[str, str] = {}

    class Memory(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            assert service == "pylon"
            return kept.get(username)

        def set_password(self, service: str, username: str, password: str) -> None:
            kept[username] = password

        def delete_password(self, service: str, username: str) -> None:
            del kept[username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield kept
    keyring.set_keyring(before)


def test_the_environment_comes_before_the_keyring(
    ring: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept for one origin, taken for that one only, and gone once it is forgotten."""
    tokens.keep(ORIGIN, tokens.Token("kept-secret", "person"))
    assert ring == {ORIGIN: "kept-secret"}
    found = tokens.token_for(ORIGIN)
    assert (found.value, found.source) == ("kept-secret", "keyring")
    monkeypatch.setenv("PYLON_ADMIN_TOKEN", "of-the-environment")
    assert tokens.token_for(ORIGIN).source == "environment"
    monkeypatch.delenv("PYLON_ADMIN_TOKEN")
    with pytest.raises(CommandFailed, match="no admin token for https://other"):
        tokens.token_for("https://other.example")
    tokens.forget(ORIGIN)
    assert ring == {}
    with pytest.raises(CommandFailed, match="has no token"):
        tokens.forget(ORIGIN)


def test_without_a_keyring_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """To keep a token is what was asked for; to look for one is not, so that goes on."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("pylon.cli.tokens.importlib.import_module", missing)
    with pytest.raises(CommandFailed) as failed:
        tokens.keep(ORIGIN, tokens.Token("x", "person"))
    assert "pylon-runtime[keyring]" in str(failed.value.hint)
    with pytest.raises(CommandFailed, match="no admin token"):
        tokens.token_for(ORIGIN)


@pytest.mark.parametrize("value", ["a b", "a\nb", "a\x1b[31m", "tökén", "a\x00"])
def test_what_no_header_may_hold_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another header, or steer a terminal; the message does not repeat it."""
    if "\x00" in value:
        with pytest.raises(CommandFailed) as failed:
            tokens._checked(value)
    else:
        monkeypatch.setenv("PYLON_ADMIN_TOKEN", value)
        with pytest.raises(CommandFailed) as failed:
            tokens.token_for(ORIGIN)
    assert value not in failed.value.message


def test_a_token_is_not_printed() -> None:
    """Not by a debugger, a log line or a traceback that shows values."""
    assert "sesame" not in repr(tokens.Token("sesame", "person"))
