"""Time travel: a slider over the log; where it stands, the Data screen shows rows as of then."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.client.past_text import retained_words
from pylon.printable import clean, clean_block
from pylon.tui import past_tables
from pylon.tui.dialogs import Prompt
from pylon.tui.saying import say
from pylon.tui.screens.above import CloseUp
from pylon.tui.screens.diff import DiffScreen
from pylon.tui.verbs import Verb, in_footer
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What can be done while travelling.
SCRUB_VERBS: Final = (
    Verb("r", "rows", "Rows as of here, on Data; esc there returns to now", brief="Rows",
         id="scrub.rows", cli="query"),
    Verb("t", "jump", "Jump to a change, or to a time", brief="Jump", id="scrub.jump",
         cli="log"),
    Verb("d", "diff", "What differs between here and now", brief="Diff", id="scrub.diff",
         cli="diff"),
)  # fmt: skip
_PAGE_SHARE: Final = 0.05
_SEQ: Final = re.compile(r"[0-9]{1,18}")


class ScrubScreen(CloseUp):
    """A place in the log, moved by keys."""

    CSS = """
    ScrubScreen #slider { height: 1; text-wrap: nowrap; }
    ScrubScreen #about-point { height: auto; max-height: 6; padding: 1 0; }
    ScrubScreen #since { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "now", "Now", key_display="esc", id="close"),
        Binding(
            "left,h",
            "step('previous')",
            "Transaction before",
            show=False,
            priority=True,
            id="scrub.before",
        ),
        Binding(
            "right,l",
            "step('following')",
            "Transaction after",
            show=False,
            priority=True,
            id="scrub.after",
        ),
        Binding(
            "pageup,ctrl+u", "slide(-1)", "A page back", show=False, priority=True, id="scrub.back"
        ),
        Binding(
            "pagedown,ctrl+d", "slide(1)", "A page on", show=False, priority=True, id="scrub.on"
        ),
        Binding(
            "home,g",
            "end('floor')",
            "Oldest that is kept",
            show=False,
            priority=True,
            id="scrub.oldest",
        ),
        Binding("end,G", "end('head')", "Newest", show=False, priority=True, id="scrub.newest"),
        *in_footer(SCRUB_VERBS),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane = "Time travel", "log"
    lead, verbs = "Time travel", SCRUB_VERBS

    def __init__(self, dashboard: Dashboard, admin: AdminClient, seq: int | None) -> None:
        """Begin at a change; None: where one stands, or at the newest."""
        super().__init__(dashboard, admin)
        self._asked: dict[str, Any] = {"seq": seq}
        self._since: list[dict[str, Any]] = []
        self._since_of: tuple[int, int] | None = None
        #: One went back to now: what was asked before that moves nothing any more.
        self._is_left = False

    @property
    def path(self) -> str:
        """Return where the runtime is asked about a point."""
        return "admin/at"

    @property
    def news(self) -> str:
        """Return how one moves."""
        return "left right: transactions · pgup pgdn: 5 % · g G: ends · t: a number or a time"

    def body(self) -> Iterator[Widget]:
        """Lay out news, the slider, what stands there, and what came since."""
        yield Static(id="news", markup=False)
        yield Static(id="slider", markup=False)
        yield Static(id="about-point", markup=False)
        yield LineList(
            past_tables.diff_line, head=past_tables.diffs_head, id="since",
            empty="Nothing differs between here and now.",
        )  # fmt: skip

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(LineList).focus()

    async def rest(self, took: float) -> None:
        """Look seldom: the past stays, and only the end of the log moves."""
        await asyncio.sleep(max(1.5, took * 5))

    async def _ask(self) -> None:
        asked = dict(self._asked)
        try:
            found = await self._admin.get(self.path, **asked)
            with self._dashboard.enduring.understood("the point"):
                if asked == self._asked and not self._is_left:
                    self._take(found)
                    self._asked = {"seq": found["seq"]}
                    self._stand(found)
        except AdminError as error:
            if asked == self._asked and self.found is not None:
                # Said once, and back to where one stood.
                say(self.app, error.message, is_bad=True)
                self._asked = {"seq": self.found["seq"]}
            else:
                self._trouble = error.message
            return
        if self.found is found:
            self._trouble, self._read_at = "", self._dashboard.clock.monotonic()
            await self._ask_since(found)

    async def _ask_since(self, point: dict[str, Any]) -> None:
        wanted = (point["seq"], point["retained"]["head"])
        if wanted == self._since_of:
            return
        try:
            found = await self._admin.get("admin/diff", **{"from": wanted[0], "to": wanted[1]})
            with self._dashboard.enduring.understood("the difference"):
                if self.found is not None and self.found["seq"] == point["seq"]:
                    self._since, self._since_of = list(found["entities"]), wanted
                    self._show()
        except AdminError as error:
            self._trouble = error.message

    def _stand(self, point: dict[str, Any]) -> None:
        """Have the Data screen show rows as of here; at the end of the log, as of now."""
        is_end = point["seq"] >= point["retained"]["head"]
        self._dashboard.past.stand(None if is_end else int(point["seq"]))

    def show(self) -> None:
        """Show slider and point."""
        found = self.found
        assert found is not None
        held = found["retained"]
        line = past_tables.slider(held["floor"], held["head"], found["seq"], self.size.width)
        self.query_one("#slider", Static).update(line, layout=False)
        words = past_tables.point_words(found)
        words.append(retained_words(held))
        self.show_words("#about-point", clean_block("\n".join(f" {clean(one)}" for one in words)))
        self.query_one(LineList).show(self._since, key=lambda row: row["entity"])

    # --- moving

    def _move(self, **asked: Any) -> None:
        self._asked = asked
        begin(self, self._ask, name="point", group="point")

    def action_step(self, where: str) -> None:
        """Go to the transaction before, or after."""
        if self.found is not None and self.found[where] is not None:
            self._move(seq=self.found[where])

    def action_slide(self, sign: int) -> None:
        """Go a share of the whole log back, or on."""
        if self.found is not None:
            held, asked = self.found["retained"], self._asked.get("seq")
            # What was asked for and did not come yet counts, the 0 before the first change, too.
            at = self.found["seq"] if asked is None else asked
            self._move(
                seq=past_tables.moved_by(at, held["floor"], held["head"], sign * _PAGE_SHARE)
            )

    def action_end(self, which: str) -> None:
        """Go to an end of the log."""
        if self.found is not None:
            self._move(seq=self.found["retained"][which])

    def action_jump(self) -> None:
        """Ask for a change or a time, and go there."""

        def named(text: str | None) -> None:
            if text:
                number = text.replace(",", "")
                self._move(**({"seq": int(number)} if _SEQ.fullmatch(number) else {"time": text}))

        self.app.push_screen(
            Prompt("Go to", "the number of a change, or a time: 2026-11-29T13:30:00Z"), named
        )

    # --- what the keys do

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show the rows of the entity under the cursor as of here."""
        event.stop()
        self._dashboard.past.open_data(str(event.row["entity"]))

    def action_rows(self) -> None:
        """Go to the Data screen, where rows are as of here."""
        self._dashboard.action_pane("data")

    def action_diff(self) -> None:
        """Show what differs between here and now."""
        if self.found is not None:
            self.app.push_screen(
                DiffScreen(
                    self._dashboard, self._admin, self.found["seq"], self.found["retained"]["head"]
                )
            )

    def action_now(self) -> None:
        """Return to now, and back."""
        self._is_left = True
        self._dashboard.past.stand(None)
        self.dismiss()

    def action_copy(self) -> None:
        """Offer what can be copied."""
        if self.found is not None:
            seq = self.found["seq"]
            self._dashboard.offer_copies(
                [("command", f"pylon log --at {seq}"), ("rows", f"pylon query ENTITY --at {seq}"),
                 ("JSON", jsonvalue.encode_text(self.found))]
            )  # fmt: skip
