"""Paths as somebody types them, and what is said against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.tui.export import OwnFile, typed_path


def test_the_home_of_nobody_is_a_name_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` leads home; `~nosuchuser` does not, and ends nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/out.csv") == tmp_path / "out.csv"
    assert OwnFile.objection("~/out.csv") == ""
    assert typed_path("~nosuchuser/out.csv") == Path("~nosuchuser/out.csv")
    assert OwnFile.objection("~nosuchuser/out.csv") == "there is no folder ~nosuchuser"
