"""What can be done to many rows: one form or one question for all, undo of the group, export."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from pylon import jsonvalue, limits_data
from pylon.client import bulk
from pylon.client.admin import AdminClient, AdminError
from pylon.client.bulk_text import dependent_lines, look_lines
from pylon.ids import IdSource
from pylon.printable import counted
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Details, Prompt
from pylon.tui.export import OwnFile, typed_path
from pylon.tui.saying import say
from pylon.tui.screens.depends import DependsScreen
from pylon.tui.screens.row_form import RowForm
from pylon.tui.tables import size_text

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_SAID_SECONDS = 6
_FAILED_SHOWN = 100
#: So many ids have room in a notice.
_IDS_SHOWN = 3
#: Refusals of a look at an undo that no other try changes: the change is gone, or not one's own.
_FOR_GOOD = ("NOT_FOUND", "CONFLICT")
#: The choice to leave a change as it is, and to go on with the one before it.
_DROP = "drop"
_ENDS = ".csv, .json or .jsonl"


class ManyActions(Acting):
    """The owner's hand on many rows at once."""

    part: ClassVar[str] = "data"

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._ids = IdSource(app.clock, os.urandom)
        #: Numbers of changes made here that were not undone, the last one behind; of a group the
        #: last one of it.
        self._made: list[int] = []
        #: Those of undos made here, which nothing was made after; the last one behind.
        self._undos: list[int] = []
        #: Those that are being taken back.
        self._under_way: set[int] = set()
        #: The one whose undo was refused last.
        self._refused: int | None = None

    def _take_made(self, seq: int) -> None:
        """Take it that a change was made here, to be undone; what was undone before is past."""
        self._made.append(seq)
        self._undos.clear()

    def _forget_numbers(self) -> None:
        self._made.clear()
        self._undos.clear()
        self._refused = None

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

        self.run(f"look at {len(ids):,} {entity}", look, done, opens=True)

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
                self._take_made(found.seqs[-1])
            self._app.state.data.unmark(entity, ids[: found.rows])
            if found.error is None:
                made = f"change {found.seqs[-1]} · u undoes it"
                return f"{made}\n{self._shell(name, entity, ids, what)}"
            self._show_failed(name, found, len(ids))
            raise AdminError(found.error.message, answer={"hint": found.error.hint})

        self.run(name, step, done)

    def _shell(self, name: str, entity: str, ids: Sequence[str], what: dict[str, Any]) -> str:
        """Return the line for a shell, as far as a notice has room; the command log has all."""
        verb = "edit" if "values" in what else "delete"
        values = ["--set", jsonvalue.encode_text(what["values"])] if verb == "edit" else []

        def line(some: Sequence[str]) -> str:
            named = [f"{entity}/{one}" for one in some]  # an id may begin like an option
            return shlex.join(["pylon", "rows", verb, *named, *values, "--yes"])

        if len(ids) <= _IDS_SHOWN:
            return f"$ {line(ids)}"
        if len(ids) > limits_data.BULK_ROWS_MAX:
            return f"as a command: pylon rows {verb} {entity} --where FILTER"
        self._app.command_log.note(name, line(ids))
        return f"pylon rows {verb} {entity}/{ids[0]} … (whole in the Command log)"

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
        if self._made:
            self._take_back(self._made, "undo", done)
        else:
            say(self._app, "nothing was changed here that could be undone")

    def redo(self, done: Done) -> None:
        """Have what was undone last once more, as an undo of that undo."""
        if self._undos:
            self._take_back(self._undos, "redo: undo", done)
        else:
            say(self._app, "nothing was undone here since the last change")

    def _take_back(self, stack: list[int], verb: str, done: Done) -> None:
        seq = stack[-1]
        what = f"{verb} change {seq}"

        async def look() -> str:
            try:
                found = await bulk.look_at_undo(self._admin, seq)
            except AdminError as error:
                if error.code not in _FOR_GOOD:
                    raise
                _forget(stack, seq)
                answer = {"code": error.code, "hint": self._what_is_next(stack)}
                raise AdminError(error.message, answer=answer) from error
            if found["depends"]:
                self._choose(stack, seq, what, found, done)
                return ""
            return await self._undone(stack, seq, what, found, "refuse")

        self.run(what, look, done)

    def _choose(
        self, stack: list[int], seq: int, what: str, found: dict[str, Any], done: Done
    ) -> None:  # fmt: skip
        count, left = found["changes"], len(found["depends"]) + found["more"]
        choices = [
            ("leave", "leave everything as it is"),
            ("skip", f"undo the rest; leave the {left:,} that something depends on"),
            ("force", "undo all of it: write over what came since"),
        ]

        def chosen(anyway: str | None) -> None:
            if anyway == _DROP:
                _forget(stack, seq)
            elif anyway in ("skip", "force"):
                self.run(what, lambda: self._undone(stack, seq, what, found, anyway), done)

        them = "it" if count == 1 else "them"
        title = f"{what.capitalize()}: {counted(count, 'change')}, and something depends on {them}"
        place = "" if self.is_dev else "This is PRODUCTION.\n\n"
        text = place + "\n".join(dependent_lines(found))
        choices.append(self._forgetting(stack))
        self._app.push_screen(DependsScreen(title, text, choices), chosen)

    def _ask_to_forget(self, stack: list[int], seq: int, what: str, error: AdminError) -> None:
        """Show why an undo was refused once more, and offer to go on without it."""

        def chosen(choice: str | None) -> None:
            if choice == _DROP:
                _forget(stack, seq)

        text = f"{error.message}\n{error.hint or ''}".rstrip()
        choices = [("leave", "leave everything as it is"), self._forgetting(stack)]
        title = f"{what.capitalize()}: refused again"
        self._app.push_screen(DependsScreen(title, text, choices), chosen)

    def _forgetting(self, stack: list[int]) -> tuple[str, str]:
        return _DROP, f"leave it, and have {self._key(stack)} go on with the change before it"

    def _key(self, stack: list[int]) -> str:
        return "u" if stack is self._made else "Z"

    def _what_is_next(self, stack: list[int]) -> str:
        """Return what the key takes back from now on, where a change was let go."""
        if stack:
            return f"it stays as it is: {self._key(stack)} goes on with change {stack[-1]}"
        return "it stays as it is, and nothing before it was changed here"

    async def _undone(
        self, stack: list[int], seq: int, what: str, found: dict[str, Any], anyway: str
    ) -> str:  # fmt: skip
        if seq not in stack or seq in self._under_way:  # the key was pressed twice
            return "that is done already, or under way"
        self._under_way.add(seq)
        try:
            undone = await bulk.undo(
                self._admin, found["parts"], anyway, self._ids.uuid7(),
                lambda rows: self._tell(f"◔ {what}: {rows:,} of {found['changes']:,} …"),
            )  # fmt: skip
        finally:
            self._under_way.discard(seq)
        if undone.error is not None:
            if self._refused == seq:
                self._ask_to_forget(stack, seq, what, undone.error)
                return ""
            self._refused = seq
            raise undone.error
        self._refused = None
        _forget(stack, seq)
        if undone.seqs:
            (self._undos if stack is self._made else self._made).append(undone.seqs[-1])
        key = "Z has it again" if stack is self._made else "u undoes it"
        words = [f"{one['kind']} {one['entity']} {one['id']}" for one in undone.changes[:3]]
        more = len(undone.changes) - len(words)
        left = f"{len(undone.left):,} were left as they are"
        how = "" if anyway == "refuse" else f" --anyway {anyway}"
        return "\n".join([
            *(words or ["nothing was left to undo"]), *([f"and {more:,} more"] if more else []),
            *([left] if undone.left else []),
            *([f"change {undone.seqs[-1]} · {key}"] if undone.seqs else []),
            f"$ pylon rows undo {seq}{how}",
        ])  # fmt: skip

    # --- export

    def export(self, entity: str, question: dict[str, Any], done: Done) -> None:
        """Ask for a file, and write what is shown into it."""

        def named(text: str | None) -> None:
            if text:
                self._export(entity, question, typed_path(text), done)

        self._app.push_screen(
            Prompt(
                f"Export {entity} as shown: a new file, {_ENDS}", "a file",
                objection=_objection, value=f"{entity}.csv",
            ),
            named,
        )  # fmt: skip

    def _export(self, entity: str, question: dict[str, Any], path: Path, done: Done) -> None:
        form = path.suffix.lower().removeprefix(".")
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
            line = shlex.join(
                ["pylon", "rows", "export", entity, str(path), *_export_options(question)]
            )
            return f"{counted(rows, 'row')}, {size_text(size)}: {path}\n$ {line}"

        self.run(name, step, done)


def _forget(stack: list[int], seq: int) -> None:
    if seq in stack:  # another change may have emptied it meanwhile
        stack.remove(seq)


def _objection(text: str) -> str:
    if Path(text).suffix.lower() not in (".csv", ".json", ".jsonl"):
        return f"the name says the format: {_ENDS}"
    return OwnFile.objection(text)


def _export_options(question: Mapping[str, Any]) -> list[str]:
    """Return the options of `pylon rows export` that ask the same."""
    words = []
    for name, option in (
        ("filter", "where"),
        ("fields", "fields"),
        ("as", "as"),
        ("as_of", "at"),
    ):
        if question.get(name) or (name == "fields" and question.get(name) is not None):
            words.append(f"--{option}={question[name]}")
    order = str(question.get("order") or "")
    return [*words, *(f"--order={one}" for one in order.split(",") if one)]
