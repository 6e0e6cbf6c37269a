"""The launcher: the user's projects with state, port and last use; start, stop, open, forget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from pylon import paths
from pylon.clock import Clock
from pylon.tui.browser import open_page
from pylon.tui.dialogs import Menu, Prompt
from pylon.tui.keymap import read_keymap
from pylon.tui.model import DashboardState
from pylon.tui.preferences import keep_theme
from pylon.tui.project_actions import INTO_MENU, PROJECT_VERBS
from pylon.tui.projects_pane import ProjectsPane
from pylon.tui.saying import NOTICES_CSS, say
from pylon.tui.terminal_app import TerminalApp
from pylon.tui.themes import LOOKS_CSS
from pylon.tui.verbs import in_footer
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.widgets.line_list import LineList

_FRAME_SECONDS = 0.25
_USUAL: Final = "blank"
_TEMPLATES: Final = ((_USUAL, "one entity, one page"),)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person wants: open a project, or create one."""

    open: Path | None = None
    create: str | None = None
    template: str = _USUAL


class Shelf(ProjectsPane, inherit_bindings=False):
    """The projects with their keys in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(PROJECT_VERBS),
        Binding("f", "project('forget')", "Forget", show=False, id="projects.forget"),
    ]


class Launcher(TerminalApp[Choice]):
    """All projects of the user."""

    TITLE = "pylon"
    CSS = f"{NOTICES_CSS}{LOOKS_CSS} #title {{ height: 1; background: $panel; }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "Browser", id="projects.open"),
        Binding("c", "create", "Create", id="projects.create"),
        Binding("q,ctrl+q,ctrl+c", "leave", "Quit", key_display="q", id="quit"),
    ]

    def __init__(
        self, clock: Clock, objection: Callable[[str], str] = lambda _: "",
        templates: Sequence[tuple[str, str]] = _TEMPLATES,
    ) -> None:  # fmt: skip
        """Make a launcher.

        Args:
            clock: tells the time.
            objection: says what is wrong with a new project's name.
            templates: (name, summary) of what a project may start from.
        """
        super().__init__()
        self._objection = objection
        self._templates = templates
        self._clock = clock

    def compose(self) -> ComposeResult:
        """Lay out title, list and keys."""
        yield Static(" pylon  your projects", id="title", markup=False)
        yield Shelf(DashboardState(), self._clock, choose="Open", go=self._go)
        yield KeysLine()

    def on_mount(self) -> None:
        """Show the list, and keep it right."""
        keep_theme(self)
        self.set_keymap(read_keymap(paths.keys_file()).keys)
        self.set_interval(_FRAME_SECONDS, self._pane.keep_current)
        self.query_one(LineList).focus()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer what has no key of its own."""
        yield from super().get_system_commands(screen)
        yield SystemCommand(*INTO_MENU, self._pane.action_into_menu)

    @property
    def _pane(self) -> ProjectsPane:
        return self.screen_stack[0].query_one(ProjectsPane)

    @property
    def _current(self) -> dict[str, Any] | None:
        return self.query_one(LineList).current

    async def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open a project's dashboard."""
        await self._pane.open_row(event.row)

    def _go(self, project: Path) -> None:
        self.exit(Choice(open=project))

    def action_open(self) -> None:
        """Open a running app in the browser."""
        row = self._current
        if row is None or row["url"] is None:
            say(self, "nothing answers there; s starts it", seconds=3)
            return
        self.run_worker(self._open_page(row["url"]), name="open", group="open")

    async def _open_page(self, url: str) -> None:
        if not await open_page(url):
            say(self, f"no browser here; open {url}", seconds=6)

    def action_create(self) -> None:
        """Create a project in this folder."""

        def chosen(template: str | None) -> None:
            if template is None:
                return
            self.push_screen(
                Prompt(f"New project in {Path.cwd()}", "its name", self._objection),
                lambda name: self.exit(Choice(create=name, template=template)) if name else None,
            )

        # The usual one first, as `pylon new` proposes it.
        offered = sorted(self._templates, key=lambda one: one[0] != _USUAL)
        options = [(name, f"{name}: {summary}") for name, summary in offered]
        self.push_screen(Menu("Start from", options), chosen)

    def action_leave(self) -> None:
        """Leave."""
        self.exit(Choice())
