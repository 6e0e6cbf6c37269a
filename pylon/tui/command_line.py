"""What `:` opens: the palette with screens and verbs first, where a word and enter suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from textual import on
from textual.app import SystemCommand
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import Input, OptionList

from pylon.tui.keys import EVERYWHERE
from pylon.tui.palette import has_words
from pylon.tui.registry import SCREENS
from pylon.tui.verbs import Place

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: Short words for screens, beside their names, keys, and what begins no other name.
SHORT: Final[dict[str, tuple[str, ...]]] = {
    "projects": ("ps",), "log": ("l", "tail"), "data": ("d", "db"), "clients": ("c",),
    "functions": ("fn",), "jobs": ("j",), "workflows": ("wf", "runs"), "policies": ("pol",),
    "users": ("u",), "files": ("fs",), "backups": ("bk",), "health": ("h",),
    "doctor": ("dr",), "branches": ("br",), "runtime": ("rt", "logs"), "commands": ("cmd",),
}  # fmt: skip
_QUIT: Final = ("q", "q!", "quit", "exit", "qa", "x")
_WORD_SCORE: Final = 1_000.0
_FIRST_SCORE: Final = 100.0
#: More than the letters of any query are worth.
_KNOWN_SCORE: Final = 50.0


def screen_of(word: str) -> str:
    """Return the screen that a word means: by key, name, short word or beginning; empty: none."""
    for one in SCREENS:
        if word and word == one.key:
            return one.name
    small = word.lower()
    for one in SCREENS:
        if small in (one.name, one.title.lower(), *SHORT.get(one.name, ())):
            return one.name
    begun = [one.name for one in SCREENS if len(small) > 1 and one.name.startswith(small)]
    return begun[0] if len(begun) == 1 else ""


def done_by(app: Dashboard, place: Any, word: str) -> Callable[[], Any] | None:
    """Return what a whole word does on a place; None where it is none of those that are known."""
    if word.lower() in _QUIT:
        return app.action_leave
    if word.lower() == "help":
        return app.action_help
    verbs = place.verbs if isinstance(place, Place) else ()
    for verb, at in [*((one, place) for one in verbs), *((one, None) for one in EVERYWHERE)]:
        if word and word.lower() in (verb.id, str(verb.id).rpartition(".")[2]):
            return lambda: app.call_later(app.run_action, verb.action, at)
    name = screen_of(word)
    return (lambda: app.action_pane(name)) if name else None


class Everything(Provider):
    """All that the palette has, by the alphabet; found by the words of help, ids and commands."""

    async def discover(self) -> Hits:
        """Yield everything that is listed."""
        for one in sorted(self.app.get_system_commands(self.screen), key=lambda one: one.title):
            if one.discover:
                yield DiscoveryHit(one.title, one.callback, help=one.help)

    async def search(self, query: str) -> Hits:
        """Yield what a query finds."""
        for one in self.app.get_system_commands(self.screen):
            if hit := self._hit(query, one):
                yield hit

    def _hit(self, query: str, one: SystemCommand, rank: float = 0.0) -> Hit | None:
        """Return what a query finds; what has its words stands before what has its letters."""
        matcher = self.matcher(query)
        score = matcher.match(one.title) + (_KNOWN_SCORE if has_words(one, query) else 0.0)
        # What other screens do is found by words alone: letters would find nearly all of it.
        if score <= 0 or (not one.discover and score < _KNOWN_SCORE):
            return None
        rank = rank if one.discover else -_KNOWN_SCORE / 2
        return Hit(rank + score, matcher.highlight(one.title), one.callback, help=one.help)


class Words(Everything):
    """All that the palette has, screens and verbs first."""

    @property
    def _place(self) -> Any:
        app = cast("Dashboard", self.app)
        return app.pane if self.screen is app.screen_stack[0] else self.screen

    def _ranked(self) -> Iterator[tuple[float, SystemCommand]]:
        titles = {one.title for one in SCREENS}
        for one in self.app.get_system_commands(self.screen):
            is_first = one.title in titles or one.help.startswith("key ")
            yield (_FIRST_SCORE if is_first else 0.0), one

    async def discover(self) -> Hits:
        """Yield everything, screens and verbs first."""
        for _, one in sorted(self._ranked(), key=lambda pair: -pair[0]):
            if one.discover:
                yield DiscoveryHit(one.title, one.callback, help=one.help)

    async def search(self, query: str) -> Hits:
        """Yield what a query finds; on top what enter does with it as a word."""
        app = cast("Dashboard", self.app)
        if do := done_by(app, self._place, query):
            yield Hit(_WORD_SCORE, f":{query}", do, text=query, help=_said(query))
        for rank, one in self._ranked():
            if hit := self._hit(query, one, rank):
                yield hit


def _said(word: str) -> str:
    """Return what a word does, in a few words."""
    if word.lower() in _QUIT:
        return "quit"
    return next((one.title for one in SCREENS if one.name == screen_of(word)), "do it")


class CommandLine(CommandPalette):
    """The palette that takes whole words at once, found or not yet."""

    def __init__(self, app: Dashboard, place: Any) -> None:
        super().__init__(
            providers=[Words], id="--command-palette",
            placeholder="Search for commands: a screen, its key, a verb, or q",
        )  # fmt: skip
        self._dashboard, self._place = app, place

    @on(Input.Submitted)
    def _take_word(self, event: Input.Submitted) -> None:
        """Do what a whole word means, however soon enter comes behind it."""
        do = done_by(self._dashboard, self._place, event.value.strip())
        chosen = self.query_one(OptionList).highlighted
        if do is not None and not chosen:  # none yet, or the first one: the word itself
            event.stop()
            event.prevent_default()
            self._cancel_gather_commands()
            self.dismiss()
            self.app.call_later(do)
