"""The line that describes a bad network says what was asked for, to the last digit."""

from __future__ import annotations

import pytest

from pylon.client.networks import PRESETS, line_of, network_of


@pytest.mark.parametrize(
    "shape", [*(one for _, _, one in PRESETS), {"bandwidth": 1_234_567.0, "loss": 0.125}]
)
def test_a_network_is_what_its_line_says(shape: dict[str, object]) -> None:
    """The command log has the line: pasted into a shell it must ask for the same."""
    assert network_of(line_of(shape)) == shape
