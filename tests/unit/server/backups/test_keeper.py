"""The keeper of backups and the clock of the machine."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylon.ids import IdSource
from pylon.server.backups import prover
from pylon.server.backups.keeper import BackupKeeper
from pylon.server.backups.plan import Plan
from pylon.server.backups.prover import sha256_of
from pylon.server.backups.records import BackupFolder, Record
from pylon.server.backups.settings import BackupSettings
from pylon.server.buckets import Keys
from pylon.server.storage.backup import BackupFailed
from pylon.server.storage.database import Database
from pylon.supervisor import shelf
from pylon.testing.manual_clock import START_MS, ManualClock

HOUR = 3_600_000


async def test_a_clock_that_is_set_back_after_the_start_does_not_starve_the_schedule(
    tmp_path: Path,
) -> None:
    """The runtime started a year ahead; an hour after the clock was mended one is due."""
    clock = ManualClock(START_MS + 365 * 24 * HOUR)
    settings = BackupSettings(
        plan=Plan(every_ms=HOUR), keep_daily=1, keep_weekly=1, folder=tmp_path / "backups", to="",
        keys=Keys("", ""), has_own_files=True,
    )  # fmt: skip
    keeper = BackupKeeper(tmp_path, clock, settings)
    clock._start_ms = START_MS
    assert keeper.next_due() == START_MS + HOUR
    await clock.advance(600)
    assert keeper.next_due() == START_MS + HOUR, "and does not move on with the time"


async def test_a_failure_that_can_not_be_written_down_is_one_all_the_same(tmp_path: Path) -> None:
    """The folder is a file: the header and the alert have it, and the next try waits its turn."""
    clock = ManualClock(START_MS)
    (tmp_path / "backups").write_text("in the way")
    settings = BackupSettings(
        plan=Plan(every_ms=HOUR), keep_daily=1, keep_weekly=1, folder=tmp_path / "backups", to="",
        keys=Keys("", ""), has_own_files=True,
    )  # fmt: skip
    keeper = BackupKeeper(tmp_path, clock, settings)
    await clock.advance(HOUR // 1000)
    with pytest.raises(BackupFailed):
        await keeper.make("scheduled")
    assert keeper.status()["last_state"] == "failed"
    assert keeper.status()["why"]
    due = keeper.next_due()
    assert due is not None
    assert due > clock.machine_ms(), "it is not tried again at once"


class Full:
    """A disk that takes some records and no others."""

    def __init__(self, keeper: BackupKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuses: Callable[[Record], bool] = lambda _: False
        write = keeper.folder.write

        def written(record: Record) -> None:
            if self.refuses(record):
                raise OSError(28, "No space left on device")
            write(record)

        monkeypatch.setattr(keeper.folder, "write", written)


async def _proven(file: Path, folder: Path, wanted: object) -> dict[str, Any]:
    return {"faults": [], "contents": wanted, "sha256": sha256_of(file), "files": None}


async def _kept(tmp_path: Path, clock: ManualClock) -> BackupKeeper:
    data = tmp_path / "data"
    data.mkdir()
    database = await Database.open(data, clock=clock, ids=IdSource(clock, secrets.token_bytes))
    await database.close()
    settings = BackupSettings(
        plan=Plan(every_ms=HOUR), keep_daily=1, keep_weekly=1, folder=tmp_path / "backups", to="",
        keys=Keys("", ""), has_own_files=True,
    )  # fmt: skip
    return BackupKeeper(data, clock, settings, prove=_proven)


@pytest.mark.parametrize("refused", ["each", "proven", "sent"])
async def test_a_copy_stays_when_the_disk_has_no_room_for_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """It is proven, listed as that, and written down once there is room."""
    clock, there = ManualClock(START_MS), tmp_path / "there"
    there.mkdir()
    keeper = await _kept(tmp_path, clock)
    disk = Full(keeper, monkeypatch)
    disk.refuses = {
        "each": lambda _: True,
        "proven": lambda one: one.state == "proven",
        "sent": lambda one: bool(one.away),
    }[refused]
    made = await keeper.make("scheduled", there.as_uri())
    assert made.state == "proven"
    assert keeper.folder.file(made.name).stat().st_size == made.bytes
    assert keeper.records() == [made]
    assert keeper.status()["last_state"] == "proven"
    assert keeper.folder.find(made.name).away[0].state == "proven"
    disk.refuses = lambda _: False
    keeper.records()
    assert BackupFolder(keeper.folder.path).all() == [made]


async def test_a_proof_that_can_not_begin_leaves_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for it, perhaps: the copy is unproven, and proven once there is room."""
    keeper = await _kept(tmp_path, ManualClock(START_MS))

    async def no_room(file: Path, folder: Path, wanted: object) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    keeper._prove = no_room
    made = await keeper.make("hand")
    assert (made.state, keeper.folder.file(made.name).exists()) == ("unproven", True)
    assert "No space left" in made.why
    keeper._prove = _proven
    room_for = keeper.folder.room_for
    monkeypatch.setattr(keeper.folder, "room_for", lambda _: "the disk has 1 MiB free")
    await keeper.step()
    assert keeper.folder.find(made.name).state == "unproven", "it waits for room"
    monkeypatch.setattr(keeper.folder, "room_for", room_for)
    await keeper.step()
    assert keeper.folder.find(made.name).state == "proven"


async def test_the_schedule_outlives_a_folder_that_can_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and makes the next one when it can be."""
    clock = ManualClock(START_MS)
    keeper = await _kept(tmp_path, clock)
    read, is_broken = keeper.folder.all, True

    def all_of_it() -> list[Record]:
        if is_broken:
            raise OSError(5, "Input/output error")
        return read()

    monkeypatch.setattr(keeper.folder, "all", all_of_it)
    keeper.start()
    try:
        for _ in range(3):
            await asyncio.sleep(0)
            await clock.advance(HOUR // 1000)
        assert "backup.schedule_failed [Errno 5] Input/output error; trying again" in caplog.text
        is_broken = False
        async with asyncio.timeout(60):
            while not (made := keeper.records()) or keeper.doing:
                await clock.advance(30)
                await asyncio.sleep(0.01)
    finally:
        await keeper.stop()
    assert [one.kind for one in made] == ["scheduled"]


async def test_a_record_that_can_not_be_read_leaves_its_copy_in_the_list(tmp_path: Path) -> None:
    """What it is a copy of is not known any more; that it is there, is."""
    keeper = await _kept(tmp_path, ManualClock(START_MS))
    made = await keeper.make("hand")
    record = keeper.folder.path / f"{made.name}.json"
    record.unlink()
    record.symlink_to("/proc/self/mem")  # a file that answers EIO to its reader
    (found,) = keeper.records()
    assert (found.state, found.bytes) == ("unproven", made.bytes)
    assert found.why == "its record can't be read: Input/output error"


async def test_an_old_one_that_can_not_go_does_not_take_the_new_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and the new one is made and proven."""
    clock = ManualClock(START_MS)
    keeper = await _kept(tmp_path, clock)
    old = await keeper.make("scheduled")
    await clock.advance(HOUR // 1000)

    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(keeper.folder, "drop", refuse)
    made = await keeper.make("scheduled")
    assert made.state == "proven"
    assert f"backup.not_dropped {old.name}" in caplog.text


async def test_copies_of_before_something_final_are_proven_without_being_asked(
    tmp_path: Path,
) -> None:
    """Without a schedule, too; with head and rows; one whose proof fails to begin waits."""
    clock = ManualClock(START_MS)
    keeper = await _kept(tmp_path, clock)
    keeper.settings = replace(keeper.settings, plan=Plan())
    made = await keeper.make("hand")
    copy = keeper.folder.file(made.name)
    names = ("before-restore-1", "before-migration-2", "before-branch-3")
    for name in (*names, "of-a-person", "cut-off"):
        shutil.copy(copy, keeper.folder.file(name))
    # It is the newest, and its proof can't begin: those behind it have their turn all the same.
    keeper.folder.write(
        replace(made, name="cut-off", at_ms=made.at_ms + HOUR, state="unproven", proven_ms=None)
    )
    tried = []

    async def prove(file: Path, folder: Path, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        tried.append(file.stem)
        if file.stem in ("before-migration-2", "cut-off"):
            raise OSError(28, "No space left on device")
        return await prover.prove(file, folder, wanted)

    keeper._prove = prove
    keeper.start()
    try:
        async with asyncio.timeout(60):
            while keeper._task is not None and not keeper._task.done():
                await clock.advance(30)
                await asyncio.sleep(0.01)
    finally:
        await keeper.stop()
    found = {one.name: one for one in keeper.records()}
    states = {name: found[name].state for name in (*names, "of-a-person", "cut-off")}
    assert states == {
        "before-restore-1": "proven", "before-migration-2": "unproven",
        "before-branch-3": "proven", "of-a-person": "unproven", "cut-off": "unproven",
    }  # fmt: skip
    assert sorted(tried) == sorted([*names, "cut-off"]), "each is tried once"
    before = found["before-restore-1"].to_json(clock.machine_ms())
    assert before["head"] == made.to_json(0)["head"]
    assert before["tables"] == made.to_json(0)["tables"]


async def test_a_copy_of_before_a_reset_is_no_backup_of_what_is_there_now(tmp_path: Path) -> None:
    """The header goes by what was made as a backup: nobody is told that the new rows are safe."""
    keeper = await _kept(tmp_path, ManualClock(START_MS))
    made = await keeper.make("hand")
    assert shelf._proven_ms(keeper.folder.path) == made.at_ms
    keeper.folder.file(made.name).rename(keeper.folder.file("before-reset-1"))
    await keeper.verify("before-reset-1")
    assert shelf._proven_ms(keeper.folder.path) is None
    assert keeper.folder.find("before-reset-1").state == "proven"
    assert keeper.status()["proven_at"] is None
