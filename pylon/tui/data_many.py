"""What can be done to many rows: one form or one question for all, undo of the group, export."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from pylon.client import bulk
from pylon.client.admin import AdminClient, AdminError
from pylon.client.bulk_text import dependent_lines, look_lines
from pylon.ids import IdSource
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Details, Prompt
from pylon.tui.export import OwnFile
from pylon.tui.saying import say
from pylon.tui.screens.depends import DependsScreen
from pylon.tui.screens.row_form import RowForm
from pylon.tui.tables import size_text

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_SAID_SECONDS = 6
_FAILED_SHOWN = 100


class ManyActions(Acting):
    """The owner's hand on many rows at once."""

    part: ClassVar[str] = "data"

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._ids = IdSource(app.clock, os.urandom)
        #: Numbers of changes made here that were not undone, the last one behind; of a group the
        #: last one of it.
        self._made: list[int] = []

    # --- marked rows

    def edit_many(self, entity: dict[str, Any], ids: Sequence[str], done: Done) -> None:
        """Ask in a form for values that all of these rows get."""

        def save(values: dict[str, Any], _: Callable[[dict[str, str]], None]) -> None:
            form.dismiss()
            self._look(entity["name"], ids, {"values": values}, done)

        title = f"{len(ids):,} {entity['name']}: what they all get"
        form = RowForm(
            title, entity["fields"], None, save, is_new=False, is_loud=not self.is_dev,
            of_many=True,
        )  # fmt: skip
        self._app.push_screen(form)

    def delete_many(self, entity: dict[str, Any], ids: Sequence[str], done: Done) -> None:
        """Delete these rows, after a question that says what goes with them."""
        self._look(entity["name"], ids, {"delete": True}, done)

    def _look(
        self, entity: str, ids: Sequence[str], what: dict[str, Any], done: Done
    ) -> None:  # fmt: skip
        """Say what it would do, and do it after a yes."""

        async def look() -> str:
            found = await bulk.look_at_change(self._admin, entity, ids, what)
            verb = "Change" if "values" in what else "Delete"
            parts = len(bulk.parts_of(ids))
            how = (
                "in one transaction, all or none"
                if parts == 1
                else (f"in {parts:,} transactions; the first one that is refused ends it")
            )
            lines = [f"{verb} {len(ids):,} {entity}?", "", *look_lines(entity, found), "", how]
            self.ask("\n".join(lines), lambda: self._change(entity, ids, what, done))
            return ""

        self.run(f"look at {len(ids):,} {entity}", look, done)

    def _change(
        self, entity: str, ids: Sequence[str], what: dict[str, Any], done: Done
    ) -> None:  # fmt: skip
        verb = "update" if "values" in what else "delete"
        name = f"{verb} {len(ids):,} {entity}"

        async def step() -> str:
            found = await bulk.change_rows(
                self._admin, entity, ids, what, self._ids.uuid7(),
                lambda rows: self._tell(f"◔ {name}: {rows:,} of {len(ids):,} …"),
            )  # fmt: skip
            if found.seqs:
                self._made.append(found.seqs[-1])
            self._app.state.data.keep_marks(ids[found.rows :])
            if found.error is None:
                return f"change {found.seqs[-1]} · u undoes it"
            self._show_failed(name, found, len(ids))
            raise AdminError(found.error.message, answer={"hint": found.error.hint})

        self.run(name, step, done)

    def _show_failed(self, name: str, found: bulk.Done, wanted: int) -> None:
        rows = [f"{one['id']}  {one['message']} [{one['code']}]" for one in found.failed]
        lines = [
            f"{found.rows:,} of {wanted:,} rows are done."
            + (" u undoes those." if found.rows else ""),
            "The rest is as it was, and stays marked.", "",
            *(rows[:_FAILED_SHOWN] or [found.error.message if found.error else ""]),
        ]  # fmt: skip
        self._app.push_screen(Details(f"{name}: failed", "\n".join(lines)))

    # --- undo

    def undo(self, done: Done) -> None:
        """Take the last change that was made here back, with its group, by new ones.

        Where something depends on it that is shown, with what can be done about it.
        """
        if not self._made:
            say(self._app, "nothing was changed here that could be undone")
            return
        seq = self._made[-1]

        async def look() -> str:
            found = await bulk.look_at_undo(self._admin, seq)
            if found["depends"]:
                self._choose(seq, found, done)
                return ""
            return await self._undone(seq, found, "refuse")

        self.run(f"undo change {seq}", look, done)

    def _choose(self, seq: int, found: dict[str, Any], done: Done) -> None:
        count, left = found["changes"], len(found["depends"]) + found["more"]
        choices = [
            ("leave", "leave everything as it is"),
            ("skip", f"undo the rest; leave the {left:,} that something depends on"),
            ("force", "undo all of it: write over what came since"),
        ]

        def chosen(anyway: str | None) -> None:
            if anyway == "drop":
                self._made.remove(seq)
            elif anyway in ("skip", "force"):
                self.run(f"undo change {seq}", lambda: self._undone(seq, found, anyway), done)

        forget = [("drop", "leave it, and have u go on with the change before it")]
        title = f"Undo change {seq}: {count:,} changes, and something depends on them"
        place = "" if self.is_dev else "This is PRODUCTION.\n\n"
        text = place + "\n".join(dependent_lines(found))
        self._app.push_screen(DependsScreen(title, text, [*choices, *forget]), chosen)

    async def _undone(self, seq: int, found: dict[str, Any], anyway: str) -> str:
        parts = found["parts"]
        undone = await bulk.undo(
            self._admin, parts, anyway, self._ids.uuid7(),
            lambda rows: self._tell(f"◔ undo change {seq}: {rows:,} of {found['changes']:,} …"),
        )  # fmt: skip
        if undone.error is not None:
            raise undone.error
        self._made.remove(seq)
        words = [f"{one['kind']} {one['entity']} {one['id']}" for one in undone.changes[:3]]
        more = len(undone.changes) - len(words)
        left = f"{len(undone.left):,} were left as they are"
        return "\n".join([
            *(words or ["nothing was left to undo"]), *([f"and {more:,} more"] if more else []),
            *([left] if undone.left else []),
            *([f"change {undone.seqs[-1]}"] if undone.seqs else []),
        ])  # fmt: skip

    # --- export

    def export(self, entity: str, question: dict[str, Any], done: Done) -> None:
        """Ask for a file, and write what is shown into it."""

        def named(text: str | None) -> None:
            if text:
                self._export(entity, question, Path(text).expanduser(), done)

        self._app.push_screen(
            Prompt(
                f"Export {entity} as shown: filter, order, columns", "a new file: .csv or .jsonl",
                objection=_objection, value=f"{entity}.csv",
            ),
            named,
        )  # fmt: skip

    def _export(self, entity: str, question: dict[str, Any], path: Path, done: Done) -> None:
        form = "csv" if path.suffix.lower() == ".csv" else "jsonl"
        name, total = f"export {path.name}", self._app.state.data.total

        async def step() -> str:
            rows = 0

            def told(count: int) -> None:
                nonlocal rows
                rows = count
                of = "" if total is None else f" of {total:,}"
                self._tell(f"◔ {name}: {count:,}{of} rows …")

            async def fill(target: BinaryIO) -> None:
                await self._admin.download(
                    bulk.export_path(entity, question, form),
                    bulk.CountedRows(target, form, told),  # type: ignore[arg-type]
                )

            size = await OwnFile(path).write(fill)
            return f"{rows:,} rows, {size_text(size)}: {path}"

        self.run(name, step, done)


def _objection(text: str) -> str:
    if Path(text).suffix.lower() not in (".csv", ".jsonl"):
        return "the name says the format: .csv or .jsonl"
    return OwnFile.objection(text)
