"""What `pylon projects` says to type where a project did not start: right in a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon.cli import projects
from pylon.cli.main import cli
from pylon.cli.output import CommandFailed
from pylon.errors import AddressInUse
from pylon.supervisor import ports
from pylon.supervisor.door import SupervisorRefused, ask_supervisor

FOLDER = Path("/my apps/chat")


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        ({}, "mend it, then: pylon projects wake '/my apps/chat'"),
        ({"is_held": False}, "mend it, then: pylon projects wake '/my apps/chat'"),
        ({"is_held": True},
         "its plan, and whether it can be applied: pylon migrate '/my apps/chat'"),
    ],
)  # fmt: skip
def test_one_that_did_not_start(told: dict[str, Any], hint: str) -> None:
    """A keeper of an older Pylon does not tell whether a migration holds it."""
    with pytest.raises(CommandFailed) as failed:
        projects._demand_started(FOLDER, {"state": "failed", "why": "w", **told}, "wake")
    assert failed.value.hint == hint


def test_one_that_nobody_supervises_or_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders with a space are quoted in every line."""
    monkeypatch.setattr(projects, "supervised", lambda _: None)
    monkeypatch.setattr(projects, "_folder_of", lambda _: FOLDER)
    running = type("Running", (), {"pid": 7})()
    monkeypatch.setattr(projects.registry, "running_runtime", lambda _: running)
    start, stop = (f"pylon projects {verb} '/my apps/chat'" for verb in ("start", "stop"))
    assert projects._unsupervised(FOLDER).hint == (
        f"start it anew where it was started, or: {stop}, then {start}"
    )
    said = CliRunner().invoke(cli, ["projects", "forget", "chat"])
    assert f"first: {stop}" in said.stderr
    monkeypatch.setattr(projects.registry, "running_runtime", lambda _: None)
    assert projects._unsupervised(FOLDER).hint == start


async def test_what_its_door_or_its_port_refuses_names_what_a_shell_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody supervises it, or its port is that of another one of the user's projects."""
    project = tmp_path / "my apps"
    project.mkdir()
    with pytest.raises(SupervisorRefused) as refused:
        await ask_supervisor(project, "wake")
    assert refused.value.hint == f"start it: pylon projects start '{project}'"
    monkeypatch.setattr(ports, "_holder_of", lambda _: str(project))
    with ports.listening_socket("127.0.0.1", 0) as held, pytest.raises(AddressInUse) as taken:
        ports.bind_named("127.0.0.1", held.getsockname()[1])
    assert taken.value.hint is not None
    assert f"pylon projects stop '{project}', or choose another" in taken.value.hint
