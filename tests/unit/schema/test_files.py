"""What a File field takes, and what of it counts."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.schema.files import File, file_from_app, file_object, parse_file

OBJECT = file_object("f1", 3, "text/plain", "0" * 64, "a.txt")


@pytest.mark.parametrize("given", ["f1", {"id": "f1"}, OBJECT, {**OBJECT, "name": "another"}])
def test_a_file_is_named_by_its_id(given: Any) -> None:
    """The id alone, or an object with it: the rest is looked up, and not believed."""
    assert parse_file(given) == file_from_app(given) == {"id": "f1"}
    assert file_from_app(File(**OBJECT)) == {"id": "f1"}


@pytest.mark.parametrize("given", [None, 1, True, "", "a b", "../x", "x" * 65, [], {}, {"id": 1}])
def test_what_names_no_file(given: Any) -> None:
    """Anything else is refused in words."""
    with pytest.raises(ValueError, match="id of a file"):
        parse_file(given)
