"""The link: one connection after another, with backoff, heartbeat and timers. Pure.

The part of the machine that would be the same for any protocol. What does not live here: what is
said over the connection (`machine`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pylon.client import events as ev
from pylon.client.backoff import go_away_ms, reconnect_ms
from pylon.protocol.messages import Ping, Upstream

WELCOME_MS: Final = 10_000
#: A connection that lasted so long makes the next trouble the first again.
HEALTHY_MS: Final = 10_000
MISSED_MAX: Final = 2

_TIMERS = ("welcome", "heartbeat", "healthy", "reconnect", "push")


class Link:
    """Connects, notices silence, waits, and connects again."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.state = "offline"
        self._random = random
        self._commands: list[ev.Command] = []
        self._error: dict[str, Any] | None = None
        self._attempt = 0
        self._go_away: float | None = None
        self._is_open = False
        self._is_welcome = False
        self._heartbeat_ms = 0
        self._was_heard = False
        self._missed = 0

    def _connect(self) -> None:
        self.state = "connecting"
        self._commands.append(ev.Connect())
        self._set_timer("welcome", WELCOME_MS)

    def _establish(self, heartbeat_s: float) -> None:
        """The other side answered: watch that it stays."""
        self._is_welcome = True
        self._clear_timer("welcome")
        self._set_timer("healthy", HEALTHY_MS)
        self._heartbeat_ms = max(1_000, int(heartbeat_s * 1_000))
        self._was_heard = True
        self._missed = 0
        self._set_timer("heartbeat", self._heartbeat_ms)

    def _retry(self) -> None:
        self.state = "offline"
        self._attempt += 1
        if self._go_away is None:
            ms = reconnect_ms(self._attempt, self._random())
        else:
            ms = go_away_ms(self._go_away, self._random())
        self._go_away = None
        self._set_timer("reconnect", ms)

    def _drop(self, reason: str | None) -> None:
        """Leave the connection: nothing of it counts any more."""
        if reason is not None:
            self._commands.append(ev.Disconnect(code=1000, reason=reason))
        for timer in _TIMERS:
            self._clear_timer(timer)
        self._is_open = self._is_welcome = False
        self._interrupt()

    def _interrupt(self) -> None:
        """Forget what the broken connection left half done."""

    def _restart(self, reason: str) -> None:
        self._drop(reason)
        self._retry()

    def _change_network(self, *, is_online: bool) -> None:
        """The network's events are hints: a server on this very machine needs no network."""
        if not is_online and self._is_open:
            self._restart("offline")
        if is_online and self.state == "offline":
            self._clear_timer("reconnect")
            self._connect()

    def _close(self, error: dict[str, Any] | None) -> None:
        self._drop("closed" if error is None else str(error["message"]))
        self._error = error
        self.state = "closed"

    def _beat(self) -> None:
        self._missed = 0 if self._was_heard else self._missed + 1
        self._was_heard = False
        if self._missed >= MISSED_MAX:
            self._restart("no heartbeat")
            return
        if self._missed > 0:
            self._send(Ping())
        self._set_timer("heartbeat", self._heartbeat_ms)

    def _send(self, message: Upstream) -> None:
        self._commands.append(ev.Send(message=message))

    def _set_timer(self, timer: str, ms: int) -> None:
        self._commands.append(ev.SetTimer(timer=timer, ms=ms))

    def _clear_timer(self, timer: str) -> None:
        self._commands.append(ev.ClearTimer(timer=timer))
