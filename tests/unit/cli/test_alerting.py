"""Alerts where the disk itself is what is broken."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pylon import paths
from pylon.cli import alerting
from pylon.cli.alerting import Alerter
from pylon.supervisor.lifecycle import ProcessState
from pylon.testing.manual_clock import ManualClock

_SETTINGS = {
    "alerts.mail": ["you@your.example"], "alerts.webhook": "https://hook.example/x",
    "alerts.restarts": 3, "alerts.disk_percent": 10, "alerts.allow_private": False,
}  # fmt: skip


class _Ways(alerting.Sender):
    """Mail and a webhook that take whatever comes."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(_SETTINGS, clock)  # type: ignore[arg-type]
        self.reached: list[str] = []

    async def _mail(self, alert: Any, to: str) -> None:
        self.reached.append(to)

    async def _post(self, alert: Any) -> None:
        self.reached.append("webhook")


def _alerter(project: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Alerter, _Ways, ManualClock]:
    """Return who watches an app whose disk is nearly full."""
    clock = ManualClock()
    supervisor = SimpleNamespace(
        project=project, listen=lambda listener: None, state=ProcessState.RUNNING, status={},
    )  # fmt: skip
    alerter = Alerter(supervisor, _SETTINGS, clock)  # type: ignore[arg-type]
    ways = _Ways(clock)
    alerter._sender = ways
    room = shutil._ntuple_diskusage(total=1_000, used=999, free=1)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    return alerter, ways, clock


async def test_a_disk_that_is_full_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That what was told can't be written down keeps nobody from telling it."""

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    alerter, ways, _ = _alerter(tmp_path, monkeypatch)
    monkeypatch.setattr(paths, "write_private", full)
    await alerter.step()
    assert ways.reached == ["you@your.example", "webhook"]
    assert "No space left on device; a restart may tell the same again" in capsys.readouterr().err


async def test_a_disk_that_is_gone_is_unknown_and_nothing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is it full, nor is it well again."""

    def gone(path: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    alerter, ways, clock = _alerter(tmp_path, monkeypatch)
    await alerter.step()
    monkeypatch.setattr(shutil, "disk_usage", gone)
    await clock.advance(3_600)
    await alerter.step()
    assert ways.reached == ["you@your.example", "webhook"]
