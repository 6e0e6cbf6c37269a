"""The table of screens: everything that names screens is made of it, and agrees with it."""

from __future__ import annotations

from collections import Counter

import pytest

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.tui.dashboard import Dashboard
from pylon.tui.entry import Entry
from pylon.tui.helping import folded, help_text
from pylon.tui.keys import BINDINGS
from pylon.tui.registry import SCREENS


@pytest.fixture
def app() -> Dashboard:
    """Return a dashboard that is not run."""
    return Dashboard(SystemClock(), AdminClient("http://127.0.0.1:9"))


def test_keys_and_names_are_of_one_screen_each() -> None:
    """Two screens on one key would hide each other; so would a screen on a key of the app."""
    assert max(Counter(one.name for one in SCREENS).values()) == 1
    keys = Counter(key for one in BINDINGS for key in one.key.split(","))
    assert [key for key, count in keys.items() if count > 1] == []


def test_each_screen_has_a_pane_of_its_name(app: Dashboard) -> None:
    """The switcher finds a pane by the name of its screen."""
    assert {name: pane.id for name, pane in app.panes.items()} == {
        one.name: one.name for one in SCREENS
    }


@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.name)
def test_the_help_has_a_screens_keys_first(screen: Entry, app: Dashboard) -> None:
    """Whatever the palette offers on a pane is in its help, with its key."""
    lines = help_text(screen.name, {}).split("\n")
    assert f"  {screen.key:<10} {screen.title}: {screen.words}" in lines
    own = screen.help_lines({})
    assert lines[: len(own)] == own
    for verb in app.panes[screen.name].verbs:
        assert any(line.endswith(verb.description) for line in own)


def test_the_help_goes_on_below_its_words() -> None:
    """On a narrow terminal no word of the help stands below the keys, and none is lost."""
    whole = help_text("data", {})
    narrow = folded(whole, 66)
    assert max(map(len, narrow.split("\n"))) <= 66
    assert narrow.split() == whole.split()
    starts = [len(line) - len(line.lstrip()) for line in narrow.split("\n") if line]
    assert set(starts) <= {0, 2, 13, 17}, starts
