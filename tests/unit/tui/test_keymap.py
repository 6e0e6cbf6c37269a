"""Keys bound otherwise: every binding has an id, and what can't hold in the file is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pylon.tui.helping import help_text
from pylon.tui.keymap import catalogue, own_bindings, places, read_keymap

KNOWN = {one.id: one for one in catalogue()}


def _read(tmp_path: Path, text: str) -> tuple[dict[str, str], list[str]]:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    found = read_keymap(file)
    return found.keys, [one.removeprefix(str(file)) for one in found.complaints]


@pytest.mark.parametrize("place", places(), ids=lambda one: one.__name__)
def test_every_binding_has_an_id(place: type) -> None:
    """What has none could never be bound otherwise."""
    assert [one.key for one in own_bindings(place) if not one.id] == []


def test_an_id_is_no_table_of_another() -> None:
    """`quit` and `quit.now` could not both stand in one TOML file."""
    assert [one for one in KNOWN if any(other.startswith(f"{one}.") for other in KNOWN)] == []


def test_keys_of_the_file_take_the_place_of_the_usual_ones(tmp_path: Path) -> None:
    """Short names, lists and tables are taken; the help says the new keys."""
    text = 'jobs.retry = "f6"\nhelp = ["f1", "ctrl+g"]\n[pane]\nlog = "ctrl+l"\n'
    keys, complaints = _read(tmp_path, f'{text}[users]\ngrant="."\n')
    assert complaints == []
    assert keys == {
        "jobs.retry": "f6", "help": "f1,ctrl+g", "pane.log": "ctrl+l",
        "users.grant": "full_stop",
    }  # fmt: skip
    text = help_text("jobs", keys)
    assert "  f6             Retry it" in text
    assert "  ctrl+l     Log: every" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\njobs.retyr = "x"', ":2: nothing has the id jobs.retyr; did you mean jobs.retry?"),
        ("[jobs]\n\nretry = 3", ":3: jobs.retry takes a key"),
        ('quit = "ctrl+nothing"', ":1: 'ctrl+nothing' is no key"),
        ("quit = []", ":1: quit takes a key"),
        ('jobs.retry = "ctrl+m"', ":1: terminals send enter for ctrl+m; take enter, or another"),
        ('jobs.retry = ["f6", "ctrl+["]', ":1: terminals send escape for ctrl+["),
        ("quit", "all keys are as usual"),
        ('jobs.retry = "c"', ":1: jobs.retry can't be on c: jobs.cancel is"),
        ('help = "j"', ":1: help can't be on j: move.down is"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_said_with_its_line_and_left_out(
    text: str, said: str, tmp_path: Path
) -> None:
    """With the nearest id, and what hides it; no other line suffers."""
    keys, complaints = _read(tmp_path, text)
    assert keys == {}
    assert len(complaints) == 1
    assert said in complaints[0]


def test_two_may_change_places_and_the_later_of_two_on_one_key_gives_way(tmp_path: Path) -> None:
    """What clashes is judged by all lines together."""
    assert _read(tmp_path, 'jobs.retry = "c"\njobs.cancel = "r"') == (
        {"jobs.retry": "c", "jobs.cancel": "r"}, [],
    )  # fmt: skip
    keys, complaints = _read(tmp_path, 'jobs.retry = "f8"\njobs.cancel = "f8"')
    assert keys == {"jobs.retry": "f8"}
    assert complaints[0].startswith(":2: jobs.cancel can't be on f8: jobs.retry is")


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    """Most people have none."""
    assert read_keymap(tmp_path / "keys.toml").complaints == []


def test_screens_that_nobody_opened_can_be_bound(tmp_path: Path) -> None:
    """What is there to be bound does not depend on what was imported so far."""
    done = subprocess.run(
        [sys.executable, "-m", "pylon", "keys"], capture_output=True, text=True, check=True
    )
    printed = {line.split()[0] for line in done.stdout.splitlines() if line}
    assert {one.id for one in catalogue()} <= printed
    assert "scrub.rows" in printed
