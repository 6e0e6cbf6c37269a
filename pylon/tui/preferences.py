"""What a person likes, kept between runs: the theme. A file that can't be read is none."""

from __future__ import annotations

from typing import Any

from textual.app import App

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson


def keep_theme(app: App[Any]) -> None:
    """Use the theme chosen last, and remember the next choice."""
    chosen = _stored().get("theme")
    if isinstance(chosen, str) and chosen in app.available_themes:
        app.theme = chosen
    app.theme_changed_signal.subscribe(app, lambda theme: _store(theme.name))


def _stored() -> dict[str, Any]:
    try:
        found = jsonvalue.parse(paths.preferences_file().read_bytes())
    except (OSError, InvalidJson):
        return {}
    return found if isinstance(found, dict) else {}


def _store(theme: str) -> None:
    if _stored().get("theme") != theme:
        data = jsonvalue.encode({**_stored(), "theme": theme})
        paths.write_private(paths.preferences_file(), data)
