"""The pane of files: totals, quotas and uploads above, files below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import files_tables
from pylon.tui.copying import Copies
from pylon.tui.entry import Entry
from pylon.tui.file_actions import FILE_VERBS, FileActions
from pylon.tui.files import Files
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_HINT: Final = "enter opens · s {other} first · d delete · o browser · S sweep · V verify"


class FilesPane(Pane):
    """Files, whose, how large, and in which rows."""

    lead = "Files"
    verbs = FILE_VERBS
    parts = ("files",)
    filter_hint = "search: words in name, type, hash, id, row; user: entity: state: type:; !not"
    fields = files_tables.SEARCHED
    DEFAULT_CSS = """
    FilesPane #files-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    FilesPane #files-note.bad { color: $text-error; }
    FilesPane #files-totals { height: 3; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    FilesPane #filelist { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*FILE_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._files = Files(app, admin)
        self.actions = FileActions(app, admin)
        self._clock = app.clock
        self._totals = ""
        self._drawn: tuple[int, int] = (-1, -1)

    def compose(self) -> ComposeResult:
        """Lay out a line of news, totals and files."""
        yield Static(id="files-note", markup=False)
        yield Static(id="files-totals", markup=False)
        yield LineList(
            files_tables.file_line, head=files_tables.files_head, id="filelist",
            empty="No file is found. One comes with POST /api/files, db.upload or ctx.files.",
        )  # fmt: skip

    @property
    def list(self) -> LineList:
        """Return the list of files."""
        return self.query_one("#filelist", LineList)

    def keep_current(self) -> None:
        """Ask for files that moved; ages pass by themselves."""
        self._files.keep_current(self.terms, self.list.cursor)
        now = (int(self._clock.monotonic()), self.state.version_of("files"))
        if now != self._drawn:
            self._drawn = now
            self.show()

    def ask_again(self) -> None:
        """Have what is in sight read again."""
        self._files.ask_again()

    def show(self) -> None:
        """Show totals and files as they are held."""
        found = self.state.files
        now_ms = self.state.app_ms(self._clock.now_ms())
        rows = [files_tables.drawn(one, now_ms) for one in found.rows]
        total = found.total if found.has_more and not found.search else len(rows)
        # At the top one sees the newest or largest; elsewhere the cursor stays on its file.
        key = None if self.list.cursor == 0 else _id_of
        is_read = found.has_more is not None
        self.list.show(rows, key=key, total=max(total, len(rows)), is_read=is_read)
        words = files_tables.totals_words(found, max(20, self.size.width - 2))
        text = clean_block("\n".join(f" {line}" for line in words.split("\n")))
        if text != self._totals:
            self._totals = text
            self.query_one("#files-totals", Static).update(text, layout=False)
        line = self.query_one("#files-note", Static)
        line.set_class(found.note.startswith(("STALE", "✗")), "bad")
        said = found.note or self.actions.doing or self._quiet()
        line.update(clean_block(f" {said}"), layout=False)

    def _quiet(self) -> str:
        """Return what the first line says where there is no news: the hint, or what is left out."""
        found = self.state.files
        hint = _HINT.format(other="largest" if found.order == "newest" else "newest")
        if found.has_more and found.search:
            return f"the {found.order} {len(found.rows):,} of those that are found; {hint}"
        return hint

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show all about a file."""
        await self.actions.show(row)

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied of a file."""
        return files_tables.file_copies(row, self._dashboard.page_url())

    def action_file(self, name: str) -> None:
        """Do something to the file under the cursor."""
        one = self.list.current
        if one is None:
            say(self.app, "there is no file under the cursor")
        elif name == "open":
            self.actions.open(one)
        else:
            self.actions.delete(one, self._files.ask_again)

    def action_files(self, name: str) -> None:
        """Do something about all files."""
        if name == "turn":
            self.state.files.turn()
            self.list.action_top()
            self._files.ask_again()
        elif name == "sweep":
            self.actions.sweep(self._files.ask_again)
        else:
            self.actions.verify(self._files.ask_again)


def _id_of(row: dict[str, Any]) -> str:
    return str(row["id"])


SCREEN = Entry(
    "files", "Files", "whose, how large, in which rows; delete, sweep, verify", FilesPane, key="f",
    verbs=FILE_VERBS,
    first=(("enter", "all about it: rows that hold it, hash, widths that were made"),),
    last=(
        ("y", "Copy: id, url, sha256, command, JSON"),
        ("/", "Search: words, user:ada, entity:doc, state:fresh, type:image, !not"),
    ),
)  # fmt: skip
