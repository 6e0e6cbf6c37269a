"""What the installers' tests share: the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.built import wheel_of


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return wheel_of(tmp_path_factory)
