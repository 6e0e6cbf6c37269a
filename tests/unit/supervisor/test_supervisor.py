"""The supervisor where the machine itself does not play along."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pylon.clock import SystemClock
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.process import RuntimeProcess
from pylon.supervisor.supervisor import Supervisor


async def test_a_process_that_cannot_be_started_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory for a child: the state is failed, with the reason, and a stop still ends it."""

    async def refused(self: RuntimeProcess) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(RuntimeProcess, "spawn", refused)
    supervisor = Supervisor(tmp_path, SystemClock(), mode="dev", port=0)
    await supervisor.start()
    try:
        await supervisor.until(ProcessState.FAILED, timeout_s=60)
        assert "Cannot allocate memory" in supervisor.lifecycle.why
    finally:
        await supervisor.stop()
    assert supervisor.state is ProcessState.STOPPED
