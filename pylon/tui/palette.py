"""What the palette offers: every screen, every key, and what can be done where one is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand

from pylon.tui import sparks
from pylon.tui.keys import EVERYWHERE
from pylon.tui.registry import SCREENS
from pylon.tui.themes import OFFERED
from pylon.tui.verbs import Place, Verb, key_name

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


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
    if is_attached:
        yield SystemCommand(
            "Stop the runtime", "and quit; it was started elsewhere", app.action_stop_runtime
        )


def _by_key(app: Dashboard, one: Verb, title: str, place: Any) -> SystemCommand:
    return SystemCommand(
        title, f"key {key_name(one, app.keymap.keys)}",
        lambda: app.call_later(app.run_action, one.action, place),
    )  # fmt: skip
