"""A stretch of the log as a test: Python, whatever the project's folder is called."""

from __future__ import annotations

import pytest

from pylon.client.log_pytest import pytest_file


@pytest.mark.parametrize("name", ["a\\Nb", 'q"""x', "it's", "a{b}", "end\\"])
def test_the_text_is_python_whatever_the_folder_is_called(name: str) -> None:
    """The app that is run is the folder by its own name, and the rest of it plain words."""
    found = {"from": 1, "to": 2, "before": [], "after": [], "changes": []}
    text = pytest_file(found, name)
    compile(text, "saved", "exec")
    assert f"running({name!r})" in text
