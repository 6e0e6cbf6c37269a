"""The strip of screens: which names fit, and how they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from pylon.tui import registry
from pylon.tui.strip import ScreenStrip, strip_pieces

SCREENS = [(one.key, one.title) for one in registry.SCREENS if one.key]


@given(st.integers(20, 220), st.integers(0, len(SCREENS) - 1))
def test_every_key_is_there_and_the_screen_that_is_seen_has_its_name(width: int, here: int) -> None:
    """However narrow the terminal is; it fits from 60 cells on."""
    pieces = strip_pieces(SCREENS, here, width)
    assert [one.split()[0] for one in pieces] == [key for key, _ in SCREENS]
    assert pieces[here] == f" {SCREENS[here][0]} {SCREENS[here][1]} "
    if width >= 60:
        assert sum(map(len, pieces)) <= width


@given(st.dictionaries(st.integers(0, len(SCREENS) - 1), st.sampled_from(["ctrl+d", "ctrl+x"]),
                       max_size=3), st.integers(0, len(SCREENS) - 1))  # fmt: skip
def test_some_keys_bound_otherwise_push_no_name_off(keys: dict[int, str], here: int) -> None:
    """Longer keys are written briefly, `^d`, before names go."""
    screens = [(keys.get(place, key), name) for place, (key, name) in enumerate(SCREENS)]
    pieces = strip_pieces(screens, here, 80)
    assert sum(map(len, pieces)) <= 80
    for piece, (key, name) in zip(pieces, screens, strict=True):
        shown, told = piece.split(" ", 2)[1:]
        assert shown in (key, key.replace("ctrl+", "^"))
        assert name.startswith(told.strip())
        assert told.strip()


def test_where_names_cannot_all_stay_those_that_fit_do() -> None:
    """The first ones; every key is there, and nothing stands beyond the edge."""
    screens = [(f"alt+f{place}", name) for place, (_, name) in enumerate(SCREENS)]
    pieces = strip_pieces(screens, 3, 122)
    assert sum(map(len, pieces)) <= 122
    assert [one.split()[0] for one in pieces] == [key for key, _ in screens]
    told = [place for place, one in enumerate(pieces) if len(one.split()) > 1]
    assert told == [0, 1, 2, 3]


def test_all_names_are_whole_where_there_is_room() -> None:
    """On a wide screen nothing is cut."""
    assert "".join(strip_pieces(SCREENS, 0, 200)).split() == [
        word for pair in SCREENS for word in pair
    ]


def test_every_name_is_told_on_an_ordinary_terminal() -> None:
    """Eighty cells have two letters of each name, whichever screen is seen."""
    for here in range(len(SCREENS)):
        pieces = strip_pieces(SCREENS, here, 80)
        assert all(len(piece.split(" ", 2)[2].strip()) >= min(2, len(SCREENS[place][1]))
                   for place, piece in enumerate(pieces)), pieces  # fmt: skip


async def test_a_click_is_for_the_name_that_has_the_cell() -> None:
    """Of two beside each other, the first cell of the second one is not the first one's."""
    gone: list[str] = []

    class Page(App[None]):
        def compose(self) -> ComposeResult:
            yield ScreenStrip(registry.SCREENS, {}, gone.append)

    app = Page()
    async with app.run_test(size=(200, 3)) as pilot:
        strip = app.query_one(ScreenStrip)
        strip.show("log")
        places = strip.places()
        for name, first in places:
            await pilot.click(strip, offset=(first, 0))
            assert gone[-1] == name
        await pilot.click(strip, offset=(199, 0))
    assert len(gone) == len(places)
