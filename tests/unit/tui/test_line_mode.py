"""Line mode: whatever a key does, a command does; what has none acts on nothing but the screen."""

from __future__ import annotations

from typing import Final

import pytest

from pylon.tui.keymap import own_bindings, places
from pylon.tui.verbs import Verb
from tests.shelled import command_of

VERBS: Final[dict[str, str]] = {}
for _place in places():
    for _one in (*own_bindings(_place), *getattr(_place, "verbs", ())):
        if isinstance(_one, Verb):
            VERBS[str(_one.id)] = _one.cli or VERBS.get(str(_one.id), "")
#: What only changes how the screen looks, or where on it one is, and what a shell has for it.
ONLY_SEEN: Final = {
    "filter": "commands have --search, --where or grep", "copy": "a shell has its own",
    "pause": "ctrl+s", "quit": "ends the dashboard", "problem": "goes to another screen",
    "problem-back": "as problem",
    "health.log": "goes to another screen",
    "unlock": "lifts what the dashboard forbids itself; a shell forbids nothing",
    "log.mark": "begins a range: pylon log and diff take two numbers",
    "zoom": "a screen has parts", "unzoom": "as zoom", "jump": "moves the cursor",
    "turn": "moves the cursor", "projects.about": "pylon projects prints all of it",
    "data.sort": "pylon query --order", "data.columns": "--json and jq",
    "data.look-as": "pylon query --as", "data.row": "pylon query shows whole rows",
    "data.referrers": "pylon query with the reference", "data.return": "goes back",
    "other-list": "moves the cursor", "files.order": "pylon files list --largest",
    "data.mark": "marks live on the screen", "data.range": "as data.mark",
    "data.mark-down": "as data.mark", "data.mark-up": "as data.mark", "data.unmark": "as data.mark",
    "files.open": "opens a browser", "functions.order": "pylon functions prints all figures",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_verb_is_a_command_or_only_moves_what_is_seen(name: str) -> None:
    """A verb that acts names a command that is there and answers in JSON."""
    cli = VERBS[name]
    if not cli:
        assert name in ONLY_SEEN, f"{name} acts: build its command, and name it in the verb"
        return
    command = command_of(cli)
    assert command is not None, f"there is no pylon {cli}"
    options = {option for one in command.params for option in one.opts}
    assert "--json" in options
