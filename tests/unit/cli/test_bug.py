"""`pylon bug`: what it says where the runtime beside it is silent."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pylon.cli import bug
from pylon.client.admin import AdminClient, AdminError


async def test_a_silent_runtime_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file lacks what only the runtime knows, and whoever sends it is told so."""

    async def refused(*_: object) -> None:
        raise AdminError("nobody answers")

    monkeypatch.setattr(bug, "running_runtime", lambda _: object())
    monkeypatch.setattr(AdminClient, "get", refused)
    assert await bug._runtime(tmp_path) == {}
    said = capsys.readouterr()
    assert "does not answer" in said.err
    assert "nobody answers" in said.err
    assert said.out == ""


@pytest.mark.parametrize("since", ["²", "٣", "0", "-1", "9" * 16, "1w"])
def test_what_is_no_number_of_a_change_is_wrong_usage(since: str) -> None:
    """Digits of other scripts and powers among them, of which Python makes some a number."""
    with pytest.raises(click.UsageError):
        bug._asked(since, None, 0, (), with_code=True)
