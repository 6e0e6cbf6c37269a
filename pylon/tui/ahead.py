"""Keys that are typed ahead: they are for what opens next, not for the list that is still seen.

A verb may read from the runtime before it opens something. Until that is there, keys are held,
and then handed to it one by one; where nothing opens they are dropped, and that is said. `esc`
gives the waiting up. Keys that overtook a screen, because they came in one go, are held as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

from textual.dom import DOMNode
from textual.events import Key
from textual.screen import Screen
from textual.worker import Worker

from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: So many keys are held. Above: the next are dropped, and that is said.
KEYS_MAX: Final = 100
#: What takes no longer is not said to be read.
_SAID_AFTER_SECONDS: Final = 0.3
_GIVES_UP: Final = ("escape", "ctrl+c")
#: It leaves, whatever is being read.
_LEAVES: Final = "ctrl+q"


class _Waiting:
    """What is read, and the screens that were open when that began."""

    def __init__(
        self, what: str, screens: list[Screen[Any]], since: float, *, opens: bool
    ) -> None:  # fmt: skip
        self.what = what
        self.opens = opens
        self.screens = screens
        self.since = since
        self.worker: Worker[None] | None = None


class TypedAhead:
    """The keys that one dashboard holds."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app
        self._waiting: _Waiting | None = None
        #: Keys in the order they were typed.
        self._held: list[Key] = []
        self._is_full = False
        #: Screens that can take keys, and the one that is awaited.
        self._ready: WeakSet[Screen[Any]] = WeakSet()
        self._awaited: Screen[Any] | None = None
        #: The screen that each key was typed for.
        self._meant_for: WeakKeyDictionary[Key, Screen[Any]] = WeakKeyDictionary()
        #: The one that was handed out and is under way, and the widgets that it goes through.
        self._handed: Key | None = None
        self._way: list[DOMNode] = []

    @property
    def words(self) -> str:
        """Return what is being read, once that takes a while; empty for nothing."""
        waiting = self._waiting
        if waiting is None:
            return ""
        if self._app.clock.monotonic() - waiting.since < _SAID_AFTER_SECONDS:
            return ""
        return f"◔ reading {waiting.what} … (esc: no)"

    def open(
        self, what: str, work: Callable[[], Awaitable[None]], *, group: str, opens: bool = True
    ) -> None:  # fmt: skip
        """Run what reads `what` and opens something; keys are held until it is there.

        Where it `opens` nothing they are for the screen that is seen, once all is read.
        """
        if self._waiting is not None and self._waiting.worker is not None:
            self._waiting.worker.cancel()  # a click: only the last one opens
        waiting = _Waiting(
            what, list(self._app.screen_stack), self._app.clock.monotonic(), opens=opens
        )  # fmt: skip
        self._waiting = waiting

        async def done() -> None:
            try:
                await work()
            finally:
                self._app.call_later(self._ended, waiting)

        waiting.worker = self._app.run_worker(done, name=what, group=group, exclusive=True)

    def takes(self, key: Key) -> bool:
        """Tell whether a key is held, or gave the waiting up: nothing else may act on it."""
        if not self._app.screen_stack:
            return False
        self.look()
        if self._waiting is not None:
            if key.key in _GIVES_UP:
                self._give_up(self._waiting)
                return True
            if key.key == _LEAVES:
                return False
        screen = self._app.screen
        is_for_another = key.is_forwarded and self._meant_for.get(key, screen) is not screen
        is_behind = not key.is_forwarded and bool(self._held or self._handed)
        is_early = self._waiting is not None or screen not in self._ready
        if is_for_another or is_behind or is_early:
            self._hold(key)
            return True
        self._meant_for[key] = screen
        return False

    def look(self) -> None:
        """Go on where a screen came or went."""
        screen = self._app.screen
        if self._waiting is not None and screen not in self._waiting.screens:
            self._waiting = None
        if self._handed is not None and (
            self._meant_for.get(self._handed) is not screen
            or not all(one.is_attached for one in self._way)
        ):
            self._handed = None  # it opened or closed something, or a widget went with it
        if screen not in self._ready:
            if self._awaited is not screen:
                self._awaited = screen
                screen.call_after_refresh(self._app.call_later, self._came, screen)
        elif self._held and self._handed is None and self._waiting is None:
            self._app.call_later(self._hand_out)

    def _hold(self, key: Key) -> None:
        if len(self._held) < KEYS_MAX:
            again = Key(key.key, key.character)
            again.time = key.time
            self._held.append(again)
            self._held.sort(key=lambda one: one.time)
            self.look()
        elif not self._is_full:
            self._is_full = True
            say(self._app, f"{KEYS_MAX} keys were typed ahead: the rest is dropped", is_bad=True)

    def _came(self, screen: Screen[Any]) -> None:
        self._ready.add(screen)
        if self._awaited is screen:
            self._awaited = None
        self.look()

    async def _hand_out(self) -> None:
        """Hand the next key to the screen that is seen; the one after it once that is done."""
        screen = self._app.screen
        if self._waiting is not None or self._handed is not None or screen not in self._ready:
            return
        if not self._held:
            return
        key = self._held.pop(0)
        self._handed, self._is_full = key, False
        self._meant_for[key] = screen
        nodes = (self._app.focused or screen).ancestors_with_self
        self._way = [one for one in nodes if one is not self._app]
        await self._app.hand(key)
        self._follow(key, self._way)

    def _follow(self, key: Key, way: list[DOMNode]) -> None:
        """Go the way of a key, behind it, up to the app."""
        if not way or not way[0].call_later(self._follow, key, way[1:]):
            self._app.call_later(self._arrived, key)

    def _arrived(self, key: Key) -> None:
        if self._handed is key:
            self._handed = None
        self.look()

    def _give_up(self, waiting: _Waiting) -> None:
        self._waiting = None
        if waiting.worker is not None:
            waiting.worker.cancel()
        end = "not opened" if waiting.opens else "not all of them"
        say(self._app, f"{waiting.what}: {end}{self._dropped()}")

    def _ended(self, waiting: _Waiting) -> None:
        """Take it that nothing is read any more; what it opened is seen by now."""
        self.look()
        if self._waiting is waiting:
            self._waiting = None
            if self._held and waiting.opens:
                say(self._app, f"{waiting.what}: nothing opened{self._dropped()}")
            self.look()

    def _dropped(self) -> str:
        """Drop what is held, and return the words for it."""
        count, self._is_full = len(self._held), False
        self._held.clear()
        keys = "a key" if count == 1 else f"{count} keys"
        return f"; {keys} typed ahead dropped" if count else ""
