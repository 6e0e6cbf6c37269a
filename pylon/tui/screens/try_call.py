"""Try a function: a form of its arguments, whom it is called as, and what comes of it, live."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, Static

from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean
from pylon.schema.masking import is_secret_name
from pylon.tui.enduring import Patient
from pylon.tui.header import HeaderLine
from pylon.tui.saying import say
from pylon.tui.try_form import (
    SYSTEM,
    arguments_of,
    call_command,
    call_copies,
    fields_of,
    problems_of,
)
from pylon.tui.try_run import Phase, TryRun
from pylon.tui.widgets.form_row import WHOM, FormRow, UserRow
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.trying import Trying

_FRAME_SECONDS: Final = 1 / 8
_RUNS: Final = "try"


class TryScreen(Patient, Screen[None]):
    """The form of one function, and its answer below."""

    CSS = """
    TryScreen #signature { height: auto; max-height: 3; color: $text-muted; padding: 0 1; }
    TryScreen #form { height: auto; max-height: 55%; scrollbar-size-vertical: 1; }
    TryScreen #state { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; }
    TryScreen #state.bad { color: $text-error; }
    TryScreen #answer { height: 1fr; scrollbar-size-vertical: 1; padding: 0 1; }
    TryScreen #answer:focus { background: $boost; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s", "go", "Run", key_display="f5", priority=True, id="form.run"),
        Binding("escape", "back", "Cancel, back", key_display="esc", id="form.leave"),
        Binding("tab", "app.focus_next", "Next field", show=False, id="form.next"),
        Binding("y", "copy", "Copy", id="copy"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="move.down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="move.up"),
        Binding("pagedown,ctrl+d", "scroll(10)", "Page down", show=False, id="move.page-down"),
        Binding("pageup,ctrl+u", "scroll(-10)", "Page up", show=False, id="move.page-up"),
        Binding("home,g", "scroll(-1000000)", "First", show=False, id="move.first"),
        Binding("end,G", "scroll(1000000)", "Last", show=False, id="move.last"),
        Binding("f1", "help", "Help", key_display="f1", id="help"),
        *[
            Binding(key, "app.nothing", show=False, id=name)
            for key, name in (
                ("slash", "filter"),
                ("p", "pause"),
                ("w", "why"),
                ("n", "problem"),
                ("N", "problem-back"),
                ("q", "quit"),
            )
        ],
    ]

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, trying: Trying, function: dict[str, Any]
    ) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._admin = admin
        self._trying = trying
        self._function = function
        self._fields = fields_of(function)
        self._run: TryRun | None = None
        self._shown: tuple[str, int, Phase] | None = None

    @property
    def _clock(self) -> Any:
        return self._dashboard.clock

    def compose(self) -> ComposeResult:
        """Lay out header, signature, form, state, answer and keys."""
        draft = self._trying.drafts.get(self._function["name"], {})
        yield HeaderLine(markup=False)
        signature = f"{self._function['kind']} {self._function['signature']}"
        yield Static(clean(signature), id="signature", markup=False)
        with VerticalScroll(id="form", can_focus=False):
            user = draft.get(WHOM, self._trying.user)
            yield UserRow(user, self._trying.known_users())
            for one in self._fields:
                yield FormRow(one, draft.get(one.name, one.initial))
        yield Static(" f5 or enter in a line runs it", id="state", markup=False)
        with VerticalScroll(id="answer"):
            yield Static(id="answer-text", markup=False)
        yield KeysLine()

    def on_mount(self) -> None:
        """Begin to draw; the cursor is where one has to write first."""
        self.set_interval(_FRAME_SECONDS, self._draw)
        rows = [*self.query(FormRow)]
        first = next((one for one in rows if one.field.is_required), rows[0] if rows else None)
        whom = self.query_one(UserRow)
        (first if first is not None and whom.text else whom).focus_field()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to copy where there is something."""
        return action != "copy" or self._run is not None

    # --- what is seen

    def _draw(self) -> None:
        if not self.query("#answer-text"):
            return
        self._dashboard.show_header(self.query_one(HeaderLine), place="Try")
        run = self._run
        if run is None:
            return
        headline = run.headline(self._clock.monotonic())
        shown = (headline, run.count, run.phase)
        if shown == self._shown:
            return
        before, self._shown = self._shown, shown
        state = self.query_one("#state", Static)
        state.set_class(run.phase is Phase.FAILED, "bad")
        state.update(clean(f" {headline}"), layout=False)
        if before is None or before[1:] != shown[1:]:
            place = self.query_one("#answer", VerticalScroll)
            is_at_end = place.scroll_y >= place.max_scroll_y
            self.query_one("#answer-text", Static).update(run.words())
            if run.count and is_at_end:
                place.scroll_end(animate=False)

    def _complain(self, wrong: dict[str, str]) -> None:
        """Show what is wrong at its field, and go to the first such."""
        rows = [self.query_one(UserRow), *self.query(FormRow)]
        for row in rows:
            row.complain(wrong.get(row.name_, ""))
        first = next((row for row in rows if row.name_ in wrong), None)
        if first is not None:
            first.focus_field()
            first.scroll_visible(animate=False)

    # --- what the keys do

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run it."""
        event.stop()
        self.action_go()

    def action_go(self) -> None:
        """Run the function with what stands in the form."""
        if self.app.screen is not self:  # a question is asked already
            return
        if self._run is not None and self._run.phase is Phase.RUNNING:
            say(self.app, "it runs: esc ends that first")
            return
        self.keep_draft()
        texts = {row.name_: row.text for row in self.query(FormRow)}
        args, wrong = arguments_of(self._fields, texts)
        whom = self.query_one(UserRow)
        user = whom.text.strip()
        if not user:
            wrong[whom.name_] = "whom as? an address, an id, anonymous or system"
        self._complain(wrong)
        if wrong:
            return
        question = self._trying.consent(self._function, user)
        if question:
            self._trying.ask(question, lambda: self._begin(args, user))
        else:
            self._begin(args, user)

    def _begin(self, args: dict[str, Any], user: str) -> None:
        function = self._function
        self._run = TryRun(
            function["name"], function["kind"], args, user, self._clock.monotonic(),
            streams=function["part"] is not None,
        )  # fmt: skip
        self._shown = None
        self.query_one("#answer", VerticalScroll).focus()
        begin(self, partial(self._call, self._run), name=_RUNS, group=_RUNS)
        self.refresh_bindings()

    async def _call(self, run: TryRun) -> None:
        as_user = None if run.user == SYSTEM else run.user
        before, self._trying.user = self._trying.user, run.user
        clock = self._clock
        try:
            run.value = await self._admin.call(run.name, run.args, as_user, run.take_part)
        except AdminError as error:
            run.error = {"code": error.code, "message": error.message, "hint": error.hint,
                         "details": error.details}  # fmt: skip
            run.end(Phase.FAILED, clock.monotonic())
            if error.details.get("field") == "as":  # there is nobody of that name
                self._trying.user = before
            if self.query(UserRow):  # none where it is closed by now
                names = {WHOM, *(one.name for one in self._fields)}
                self._complain(problems_of(error.details, error.message, names))
        except asyncio.CancelledError:
            run.end(Phase.LEFT, clock.monotonic())
            raise
        else:
            run.end(Phase.DONE, clock.monotonic())
            self._dashboard.command_log.note(
                f"call {run.name}", call_command(run.name, run.args, run.user)
            )

    def action_back(self) -> None:
        """End what runs; or leave."""
        if self._run is not None and self._run.phase is Phase.RUNNING:
            self.workers.cancel_group(self, _RUNS)
            return
        self.keep_draft()
        self.dismiss()

    def keep_draft(self) -> None:
        """Keep what stands in the form, for when it is opened again in this session.

        Not an argument that is called like a secret; nor whom as, where that is who is proposed
        anyway.
        """
        draft = {
            row.name_: row.text for row in self.query(FormRow) if not is_secret_name(row.name_)
        }
        whom = self.query_one(UserRow)
        if whom.text != self._trying.user:
            draft[whom.name_] = whom.text
        self._trying.drafts[self._function["name"]] = draft

    def action_copy(self) -> None:
        """Offer the answer, curl, and the command."""
        run = self._run
        if run is not None:
            self._dashboard.offer_copies(
                call_copies(run.name, run.args, run.user, self._admin.curl, run.answer)
            )

    def action_scroll(self, by: int) -> None:
        """Scroll the answer."""
        self.query_one("#answer", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help("functions")
