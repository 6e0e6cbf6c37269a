"""What a batch of changed files calls for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.devtools.reload import ReloadAction, action_for, plan_reload


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("app.py", ReloadAction.RELOAD_APP),
        ("app/models.py", ReloadAction.RELOAD_APP),
        ("web/index.html", ReloadAction.REFRESH_PAGES),
        ("web/tool.py", ReloadAction.REFRESH_PAGES),
        ("pylon.toml", ReloadAction.RESTART),
        (".env", ReloadAction.RESTART),
        ("pyproject.toml", ReloadAction.RESTART),
        ("sub/pylon.toml", ReloadAction.NOTHING),
        ("README.md", ReloadAction.NOTHING),
    ],
)
def test_each_file_has_its_action(name: str, action: ReloadAction) -> None:
    """Python reloads, web/ refreshes pages, settings restart, the rest does nothing."""
    assert action_for(Path(name)) is action


def test_unchanged_content_calls_for_nothing() -> None:
    """A save that leaves the bytes as they were is no reload."""
    path = Path("app.py")
    plan = plan_reload(frozenset({path}), {path: "a"}, {path: "a"})
    assert plan.action is ReloadAction.NOTHING
    assert plan.files == ()


def test_the_strongest_action_wins() -> None:
    """A batch over page, code and settings restarts, and names the file that asks for it."""
    changed = {Path("web/a.css"): "1", Path("app.py"): "2", Path("pylon.toml"): "3"}
    plan = plan_reload(frozenset(changed), {}, changed)
    assert plan.action is ReloadAction.RESTART
    assert plan.files == (Path("pylon.toml"),)


def test_a_deleted_file_counts_as_a_change() -> None:
    """A module that is gone reloads the app."""
    path = Path("models.py")
    plan = plan_reload(frozenset({path}), {path: "a"}, {path: None})
    assert plan.action is ReloadAction.RELOAD_APP
