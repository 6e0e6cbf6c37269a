"""The next problem and the one before: bad rows of what is seen, else of the next screen with any.

Which rows are bad each list knows; what else is wrong on a screen, seen or not, its pane knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.dom import DOMNode

from pylon.tui.registry import SCREENS
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.panes import Pane

_HEALTH: Final = "health"
_NAMED_MAX: Final = 4


class Problems:
    """The problems of one dashboard."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app

    def go(self, by: int) -> None:
        """Go to the next problem (1) or the one before (-1)."""
        app = self._app
        is_above = len(app.screen_stack) > 1
        is_on_health = app.pane.id == _HEALTH and not is_above
        if by > 0 and app.state.has_trouble and not is_on_health:
            app.action_pane(_HEALTH)  # the first line promises it: "n: why"
        elif not (is_on_health and app.pane.into_trouble()) and not self._step(
            app.screen if is_above else app.pane, by
        ):
            self._go_elsewhere(by)

    def _step(self, place: DOMNode, by: int) -> bool:
        """Go to the next bad row of a place, round at the end; False where it has none."""
        lists = [one for one in place.query(LineList) if one.display]
        stops = [(at, row) for at, one in enumerate(lists) for row in one.bad_places()]
        if not stops:
            return False
        meant = next((one for one in lists if one.has_focus), None)
        start = meant or lists[0]  # from a text beside it one goes on where its cursor is
        here = (lists.index(start), start.cursor)
        if by > 0:
            ahead = [one for one in stops if one > here] or stops
        else:
            ahead = [one for one in stops if one < here][::-1] or stops[::-1]
        at, row = ahead[0]
        if place is self._app.screen and here == (at, row):
            return False  # the only one above a screen, and read: on from there
        if meant is not None and here == (at, row):
            say(self._app, f"the only problem here{self._named()}", seconds=3)
        elif meant is not None and ((at, row) > here) is not (by > 0):
            end = "first" if by > 0 else "last"
            say(self._app, f"round: the {end} one again{self._named()}", seconds=3)
        lists[at].focus()
        lists[at].go_to(row)
        return True

    def _elsewhere(self) -> list[str]:
        """Return the screens with problems, those behind the one that is seen first."""
        names = [one.name for one in SCREENS]
        here = names.index(str(self._app.pane.id))
        panes = self._app.panes
        return [one for one in names[here + 1 :] + names[:here] if panes[one].is_troubled]

    def _named(self) -> str:
        """Return where else there are problems, to be said behind something."""
        titles = {one.name: one.title for one in SCREENS}
        found = [titles[one] for one in self._elsewhere()]
        more = " …" if len(found) > _NAMED_MAX else ""
        return f"; others on {', '.join(found[:_NAMED_MAX])}{more}" if found else ""

    def _go_elsewhere(self, by: int) -> None:
        app, here = self._app, self._app.pane
        names = self._elsewhere()
        if names:
            app.action_pane(names[0] if by > 0 else names[-1])
            self._arrive(app.pane, by)
        elif here.is_troubled and here.terms:
            say(app, "what is wrong here is left out by the filter: esc clears it", seconds=4)
        elif here.is_troubled and len(app.screen_stack) == 1:
            say(app, "what is wrong stands on this screen; no other problem in sight", seconds=4)
        elif here.is_troubled:
            app.action_pane(str(here.id))
            self._arrive(here, by)
        else:
            say(app, "no problem in sight")

    def _arrive(self, pane: Pane, by: int) -> None:
        """Put the cursor on a problem of a pane that has just come into sight."""
        lists = [one for one in (pane.list, *pane.query(LineList)) if one is not None]
        # Of what follows its end the newest, first of all: that is what one comes for.
        lists.sort(key=lambda one: not one.is_following)
        found = next((one for one in lists if one.bad_places()), None)
        if found is not None:
            places = found.bad_places()
            found.focus()
            found.go_to(places[-1 if by < 0 or found.is_following else 0])
        elif pane.terms:
            say(self._app, "what is wrong here is left out by the filter: esc clears it", seconds=4)
