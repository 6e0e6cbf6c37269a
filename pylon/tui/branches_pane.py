"""The pane of branches: which there are, which is in use, and the one being made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui.asked import AskedPane
from pylon.tui.branch_actions import BRANCH_VERBS, BranchActions
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import Copies
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.saying import say
from pylon.tui.tables import size_text
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_HINT: Final = "c create · x switch · d or enter diff · D drop"
_COLUMNS: Final = (
    Column("", 8), Column("BRANCH", 26, most=40), Column("SIZE", 10, right=True),
    Column("OF", 12, 70, most=40),
    Column("MADE", 20, 100), Column("AT SEQ", 8, 120, right=True), Column("WHY", 48),
)  # fmt: skip


def branch_line(one: dict[str, Any], width: int) -> list[tuple[str, str]]:
    """Return the line of a branch; the one in use is marked by a word, not by colour alone."""
    mark = ("● in use", "good") if one["is_current"] else ("", "plain")
    made = str(one["made_at"] or "")[:19].replace("T", " ")
    return data_line(
        _COLUMNS,
        (
            mark, (one["name"], "strong"), (size_text(one["bytes"]), "plain"), (one["of"], "quiet"),
            (made, "quiet"), (one["made_head"], "quiet"), (one["why"], "quiet"),
        ),
        width,
    )  # fmt: skip


class BranchesPane(AskedPane):
    """Copies of the database, and which is in use."""

    lead = "Branches"
    verbs = BRANCH_VERBS
    parts = ("branches",)
    filters = (listed(_COLUMNS, branch_line),)
    path = "admin/branches"
    DEFAULT_CSS = """
    BranchesPane #branches-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    BranchesPane #branches-note.bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*BRANCH_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._actions = BranchActions(app, admin)

    def compose(self) -> ComposeResult:
        """Lay out a line of news and the branches."""
        yield Static(id="branches-note", markup=False)
        yield LineList(
            branch_line, head=lambda width: head_line(_COLUMNS, width), id="branchlist",
            empty="There is no branch.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the branches that pass the filter."""
        answer = self._asked.answer or {"branches": [], "making": None}
        rows = self.passing(answer["branches"])
        assert self.list is not None
        self.list.show(
            rows, key=lambda row: row["name"], total=len(answer["branches"]),
            is_read=self._asked.answer is not None,
        )  # fmt: skip
        note = self._asked.note or _making_words(answer["making"]) or self._actions.doing or _HINT
        line = self.query_one("#branches-note", Static)
        line.set_class(note.startswith(("STALE", "✗")), "bad")
        line.update(clean_block(f" {note}"), layout=False)

    async def open_row(self, row: Any) -> None:
        """Show what the branch in use has otherwise."""
        self._diff(row)

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied of a branch."""
        return [("name", row["name"]), ("switch", f"pylon branch switch {row['name']}")]

    def action_branch(self, name: str) -> None:
        """Do something with the branch under the cursor, or make one."""
        one = None if self.list is None else self.list.current
        if name == "create":
            names = {str(one["name"]) for one in (self._asked.answer or {}).get("branches", ())}
            self._actions.create(names, self.ask_again)
        elif one is None:
            say(self.app, "there is no branch under the cursor")
        elif name == "switch":
            self._actions.switch(one, self.ask_again)
        elif name == "drop":
            self._actions.drop(one, self.ask_again)
        else:
            self._diff(one)

    def _diff(self, one: dict[str, Any]) -> None:
        current = "" if self._asked.answer is None else str(self._asked.answer["current"])
        if one["name"] == current:
            say(self.app, "this one is in use: choose one to compare it with")
        else:
            self._actions.diff(one, current)


def _making_words(making: dict[str, Any] | None) -> str:
    if making is None:
        return ""
    if making["phase"] == "checking":
        return f"◔ {making['name']}: all is copied, and is being checked"
    share = making["done"] * 100 // making["total"] if making["total"] else 0
    return f"◔ {making['name']}: {share}% copied"


SCREEN = Entry(
    "branches", "Branches", "copies of the database: create, switch, compare, drop", BranchesPane,
    verbs=BRANCH_VERBS,
)  # fmt: skip
