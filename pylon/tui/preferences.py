"""What a person likes, kept between runs: theme and charts. A file that can't be read is none."""

from __future__ import annotations

import os
from typing import Any

from textual.app import App

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson
from pylon.tui import sparks
from pylon.tui.saying import say
from pylon.tui.themes import have_themes


def keep_theme(app: App[Any]) -> None:
    """Use the theme chosen last, and remember the next choice."""
    have_themes(app)
    chosen = _stored().get("theme")
    if isinstance(chosen, str) and chosen in app.available_themes:
        app.theme = chosen
    app.theme_changed_signal.subscribe(app, lambda theme: _store(app, "theme", theme.name))


def charts_kind() -> tuple[str, str]:
    """Return how charts are drawn, one of `sparks.KINDS`, and what is wrong with what was asked.

    PYLON_CHARTS has the last word, then what was chosen in the palette.
    """
    given = os.environ.get("PYLON_CHARTS") or _stored().get("charts") or sparks.KINDS[0]
    if given in sparks.KINDS:
        return str(given), ""
    known = " or ".join(sparks.KINDS)
    return sparks.KINDS[0], f"charts can't be {str(given)[:30]!r}: PYLON_CHARTS takes {known}"


def keep_charts(app: App[Any], kind: str) -> None:
    """Draw charts in this way from now on."""
    _store(app, "charts", kind)


def _stored() -> dict[str, Any]:
    try:
        found = jsonvalue.parse(paths.preferences_file().read_bytes())
    except (OSError, InvalidJson):
        return {}
    return found if isinstance(found, dict) else {}


def _store(app: App[Any], name: str, value: str) -> None:
    """Remember a choice; where that fails it holds until the end of this run, which is said."""
    if _stored().get(name) == value:
        return
    data = jsonvalue.encode({**_stored(), name: value})
    try:
        paths.write_private(paths.preferences_file(), data)
    except OSError as error:
        say(app, f"{name} can't be kept for the next run: {error.strerror}", seconds=6, is_bad=True)
