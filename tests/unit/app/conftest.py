"""Projects in folders of their own, whose modules are gone when the test is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pylon.app.definition import AppDefinition
from pylon.app.finder import ProjectFinder, project_modules
from pylon.app.loader import load_app
from pylon.errors import LoadFailed

HEAD = """\
from __future__ import annotations
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from pylon import App, BigInt, Entity, Json, Ref, Refused, Text, actor, field, index, now, unique
app = App("test", version="1")
"""
#: Line of the first line after HEAD.
FIRST = HEAD.count("\n") + 1

Load = Callable[..., AppDefinition]
Mistaken = Callable[[str], list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load a text as an app; HEAD stands before it unless `is_whole`."""

    def loaded(text: str, *, is_whole: bool = False, generation: int = 1) -> AppDefinition:
        (tmp_path / "app.py").write_text(text if is_whole else HEAD + text, encoding="utf-8")
        return load_app(tmp_path, generation=generation)

    before = list(sys.meta_path)
    yield loaded
    for name in project_modules(tmp_path):
        del sys.modules[name]
    sys.meta_path[:] = [one for one in before if not isinstance(one, ProjectFinder)]


@pytest.fixture
def mistaken(load: Load) -> Mistaken:
    """Return the mistakes of an app as people read them."""

    def mistakes(text: str) -> list[str]:
        try:
            load(text)
        except LoadFailed as failed:
            return [one.render() for one in failed.mistakes]
        return []

    return mistakes
