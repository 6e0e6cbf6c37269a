"""What can be done to rows: new ones, changes, deletes, and their undo; never by accident."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pylon import jsonvalue
from pylon.client.admin import AdminError
from pylon.client.bulk_text import referrer_line
from pylon.printable import clean
from pylon.tui.acting import Done
from pylon.tui.data_many import ManyActions
from pylon.tui.saying import say
from pylon.tui.screens.row_form import RowForm
from pylon.tui.verbs import Verb

if TYPE_CHECKING:
    pass

#: What can be done with rows.
ROW_VERBS: Final = (
    Verb("i", "row", "All about the row", id="data.row"),
    Verb("s", "sort", "Sort by the column under the cursor, descending, not", id="data.sort"),
    Verb("c", "columns", "Choose columns", id="data.columns"),
    Verb("r", "referrers", "Rows that refer here", id="data.referrers"),
    Verb("a", "write('create')", "A new row, in a form", id="data.create", cli="rows create"),
    Verb("A", "write('duplicate')", "A new row like this one", id="data.duplicate",
         cli="rows duplicate"),
    Verb("e", "write('edit')", "Edit the row, or all marked rows", id="data.edit", cli="rows edit",
         also="bulk edit"),
    Verb("D", "write('delete')", "Delete the row, or all marked rows", id="data.delete",
         cli="rows delete"),
    Verb("u", "undo", "Undo the last change that was made here, or show what depends on it",
         id="data.undo", cli="rows undo"),
    Verb("Z", "redo", "Redo: have what was undone last once more", id="data.redo",
         cli="rows undo"),
    Verb("space", "mark", "Mark the row, or not any more", id="data.mark"),
    Verb("V", "range", "Mark what the cursor passes, until V again", id="data.range"),
    Verb("shift+down", "mark_on(1)", "Mark the row and go on", id="data.mark-down"),
    Verb("shift+up", "mark_on(-1)", "Mark the row and go back", id="data.mark-up"),
    Verb("C", "unmark", "Mark nothing any more", id="data.unmark"),
    Verb("x", "export", "Export what is shown: CSV or JSON", id="data.export",
         cli="rows export"),
    Verb("Q", "sql", "SQL: one statement that reads, with plan and time", id="data.sql",
         cli="sql"),
    Verb("L", "lens", "Row lens: for a user, at a client, its history and back", id="data.lens",
         cli="lens", also="restore version"),
    Verb("b", "lens(True)", "Blame: who set each field of the row", id="data.blame", cli="history"),
    Verb("t", "travel", "Time travel: rows as of any change", id="data.travel", cli="log"),
    Verb("v", "look_as", "Look as a user, by his policies", id="data.look-as", also="view as"),
    Verb("backspace", "return", "Back to where you came from (also esc)", id="data.return"),
    Verb("tab,shift+tab", "other_list", "Entities, or rows", id="other-list"),
)  # fmt: skip
#: Takes the mistakes of a refused form, by field; under "" what is of none.
Refuse = Callable[[dict[str, str]], None]


class DataActions(ManyActions):
    """The owner's hand on the rows of one dashboard's app."""

    @property
    def is_read_only(self) -> bool:
        """Tell whether rows can't be changed now: production, until it is unlocked."""
        return self._app.production.is_locked

    def may_write(self, *, in_past: bool = False) -> bool:
        """Tell whether rows may be changed now; says why not.

        `in_past`: also while one looks at the past, because what is written comes from there.
        """
        if self._app.state.data.as_of is not None and not in_past:
            say(self._app, f"you look at the past, as of {self._app.state.data.as_of}: esc, to now")
            return False
        if self._app.state.data.viewer:
            viewer = self._app.state.data.viewer
            say(self._app, f"you look as {viewer}: v and an empty line, to change rows")
            return False
        return not self._app.production.objects()

    def _path(self, entity: str, *rest: str) -> str:
        return "/".join(["admin/data", *(self._admin.quoted(one) for one in (entity, *rest))])

    # --- forms

    def create(self, entity: dict[str, Any], done: Done) -> None:
        """Ask for a new row in a form."""
        self._fill(f"new {entity['name']}", entity, None, done)

    def duplicate(self, entity: dict[str, Any], found: dict[str, Any], done: Done) -> None:
        """Ask for a new row in a form that has another's values."""
        row = found["row"]
        self._fill(f"new {entity['name']} like {row['id']}", entity, row, done)

    def edit(self, entity: dict[str, Any], found: dict[str, Any], done: Done) -> None:
        """Ask for other values of a row in a form."""
        row = found["row"]
        self._fill(f"{entity['name']} {row['id']}", entity, row, done, is_new=False)

    def _fill(
        self, title: str, entity: dict[str, Any], row: dict[str, Any] | None, done: Done, *,
        is_new: bool = True,
    ) -> None:  # fmt: skip
        def save(values: dict[str, Any], refuse: Refuse) -> None:
            def saved() -> None:
                form.dismiss()
                done()

            self._write(entity["name"], None if is_new else row, values, done=saved, refuse=refuse)

        form = RowForm(title, entity["fields"], row, save, is_new=is_new, is_loud=not self.is_dev)
        self._app.push_screen(form)

    def _write(
        self, entity: str, row: dict[str, Any] | None, values: dict[str, Any], *,
        done: Done, refuse: Refuse,
    ) -> None:  # fmt: skip
        """Insert a row, or update one as it was seen; `refuse` takes what is wrong with it."""
        path, body = self._path(entity), dict[str, Any](values=values)
        if row is not None:
            path = self._path(entity, row["id"], "update")
            body["if_seq"] = row["_seq"]

        async def work() -> None:
            try:
                made = await self._admin.post(path, body)
            except AdminError as error:
                refuse(mistakes_of(error))
                return
            self._take_made(int(made["seq"]))
            what = "insert" if row is None else "update"
            name = f"{what} {clean(entity)} {made['row']['id']}"
            line = _written(entity, made["row"]["id"], values, is_new=row is None)
            said = f"change {made['seq']} · u undoes it\n$ {line}"
            self._app.command_log.note_said(name, said)
            say(self._app, said, title=f"✓ {name}")
            done()

        self._app.run_worker(work(), name="save", group="acting")

    def delete(self, entity: str, found: dict[str, Any], done: Done) -> None:
        """Delete a row, after a question that names it and what goes with it."""
        row = found["row"]
        label = f"{entity} {row['id']}"

        async def step() -> str:
            made = await self._admin.post(
                self._path(entity, row["id"], "delete"), {"if_seq": row["_seq"]}
            )
            self._take_made(int(made["seq"]))
            line = shlex.join(["pylon", "rows", "delete", entity, str(row["id"]), "--yes"])
            return f"change {made['seq']} · u undoes it\n$ {line}"

        words = [referrer_line(one) for one in found["referrers"] if one["count"]]
        more = "".join(f"\n{one}" for one in words)
        self.ask(f"Delete {label}?{more}", lambda: self.run(f"delete {label}", step, done))

    def restore(
        self, entity: str, row_id: str, seq: int, now: dict[str, Any] | None, done: Done
    ) -> None:
        """Bring a row back to what it was after a change, after a question; `now` is the row."""
        label = f"{entity} {row_id}"
        if not self.may_write(in_past=True):
            return

        async def step() -> str:
            body = {"to": seq, **({} if now is None else {"if_seq": now["_seq"]})}
            made = await self._admin.post(self._path(entity, row_id, "restore"), body)
            self._take_made(int(made["seq"]))
            line = shlex.join(["pylon", "restore-row", f"{entity}/{row_id}", "--to", str(seq)])
            return f"change {made['seq']} · u on Data undoes it\n$ {line}"

        self.ask(
            f"Restore {label} to what it was after change {seq}?",
            lambda: self.run(f"restore {label}", step, done),
        )


def _written(entity: str, row_id: str, values: dict[str, Any], *, is_new: bool) -> str:
    """Return the command that makes a row, or edits one."""
    text = jsonvalue.encode_text(values)
    if is_new:
        return shlex.join(["pylon", "rows", "create", entity, text, "--id", row_id])
    return shlex.join(["pylon", "rows", "edit", entity, row_id, "--set", text])


def mistakes_of(error: AdminError) -> dict[str, str]:
    """Return what is wrong with a row, by field."""
    problems = error.details.get("problems")
    if isinstance(problems, list) and problems:
        return {str(one["field"]): str(one["message"]) for one in problems}
    fields = error.details.get("fields") or [error.details.get("field") or ""]
    hint = f" ({error.hint})" if error.hint else ""
    return {str(one): f"{error.message}{hint}" for one in fields}
