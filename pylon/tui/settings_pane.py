"""The pane of settings: what is in force, what named it, and what would stop the next start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.client.settings_text import mistake_line, origin_text, value_text
from pylon.printable import beginning, clean_block
from pylon.tui.asked import AskedPane
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.editing import NoEditor, edit
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.saying import say
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

SETTINGS_VERBS: Final = (
    Verb("e", "edit_file", "Edit pylon.toml at this setting, in $EDITOR", id="settings.edit",
         cli="settings edit"),
)  # fmt: skip
_COLUMNS: Final = (
    Column("", 2), Column("SETTING", 32), Column("VALUE", 24, most=44), Column("FROM", 16, most=32),
    Column("WHAT", 78, 110),
)  # fmt: skip


def settings_line(one: dict[str, Any], width: int) -> list[tuple[str, str]]:
    """Return the line of a setting; what waits for a restart has a sign, and is said below."""
    is_default = one["origin"] == "default"
    mark = ("≠", "warn") if one["waits"] else ("", "plain")
    cells: list[tuple[Any, str]] = [
        mark, (one["key"], "plain" if is_default else "strong"),
        (value_text(one["value"]), "plain"), (one["where"] or one["origin"], "quiet"),
        (one["doc"], "quiet"),
    ]  # fmt: skip
    return data_line(_COLUMNS, cells, width)


def setting_words(one: dict[str, Any]) -> str:
    """Return all about a setting, as text to read."""
    lines = [
        one["doc"], "",
        f"value    {value_text(one['value'])}",
        f"from     {origin_text(one)}",
        f"default  {value_text(one['default'])}",
        f"type     {one['kind']}",
        f"change   needs {one['needs']}",
    ]  # fmt: skip
    if one["is_secret"]:
        lines.append("secret   it is not shown, here or in pylon settings")
    if one["next"] is not None:
        start = "≠ the next start takes" if one["waits"] else "a start without that takes"
        lines += ["", f"{start} {value_text(one['next'])}"]
    return "\n".join(lines)


class SettingsPane(AskedPane):
    """Every setting; mistakes of pylon.toml and the environment stand above them."""

    lead = "Settings"
    verbs = SETTINGS_VERBS
    parts = ("settings",)
    filters = (listed(_COLUMNS, settings_line),)
    path = "admin/settings"
    DEFAULT_CSS = """
    SettingsPane #settings-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    SettingsPane #settings-note.bad { color: $text-error; }
    SettingsPane #settings-mistakes { height: auto; max-height: 40%; }
    SettingsPane #settings-mistakes-text { color: $text-error; width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*SETTINGS_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._dashboard = app

    def compose(self) -> ComposeResult:
        """Lay out a line of news, mistakes, and the settings."""
        yield Static(id="settings-note", markup=False)
        with VerticalScroll(id="settings-mistakes"):
            yield Static(id="settings-mistakes-text", markup=False)
        yield LineList(
            settings_line, head=lambda width: head_line(_COLUMNS, width), id="settingslist",
            empty="There is no setting.",
        )  # fmt: skip

    @property
    def _found(self) -> dict[str, Any] | None:
        """Return what the runtime says; of one that does not answer, what its files say."""
        closed = self._dashboard.closed_settings
        is_away = self._asked.answer is None or bool(self._asked.note)
        if is_away and closed is not None and self._dashboard.state.process_state != "running":
            return closed()
        return self._asked.answer

    def show(self) -> None:
        """Show settings that pass the filter, and mistakes above them."""
        found = self._found
        rows = [] if found is None else found["settings"]
        shown = self.passing(rows)
        assert self.list is not None
        self.list.show(
            shown, key=lambda row: row["key"], total=len(rows), is_read=found is not None
        )
        mistakes = "" if found is None else "\n".join(map(mistake_line, found["mistakes"]))
        self.query_one("#settings-mistakes").display = bool(mistakes)
        self.query_one("#settings-mistakes-text", Static).update(clean_block(beginning(mistakes)))
        note = self._note(found)
        line = self.query_one("#settings-note", Static)
        line.set_class(note.startswith(("STALE", "✗")), "bad")
        line.update(clean_block(f" {note}"), layout=False)

    def _note(self, found: dict[str, Any] | None) -> str:
        if found is None or (found["is_running"] and self._asked.note):
            return self._asked.note
        rows = found["settings"]
        stated = sum(one["origin"] != "default" for one in rows)
        waits = sum(one["waits"] for one in rows)
        words = [] if found["is_running"] else ["it does not run: what the next start takes"]
        words += [f"not the default: {stated} of {len(rows)}"]
        words += [f"≠ {waits} wait for a restart"] if waits else []
        wrong = len(found["mistakes"])
        words += [f"{wrong} mistake{'' if wrong == 1 else 's'}"] if wrong else []
        return " · ".join([*words, "e edits pylon.toml"])

    async def open_row(self, row: Any) -> None:
        """Show all about a setting."""
        self.app.push_screen(Details(str(row["key"]), setting_words(row)))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer the setting as pylon.toml has it, its variable, and the command."""
        section, _, name = str(row["key"]).rpartition(".")
        return [
            ("pylon.toml", f"[{section}]\n{name} = {value_text(row['value'])}"),
            ("environment", f"PYLON_{row['key'].upper().replace('.', '_')}="),
            ("command", f"pylon settings show {row['key']}"),
        ]  # fmt: skip

    def action_edit_file(self) -> None:
        """Open pylon.toml in the user's editor, where the setting stands."""
        project = self._dashboard.command_log.project
        row = None if self.list is None else self.list.current
        if project is None:
            say(self.app, "pylon.toml lies on the runtime's machine: edit it there")
            return
        path = Path(project) / "pylon.toml"
        key = "" if row is None else str(row["key"])
        line = None if row is None else row["line"]

        async def work() -> None:
            try:
                await edit(self._dashboard, path, line, os.environ)
            except NoEditor as error:
                say(self.app, str(error), is_bad=True)
                return
            command = f"pylon settings edit {key}".rstrip()
            self._dashboard.command_log.note("edit pylon.toml", command)
            say(self.app, f"$ {command}", title="✓ edit pylon.toml")
            self._asked.ask_again()

        begin(self.app, work, name="editor", group="editor")


SCREEN = Entry(
    "settings", "Settings", "every setting in force, what named it, and mistakes", SettingsPane,
    verbs=SETTINGS_VERBS, first=(("enter", "what it means, its default, what a change needs"),),
    last=(("y", "Copy: as pylon.toml has it, the variable, the command"),),
)  # fmt: skip
