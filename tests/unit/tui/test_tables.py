"""Lines of lists, whatever the runtime tells."""

from __future__ import annotations

from pylon.tui import tables
from tests.screens.fakes import change, client


def test_a_dashboard_bears_a_runtime_of_another_version() -> None:
    """What an older runtime does not tell is left empty on the screen."""
    old_client = client("ada")
    for name in ("round_trip_ms", "is_ghost", "network"):
        del old_client[name]
    old_change = change(1)
    del old_change["effect"]
    assert "ada@example.com" in "".join(text for text, _ in tables.client_line(old_client, 200))
    assert "row-1" in "".join(text for text, _ in tables.change_line(old_change, 200))


def test_a_slice_is_a_line_of_its_own() -> None:
    """Of no row, with what moved and for whom."""
    one = {**change(1), "kind": "slice", "row_id": "", "effect": "all rows, for everybody"}
    text = "".join(text for text, _ in tables.change_line(one, 200))
    assert "= slice" in text
    assert "all rows, for everybody" in text
