"""The user's pager: which one is opened."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.tui import paging
from pylon.tui.paging import NoPager, page, pager_command


@pytest.mark.parametrize(
    ("environment", "command"),
    [({"PAGER": "less -S"}, ["less", "-S"]), ({"PAGER": ""}, ["more"]), ({}, ["more"])],
)
def test_the_pager_is_the_one_that_is_named(
    environment: dict[str, str], command: list[str]
) -> None:
    """Else one that is there."""
    assert pager_command(environment, lambda name: name if name == "more" else None) == command


@pytest.mark.parametrize(
    ("environment", "said"), [({}, "set PAGER"), ({"PAGER": "'open"}, "no command")]
)
def test_without_a_pager_it_says_what_to_do(environment: dict[str, str], said: str) -> None:
    """Neither one named, nor one that is usual; or a name that is no command line."""
    with pytest.raises(NoPager, match=said):
        pager_command(environment, lambda _: None)


async def test_a_pager_is_given_nothing_that_steers_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`less -R`, and `more` on some systems, hand on what they are given."""
    given: list[bytes] = []
    work: list[Any] = []

    async def lend(app: object, command: list[str], text: bytes) -> int:
        given.append(text)
        return 0

    class _App:
        def run_worker(self, made: Any, **_: Any) -> None:
            work.append(made)

    monkeypatch.setattr(paging, "lend", lend)
    monkeypatch.setenv("PAGER", "more")
    app: Any = _App()
    page(app, "a\x1b]52;c;AAAA\x07b\nnext\u202eline\n")
    await work[0]()
    (text,) = given
    assert b"\x1b" not in text
    assert b"\x07" not in text
    assert "\u202e".encode() not in text
    assert text.endswith(b"line\n")
    assert text.count(b"\n") == 2
