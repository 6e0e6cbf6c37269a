"""One function: signature, who may call, counts, its last calls, the slow ones with plans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean
from pylon.tui import functions_tables
from pylon.tui.header import HeaderLine
from pylon.tui.keys import LEAVING

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_LOOK_SECONDS: Final = 0.25
#: It is asked again so soon where its counts moved; after so many looks more where they did not.
_EVERY_SECONDS: Final = 0.5
_LOOKS: Final = 2
_OLD_SECONDS: Final = 2.0


class FunctionScreen(Screen[None]):
    """Everything about a function, asked anew as its counts move."""

    CSS = """
    FunctionScreen #news { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    FunctionScreen #news.bad { color: $text-error; }
    FunctionScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", key_display="esc"),
        Binding("t", "try", "Try it"),
        Binding("y", "copy", "Copy"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(15)", "Page down", show=False),
        Binding("pageup,ctrl+u", "scroll(-15)", "Page up", show=False),
        Binding("home,g", "scroll(-1000000)", "First", show=False),
        Binding("end,G", "scroll(1000000)", "Last", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        *[one for one in LEAVING if "help" not in one.action],
    ]

    def __init__(self, dashboard: Dashboard, admin: AdminClient, function: dict[str, Any]) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._admin = admin
        self._function = function
        self._found: dict[str, Any] | None = None
        self._counted: Any = None
        self._read_at = dashboard.clock.monotonic()
        self._trouble = ""
        self._words = ""
        self._news = (False, "")

    def compose(self) -> ComposeResult:
        """Lay out header, news, the function and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="news", markup=False)
        with VerticalScroll():
            yield Static(id="about-function", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show_news()
        self.set_interval(_LOOK_SECONDS, self._show_news)
        self.run_worker(self._poll(), name="function", group="function", exclusive=True)
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """Break the lines for the new width."""
        self._show()

    @property
    def _told(self) -> Any:
        """Return what the stream told last of it."""
        return self._dashboard.state.functions.by_name.get(self._function["name"])

    async def _poll(self) -> None:
        clock = self._dashboard.clock
        while True:
            self._counted, asked_at = self._told, clock.monotonic()
            await self._ask()
            await asyncio.sleep(max(_EVERY_SECONDS, 3 * (clock.monotonic() - asked_at)))
            for _ in range(_LOOKS):
                if self._told is not self._counted:
                    break
                await asyncio.sleep(_LOOK_SECONDS)

    async def _ask(self) -> None:
        path = f"admin/functions/{self._admin.quoted(str(self._function['name']))}"
        try:
            self._found = await self._admin.get(path)
        except AdminError as error:
            is_gone = error.code == "NOT_FOUND"
            self._trouble = "the app has it no more" if is_gone else error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()
        self._show()

    def _show_news(self) -> None:
        """Show the first line, and how far the rest can be trusted."""
        if not self.query("#news"):
            return
        self._dashboard.show_header(self.query_one(HeaderLine), place="Function")
        old = self._dashboard.clock.monotonic() - self._read_at
        is_bad = bool(self._trouble) or old > _OLD_SECONDS
        news = f"{self._function['kind']} {self._function['name']}"
        if is_bad:
            why = f": {self._trouble}" if self._trouble else ""
            news = f"STALE: not read for {old:.0f} s{why}"
        elif self._found is None:
            news = "◔ reading …"
        if (is_bad, news) != self._news:
            self._news = (is_bad, news)
            line = self.query_one("#news", Static)
            line.set_class(is_bad, "bad")
            line.update(clean(f" {news}"), layout=False)

    def _show(self) -> None:
        if self._found is None or not self.query("#about-function"):
            return
        words = functions_tables.function_words(self._found, self.size.width)
        if words != self._words:  # a new text lays the screen out anew
            self._words = words
            self.query_one("#about-function", Static).update(words)

    # --- what the keys do

    def action_leave_for(self, pane: str) -> None:
        """Go back, and on to another pane."""
        self.dismiss()
        self._dashboard.action_pane(pane)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help("functions")

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_try(self) -> None:
        """Try it."""
        self._dashboard.trying.begin(self._found or self._function)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        found = self._found or self._function
        self._dashboard.offer_copies(functions_tables.function_copies(found))
