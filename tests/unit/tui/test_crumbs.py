"""Breadcrumbs in the first line: what is seen is whole, what is before it gives way."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from pylon.tui.crumbs import breadcrumb
from pylon.tui.header import header_pieces
from pylon.tui.model import DashboardState
from tests.screens.fakes import status

_TRAIL = ("Clients", "ada@example.com")


@pytest.mark.parametrize(
    ("room", "line"),
    [
        (33, "Clients › ada@example.com › Ghost"),
        (32, "Clients › ada@example.c… › Ghost"),
        (24, "Clients › ada@e… › Ghost"),
        (23, "Clien… › ada@e… › Ghost"),
        (22, "… › ada@examp… › Ghost"),
        (18, "… › ada@e… › Ghost"),
        (17, "… › Ghost"),
        (9, "… › Ghost"),
        (8, "Ghost"),
        (1, "Ghost"),
        (-20, "Ghost"),
    ],
)
def test_the_longest_is_cut_first_then_the_first_left_out(room: int, line: str) -> None:
    """Never the name of what is seen."""
    assert breadcrumb(_TRAIL, "Ghost", room) == line


def test_wide_letters_take_their_room() -> None:
    """Cells are counted, not letters."""
    for room in range(5, 40):
        line = breadcrumb(("Functions", "書書書書書書書書"), "Try", room, ">")
        assert line.endswith("Try")
        assert cell_len(line) <= room


def _line(state: DashboardState, width: int) -> str:
    pieces = header_pieces(
        state, 0.0, is_paused=True, place="Differences", width=width,
        trail=("Workflows", "a-workflow-with-a-name-that-goes-on-and-on"),
    )  # fmt: skip
    return "".join(text for text, _ in pieces)


def test_what_is_wrong_and_the_errors_stand_before_where_one_was() -> None:
    """In 80 cells the trail gives way; in 200 all is there."""
    state = DashboardState(is_attached=True)
    state.fold({"type": "status", **status(port=4321, errors=3)}, 0.0)
    narrow, wide = _line(state, 80), _line(state, 200)
    for line in (narrow, wide):
        assert "PAUSED" in line
        assert ":4321  3 errors" in line
    assert cell_len(narrow) <= 80
    assert "  … › a-workflo… › Differences  " in narrow
    assert "Workflows › a-workflow-with-a-name-that-goes-on-and-on › Differences" in wide


@pytest.mark.parametrize("width", [60, 80, 200])
def test_another_machine_is_named_behind_the_app(width: int) -> None:
    """By the beginning of its name where it is long; where it is this machine, nothing is said."""
    state = DashboardState(is_attached=True)
    state.fold({"type": "status", **status(port=4321)}, 0.0)
    assert " on " not in _line(state, width)
    state.machine = "ada@box.e"
    assert "chat on ada@box.e dev" in _line(state, width)
    state.machine = "ada@db-1.production.eu-central.example.com:2222"
    line = _line(state, width)
    assert "chat on ada@db-1." in line
    assert cell_len(line) <= width
    assert "PAUSED" in line
