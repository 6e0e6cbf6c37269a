"""Rows in words, on narrow screens and with long names."""

from __future__ import annotations

import pytest

from pylon.tui.data_tables import row_words
from tests.screens.data_fakes import data_field, whole


@pytest.mark.parametrize("width", [10, 30, 48, 104])
def test_a_name_as_long_as_the_screen_leaves_its_value_some_room(width: int) -> None:
    """A field may have a name of 64 letters; a screen may have 40 columns."""
    name = "n" * 64
    entity = {"name": "Task", "fields": [data_field(name)]}
    words = row_words(entity, whole({"id": "t1", "_seq": 1, name: "a value in words"}), width)
    assert "a value in" in words
    assert name in words
