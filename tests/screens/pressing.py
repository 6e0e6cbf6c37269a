"""Keys pressed for real, and whether what came of each is what was to come.

A key counts only where the binding that it means was carried out by the class that owns it: the
ledger is written where actions run, and not from a table of what a test meant to press.
"""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import pytest
from textual.app import App
from textual.binding import Binding, BindingsMap
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input
from textual.widgets._toast import Toast

from pylon.testing.grid import shown
from pylon.tui.dashboard import Dashboard
from pylon.tui.keymap import own_bindings, places
from pylon.tui.launcher import Launcher
from pylon.tui.widgets.line_list import LineList

#: Every class of the dashboard with keys of its own, by name.
PLACES: Final[Mapping[str, type[DOMNode]]] = {
    one.__name__: one for one in places() if own_bindings(one)
}
_LOOK_SECONDS: Final = 0.02
_WAIT_SECONDS: Final = 20.0
_NOTICE_SECONDS: Final = 600.0
_UPWARDS: Final = frozenset({"move.up", "move.page-up", "move.first"})


class Comes(enum.Enum):
    """What comes of a key, where no words say it."""

    #: The picture is another.
    ANOTHER = "another picture"
    #: The window is not there any more.
    CLOSED = "the window closed"
    #: It is taken, so that what lies below does not get it; nothing is to be seen.
    TAKEN = "nothing, and the key taken"
    #: What is read there is another part of it: further down, or up for keys that go up.
    SCROLLED = "another part of it"
    #: The cursor is on another row, or on another screen; or it says why it is not.
    ELSEWHERE = "another row or screen"


#: Words that were not there before, or one of those above.
Expected = str | Comes


def owners(place: type[DOMNode]) -> dict[str, tuple[type[DOMNode], Binding]]:
    """Return (class, binding) of each key that a class has from ours, by key."""
    found: dict[str, tuple[type[DOMNode], Binding]] = {}
    for one in reversed(place.__mro__):
        if one.__module__.startswith("pylon.tui.") and issubclass(one, DOMNode):
            for key, many in BindingsMap(own_bindings(one)).key_to_bindings.items():
                found[key] = (one, many[-1])
    return found


class _Staying(App[Any]):
    """A program that says that it would leave, and stays; so does what it says."""

    def exit(self, *args: object, **kwargs: object) -> None:
        """Say it."""
        self.notify("it would have left")

    def notify(self, message: str, **more: Any) -> None:
        """Say something until the next key: a busy machine takes longer than a notice stays."""
        super().notify(message, **{**more, "timeout": _NOTICE_SECONDS})


class StayingDashboard(_Staying, Dashboard):
    """A dashboard that stays."""

    def exit(self, *args: object, **kwargs: object) -> None:
        """Say it, and be there as before."""
        self.leaving.is_under_way = False
        super().exit(*args, **kwargs)


class StayingLauncher(_Staying, Launcher):
    """A launcher that stays."""


class Ledger:
    """Which bindings were carried out by a key: (class that owns it, id, key)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = ""
        self.rows: set[tuple[str, str, str]] = set()
        #: What carried something out for the last key.
        self.takers: list[DOMNode] = []
        run_action = App.run_action

        async def noted(
            app: App[Any], action: Any, default_namespace: DOMNode | None = None,
            namespaces: Mapping[str, DOMNode] | None = None,
        ) -> bool:  # fmt: skip
            is_done = await run_action(app, action, default_namespace, namespaces)
            if is_done and default_namespace is not None:
                self.takers.append(default_namespace)
                self._note(type(default_namespace), action)
            return is_done

        monkeypatch.setattr(App, "run_action", noted)

    def _note(self, place: type[DOMNode], action: Any) -> None:
        owner, binding = owners(place).get(self.key, (place, None))
        if binding is not None and binding.action == action:
            self.rows.add((owner.__name__, str(binding.id), self.key))


#: Keys and the words that they lead to, or anything else that is to be done.
Step: TypeAlias = "tuple[str, str] | Callable[[Fingers], Awaitable[None]]"


@dataclass(frozen=True)
class Window:
    """How something with keys is come to, and what each of them leads to."""

    #: From the dashboard as it opens.
    way: Sequence[Step]
    #: By id of the binding.
    keys: Mapping[str, Expected]
    #: What is to be done before the key of an id.
    before: Mapping[str, Step] = field(default_factory=dict)
    #: Ids after which it is another window, and come to anew.
    anew: frozenset[str] = frozenset()


@dataclass
class Fingers:
    """Whoever presses the keys of one program."""

    app: App[Any]
    pilot: Pilot[Any]
    ledger: Ledger
    #: Brings the program to where every way begins.
    begin: Callable[[], Awaitable[None]] | None = None
    #: The windows that share the keys of the classes that they are made of.
    heirs: Sequence[type[DOMNode]] = ()
    #: What the keys of the dashboard lead to on what lies above its screens, by id.
    below: Mapping[str, Expected] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    #: (class that owns it, id, key) of what was pressed, and led where it was to.
    pressed: set[tuple[str, str, str]] = field(default_factory=set)
    #: Where the last step to a window was taken.
    _door: tuple[object, object] | None = None

    async def until(self, holds: Callable[[], bool]) -> bool:
        """Tell whether something comes to hold."""
        for _ in range(int(_WAIT_SECONDS / _LOOK_SECONDS)):
            if holds():
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def see(self, words: str) -> None:
        """Wait until words are on the screen."""
        there = await self.until(lambda: words in shown(self.app))
        assert there, f"{words!r} is never seen:\n{shown(self.app)}"

    async def press(self, keys: str) -> None:
        """Press keys, set apart by spaces; what begins with = is typed into the line in focus."""
        if keys.startswith("="):
            line = self.app.focused
            assert isinstance(line, Input)
            line.value = keys[1:]
            line.cursor_position = len(keys)
            return
        for key in keys.split():
            self.ledger.key = key
            self.ledger.takers.clear()
            await self.pilot.press(key)

    async def go(self, window: Window) -> None:
        """Come to a window: by its last step where one stands before it, else from the start."""
        steps = list(window.way)
        if self._door is None or self._here() != self._door:
            if self.begin is not None:
                await self.begin()
        else:
            del steps[:-1]
        for step in steps:
            self._door = self._here()
            await self._step(step)

    def _here(self) -> tuple[object, object]:
        """Return what is on top, and which of the dashboard's screens lies below it."""
        return self.app.screen, getattr(self.app, "pane", None)

    async def _step(self, step: Step) -> None:
        await self._hush()
        if callable(step):
            await step(self)
        else:
            keys, words = step
            await self.press(keys)
            await self.see(words)

    async def _hush(self) -> None:
        """Take away what was said of the key before: it may lie on what this one leads to."""
        if len(self.app._notifications):
            self.app.clear_notifications()
            await self.until(lambda: not self.app.screen.query(Toast))

    # --- all keys of a window

    async def press_all(self, name: str, window: Window) -> None:
        """Press each key of a window; what is to be said against one is kept in `faults`.

        Those that several windows have from one class are shared out among these.
        """
        place = PLACES[name]
        node, self._door = None, None
        for key, (owner, binding) in self._keys_of(place).items():
            table = self.below if owner is Dashboard else window.keys
            wanted = table.get(str(binding.id))
            if wanted is None:
                self.faults.append(f"{name}: nothing says what {key} ({binding.id}) leads to")
                continue
            if node is None or not await self._is_back_at(node):
                await self.go(window)
                node = self._node(place)
                if node is None:
                    self.faults.append(f"{name}: the way leads to\n{shown(self.app)}")
                    return
                if len(self.app.screen_stack) > 1 and "q Quit" in shown(self.app):
                    self.faults.append(f"{name}: q quits nothing here\n{shown(self.app)}")
            if str(binding.id) in window.before:
                await self._step(window.before[str(binding.id)])
            row = (owner.__name__, str(binding.id), key)
            fault = await self.press_one(row, wanted, node)
            if fault:
                self.faults.append(f"{name}: {fault}")
            else:
                self.pressed.add(row)
            if fault or str(binding.id) in window.anew:
                node, self._door = None, None  # nobody knows where this is

    def _keys_of(self, place: type[DOMNode]) -> dict[str, tuple[type[DOMNode], Binding]]:
        """Return the keys that are to be pressed on a window."""
        found = {
            key: (owner, binding)
            for key, (owner, binding) in owners(place).items()
            if owner is place or self._is_its_turn(place, owner, key)
        }
        if self.below and _lets_through(place):
            found |= {
                key: one
                for key, one in owners(Dashboard).items()
                if key not in owners(place) and self._is_its_turn(place, Dashboard, key)
            }
        return found

    def _is_its_turn(self, place: type[DOMNode], owner: type[DOMNode], key: str) -> bool:
        """Tell whether a key that several windows have from one class is pressed on this one."""
        heirs = [one for one in self.heirs if _has(one, owner, key)]
        return heirs[list(owners(owner)).index(key) % len(heirs)] is place

    def _node(self, place: type[DOMNode]) -> DOMNode | None:
        """Return what has the keys, where it is in reach of them."""
        focused = self.app.focused
        chain = [] if focused is None else focused.ancestors_with_self
        return next((one for one in (self.app.screen, *chain) if isinstance(one, place)), None)

    async def _is_back_at(self, node: DOMNode) -> bool:
        """Leave what opened above, and tell whether the window is as it was."""
        screen = self.app.screen_stack[0] if isinstance(node, App) else node.screen
        if screen not in self.app.screen_stack or not node.is_attached:
            return False
        while self.app.screen is not screen:
            await self.app.screen.dismiss(None)
        if getattr(self.app, "_is_paused", False):
            self.app.action_pause()  # type: ignore[attr-defined]
        if isinstance(node, Widget) and node.can_focus:
            node.focus()
        return True

    async def press_one(
        self, row: tuple[str, str, str], wanted: Expected, node: DOMNode | None
    ) -> str:
        """Press the key of a row of the ledger; returns what is to be said against it."""
        await self._hush()
        is_down = row[1] not in _UPWARDS
        if wanted is Comes.SCROLLED:
            _put_at_end(node, is_start=is_down)
        if isinstance(wanted, Comes):  # what the key before did may not be drawn yet
            await self.pilot.pause()
        words, before, at = shown(self.app), self.picture(), _place_of(node)
        row_before = self._cursor()
        if isinstance(wanted, str) and wanted in words:
            return f"{row[2]}: {wanted!r} is there before\n{words}"
        self.ledger.rows.discard(row)
        await self.press(row[2])

        def has_come() -> bool:
            # A text that has the focus moves by the library's own keys, where they are the same.
            is_own = wanted is Comes.SCROLLED and _moved(node) in self.ledger.takers
            if row not in self.ledger.rows and not is_own:
                return False
            if isinstance(wanted, str):
                return wanted in shown(self.app)
            if wanted is Comes.CLOSED:
                return _is_closed(self.app, node) and self.picture() != before
            if wanted is Comes.SCROLLED:
                now = _place_of(node)
                return (now > at if is_down else now < at) and shown(self.app) != words
            if wanted is Comes.ELSEWHERE:
                return self._cursor() != row_before or self.picture() != before
            if wanted is Comes.TAKEN:
                return self.picture()[1:] == before[1:]
            return self.picture() != before

        if await self.until(has_come):
            return ""
        taken = "" if row in self.ledger.rows else f", and {row[0]} did not get it"
        return f"{row[2]} ({row[1]}) leads not to {wanted!r}{taken}\n{shown(self.app)}"

    def _cursor(self) -> tuple[object, int]:
        """Return the list in focus, and the row of its cursor."""
        found = self.app.focused
        return found, found.cursor if isinstance(found, LineList) else 0

    def picture(self) -> tuple[object, ...]:
        """Return what a person would notice, but for numbers that go on by themselves."""
        focused = self.app.focused
        return (
            re.sub(r"\d+", "#", "\n".join(shown(self.app).split("\n")[1:])),
            len(self.app.screen_stack), self.app.clipboard, getattr(focused, "id", None),
            getattr(self.app, "_is_paused", False),
        )  # fmt: skip


def _lets_through(place: type[DOMNode]) -> bool:
    """Tell whether the keys of the dashboard are in reach on a window."""
    return issubclass(place, Screen) and not issubclass(place, ModalScreen)


def _has(place: type[DOMNode], owner: type[DOMNode], key: str) -> bool:
    """Tell whether a window has a key from a class, or from the dashboard below it."""
    own = owners(place)
    if owner is Dashboard:
        return _lets_through(place) and key not in own
    return key in own and own[key][0] is owner


def _is_closed(app: App[Any], node: DOMNode | None) -> bool:
    if isinstance(node, Screen):
        return node not in app.screen_stack
    return node is None or not node.is_attached or not getattr(node, "has_focus", False)


def _moved(node: DOMNode | None) -> LineList | VerticalScroll | None:
    """Return what scrolls there: the list itself, or the last text of a window."""
    if isinstance(node, LineList):
        return node
    found = [] if node is None else [*node.query(VerticalScroll)]
    return found[-1] if found else None


def _place_of(node: DOMNode | None) -> float:
    found = _moved(node)
    return 0 if found is None else found.cursor if isinstance(found, LineList) else found.scroll_y


def _put_at_end(node: DOMNode | None, *, is_start: bool) -> None:
    found = _moved(node)
    if isinstance(found, LineList):
        (found.action_top if is_start else found.action_bottom)()
    elif found is not None:
        found.scroll_to(y=0 if is_start else found.max_scroll_y, animate=False, immediate=True)
