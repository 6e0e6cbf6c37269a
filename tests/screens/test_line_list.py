"""A list of many lines: what one pass over it costs is bounded by what is seen of it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.strip import Strip

from pylon.tui.widgets.line_list import Line, LineList

ROWS = 10_000


class _Screen(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Any] = []

    def compose(self) -> ComposeResult:
        yield LineList(self._line)

    def _line(self, row: Any, width: int) -> Line:
        self.drawn.append(row)
        return [(f"{row} ", "strong"), ("told ", "quiet"), ("bad ", "bad"), ("rest", "plain")]


async def _pass(app: _Screen) -> list[Strip]:
    found = app.query_one(LineList)
    found.show(list(range(ROWS)))
    found.refresh()
    found._styles_cache.clear()
    app.drawn.clear()
    return found.render_lines(Region(0, 0, *found.size))


async def test_a_pass_draws_the_visible_lines_and_looks_each_style_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many rows there are, the visible ones are drawn, and no style is worked out twice."""
    app = _Screen()
    async with app.run_test(size=(80, 24)):
        asked: list[str] = []
        look_up = LineList.get_component_rich_style

        def counted(self: LineList, name: str, **given: Any) -> Any:
            asked.append(name)
            return look_up(self, name, **given)

        monkeypatch.setattr(LineList, "get_component_rich_style", counted)
        strips = await _pass(app)
        assert len(strips) == 24
        assert app.drawn == list(range(24))
        # Three styles, those on the cursor's line once more with its own, and the line's rest.
        assert 0 < len(asked) <= 12


async def test_the_bar_is_where_the_list_is_also_when_it_has_just_come() -> None:
    """Rows that come at once, the cursor on the last: nobody scrolled since the bar is there."""
    app = _Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        found = app.query_one(LineList)
        found.show(["one"])
        await pilot.pause()
        assert not found.show_vertical_scrollbar
        found.show(list(range(40)))
        found.action_bottom()
        await pilot.pause()
        assert found.show_vertical_scrollbar
        assert found.vertical_scrollbar.position == found.scroll_y == 16


async def test_the_next_pass_has_the_colours_of_another_theme() -> None:
    """What is kept of styles is kept for one pass."""
    app = _Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        before = [segment.style for segment in (await _pass(app))[1]]
        app.theme = "textual-light"
        await pilot.pause()
        after = [segment.style for segment in (await _pass(app))[1]]
        assert len(before) == len(after)
        assert before != after


async def test_a_list_that_the_filter_empties_says_so() -> None:
    """It does not say that there is nothing yet."""
    app = _Screen()
    async with app.run_test(size=(80, 24)):
        found = app.query_one(LineList)
        found.show([], total=3)
        said = "".join(one.text for one in found.render_lines(Region(0, 0, *found.size)))
        assert "None of 3 passes the filter" in said


async def test_the_bar_stands_where_the_list_is() -> None:
    """Also where the list went to its end before there was a bar: it came with these rows."""
    app = _Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        found = app.query_one(LineList)
        found.is_following = True
        found.show(list(range(40)))
        await pilot.pause()
        await pilot.pause()
        assert found.scroll_offset.y == 40 - 24
        assert found.show_vertical_scrollbar
        assert found.vertical_scrollbar.position == 40 - 24


async def test_what_is_no_list_is_not_held() -> None:
    """Of a runtime of another version: the rows of before stay, and the next ones are shown."""
    app = _Screen()
    async with app.run_test(size=(80, 24)):
        found = app.query_one(LineList)
        found.show(["a"], key=str)
        with pytest.raises(TypeError):
            found.show({"0": "b"}, key=str)  # type: ignore[arg-type]
        assert found.current == "a"
        found.show(["c"], key=str)
        assert found.current == "c"
