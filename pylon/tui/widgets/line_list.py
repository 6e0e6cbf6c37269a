"""A list of many lines that are drawn only where they are seen: the log's tail and every table.

Built on Textual's line API: 10,000 lines cost what the visible ones cost. Text is put into
segments as it is and never read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Click, MouseDown, MouseScrollDown, MouseScrollUp
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.tui.enduring import Patient, endure, shown
from pylon.tui.muted import muted_style

_WHEEL_LINES = 3
READING: Final = "◔ reading …"
#: In the place of a row that a runtime of another version tells otherwise.
NOT_UNDERSTOOD: Final = ((" ✗ not understood: the Runtime log says why", "bad"),)
#: (text, style name) pieces of one line; a style name is one of the component classes.
Line = Sequence[tuple[str, str]]


class LineList(Patient, ScrollView, can_focus=True):
    """Rows of data, one line each, with a cursor; follows its end until the cursor leaves it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--plain", "line--good", "line--bad", "line--warn", "line--strong",
        "line--accent", "line--cursor", "line--head",
    }  # fmt: skip
    DEFAULT_CSS = """
    LineList { background: $surface; color: $foreground; overflow-x: hidden;
        scrollbar-size-vertical: 1; }
    LineList > .line--plain { color: $foreground; }
    LineList > .line--good { color: $text-success; }
    LineList > .line--bad { color: $text-error; }
    LineList > .line--warn { color: $text-warning; }
    LineList > .line--accent { color: $text-accent; }
    LineList > .line--strong { color: $foreground; text-style: bold; }
    LineList > .line--head { text-style: bold; }
    LineList > .line--cursor { background: $primary 30%; text-style: bold; }
    LineList:focus > .line--cursor { background: $primary 60%; }
    /* Which of a terminal's own colours can be read on which nobody knows: they are swapped. */
    LineList:ansi > .line--cursor { background: ansi_default; text-style: bold underline; }
    LineList:ansi:focus > .line--cursor { text-style: bold reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="move.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="move.down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="move.page-up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="move.page-down"),
        Binding("home,g", "top", "First", show=False, id="move.first"),
        Binding("end,G", "bottom", "Last, and follow", show=False, id="move.last"),
        Binding("enter", "choose", "Details", show=False, id="move.choose"),
    ]

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, list_: LineList, row: Any) -> None:
            super().__init__()
            self.list = list_
            self.row = row

        @property
        def control(self) -> LineList:
            """Return the list."""
            return self.list

    def __init__(
        self, draw: Callable[[Any, int], Line], *, follows: bool = False,
        head: Callable[[int], Line] | None = None, empty: str = "", id: str | None = None,
        choose: str | None = None, is_bad: Callable[[Any], bool] | None = None,
    ) -> None:  # fmt: skip
        """Make a list.

        Args:
            draw: the pieces of a row at a width.
            follows: keep to the end until the cursor leaves it.
            head: the pieces of the line above the rows.
            empty: what is said where there are no rows.
            id: the widget's id.
            choose: what enter does, for the footer; None leaves it out there.
            is_bad: tells which rows are problems; None: none of them ever is.
        """
        super().__init__(id=id)
        if choose is not None:
            self._bindings.key_to_bindings["enter"] = [
                Binding("enter", "choose", choose, key_display="enter", id="move.choose")
            ]
        self._draw = draw
        self._head = head
        self._empty = empty
        self._is_bad = is_bad
        self._rows: list[Any] = []
        self._total = 0
        self._is_read = False
        #: Why nobody tells what there is; empty where it is only not told yet.
        self.at_rest = ""
        self._note = ""
        self._cursor = 0
        self._pressed: Offset | None = None
        self._follows = follows
        self.is_following = follows
        #: Styles by (name, what lies over them), looked up once for all lines of one pass.
        self._looks: dict[tuple[str, str | None], Style] = {}

    # --- rows

    @property
    def rows(self) -> list[Any]:
        """Return the rows that are shown."""
        return self._rows

    @property
    def cursor(self) -> int:
        """Return the place of the cursor."""
        return self._cursor

    @property
    def current(self) -> Any | None:
        """Return the row under the cursor, or None."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else None

    def bad_places(self) -> list[int]:
        """Return the places of the rows that are problems."""
        if self._is_bad is None:
            return []
        try:
            return [place for place, row in enumerate(self._rows) if self._is_bad(row)]
        except MISUNDERSTANDINGS as error:
            endure(self.app, "a row", error)
            return []

    def show(
        self, rows: list[Any], *, key: Callable[[Any], Any] | None = None, total: int | None = None,
        note: str = "", is_read: bool = True,
    ) -> None:  # fmt: skip
        """Show these rows; the cursor stays on its row where `key` finds it again.

        `total` is how many there are before the filter; `note` stands behind the counter. Where
        `is_read` is false nobody knows yet whether there are none.
        """
        if not isinstance(rows, list):  # of another version; kept, it would hold up what comes next
            raise TypeError(f"the rows are no list but {type(rows).__name__}")
        before = self.current
        self._rows = rows
        self._total = len(rows) if total is None else total
        self._note = note
        self._is_read = is_read
        if self.is_following:
            self._cursor = max(0, len(rows) - 1)
        elif key is not None and before is not None:
            with shown(self.app, "a row"):
                wanted = key(before)
                self._cursor = next(
                    (place for place, row in enumerate(rows) if key(row) == wanted), self._cursor
                )
        self._cursor = min(self._cursor, max(0, len(rows) - 1))
        self._settle()

    def _settle(self) -> None:
        """Keep the size right and the cursor in sight; an unseen list settles when it is seen."""
        if not self.size.height:
            return
        self.virtual_size = Size(self.size.width, len(self._rows) + self._head_lines)
        self._reveal()

    @property
    def _head_lines(self) -> int:
        return 1 if self._head is not None else 0

    def on_resize(self) -> None:
        """Keep the size of the content right, and the cursor in sight."""
        self._settle()
        # How far it can scroll is known only when it was laid out.
        self.call_after_refresh(self._reveal)

    @property
    def counter(self) -> str:
        """Return where the cursor is, of how many, and of how many without the filter."""
        count = len(self._rows)
        place = f" {min(self._cursor + 1, count)}/{count}"
        return place if count == self._total else f"{place} of {self._total}"

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the visible lines; their styles are worked out anew for each pass."""
        self._looks.clear()
        strips = super().render_lines(crop)
        self._looks.clear()
        return strips

    def render_line(self, y: int) -> Strip:
        """Return one visible line; one that can't be drawn keeps no other from it."""
        try:
            return self._line_at(y)
        except MISUNDERSTANDINGS as error:
            endure(self.app, "a row", error)
            over = "line--cursor" if self._place_at(y) == self._cursor else None
            return self._strip(NOT_UNDERSTOOD, self.size.width, over)

    def _place_at(self, y: int) -> int:
        """Return the place of the row on a visible line."""
        return y - self._head_lines + int(self.scroll_offset.y)

    def _line_at(self, y: int) -> Strip:
        width = self.size.width
        if self._head is not None and y == 0:
            counter = f"{self.counter}{self._note} " if self._total else self._note
            head = self._strip(self._head(width), width, "line--head")
            if not counter:
                return head
            return Strip.join(
                [self._clear_of(head, width - cell_len(counter)),
                 self._strip([(counter, "quiet")], cell_len(counter), "line--head")]
            )  # fmt: skip
        place = self._place_at(y)
        if place >= len(self._rows) or place < 0:
            return self._line_of_none(y, width)
        cursor = "line--cursor" if place == self._cursor else None
        return self._strip(self._draw(self._rows[place], width), width, cursor)

    def _line_of_none(self, y: int, width: int) -> Strip:
        """Return a line without a row: one of those that say why there are none, or a blank one."""
        words = wrap(self._said_of_none(), max(10, width - 4)) if not self._rows else []
        gap = 1 if self.size.height > self._head_lines + 1 else 0  # where there is room for one
        at = y - self._head_lines - gap
        if not 0 <= at < len(words):
            return Strip.blank(width, self.rich_style)
        return self._strip([(f"  {words[at]}", "quiet")], width, None)

    def say_empty(self, text: str) -> None:
        """Say this where there are no rows."""
        if text != self._empty:
            self._empty = text
            self.refresh()

    def _said_of_none(self) -> str:
        """Return why there are no rows: those there are may all be left out by the filter."""
        if self._total:
            return f"None of {self._total:,} passes the filter: / changes it, esc clears it."
        return self._empty if self._is_read else self.at_rest or READING

    def _clear_of(self, head: Strip, room: int) -> Strip:
        """Return the heads in so many cells: a word that has no room goes whole."""
        kept = head.crop(0, room)
        cut = head.crop(room, room + 1).text.strip() and kept.text[-1:].strip()
        if not cut:
            return kept
        words = kept.text.rpartition(" ")[0]
        return kept.crop(0, cell_len(words)).adjust_cell_length(room, self._look("", "line--head"))

    def _strip(self, line: Line, width: int, over: str | None) -> Strip:
        strip = Strip([Segment(text, self._look(name, over)) for text, name in line])
        return strip.adjust_cell_length(width, self._look("", over))

    def _look(self, name: str, over: str | None) -> Style:
        """Return how a piece looks; without a name, how the line does where it has no piece."""
        found = self._looks.get((name, over))
        if found is None:
            extra = self._over(over) if over else Style.null()
            # On the cursor's own colour what steps back would be hard to read.
            is_on_cursor = name in ("quiet", "head") and over == "line--cursor"
            found = self.rich_style + self._style("plain" if is_on_cursor else name) + extra
            self._looks[name, over] = found
        return found

    def _over(self, name: str) -> Style:
        """Return what lies over a line; a colour that shines through is mixed with that below it.

        In segments nobody else does it: there it would be laid on whole, and texts hard to read.
        """
        style = self.get_component_rich_style(name, partial=True)
        colour = self.get_component_styles(name).background
        if colour.a in (0, 1) or colour.ansi is not None:
            return style
        _, _, below, _ = self.colors
        mixed = below.blend(Color(*colour.rgb), colour.a, alpha=1.0)
        return style + Style(bgcolor=mixed.rich_color)

    def _style(self, name: str) -> Style:
        if not name:
            return Style.null()
        if name in ("quiet", "head"):
            return muted_style(self)
        return self.get_component_rich_style(f"line--{name}", partial=True)

    # --- moving

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move by a page."""
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def action_top(self) -> None:
        """Go to the first row."""
        self._go(0)

    def action_bottom(self) -> None:
        """Go to the last row, and follow again."""
        self._go(len(self._rows) - 1)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def place_at(self, y: int) -> int | None:
        """Return the place of the row that is drawn on a line; None where there is none."""
        place = y - self._head_lines + int(self.scroll_offset.y)
        return place if y >= self._head_lines and place < len(self._rows) else None

    def on_mouse_down(self, event: MouseDown) -> None:
        """Keep where the button went down."""
        self._pressed = event.offset

    def was_dragged(self, event: Click) -> bool:
        """Tell that the mouse was moved while it was pressed: whoever drags wants no row opened."""
        return self._pressed is not None and self._pressed != event.offset

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; a click on the cursor's line chooses it."""
        place = self.place_at(event.y)
        if place is None or self.was_dragged(event):
            return
        if place == self._cursor and event.button == 1:
            self.action_choose()
        else:
            self._go(place)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Move the cursor with the wheel, so that a list that follows stays where one looks."""
        event.stop()
        event.prevent_default()
        self._go(self._cursor - _WHEEL_LINES)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Move the cursor with the wheel."""
        event.stop()
        event.prevent_default()
        self._go(self._cursor + _WHEEL_LINES)

    def go_to(self, place: int) -> None:
        """Put the cursor on a row."""
        self._go(place)

    def _go(self, place: int) -> None:
        if not self._rows:
            return
        self._cursor = max(0, min(place, len(self._rows) - 1))
        self.is_following = self._follows and self._cursor == len(self._rows) - 1
        self._reveal()

    def _reveal(self) -> None:
        """Scroll as little as shows the cursor's line."""
        height = max(1, self.size.height - self._head_lines)
        top = int(self.scroll_offset.y)
        lowest = max(0, len(self._rows) - height)
        wanted = min(max(top, self._cursor - height + 1), self._cursor, lowest)
        if wanted != top:
            # By force: whether it may scroll is known only after the next layout.
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)
        self.watch_show_vertical_scrollbar(self.show_vertical_scrollbar)
        self.refresh()

    def watch_show_vertical_scrollbar(self, is_shown: bool) -> None:
        """Put the bar to where the list is: one that was not there yet was told nothing."""
        if is_shown:
            self.vertical_scrollbar.position = self.scroll_y
