"""A runtime elsewhere of another version: what is said of it, and what is offered to be run."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pylon.cli.output import CommandFailed
from pylon.cli.remote import look
from pylon.client.admin import AdminClient


class _Other:
    def __init__(self, version: Any) -> None:
        self._version = version

    async def get(self, path: str) -> dict[str, Any]:
        assert path == "admin/status"
        return {"admin_protocol": -1, "pylon": self._version}


async def _refused(version: Any) -> CommandFailed:
    with pytest.raises(CommandFailed) as refused:
        await look(cast(AdminClient, _Other(version)), "https://chat.example")
    return refused.value


@pytest.mark.parametrize("version", ["0.2.0", "1.0rc1", "0.3.0.dev4+g1a2b3c"])
async def test_a_command_is_offered_for_a_version(version: str) -> None:
    """The dashboard of that one is a command away."""
    assert f"pylon-runtime=={version} pylon attach" in ((await _refused(version)).hint or "")


@pytest.mark.parametrize("version", ["1.0; touch owned", "1.0\nowned", "$(owned)", "", None])
async def test_no_command_has_what_is_no_version(version: Any) -> None:
    """What a runtime says of itself would be run by whoever copies the line."""
    refused = await _refused(version)
    hint = refused.hint or ""
    assert "owned" not in hint
    assert "uvx" not in hint
