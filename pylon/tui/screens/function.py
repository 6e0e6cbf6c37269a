"""One function: signature, who may call, counts, its last calls, the slow ones with plans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.tui import functions_tables
from pylon.tui.screens.above import CloseUp, Scrolling
from pylon.tui.trying import FUNCTION_VERBS, Trying
from pylon.tui.verbs import in_footer

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_LOOK_SECONDS: Final = 0.25
#: It is asked again so soon where its counts moved, or after so many times as long as it took;
#: after so many looks more where they did not.
_EVERY_SECONDS: Final = 0.5
_REST: Final = 3.0
_LOOKS: Final = 2


class FunctionScreen(CloseUp, Scrolling):
    """Everything about a function, asked anew as its counts move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(FUNCTION_VERBS),
        Binding("y", "copy", "Copy", id="copy"),
    ]
    title_text, pane = "Function", "functions"
    lead, verbs = "Function", FUNCTION_VERBS
    gone = "the app has it no more"

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, trying: Trying, function: dict[str, Any]
    ) -> None:
        super().__init__(dashboard, admin)
        self._trying = trying
        self._function = function
        self._counted: Any = None

    @property
    def crumb(self) -> str:
        """Return which function it is."""
        return str(self._function["name"])

    @property
    def path(self) -> str:
        """Return where the runtime is asked about it."""
        return f"admin/functions/{self._admin.quoted(str(self._function['name']))}"

    @property
    def news(self) -> str:
        """Return which function it is."""
        return f"{self._function['kind']} {self._function['name']}"

    def body(self) -> Iterator[Widget]:
        """Lay out news and the function."""
        yield Static(id="news", markup=False)
        with VerticalScroll():
            yield Static(id="about-function", markup=False)

    def on_mount(self) -> None:
        """Be ready to scroll."""
        self.query_one(VerticalScroll).focus()

    @property
    def _told(self) -> Any:
        """Return what the stream told last of it."""
        return self._dashboard.state.functions.by_name.get(self._function["name"])

    async def _ask(self) -> None:
        self._counted = self._told
        await super()._ask()

    async def rest(self, took: float) -> None:
        """Wait until its counts moved, or a little longer."""
        await asyncio.sleep(max(_EVERY_SECONDS, _REST * took))
        for _ in range(_LOOKS):
            if self._told is not self._counted:
                break
            await asyncio.sleep(_LOOK_SECONDS)

    def show(self) -> None:
        """Show the function."""
        assert self.found is not None
        words = functions_tables.function_words(self.found, self.size.width)
        self.show_words("#about-function", words)

    # --- what the keys do

    def action_try(self) -> None:
        """Try it."""
        self._trying.begin(self.found or self._function)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        found = self.found or self._function
        self._dashboard.offer_copies(functions_tables.function_copies(found))
