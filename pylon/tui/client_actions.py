"""What can be done to clients: disconnect, resync, a bad network; each said with its command."""

from __future__ import annotations

import shlex
from typing import Any, Final

from pylon.client import networks
from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Menu, Prompt
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

#: What can be done to a client.
CLIENT_VERBS: Final = (
    Verb("d", "client('disconnect')", "Disconnect it", brief="Disconnect",
         id="clients.disconnect", cli="clients disconnect"),
    Verb("S", "client('resync')", "Resync: it starts over from a snapshot", brief="Resync",
         id="clients.resync", cli="clients resync"),
    Verb("N", "client('network')", "Network: late, lossy, offline, asleep (development)",
         brief="Network", id="clients.network", cli="clients network"),
    Verb("v", "ghost", "Ghost: watch as its user", brief="Ghost", id="clients.ghost", cli="ghost"),
    Verb("w", "why", "Why may its user see the change under the cursor, or not", brief="Why",
         id="why", cli="explain"),
)  # fmt: skip


class ClientActions(Acting):
    """The owner's hand on the clients of one dashboard's app."""

    part = "clients"

    def _do(
        self, name: str, verb: str, body: dict[str, Any], said: tuple[str, str], done: Done
    ) -> None:
        words, more = said

        async def step() -> str:
            await self._admin.post(f"admin/clients/{self._admin.quoted(name)}/{verb}", body)
            return f"{words}\n$ pylon clients {verb} {shlex.quote(name)}{more}"

        self.run(f"{verb} {clean(name)[-12:]}", step, done)

    def disconnect(self, name: str, who: str, done: Done) -> None:
        """Close the connections of a client, after a question."""
        self.ask(
            f"Disconnect {clean(who)}? It comes again by itself.",
            lambda: self._do(name, "disconnect", {}, ("disconnected", ""), done),
        )

    def resync(self, name: str, who: str, done: Done) -> None:
        """Have a client start over, after a question."""
        self.ask(
            f"Have {clean(who)} drop its rows and start from a snapshot?",
            lambda: self._do(name, "resync", {}, ("it starts over", ""), done),
        )

    def network(self, name: str, who: str, done: Done) -> None:
        """Ask how a client's network is to behave, and have it so."""
        if not self.is_dev:
            say(self._app, "networks are spoiled in development only", is_bad=True)
            return

        def spoil(shape: dict[str, Any], label: str) -> None:
            line = networks.line_of(shape)
            words = (f"network: {label}", f" {line}" if line else "")
            self._do(name, "network", shape, words, done)

        def described(line: str | None) -> None:
            if line:
                spoil(networks.network_of(line), line)

        def chosen(key: str | None) -> None:
            if key == networks.CUSTOM[0]:
                self._app.push_screen(
                    Prompt("Network", networks.EXAMPLE, networks.objection), described
                )
                return
            for one, label, shape in networks.PRESETS:
                if one == key:
                    spoil(shape, label)

        options = [(one, label) for one, label, _ in networks.PRESETS]
        self._app.push_screen(Menu(f"Network of {who}", [*options, networks.CUSTOM]), chosen)
