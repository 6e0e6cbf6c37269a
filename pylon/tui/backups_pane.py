"""The pane of backups: when the last was proven and the next is due, and every one there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui.backup_actions import BACKUP_VERBS, BackupActions
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.header import age_text
from pylon.tui.panes import Pane
from pylon.tui.polling import Polling
from pylon.tui.saying import say
from pylon.tui.tables import size_text
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

Line = list[tuple[str, str]]
_EVERY_SECONDS: Final = 1.0
_SIGNS: Final = {
    "proven": ("✓ proven", "good"), "failed": ("✗ failed", "bad"),
    "unproven": ("? unproven", "warn"),
}  # fmt: skip
_COLUMNS: Final = (
    Column("STATE", 10), Column("AGE", 8, right=True), Column("KIND", 14, 90),
    Column("SIZE", 9, right=True), Column("ROWS", 9, 80, right=True),
    Column("SEQ", 9, 100, right=True), Column("ELSEWHERE", 12, 130, most=24),
    Column("NAME", 40, keeps_end=True),
)  # fmt: skip
_HINT: Final = "c create · v verify · R restore · s send · D drop · enter opens"


def is_bad_backup(one: dict[str, Any]) -> bool:
    """Tell whether a backup failed its proof, here or where it was copied to."""
    return "failed" in (one["state"], *(each["state"] for each in one["away"]))


def backup_line(one: dict[str, Any], width: int) -> Line:
    """Return the line of a backup."""
    away = ", ".join(
        f"{_SIGNS.get(each['state'], ('?', ''))[0][0]} {each['to'].partition(':')[0]}"
        for each in one["away"]
    )
    return data_line(
        _COLUMNS,
        (
            _SIGNS.get(one["state"], (one["state"], "plain")), (age_text(one["age_s"]), "plain"),
            (one["kind"], "quiet"), (size_text(one["bytes"]), "plain"), (one["rows"], "plain"),
            (one["head"], "quiet"), (away, "quiet"), (one["name"], "strong"),
        ),
        width,
    )  # fmt: skip


def backup_words(one: dict[str, Any]) -> str:
    """Return all about a backup, as text to read."""
    lines = [f"{_SIGNS.get(one['state'], (one['state'], ''))[0]}"]
    if one["why"]:
        lines.append(one["why"])
    lines += ["", *(
        f"{name:<10} {value}"
        for name, value in (
            ("name", one["name"]), ("kind", one["kind"]), ("made", one["at"]),
            ("proven", one["proven_at"] or "never"), ("size", size_text(one["bytes"])),
            ("seq", one["head"]), ("epoch", one["epoch"]), ("sha256", one["sha256"]),
            ("files", one["files"].get("contents", "-")), ("took", f"{one['took_ms']} ms"),
        )
    )]  # fmt: skip
    lines += [f"{'elsewhere':<10} {each['state']}: {each['to']} {each['why']}"
              for each in one["away"]]  # fmt: skip
    tables = {name: count for name, count in one["tables"].items() if name[:6] != "_pylon"}
    lines += ["", "rows by table", *(f"  {name:<24} {count:,}" for name, count in tables.items())]
    return "\n".join(map(str, lines))


class BackupsPane(Pane):
    """Every backup, whether it is proven, and what can be done with it."""

    lead = "Backup"
    verbs = BACKUP_VERBS
    parts = ("backups",)
    filters = (listed(_COLUMNS, backup_line),)
    DEFAULT_CSS = """
    BackupsPane #backups-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    BackupsPane #backups-note.bad { color: $text-error; }
    BackupsPane #backups-state { height: 2; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*BACKUP_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self.actions = BackupActions(app, admin)
        self._found: dict[str, Any] = {}
        self._polling = Polling(app, admin, "backups", every_s=_EVERY_SECONDS, take=self._take)
        self._said = ""

    def _take(self, answer: dict[str, Any]) -> None:
        answer["backups"], answer["schedule"], answer["proven_age_s"]
        self._found = answer
        self.actions.take(answer)
        self.state.touch("backups")

    def compose(self) -> ComposeResult:
        """Lay out a line of news, how backups stand, and the list."""
        yield Static(id="backups-note", markup=False)
        yield Static(id="backups-state", markup=False)
        yield LineList(
            backup_line, is_bad=is_bad_backup, head=lambda width: head_line(_COLUMNS, width),
            empty="There is no backup yet. c makes one, and proves it by restoring it.",
        )  # fmt: skip

    def keep_current(self) -> None:
        """Ask how backups stand."""
        self._polling.keep_current()
        said = self._polling.note or self._doing or self.actions.doing
        if said != self._said:
            self._said = said
            self.refresh_from(force=True)

    def ask_again(self) -> None:
        """Have them read again at once."""
        self._polling.ask_again()

    @property
    def is_troubled(self) -> bool:
        """Tell whether the last backup failed, or one of those that were read."""
        last = (self.state.status.get("backup") or {}).get("last_state")
        return last == "failed" or super().is_troubled

    @property
    def _doing(self) -> str:
        doing = self._found.get("doing")
        return f"◔ {doing['name']}: {doing['what']} …" if doing else ""

    def show(self) -> None:
        """Show the backups as they are held."""
        found = self._found
        every = found.get("backups", [])
        rows = self.passing(every)
        assert self.list is not None
        self.list.show(
            rows, key=lambda row: row["name"], total=len(every), is_read=bool(found)
        )  # fmt: skip
        note = self.query_one("#backups-note", Static)
        note.set_class(self._said.startswith(("STALE", "✗")), "bad")
        lock = "READ-ONLY (W) · " if self.state.status and self.actions.is_read_only else ""
        note.update(clean_block(f" {lock}{self._said or _HINT}"), layout=False)
        self.query_one("#backups-state", Static).update(clean_block(self._state()), layout=False)

    def _state(self) -> str:
        found = self._found
        if not found:
            return ""
        age = found["proven_age_s"]
        first = " ? never proven" if age is None else f" ✓ proven {age_text(age)} ago"
        if found.get("last_state") == "failed":
            first += f" · ✗ the last one failed: {found['why']}"
        schedule = found["schedule"] or "no schedule: [backup] in pylon.toml sets one"
        second = f" {schedule}" + (f", next {found['next_at']}" if found["next_at"] else "")
        to = f" · copied to {found['to'].partition('?')[0]}" if found["to"] else ""
        return f"{first}\n{second}{to}"

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show all about a backup."""
        self.app.push_screen(
            Details(f"backup {row['name']}", backup_words(row), copied=row["name"])
        )

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer the name, the hash, and the command that restores it."""
        return [
            ("name", str(row["name"])), ("sha256", str(row["sha256"])),
            ("command", f"pylon backups restore {row['name']}"),
        ]  # fmt: skip

    def action_backup(self, name: str) -> None:
        """Do something about backups, or with the one under the cursor."""
        if name == "create":
            self.actions.create(self.ask_again)
            return
        one = None if self.list is None else self.list.current
        if one is None:
            say(self.app, "there is no backup under the cursor")
        elif name == "verify":
            self.actions.verify(one, self.ask_again)
        elif name == "send":
            self.actions.send(one, self.ask_again)
        elif name == "restore":
            self.actions.restore(one, self.ask_again)
        else:
            self.actions.drop(one, self.ask_again)


SCREEN = Entry(
    "backups", "Backups", "which are proven; make, verify, restore, send, drop", BackupsPane,
    key="B", verbs=BACKUP_VERBS,
    first=(("enter", "all about it: what it holds, why it failed, where else it is"),),
    last=(("y", "Copy: name, sha256, command"), ("/", "Filter: words, !not")),
)  # fmt: skip
