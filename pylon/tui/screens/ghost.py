"""A ghost at work: the frames that a user's client would get, and what it would hold."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pylon.client.ghost import Frame
from pylon.errors import PylonError
from pylon.printable import clean_block, counted
from pylon.tui import tables
from pylon.tui.copying import pretty
from pylon.tui.dialogs import Details
from pylon.tui.header import HeaderLine
from pylon.tui.saying import say
from pylon.tui.screens.above import Above
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.client.ghost import Ghost
    from pylon.tui.dashboard import Dashboard

_FRAMES_KEPT = 2_000
_ROWS_SHOWN = 200


class GhostScreen(Above):
    """Frames above, entities with their counts below."""

    CSS = """
    GhostScreen #about { height: auto; }
    GhostScreen #frames { height: 2fr; }
    GhostScreen #held { height: 1fr; min-height: 4; border-top: solid $primary 40%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,shift+tab", "app.focus_next", "Frames or rows", id="other-list"),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane = "Ghost", "clients"

    def __init__(self, dashboard: Dashboard, user: str, cursor: str | None) -> None:
        super().__init__(dashboard)
        self._user = user
        self._cursor = cursor
        self._frames: deque[Frame] = deque(maxlen=_FRAMES_KEPT)
        self._has_news = False
        self._ghost: Ghost | None = None

    def compose(self) -> ComposeResult:
        """Lay out header, frames, counts and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="about", markup=False)
        yield LineList(
            tables.frame_line, follows=True, head=tables.HEADS["frames"], id="frames",
            is_bad=tables.is_bad_frame,
            empty="No frame yet.",
        )  # fmt: skip
        yield LineList(
            tables.held_line, head=tables.HEADS["held"], id="held", empty="It holds nothing yet."
        )
        yield KeysLine()

    def on_mount(self) -> None:
        """Come as the user."""
        self.query_one("#frames", LineList).focus()
        self.set_interval(1 / 4, self._show)
        begin(self, self._follow, name="ghost", group="ghost")
        self._show()

    async def _follow(self) -> None:
        self._ghost = self._dashboard.make_ghost(self._user, self._take)
        try:
            await self._ghost.open(cursor=self._cursor)
        except PylonError as error:
            say(self.app, error.message, is_bad=True)
            self.dismiss()

    async def on_unmount(self) -> None:
        """Leave."""
        if self._ghost is not None:
            await self._ghost.close()

    def _take(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._has_news = True

    def _show(self) -> None:
        self.show_header()
        ghost = self._ghost
        state = "coming" if ghost is None else ghost.state
        cursor = None if ghost is None else ghost.cursor
        self.query_one("#about", Static).update(
            clean_block(f" as {self._user} · reads only · {state} · cursor {cursor or 'none'}")
        )
        if not self._has_news or ghost is None:
            return
        self._has_news = False
        self.query_one("#frames", LineList).show(list(self._frames), key=id)
        self.query_one("#held", LineList).show(list(ghost.counts().items()), key=lambda row: row[0])

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show a frame, or the rows of an entity."""
        event.stop()
        self.app.push_screen(Details(*self._words(event.row)))

    def _words(self, row: Any) -> tuple[str, str]:
        """Return (title, text) of a frame, or of the rows that are held of an entity."""
        if isinstance(row, Frame):
            return row.at, pretty(row.value)
        assert self._ghost is not None
        rows = self._ghost.rows(row[0])
        said = f"the first {_ROWS_SHOWN} of " if len(rows) > _ROWS_SHOWN else ""
        text = "\n".join(pretty(one) for one in rows[:_ROWS_SHOWN]) or "no rows"
        return f"{row[0]}: {said}{counted(len(rows), 'row')}", text

    def action_copy(self) -> None:
        """Copy the frame, or the rows of the entity, under the cursor of the list in focus."""
        found = next((one for one in self.query(LineList) if one.has_focus), None)
        if found is None or found.current is None:
            say(self.app, "there is nothing to copy here")
            return
        title, text = self._words(found.current)
        self.app.copy_to_clipboard(text)
        say(self.app, f"copied {title} (if your terminal allows it)", seconds=2)
