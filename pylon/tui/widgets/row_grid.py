"""A grid of rows from a table of any size: only a window of them is here, only the seen are drawn.

What stands in the window is somebody else's to say; the grid keeps the cursor on its row as the
window moves, and tells when one wants to go beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from pylon.tui.widgets.line_list import Line, LineList


class RowGrid(LineList):
    """Rows with a cursor on one cell."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--cell"}
    DEFAULT_CSS = """
    RowGrid > .line--cell { text-style: reverse; }
    RowGrid:ansi > .line--cell { text-style: underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "sideways(-1)", "Column to the left", show=False, id="move.left"),
        Binding("right,l", "sideways(1)", "Column to the right", show=False, id="move.right"),
    ]

    class Beyond(Message):
        """The first or the last row of all is wanted, and is not in the window."""

        def __init__(self, *, to_end: bool) -> None:
            super().__init__()
            self.to_end = to_end

    class Moved(Message):
        """The cursor went from one row of the window to another."""

        def __init__(self, came_from: int, to: int) -> None:
            super().__init__()
            self.came_from = came_from
            self.to = to

    class HeadChosen(Message):
        """The head of the column under the cursor was clicked."""

    def __init__(
        self, draw: Callable[[Any, int, int, bool], Line], head: Callable[[int, int], Line],
        number_at: Callable[[int], int | None], *, empty: str, id: str,
    ) -> None:  # fmt: skip
        """Make a grid.

        Args:
            draw: the pieces of a row at a width, with the column under the cursor, and whether the
                row is under it.
            head: the pieces of the heads at a width, with the column under the cursor.
            number_at: the number of the column that was drawn last at a cell; None: there is none.
            empty: what is said where there are no rows.
            id: the widget's id.
        """
        self.column = 0
        self._number_at = number_at
        self._columns = 1
        self._offset: int | None = 0
        self._of: int | None = None
        self._is_open = (False, False)
        self._is_total_old = False
        super().__init__(
            lambda row, width: draw(row, width, self.column, row is self.current),
            head=lambda width: head(width, self.column), empty=empty, id=id,
        )  # fmt: skip

    def show_window(
        self, rows: list[dict[str, Any]], *, offset: int | None, total: int | None, columns: int,
        is_open: tuple[bool, bool], is_total_old: bool = False,
    ) -> None:  # fmt: skip
        """Show a window of rows; the cursor's row stays where it is on the screen.

        Args:
            rows: the rows, each with its `id`.
            offset: how many rows stand before them; None where nobody knows.
            total: how many rows there are; None where nobody knows.
            columns: how many columns there are.
            is_open: whether there are rows (above, below) the window.
            is_total_old: the number of rows is of before.
        """
        before, place, top = self.current, self._cursor, int(self.scroll_offset.y)
        wanted = None if before is None else before["id"]
        found = next((at for at, row in enumerate(rows) if row["id"] == wanted), None)
        self._rows, self._offset, self._of, self._is_open = rows, offset, total, is_open
        self._total = len(rows)
        self._is_read = True  # what is said of none (`say_empty`) tells whether they are read yet
        self._is_total_old = is_total_old
        self._columns = columns
        self.column = max(0, min(self.column, columns - 1))
        self._cursor = max(0, min(place if found is None else found, len(rows) - 1))
        if not self.size.height:
            return
        self.virtual_size = Size(self.size.width, len(rows) + self._head_lines)
        if found is not None and found != place:
            self.scroll_to(y=top + found - place, animate=False, immediate=True, force=True)
        self._reveal()

    def put_cursor(self, place: int, column: int | None = None) -> None:
        """Put the cursor on a row of the window."""
        if column is not None:
            self.column = max(0, min(column, self._columns - 1))
        self._go(place)

    def _go(self, place: int) -> None:
        before = self._cursor
        super()._go(place)
        if self._cursor != before:
            self.post_message(self.Moved(before, self._cursor))

    @property
    def counter(self) -> str:
        """Return which row of how many the cursor is on, as far as that is known."""
        here = "?" if self._offset is None else f"{self._offset + self._cursor + 1:,}"
        total = "?" if self._of is None else f"{'~' if self._is_total_old else ''}{self._of:,}"
        return f" {here}/{total}"

    def on_click(self, event: Click) -> None:
        """Put the cursor on the cell where the mouse is; the base opens one that it is on."""
        column = self._number_at(event.x)
        if column is None or self.was_dragged(event) or (column == self.column and event.y > 0):
            return
        event.prevent_default()
        self.column = column
        if event.y == 0:
            self.post_message(self.HeadChosen())
        elif (place := self.place_at(event.y)) is not None:
            self._go(place)
        self.refresh()

    def action_sideways(self, by: int) -> None:
        """Move the cursor to another column."""
        self.column = max(0, min(self.column + by, self._columns - 1))
        self.refresh()

    def action_top(self) -> None:
        """Go to the first row of all."""
        if self._is_open[0]:
            self.post_message(self.Beyond(to_end=False))
        super().action_top()

    def action_bottom(self) -> None:
        """Go to the last row of all."""
        if self._is_open[1]:
            self.post_message(self.Beyond(to_end=True))
        super().action_bottom()
