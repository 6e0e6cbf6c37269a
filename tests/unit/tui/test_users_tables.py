"""Lines of accounts, sessions and tokens, whatever their names are made of."""

from __future__ import annotations

import shlex

import pytest
from rich.cells import cell_len

from pylon.tui import users_tables
from tests.screens.fakes import about_user, login, user

NASTY = "[red]x[/red] \x1b[31m\x07\u202eevil\x9b2J 漢字漢字 e\u0301\n\ttwo"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_hostile_names_keep_the_columns(width: int) -> None:
    """Control bytes, direction tricks and wide letters: a line is as wide as the screen (I99)."""
    token = login("t", kind="token", name=NASTY, scope={"read_only": True, "entities": [NASTY]})
    for line in (
        users_tables.user_line(user("x", email=NASTY, roles=[NASTY], state=NASTY), width),
        users_tables.session_line(login("x", device=NASTY), width),
        users_tables.session_line(token, width),
        users_tables.users_head(width), users_tables.sessions_head(width),
    ):  # fmt: skip
        text = "".join(part for part, _ in line)
        assert cell_len(text) == width
        assert not set("\x1b\x07\u202e\x9b\n\t") & set(text)


def test_facts_are_one_line_each_and_fit() -> None:
    """Long and hostile values are cut, and none of them makes a line of its own."""
    found = about_user(
        "x", email=NASTY, roles=[NASTY] * 30, connections=2, totp=True, recovery_left=3,
        identities=[{"issuer": NASTY, "subject": "1", "email": NASTY}],
    )  # fmt: skip
    facts = users_tables.facts_of(found, 80)
    assert len(facts) == 7
    assert all(cell_len(line) <= 80 and "\n" not in line and "\x1b" not in line for line in facts)
    assert any("3 recovery codes left" in line for line in facts)
    assert any("connected 2 ×" in line for line in facts)


def test_every_state_has_a_sign_and_a_word() -> None:
    """No state is told by its colour only."""
    signs = {text.split()[0] for text, _ in users_tables.STATES.values()}
    assert len(signs) == len(users_tables.STATES)
    assert all(name in text for name, (text, _) in users_tables.STATES.items())


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
         "Firefox 120 · Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/119.0",
         "Edge 119 · Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.1 Safari/604.1",
         "Safari 17 · iPhone"),
        ("my own program", "my own program"), (None, ""),
    ],
)  # fmt: skip
def test_a_device_is_named(device: str | None, words: str) -> None:
    """Browser and system where they are known, else all that it says."""
    assert users_tables.device_words(device) == words


def test_a_command_can_be_pasted() -> None:
    """What the shell would read otherwise is quoted."""
    line = users_tables.command("users disable", {"email": "a$(id)@x; rm", "user_id": "u"})
    assert shlex.split(line) == ["pylon", "users", "disable", "a$(id)@x; rm"]
