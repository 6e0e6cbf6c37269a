"""The dashboard: panes over one state, fed by the admin stream and by the supervisor.

It is a client of the admin protocol and of nothing else: it never opens the database, and what
it can do here it can do against a runtime elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input, TextArea

from pylon import paths
from pylon.client.admin import AdminClient, AdminError
from pylon.client.ghost import Frame, Ghost
from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.clock import Clock, iso_ms
from pylon.supervisor.supervisor import Supervisor, SupervisorEvent
from pylon.tui.ahead import TypedAhead
from pylon.tui.command_log import CommandLog
from pylon.tui.copying import Copies
from pylon.tui.crumbs import ARROW, ARROW_ASCII
from pylon.tui.elsewhere import Whereabouts
from pylon.tui.enduring import Enduring
from pylon.tui.getting_about import GettingAbout
from pylon.tui.header import PAST, PAST_ASCII, HeaderLine
from pylon.tui.held import Held
from pylon.tui.helping import help_text
from pylon.tui.keymap import read_keymap
from pylon.tui.keys import BINDINGS
from pylon.tui.leaving import Leaving
from pylon.tui.model import DashboardState
from pylon.tui.palette import commands
from pylon.tui.panes import Pane
from pylon.tui.past import Past
from pylon.tui.preferences import charts_kind, keep_theme
from pylon.tui.problems import Problems
from pylon.tui.production import Production
from pylon.tui.registry import SCREENS
from pylon.tui.reloading import Reloading
from pylon.tui.row_keys import RowKeys
from pylon.tui.saying import NOTICES_CSS, say
from pylon.tui.screens.help import HelpScreen
from pylon.tui.screens.try_call import TryScreen
from pylon.tui.screens.why import AskingWhy
from pylon.tui.strip import ScreenStrip
from pylon.tui.themes import LOOKS_CSS
from pylon.tui.warping import Warping
from pylon.tui.widgets.filter_line import NOTHING, FilterLine, Help, OfferLines
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.widgets.line_list import LineList
from pylon.tui.zooming import unzoom

_FRAME_SECONDS = 1 / 8


class Dashboard(GettingAbout):
    """The screens of one project."""

    TITLE = "pylon"
    ENABLE_COMMAND_PALETTE = True
    CSS = f"""{NOTICES_CSS}{LOOKS_CSS}
    ContentSwitcher {{ height: 1fr; }}
    #filter {{ display: none; height: 1; border: none; background: $panel; padding: 0 1; }}
    #filter.shown {{ display: block; }}
    #facts {{ height: auto; padding: 0 0 1 0; }}
    #trouble {{ height: auto; max-height: 50%; color: $text-error; padding: 0 1 1 1; }}
    #trouble-text {{ width: 100%; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(
        self, clock: Clock, admin: AdminClient, *, supervisor: Supervisor | None = None,
        elsewhere: Whereabouts | None = None, is_afar: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.clock = clock
        self.state = DashboardState(is_attached=supervisor is None)
        self.enduring = Enduring(self, is_afar=is_afar)
        self._is_told_anew = False
        self.url = ""
        #: What is said when it opens.
        self.greeting = ""
        #: Reads the project's settings while no runtime answers; None where they lie elsewhere.
        self.closed_settings: Callable[[], dict[str, Any]] | None = None
        #: The project that was chosen instead of this one.
        self.next_project: Path | None = None
        self.command_log = CommandLog(
            lambda: iso_ms(clock.now_ms()), lambda: self.state.touch("commands")
        )
        self.reloading = Reloading(self, admin)
        self.held = Held(self)
        self.asking_why = AskingWhy(self, admin)
        self.warping = Warping(self, admin)
        self.past = Past(self, admin)
        self.rows = RowKeys(self)
        self.ahead = TypedAhead(self)
        self.problems = Problems(self)
        self._admin = admin
        self.production = Production(self)
        admin.guard = self.production.demand
        self._supervisor = supervisor
        self._elsewhere = elsewhere
        self._is_paused = False
        self.leaving = Leaving(self, admin, supervisor, elsewhere)
        #: How charts are drawn, one of `sparks.KINDS`.
        self.charts, self._charts_complaint = charts_kind()
        self.keymap = read_keymap(paths.keys_file())
        self.panes: dict[str, Pane] = {one.name: one.build(self, admin) for one in SCREENS}
        if supervisor is not None:
            self.state.project_name = supervisor.project.name
            self.command_log.project = supervisor.project
            supervisor.listen(self.take_event)

    # --- life

    def compose(self) -> ComposeResult:
        """Lay out header, the strip of screens, panes, filter line and footer."""
        yield HeaderLine(markup=False)
        yield ScreenStrip(SCREENS, self.keymap.keys, self.action_pane)
        with ContentSwitcher(initial="log"):
            yield from self.panes.values()
        yield OfferLines()
        yield FilterLine(self._help_of, id="filter")
        yield KeysLine()

    def on_mount(self) -> None:
        """Start to read the stream and to draw."""
        keep_theme(self)
        self.set_keymap(self.keymap.keys)
        complaints = [*self.keymap.complaints, self._charts_complaint]
        for complaint in filter(None, complaints):
            self.state.add_line("warning", complaint, iso_ms(self.clock.now_ms()))
            say(self, complaint, title="set otherwise", seconds=8, is_bad=True)
        if self.greeting:
            say(self, self.greeting, seconds=5)
        self.held.look()
        self.run_worker(self._read_stream(), name="stream", exclusive=False)
        self.set_interval(_FRAME_SECONDS, self.draw)
        # At once: what opens may have gone again by the next frame.
        self.screen_change_signal.subscribe(self, lambda _: self.ahead.look(), immediate=True)
        self._focus_list()

    async def _read_stream(self) -> None:
        while not self.leaving.is_under_way:
            try:
                async with aclosing(self._admin.stream()) as messages:
                    async for message in messages:
                        self._fold(message)
                        await asyncio.sleep(0)  # where more is there already, keys have their turn
                        if self._is_told_anew:
                            break
                why = "it ended the stream"
            except AdminError as error:
                why = error.message  # the header says that there is no news, and why
            now = self.clock.monotonic()
            if self._is_told_anew:
                self._is_told_anew = False
                self.state.forget_told(str(self.pane.id))
                continue
            self.state.note_no_stream(why, now)
            if self._elsewhere is not None:
                why = await self._elsewhere.look(is_first=not self.state.status)
                self.state.note_no_stream(why, now)
                self.held.take_from_elsewhere(is_held=self._elsewhere.is_held)
            await asyncio.sleep(0.3)

    def _fold(self, message: dict[str, Any]) -> None:
        try:
            self.state.fold(message, self.clock.monotonic())
            for pane in self.panes.values():
                pane.take(message)
        except MISUNDERSTANDINGS as error:  # it is left out, and the rest goes on
            self.enduring.note(f"{message.get('type')} was not understood", error)

    def take_event(self, event: SupervisorEvent) -> None:
        """Take what the supervisor tells."""
        at = iso_ms(self.clock.now_ms())
        if event.kind == "line":
            for text in event.text.split("\n"):
                level = "error" if text.startswith(("error", "Traceback", "pylon:")) else "info"
                level = "warning" if text.startswith("warning") else level
                self.state.add_line(level, text, at)
        elif event.kind == "stack":
            self.state.note_stack(event.text, at)
        elif event.kind == "note":
            self.state.add_line("note", event.text, at)
        else:
            why = event.text.partition(": ")[2]
            self.held.take(event.state.value, why, is_held=event.is_held)
            self.state.add_line("note", f"runtime {event.text}", at)

    def draw(self) -> None:
        """Show what changed since the last frame, on the pane that is seen."""
        if not self.is_running or len(self.screen_stack) == 0:
            return
        self.ahead.look()
        pane, now = self.pane, self.clock.monotonic()
        self.state.note_silence(now)
        if self.enduring.renews(now):
            self._is_told_anew = True
            pane.ask_again()
        title = next(one.title for one in SCREENS if one.name == pane.id)
        if not self._is_paused:
            with self.enduring.shown(title):
                pane.keep_current()
        with self.enduring.shown("the first line"):
            self.show_header(self.query_one(HeaderLine), place=title)
        with self.enduring.shown("the strip"):
            self.query_one(ScreenStrip).show(str(pane.id))
        if not self._is_paused or pane.shows_when_paused:
            pane.refresh_from()

    def show_header(self, header: HeaderLine, *, place: str) -> None:
        """Show the first line of a screen, with what one came through to it."""
        is_ascii, waits = self.charts == "ascii", self.ahead.words
        header.show(
            self.state, self.clock.monotonic(), is_paused=self._is_paused, place=waits or place,
            trail=() if waits else self.trail_to(header.screen),
            signs=(PAST_ASCII, ARROW_ASCII) if is_ascii else (PAST, ARROW),
        )  # fmt: skip

    def make_ghost(self, user: str, on_frame: Callable[[Frame], None]) -> Ghost:
        """Return a ghost of this runtime."""
        return Ghost(self._admin, user, self.clock, on_frame)

    @property
    def pane(self) -> Pane:
        """Return the pane that is shown."""
        return self.panes[str(self.screen_stack[0].query_one(ContentSwitcher).current)]

    def _focus_list(self) -> None:
        if self.pane.list is not None:
            self.pane.list.focus()

    # --- actions

    def action_pane(self, name: str) -> None:
        """Show a pane, from wherever one is."""
        while len(self.screen_stack) > 1:
            if isinstance(self.screen, TryScreen):
                self.screen.keep_draft()
            self.pop_screen()
        self.screen_stack[0].query_one(ContentSwitcher).current = name
        self.query_one(FilterLine).hold(self.pane.terms)
        self.pane.ask_again()
        self.pane.refresh_from(force=True)
        self._focus_list()
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell whether an action is for now: a slash that is typed into a line is none."""
        if action != "filter":
            return True
        return len(self.screen_stack) == 1 and not isinstance(self.focused, Input | TextArea)

    def action_filter(self) -> None:
        """Open the filter line."""
        self.query_one(FilterLine).open(self.pane.terms, self.pane.hint)

    def _help_of(self, line: str, cursor: int) -> Help:
        """Return what the pane that is seen knows about the filter line."""
        shown = self.panes.get(str(self.screen_stack[0].query_one(ContentSwitcher).current))
        return NOTHING if shown is None else shown.help_of(line, cursor)

    def look_at_filter(self) -> None:
        """Show what is known of the filter by now, while it is typed."""
        self.screen_stack[0].query_one(FilterLine).look_again()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the line is typed."""
        # It may be told when all has ended, or when another screen has put its own line there.
        is_now = event.value == event.input.value
        if event.input.id == "filter" and self.screen_stack and is_now:
            self.pane.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the list."""
        if event.input.id == "filter":
            self.pane.filter(event.value)
            self.pane.filter_entered()
            self.query_one(FilterLine).close(is_kept=bool(event.value))
            self._focus_list()

    async def action_back(self) -> None:
        """Go out one level: of a zoomed pane, the filter that was typed, the past, a place."""
        line, given = self.query_one(FilterLine), self.pane.given_terms
        if unzoom(self.pane):
            pass
        elif line.has_class("shown") and (line.has_focus or line.value != given):
            line.hold(given)
            self.pane.filter(given)
        elif self.state.data.as_of is not None:
            self.past.leave()
        else:
            self.pane.step_out()
        self._focus_list()

    def action_pause(self) -> None:
        """Stop drawing, or go on."""
        self._is_paused = not self._is_paused
        self.draw()

    def action_problem(self, by: int) -> None:
        """Go to the next problem (1) or the one before (-1)."""
        self.problems.go(by)

    async def action_open(self) -> None:
        """Open the app in a browser; on Mail the link of the mail under the cursor."""
        url = self.pane.page()
        page = self.page_url() if url is None else url
        if url == "":
            say(self, self.pane.no_page, seconds=4)
        elif not page:
            say(self, "it has no address yet: it is starting", seconds=4)
        else:
            self.run_worker(self._open_page(page), name="open", group="open")

    def page_url(self) -> str:
        """Return where a browser finds the app; empty while it listens nowhere yet."""
        if self.url and not self.url.endswith(":0"):
            return self.url
        # What was asked for was any port: the runtime tells which one it got.
        port = self.state.status.get("port")
        host = self.url.removesuffix(":0") or "http://127.0.0.1"
        return f"{host}:{port}" if port else ""

    def action_reload(self) -> None:
        """Load the app anew."""
        self.reloading.ask()

    def action_consent(self) -> None:
        """Apply the migration that waits for consent."""
        self.reloading.ask_for_consent()

    def take_reload(self, *, ok: bool, note: str, mistakes: tuple[str, ...], plan: str) -> None:
        """Take what a save led to, and say it."""
        self.reloading.take(ok=ok, note=note, mistakes=mistakes, plan=plan)

    def action_warp(self) -> None:
        """Ask where to move the clock, and do it."""
        self.warping.ask()

    async def action_restart(self) -> None:
        """Stop the runtime and start it anew."""
        await self.leaving.restart()

    def show_help(self, place: str) -> None:
        """Show the keys, those of a place first."""
        self.push_screen(HelpScreen(help_text(place, self.keymap.keys)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer every action in the palette."""
        yield from super().get_system_commands(screen)
        place = self.pane if screen is self.screen_stack[0] else screen
        yield from commands(self, place, is_attached=self._supervisor is None)

    # --- the row under the cursor

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show everything about a row."""
        self.ahead.open("it", lambda: self.pane.open_row(event.row), group="row")

    def action_ghost(self) -> None:
        """Ask whose client to watch, and do it."""
        self.rows.ghost()

    def action_why(self) -> None:
        """Ask why a user may do something with the row under the cursor, or may not."""
        self.rows.why()

    def action_copy(self) -> None:
        """Offer what can be copied of the row under the cursor."""
        self.rows.copy()

    def offer_copies(self, options: Copies) -> None:
        """Let one of (name, text) be chosen, and copy it."""
        self.rows.offer(options)

    # --- leaving

    def go_over(self, project: Path) -> None:
        """Leave for another project."""
        self.next_project = project
        self.action_leave()

    def action_leave(self) -> None:
        """Leave; a runtime of our own is stopped first."""
        self.leaving.ask()

    def action_stop_runtime(self) -> None:
        """Stop a runtime that was started elsewhere, and leave."""
        self.leaving.ask_to_stop_elsewhere()
