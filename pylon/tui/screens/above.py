"""Screens above the panes: header, keys, and the way back; some ask again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from pylon.client.admin import AdminClient, AdminError
from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.printable import clean
from pylon.tui.enduring import Patient
from pylon.tui.header import HeaderLine
from pylon.tui.verbs import SCROLLING, Place
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_FRAME_SECONDS = 1 / 4
_OLD_SECONDS = 2.0
#: It is asked again after so many seconds, or after so many times as long as it took.
_POLL_SECONDS = 0.5
_REST = 5.0
_REST_MAX_SECONDS = 10.0


class Above(Patient, Screen[None], Place):
    """A screen above the panes; the keys of the panes lead back to them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", key_display="esc", id="close"),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="help"),
        Binding("slash", "app.nothing", show=False, id="filter"),
        Binding("p", "app.pause", "Pause", show=False, id="pause"),
        Binding("colon", "app.command_line", "Palette", show=False, id="palette"),
    ]
    #: What the header calls it.
    title_text: ClassVar[str] = ""
    #: The pane whose keys the help shows first.
    pane: ClassVar[str] = ""

    def __init__(self, dashboard: Dashboard) -> None:
        super().__init__()
        self._dashboard = dashboard

    @property
    def crumb(self) -> str:
        """Return what the first line of a screen above this one calls it."""
        return self.title_text

    def show_header(self) -> None:
        """Show the first line."""
        self._dashboard.show_header(self.query_one(HeaderLine), place=self.title_text)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help(self.pane)


class Scrolling(Above):
    """One with something to read, in its only VerticalScroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLLING,
    ]

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


class CloseUp(Above):
    """One thing with all that is known of it, asked anew as long as it is looked at."""

    DEFAULT_CSS = """
    CloseUp #news { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    CloseUp #news.bad { color: $text-error; }
    CloseUp VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """
    #: What is said where the runtime has it no more.
    gone: ClassVar[str] = "it is not kept any more"

    def __init__(self, dashboard: Dashboard, admin: AdminClient) -> None:
        super().__init__(dashboard)
        self._admin = admin
        self.found: dict[str, Any] | None = None
        self._read_at = dashboard.clock.monotonic()
        self._trouble = ""
        self._words = ""
        self._news = (False, "")

    # --- what each has of its own

    @property
    def path(self) -> str:
        """Return where the runtime is asked about it."""
        raise NotImplementedError

    @property
    def news(self) -> str:
        """Return the line above, where there is nothing to worry about."""
        raise NotImplementedError

    def body(self) -> Iterator[Widget]:
        """Lay out what stands between header and keys, with a Static `#news` in it."""
        raise NotImplementedError

    def show(self) -> None:
        """Show what was found."""
        raise NotImplementedError

    async def rest(self, took: float) -> None:
        """Wait before it is asked again; the last answer took so many seconds."""
        await asyncio.sleep(min(_REST_MAX_SECONDS, max(_POLL_SECONDS, took * _REST)))

    # --- what is the same for all

    def compose(self) -> Iterator[Widget]:
        """Lay out header, body and keys."""
        yield HeaderLine(markup=False)
        yield from self.body()
        yield KeysLine()

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show_news()
        self.set_interval(_FRAME_SECONDS, self._show_news)
        begin(self, self._poll, name="close-up", group="close-up")

    def on_resize(self) -> None:
        """Break the lines for the new width."""
        self._show()

    async def _poll(self) -> None:
        clock = self._dashboard.clock
        while True:
            started = clock.monotonic()
            await self._ask()
            await self.rest(0.0 if self._trouble else clock.monotonic() - started)

    async def _ask(self) -> None:
        try:
            found = await self._admin.get(self.path)
            with self._dashboard.enduring.understood(self.title_text):
                self._take(found)
        except AdminError as error:
            self._trouble = self.gone if error.code == "NOT_FOUND" else error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()

    def _take(self, found: dict[str, Any]) -> None:
        """Show an answer; one that can't be shown leaves the one before."""
        before, self.found = self.found, found
        try:
            self._show()
        except MISUNDERSTANDINGS:
            self.found = before
            raise

    def ask_again(self) -> None:
        """Ask at once."""
        self.run_worker(self._ask(), name="again", group="again")

    def _show(self) -> None:
        # Answers may come before it is all there, or when it closed.
        if self.found is not None and self.query("#news"):
            self.show()

    def show_words(self, place: str, words: str) -> None:
        """Show a text in the Static of an id; a new text lays the screen out anew."""
        if words != self._words:
            self._words = words
            self.query_one(place, Static).update(words)

    def _show_news(self) -> None:
        """Show the first line, what is under way, and how far the rest can be trusted."""
        if not self.query("#news"):
            return
        self.show_header()
        old = self._dashboard.clock.monotonic() - self._read_at
        is_bad = bool(self._trouble) or old > _OLD_SECONDS
        if is_bad:
            why = f": {self._trouble}" if self._trouble else ""
            news = f"STALE: not read for {old:.0f} s{why}"
        else:
            news = "◔ reading …" if self.found is None else self.news
        if (is_bad, news) != self._news:
            self._news = (is_bad, news)
            line = self.query_one("#news", Static)
            line.set_class(is_bad, "bad")
            line.update(clean(f" {news}"), layout=False)
