"""The user's pager: which one is opened."""

from __future__ import annotations

import pytest

from pylon.tui.paging import NoPager, pager_command


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
