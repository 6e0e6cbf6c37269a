"""The pane of the doctor: what is wrong on the runtime's machine and in its project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from textual.app import ComposeResult
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry, Offer
from pylon.tui.filtering import listed
from pylon.tui.own_command import Outcome, run_pylon
from pylon.tui.panes import Pane
from pylon.tui.polling import Polling
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

Line = list[tuple[str, str]]
_EVERY_SECONDS: Final = 10.0
_SAID_SECONDS: Final = 10
_SIGNS: Final = {
    "error": ("✗ error", "bad"), "warning": ("! warning", "warn"), "note": ("· note", "quiet")
}  # fmt: skip
_COLUMNS: Final = (Column("LEVEL", 9), Column("WHAT", 44, most=90), Column("FIX", 60, 110))


def is_bad_finding(one: dict[str, Any]) -> bool:
    """Tell whether a finding is more than a note."""
    return one["level"] in ("error", "warning")


def finding_line(one: dict[str, Any], width: int) -> Line:
    """Return the line of a finding."""
    narrow = width < _COLUMNS[-1].from_width
    columns = (_COLUMNS[0], Column("WHAT", 44)) if narrow else _COLUMNS
    cells: list[tuple[Any, str]] = [
        _SIGNS.get(one["level"], (one["level"], "plain")), (one["what"], "plain")
    ]  # fmt: skip
    return data_line(columns, cells if narrow else [*cells, (one["fix"], "quiet")], width)


def finding_words(one: dict[str, Any]) -> str:
    """Return all about a finding, as text to read."""
    fix = one["fix"] + ("\n       pylon doctor --fix does it" if one["can_fix"] else "")
    return (
        f"{_SIGNS.get(one['level'], (one['level'], ''))[0]}: {one['what']}\n\n"
        f"where  {one['where']}\nwhy    {one['why']}\nfix    {fix}\nkind   {one['kind']}"
    )


class DoctorPane(Pane):
    """What deserves a look, the worst first."""

    parts = ("doctor",)
    filters = (listed(_COLUMNS, finding_line),)
    DEFAULT_CSS = """
    DoctorPane #doctor-note { height: 1; color: $text-muted; }
    """

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._app = app
        self._found: list[dict[str, Any]] = []
        self._polling = Polling(app, admin, "doctor", every_s=_EVERY_SECONDS, take=self._take)
        self._said = ""
        #: Runs a command of Pylon's to its end.
        self.run: Callable[..., Awaitable[Outcome]] = run_pylon

    def _take(self, answer: dict[str, Any]) -> None:
        self._found = list(answer["findings"])
        self.state.touch("doctor")

    def compose(self) -> ComposeResult:
        """Lay out a line of news and the findings."""
        yield Static(id="doctor-note", markup=False)
        yield LineList(
            finding_line, is_bad=is_bad_finding, head=lambda width: head_line(_COLUMNS, width),
            empty="Nothing deserves a look. The terminal is looked at by: pylon doctor",
        )  # fmt: skip

    def keep_current(self) -> None:
        """Ask, now and then."""
        self._polling.keep_current()
        if self._polling.note != self._said:
            self._said = self._polling.note
            self.refresh_from(force=True)

    def ask_again(self) -> None:
        """Have it look again at once."""
        self._polling.ask_again()

    def show(self) -> None:
        """Show the findings."""
        rows = self.passing(self._found)
        assert self.list is not None
        self.list.show(
            rows, key=lambda row: (row["kind"], row["where"]), total=len(self._found),
            is_read=self._polling.has_answer,
        )  # fmt: skip
        counts = {level: sum(one["level"] == level for one in self._found) for level in _SIGNS}
        said = ", ".join(f"{count} {level}{'' if count == 1 else 's'}"
                         for level, count in counts.items())  # fmt: skip
        self.query_one("#doctor-note", Static).update(
            clean_block(f" {self._said or 'enter says why and what mends it'} · {said}")
        )

    def action_bug(self) -> None:
        """Put what is wrong into one file, beside the project's folder of now: `pylon bug`."""
        project = Path(str(self._app.state.status.get("project", "")))
        if not project.is_absolute() or not project.is_dir():
            say(self.app, "it runs elsewhere: run `pylon bug` in its folder there", is_bad=True)
            return
        say(self.app, "◔ pylon bug …")
        begin(self.app, partial(self._bug, project), name="bug", group="bug")

    async def _bug(self, project: Path) -> None:
        code, out, err = await self.run("bug", "--project", str(project), folder=project)
        text = f"{out}\n{err}".strip()
        if code:
            say(self.app, text, title="✗ bug: failed", seconds=_SAID_SECONDS, is_bad=True)
            return
        self._app.command_log.note("bug", "pylon bug")
        self.app.push_screen(Details("bug", f"in {project}:\n\n{text}"))

    @property
    def is_troubled(self) -> bool:
        """Tell whether there are errors: for a warning nobody is called from elsewhere."""
        return any(one["level"] == "error" for one in self._found)

    async def open_row(self, row: Any) -> None:
        """Show all about a finding."""
        self.app.push_screen(Details(str(row["kind"]), finding_words(row), copied=row["fix"]))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer what mends it, and all of it."""
        return [("fix", str(row["fix"])), ("all of it", finding_words(row)),
                ("command", "pylon doctor")]  # fmt: skip


SCREEN = Entry(
    "doctor", "Doctor", "what is wrong on the machine and in the project, and what mends it",
    DoctorPane, first=(("enter", "where, why, and what mends it"),),
    last=(("y", "Copy: fix, all of it, command"),),
    offers=(
        Offer("Put a problem into one file", "pylon bug: it replays elsewhere, without what"
              " people wrote", "bug"),
    ),
)  # fmt: skip
