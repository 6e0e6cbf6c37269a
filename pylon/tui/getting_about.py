"""Keys that mean the same on every screen: zoom, jump, the other list, ctrl+c, looks, locks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual._context import active_message_pump
from textual.actions import ActionParseResult
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, TextArea

from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.printable import clean
from pylon.tui.browser import open_page
from pylon.tui.command_line import CommandLine, Everything
from pylon.tui.dialogs import Question
from pylon.tui.enduring import endure
from pylon.tui.panes import ONE_LIST
from pylon.tui.preferences import keep_charts
from pylon.tui.registry import SCREENS
from pylon.tui.saying import say
from pylon.tui.screens.above import Above
from pylon.tui.screens.jump import JumpScreen
from pylon.tui.targets import targets_of
from pylon.tui.terminal_app import TerminalApp
from pylon.tui.verbs import verb_of
from pylon.tui.zooming import unzoom, zoom

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class GettingAbout(TerminalApp[int]):
    """The part of the dashboard that moves within it."""

    COMMANDS: ClassVar[set[Any]] = {Everything}

    @property
    def _whole(self) -> Dashboard:
        return cast("Dashboard", self)

    def trail_to(self, screen: Screen[Any]) -> tuple[str, ...]:
        """Return what one came through to a screen, the pane first; nothing on a pane.

        Questions and menus lie on a screen, and are no place of their own.
        """
        stack = self.screen_stack
        if screen not in stack[1:]:
            return ()
        pane = next(one.title for one in SCREENS if one.name == self._whole.pane.id)
        below = stack[1 : stack.index(screen)]
        return (pane, *(clean(one.crumb) for one in below if isinstance(one, Above)))

    async def run_action(
        self, action: str | ActionParseResult, default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:  # fmt: skip
        """Do what a key, the palette or a click asks for, unless production is locked for it."""
        place = self if default_namespace is None else default_namespace
        verb = verb_of(type(place), action) if isinstance(action, str) else None
        if verb is not None and verb.writes and self._whole.production.objects():
            return True
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except MISUNDERSTANDINGS as error:
            endure(self, "what the key is for", error)
            return True

    async def _dispatch_message(self, message: Message) -> None:
        with self._whole.enduring.shown("that"):
            await super()._dispatch_message(message)

    def _handle_exception(self, error: Exception) -> None:
        """Take a fault that nobody took: the library ends with it, unless it is another's."""
        if not self._whole.enduring.takes(error, active_message_pump.get(None)):
            super()._handle_exception(error)

    async def on_event(self, event: Event) -> None:
        """Take what happens; keys that are typed ahead are held first."""
        if not (isinstance(event, Key) and self._whole.ahead.takes(event)):
            await super().on_event(event)

    async def hand(self, key: Key) -> None:
        """Have a key that was held do what it is for."""
        await super().on_event(key)

    def on_paste(self, event: Paste) -> None:
        """Say where a paste goes: what nobody typed is never taken for keys."""
        if event.text.strip():
            say(self, "a paste goes into a line: / opens the filter, then paste", seconds=4)

    def action_zoom(self) -> None:
        """Give the list in focus all the room."""
        if self._is_covered():
            return
        if self._whole.pane.zoomed is not None:
            say(self, "it has all the room; _ or esc gives it back")
        elif not zoom(self._whole.pane):
            say(self, "there is one list here: it has all the room")

    def action_unzoom(self) -> None:
        """Show all of the screen again."""
        if not self._is_covered() and not unzoom(self._whole.pane):
            say(self, "nothing is zoomed: + gives the list in focus all the room")

    def action_command_line(self) -> None:
        """Take a screen's name, a verb or q; or show what there is."""
        if not isinstance(self.screen, CommandPalette):
            is_above = len(self.screen_stack) > 1
            place = self.screen if is_above else self._whole.pane
            self.push_screen(CommandLine(self._whole, place))

    def action_jump(self) -> None:
        """Put a letter on everything one can go to."""
        if not self._is_covered():
            self.push_screen(JumpScreen(targets_of(self._whole)))

    def action_other_list(self) -> None:
        """Go over to another list of the screen, or of what lies above it."""
        if len(self.screen_stack) == 1:
            self._whole.pane.action_other_list()
            return
        before = self.focused
        if self.screen.focus_next() is before:
            say(self, ONE_LIST)

    def _is_covered(self) -> bool:
        """Tell whether something lies above the screen, whose lists are out of sight; says so."""
        if len(self.screen_stack) > 1:
            say(self, "that is for the screen below: esc leads back to it")
        return len(self.screen_stack) > 1

    def action_interrupt(self) -> None:
        """Copy the text that is selected; where there is none, ask whether to quit."""
        focused = self.focused
        typed = focused.selected_text if isinstance(focused, Input | TextArea) else ""
        text = typed or self.screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
            say(self, "copied (if your terminal allows it)", seconds=2)
        elif not isinstance(self.screen, Question):
            self._whole.leaving.ask_surely()

    def action_unlock(self) -> None:
        """Allow changes in production, or not any more."""
        self._whole.production.turn()

    def action_charts(self, kind: str) -> None:
        """Draw charts in another way, and remember it."""
        self._whole.charts = kind
        keep_charts(self, kind)
        self._whole.pane.refresh_from(force=True)

    async def _open_page(self, url: str) -> None:
        opened = await open_page(url)
        say(self, url if opened else f"no browser here; open {url}", seconds=6)

    def action_nothing(self) -> None:
        """Take a key that means something elsewhere only."""

    def action_help(self) -> None:
        """Show the keys, made from the bindings."""
        self._whole.show_help(str(self._whole.pane.id))
