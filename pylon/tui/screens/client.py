"""One client: how far it has come, what it has not seen, and what can be done to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.client.clients_text import network_words, next_words, subscription_words, unseen_words
from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.printable import clean, clean_block
from pylon.tui import tables
from pylon.tui.client_actions import CLIENT_VERBS, ClientActions
from pylon.tui.copying import pretty
from pylon.tui.dialogs import Details, Menu
from pylon.tui.header import HeaderLine
from pylon.tui.saying import say
from pylon.tui.screens.above import Above
from pylon.tui.screens.ghost import GhostScreen
from pylon.tui.verbs import in_footer
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_POLL_SECONDS = 1.0
_SUBSCRIPTIONS_SHOWN = 4


class ClientScreen(Above):
    """Everything about a client, asked anew every second."""

    CSS = """
    ClientScreen #about { height: auto; padding: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(CLIENT_VERBS),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane = "Client", "clients"
    lead, verbs = "Client", CLIENT_VERBS

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: ClientActions,
        client: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(dashboard)
        self._admin = admin
        self._actions = actions
        self._client_name = str(client["client_id"] or client["connection_id"])
        self._found: dict[str, Any] = {"client": client, "unseen": None, "next": None}

    def compose(self) -> ComposeResult:
        """Lay out header, facts, unseen changes and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="about", markup=False)
        yield LineList(
            tables.unseen_line, head=tables.HEADS["unseen"], empty="It has seen everything.",
        )  # fmt: skip
        yield KeysLine()

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show()
        self.set_interval(1 / 4, self.show_header)
        begin(self, self._poll, name="client", group="client")
        self.query_one(LineList).focus()

    @property
    def crumb(self) -> str:
        """Return whose client it is."""
        return self._who

    @property
    def _path(self) -> str:
        return f"admin/clients/{self._admin.quoted(self._client_name)}"

    async def _poll(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self) -> None:
        try:
            found = await self._admin.get(self._path)
            with self._dashboard.enduring.understood("the client"):
                self._take(found)
        except AdminError as error:
            for about in self.query("#about").results(Static):  # none where it is closed by now
                about.update(clean_block(f" {error.message}"))

    def _take(self, found: dict[str, Any]) -> None:
        """Show an answer; one that can't be shown leaves the one before."""
        before, self._found = self._found, found
        try:
            self._show()
        except MISUNDERSTANDINGS:
            self._found = before
            raise

    def _show(self) -> None:
        if not self.query("#about"):  # an answer may come when it is closed
            return
        client, unseen = self._found["client"], self._found["unseen"]
        self.query_one("#about", Static).update(clean_block("\n".join(self._facts())))
        rows = [] if unseen is None else unseen.get("changes", [])
        self.query_one(LineList).show(rows, key=lambda row: row["seq"], total=None if rows else 0)
        self.title = clean(client["email"] or "anonymous")

    def _facts(self) -> list[str]:
        client, unseen = self._found["client"], self._found["unseen"]
        state = "ghost" if client.get("is_ghost") else client["state"]
        trip = client.get("round_trip_ms")
        waits = client["pending"]
        lines = [
            f" user     {client['email'] or 'anonymous'}",
            f" client   {client['client_id']}",
            f" state    {state} · last seen {tables.clock_time(client['last_seen'])[:8]}"
            f" · {client['user_agent'] or 'no user agent'}",
            f" cursor   stored {_seq(client['cursor'])} · sent {_seq(client['sent'])} · lag"
            f" {'?' if client['lag_changes'] is None else client['lag_changes']}",
            f" queue    {tables.size_text(client['queued_bytes'])} · round trip"
            f" {'not measured' if trip is None else f'{trip} ms'} · writes that wait"
            f" {'not reported' if waits is None else waits}",
        ]
        shown = client["subscriptions"][:_SUBSCRIPTIONS_SHOWN]
        more = len(client["subscriptions"]) - len(shown)
        lines += [
            f" {'wants' if place == 0 else '':<8} {subscription_words(one)}"
            for place, one in enumerate(shown)
        ]
        if more:
            lines.append(f"          and {more} more")
        if client.get("network") is not None:
            lines.append(f" network  {network_words(client['network'])}")
        if unseen is not None:
            lines.append(f" next     {next_words(self._found['next'])}")
            lines.append(f" unseen   {unseen_words(unseen)}")
        return lines

    # --- what can be done to it

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show a change whole."""
        event.stop()
        self.app.push_screen(Details(f"change {event.row['seq']}", pretty(event.row)))

    @property
    def _who(self) -> str:
        return str(self._found["client"]["email"] or "anonymous")

    def action_client(self, name: str) -> None:
        """Do something to the client."""
        do = getattr(self._actions, name)
        do(self._client_name, self._who, self.ask_again)

    def ask_again(self) -> None:
        """Ask at once."""
        self.run_worker(self._ask(), name="again", group="again")

    def action_ghost(self) -> None:
        """Watch as this user, from where this client stands or from a snapshot."""
        client = self._found["client"]

        def chosen(key: str | None) -> None:
            if key is not None:
                cursor = client["cursor"] if key == "here" else None
                self.app.push_screen(GhostScreen(self._dashboard, self._who, cursor))

        options = [
            ("here", f"from its cursor {_seq(client['cursor'])}"),
            ("new", "from a snapshot"),
        ]
        self.app.push_screen(Menu(f"Watch as {self._who}", options), chosen)

    def action_why(self) -> None:
        """Ask why its user may see the change under the cursor, or may not."""
        row = self.query_one(LineList).current
        client = self._found["client"]
        user = str(client["email"] or client["user_id"] or "anonymous")
        if row is None or not row.get("row_id"):  # a refresh is of many rows
            self._dashboard.asking_why.about_user(user)
        else:
            self._dashboard.asking_why.about_row(str(row["entity"]), str(row["row_id"]), user)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        client = self._found["client"]
        texts = {
            "client": str(client["client_id"]), "cursor": str(client["cursor"]),
            "command": f"pylon cursors {client['client_id']} --unseen",
            "JSON": jsonvalue.encode_text(self._found),
        }  # fmt: skip

        def chosen(key: str | None) -> None:
            if key is not None:
                self.app.copy_to_clipboard(texts[key])
                say(self.app, f"copied {texts[key][:60]} (if your terminal allows it)")

        self.app.push_screen(
            Menu("Copy", [(name, f"{name}: {text[:60]}") for name, text in texts.items()]), chosen
        )


def _seq(cursor: Any) -> str:
    return str(cursor or "-").rpartition(":")[2]
