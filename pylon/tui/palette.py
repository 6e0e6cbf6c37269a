"""What the palette offers: every screen, every key, and what can be done where one is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from textual.app import SystemCommand

from pylon.tui import sparks
from pylon.tui.entry import Entry
from pylon.tui.keys import EVERYWHERE
from pylon.tui.registry import SCREENS
from pylon.tui.saying import say
from pylon.tui.themes import OFFERED
from pylon.tui.verbs import Place, Verb, key_name

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


#: Words of ids, commands and actions: `data.look-as`, `write('edit')`.
_WORD: Final = re.compile(r"[^\W_]+")


class Found(SystemCommand):
    """Something that is found by more words than its title has."""

    words: str = ""


def has_words(one: SystemCommand, query: str) -> bool:
    """Tell whether each word of a query begins one of the words that something is found by."""
    known = _WORD.findall(f"{one.title} {one.words if isinstance(one, Found) else ''}".lower())
    wanted = _WORD.findall(query.lower())
    return bool(wanted) and all(any(one.startswith(word) for one in known) for word in wanted)


def commands(app: Dashboard, place: Any, *, is_attached: bool) -> Iterable[SystemCommand]:
    """Yield what the palette offers on a place: a pane, or a screen above the panes."""
    for one in SCREENS:
        words = f"{one.title}: {one.words}"
        yield SystemCommand(one.title, words, lambda n=one.name: app.action_pane(n))
    for verb in EVERYWHERE:
        yield _by_key(app, verb, verb.description, None)
    if isinstance(place, Place):
        for verb in place.verbs:
            if place.check_action(verb.action, ()):  # type: ignore[attr-defined]
                yield _by_key(app, verb, f"{place.lead}: {verb.description}", place)
    for one in SCREENS:
        for offer in one.offers:
            yield SystemCommand(
                offer.title, offer.words,
                lambda n=one.name, do=offer.action: app.call_later(
                    app.run_action, do, app.panes[n]
                ),
            )  # fmt: skip
    yield SystemCommand(
        "Watch as a user", "a ghost: frames and rows as somebody else gets them", app.action_ghost
    )
    yield from _looks(app)
    for one in SCREENS:
        if place is not app.panes[one.name]:
            yield from _elsewhere(app, one)
    if is_attached:
        yield SystemCommand(
            "Stop the runtime", "and quit; it was started elsewhere", app.action_stop_runtime
        )


def _looks(app: Dashboard) -> Iterable[SystemCommand]:
    """Yield themes and kinds of charts, other than those of now."""
    for name in OFFERED:
        if name != app.theme:
            yield SystemCommand(
                f"Theme {name}", "how the dashboard looks, kept between runs",
                lambda to=name: setattr(app, "theme", to),
            )  # fmt: skip
    for kind in sparks.KINDS:
        if kind != app.charts:
            yield SystemCommand(
                f"Charts in {kind}", "how charts are drawn, kept between runs",
                lambda to=kind: app.action_charts(to),
            )  # fmt: skip


def _elsewhere(app: Dashboard, screen: Entry) -> Iterable[SystemCommand]:
    """Yield what can be done on another screen: it leads there, and says by which key.

    They are found by a word, and not listed.
    """
    pane = app.panes[screen.name]
    for verb in screen.verbs:
        if pane.check_action(verb.action, ()):
            title = f"{screen.title}: {verb.description}"
            yield _leading(app, screen, key_name(verb, app.keymap.keys), title, verb.words)
    for key, words in (*screen.first, *screen.last):
        yield _leading(app, screen, key, f"{screen.title}: {words}", words)


def _leading(app: Dashboard, screen: Entry, key: str, title: str, words: str) -> Found:
    def go() -> None:
        app.action_pane(screen.name)
        say(app, f"{key}: {title}", seconds=5)

    found = Found(title, f"key {key} on {screen.title}", go, discover=False)
    found.words = words
    return found


def _by_key(app: Dashboard, one: Verb, title: str, place: Any) -> SystemCommand:
    found = Found(
        title, f"key {key_name(one, app.keymap.keys)}",
        lambda: app.call_later(app.run_action, one.action, place),
    )  # fmt: skip
    found.words = one.words
    return found
