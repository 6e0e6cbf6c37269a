"""Backups of a real runtime: made, proven, told from damaged ones, sent away, and put in place."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon import jsonvalue
from pylon.client.admin import AdminClient
from pylon.clock import WarpedClock
from pylon.server.backups.keeper import BackupKeeper
from pylon.server.backups.plan import Plan
from pylon.server.backups.prover import prove
from pylon.server.backups.settings import settings_of
from pylon.server.config import load_config
from pylon.server.storage.backup import BackupFailed, check
from pylon.testing.manual_clock import ManualClock
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.test_file_bucket import endpoint as endpoint  # noqa: PLC0414 -- a fixture
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity, File, field

app = App("notes")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null")
class Note(Entity):
    text: str
    paper: File | None = None
"""


async def _json(pylon: Shell, *words: str) -> Any:
    return jsonvalue.parse((await pylon(*words, "--json")).encode())


async def _note(ada: Caller, text: str) -> None:
    await ada.insert("Note", text=text)


def _texts(path: Path) -> set[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return {text for (text,) in database.execute("SELECT text FROM Note")}


def _left(project: Path) -> list[str]:
    """Return what proofs and copies left behind."""
    return [one.name for one in (project / ".pylon").rglob("*")
            if one.name.startswith((".proof", ".copy"))]  # fmt: skip


async def test_a_backup_is_proven_by_restoring_it(serve: Serve) -> None:
    """Made beside a running app, and shown with what it holds; a damaged one is told from it."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await _note(ada, "one")
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    assert made["state"] == "proven"
    assert (made["tables"]["Note"], made["kind"]) == (1, "hand")
    file = served.project / ".pylon" / "backups" / f"{made['name']}.db"
    assert _texts(file) == {"one"}
    assert file.stat().st_mode & 0o077 == 0
    found = await _json(pylon, "backups")
    assert [one["name"] for one in found["backups"]] == [made["name"]]
    assert found["proven_age_s"] is not None
    assert _left(served.project) == []
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE Note SET text = 'forged'")
    assert "not proven" in await pylon("backups", "verify", made["name"], code=1)
    found = await _json(pylon, "backups")
    assert found["backups"][0]["state"] == "failed"
    assert "differs from its record" in found["backups"][0]["why"]
    assert found["proven_at"] is None, "what was proven once is not proven any more"
    assert "wants your consent" in await pylon("backups", "drop", made["name"], code=1)
    await pylon("backups", "drop", made["name"], "--yes")
    assert (await _json(pylon, "backups"))["backups"] == []
    assert list(file.parent.iterdir()) == []


async def test_a_running_app_goes_on_with_a_backup(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new epoch on the same port, what was there kept, sessions ended; only with its name."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await _note(ada, "kept")
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    await _note(ada, "later")
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    admin = AdminClient.local(served.project)
    before = await admin.get("admin/status")
    with pytest.raises(Exception, match="confirm"):
        await admin.post(f"admin/backups/{made['name']}/restore", {"confirm": "yes"})
    await admin.close()
    assert "wants your consent" in await pylon("backups", "restore", made["name"], code=1)
    pid = served.pid
    done = await _json(pylon, "backups", "restore", made["name"], "--yes")
    assert done["epoch"] != before["epoch"]
    assert served.pid == pid, "it is the same process"
    assert (await ada.get("/api/auth/me")).status == 401
    other = await served.login("ada@example.com")
    rows = (await other.get("/api/entities/Note")).body["rows"]
    assert [one["text"] for one in rows] == ["kept"]
    await _note(other, "after")
    kept = served.project / ".pylon" / "backups" / f"{done['kept']}.db"
    assert _texts(kept) == {"kept", "later"}
    again = await _json(pylon, "backups", "restore", done["kept"], "--yes")
    assert again["epoch"] not in (before["epoch"], done["epoch"])
    rows = (await (await served.login("ada@example.com")).get("/api/entities/Note")).body["rows"]
    assert {one["text"] for one in rows} == {"kept", "later"}


async def test_a_kill_during_a_restore_leaves_the_old_or_the_new(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment: the next start has one of the two whole, and both can still be had."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await _note(ada, "old")
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    chance = random.Random(7)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    for turn in range(6):
        await _note(await served.login("ada@example.com"), f"new {turn}")
        text = f"new {turn}"
        admin = AdminClient.local(served.project)
        await admin.post(f"admin/backups/{made['name']}/restore", {"confirm": made["name"]})
        await admin.close()
        await asyncio.sleep(chance.uniform(0, 0.5))
        await served.stop(signal.SIGKILL)
        data = served.project / ".pylon"
        await check(data / "app.db")
        assert await served.start()
        rows = (await (await served.login("e@e.example")).get("/api/entities/Note")).body["rows"]
        texts = {one["text"] for one in rows}
        copies = [_texts(one) for one in (data / "backups").glob("*.db")]
        assert text in texts or (texts == {"old"} and any(text in one for one in copies))
        assert not any(one.samefile(data / "app.db") for one in (data / "backups").glob("*.db"))


async def test_clients_follow_into_the_new_epoch(serve: Serve) -> None:
    """A cursor of before is answered with resync, never with changes (I91)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await _note(ada, "one")
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    await _note(ada, "two")
    head = (await ada.get("/api/health")).body["head"]
    await pylon("backups", "restore", made["name"], "--yes")
    other = await served.login("ada@example.com")
    pulled = await other.get(f"/api/sync/pull?cursor={head}")
    assert pulled.body.get("resync") or pulled.code == "RESYNC_REQUIRED", pulled


async def test_a_stopped_project_does_all_of_it_too(serve: Serve) -> None:
    """The same words without a runtime."""
    served = await serve(APP)
    await _note(await served.login("ada@example.com"), "one")
    await served.stop(signal.SIGTERM)
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    assert made["state"] == "proven"
    assert (await _json(pylon, "backups", "verify", made["name"]))["state"] == "proven"
    done = await _json(pylon, "backups", "restore", made["name"], "--yes")
    assert done["kept"].startswith("before-restore-")
    assert (await _json(pylon, "backups", "verify", done["kept"]))["state"] == "proven"


async def test_files_are_proven_by_their_hashes(serve: Serve) -> None:
    """Bytes that changed beside the copy are found."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    data = b"paper" * 5_000
    async with aiohttp.ClientSession() as session, session.post(
        f"{served.url}/api/files", data=data,
        headers={**ada.headers, "Content-Type": "text/plain", "X-Pylon-File-Name": "a.txt"},
    ) as answer:  # fmt: skip
        file = await answer.json()
    await ada.insert("Note", text="with", paper=file["id"])
    pylon = Shell(served)
    made = await _json(pylon, "backups", "create")
    assert made["files"] == {"contents": 1, "bytes": len(data)}
    folder = served.project / ".pylon" / "backups" / f"{made['name']}.db.files"
    (blob,) = folder.glob("??/*")
    blob.unlink()
    blob.write_bytes(b"other" * 5_000)
    assert "damaged" in await pylon("backups", "verify", made["name"], code=1)


def _keeper(project: Path, clock: Any, **changes: Any) -> BackupKeeper:
    config = load_config(project, is_dev=False, flags={}, environment={})
    return BackupKeeper(
        project / ".pylon", clock, replace(settings_of(config), **changes), prove=prove
    )


async def _stopped(serve: Serve) -> ServedProject:
    served = await serve(APP)
    await _note(await served.login("ada@example.com"), "one")
    await served.stop(signal.SIGTERM)
    return served


async def test_the_schedule_goes_by_the_machine(serve: Serve) -> None:
    """It comes when it is due, old ones go, and a warped clock makes none."""
    served = await _stopped(serve)
    machine = ManualClock()
    warped = WarpedClock(machine)
    keeper = _keeper(served.project, warped, plan=Plan(every_ms=6 * 3_600_000))
    warped.jump_to(warped.now_ms() + 7 * 86_400_000)
    await keeper.step()
    assert keeper.records() == [], "a week of the app's time is none of the machine's"
    for _ in range(12):
        await machine.advance(6 * 3_600)
        await keeper.step()
    records = keeper.records()
    assert {(one.kind, one.state) for one in records} == {("scheduled", "proven")}
    days = [one.at_ms // 86_400_000 for one in records]
    assert len(days) == len(set(days)), "of a day the newest is kept"
    assert keeper.status()["proven_age_s"] == 0


async def test_a_proof_that_was_cut_off_is_made_up_for(serve: Serve) -> None:
    """A copy that was made and not proven is proven later, and counts as none until then."""
    served = await _stopped(serve)

    async def cut_off(file: Path, folder: Path, wanted: Any) -> Any:
        raise asyncio.CancelledError

    keeper = _keeper(served.project, ManualClock())
    keeper._prove = cut_off
    with pytest.raises(asyncio.CancelledError):
        await keeper.make("hand")
    assert keeper.status()["proven_at"] is None
    assert [one.state for one in keeper.records()] == ["unproven"]
    keeper._prove = prove
    await keeper.step()
    assert [one.state for one in keeper.records()] == ["proven"]


async def test_a_backup_that_cannot_be_made_says_why(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or damage: a record with the reason, and no file of that name."""
    served = await _stopped(serve)
    keeper = _keeper(served.project, ManualClock())
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(BackupFailed, match="no room"):
        await keeper.make("scheduled")
    monkeypatch.undo()
    (record,) = keeper.records()
    assert (record.state, record.bytes) == ("failed", 0)
    assert keeper.status()["last_state"] == "failed"
    assert "no room" in keeper.status()["why"]
    assert [one.suffix for one in keeper.folder.path.iterdir()] == [".json"]
    assert (await keeper.make("hand")).state == "proven"
    assert keeper.status()["last_state"] == "proven"


async def _sent_and_back(served: ServedProject, url: str) -> None:
    pylon = Shell(served)
    made = await _json(pylon, "backup", "--to", url)  # as `backups create --to`
    assert [one["state"] for one in made["away"]] == ["proven"]
    there = await _json(pylon, "backups", "list", "--from", url)
    assert [one["name"] for one in there["backups"]] == [made["name"]]
    await pylon("backups", "drop", made["name"], "--yes")
    assert "no backup" in await pylon("backups", "fetch", "nosuch", "--from", url, code=1)
    await pylon("backups", "fetch", made["name"], "--from", url)
    assert (await _json(pylon, "backups", "verify", made["name"]))["sha256"] == made["sha256"]


async def test_a_backup_goes_to_another_folder_and_comes_back(serve: Serve, tmp_path: Path) -> None:
    """Read back before it gets its name; what is damaged there is refused."""
    served = await _stopped(serve)
    there = tmp_path / "elsewhere"
    url = there.as_uri()
    pylon = Shell(served)
    assert "there is no folder" in await pylon("backups", "create", "--to", url, code=1)
    there.mkdir()
    await _sent_and_back(served, url)
    assert [one.name for one in there.iterdir() if "partial" in one.name] == []
    (copy,) = there.glob("*.db")
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    await pylon("backups", "drop", copy.stem, "--yes")
    assert "other bytes" in await pylon("backups", "fetch", copy.stem, "--from", url, code=1)
    assert not (served.project / ".pylon" / "backups" / copy.name).exists()
    for wrong in ("ftp://x/y", "file://host/x", "s3://key:hunter2@bucket"):
        said = await pylon("backups", "create", "--to", wrong, code=2)
        assert "hunter2" not in said
        other = await pylon("backup", "--to", wrong, code=2)
        assert other.splitlines()[0] == said.splitlines()[0], "one command by two names"
        assert len((await _json(pylon, "backups"))["backups"]) == 1, "nothing was made for it"


async def test_a_backup_goes_to_a_bucket_and_comes_back(
    serve: Serve, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come from the settings, by the environment."""
    monkeypatch.setenv("ATTIC_KEY", "testing")
    monkeypatch.setenv("ATTIC_SECRET", "testing")
    served = await _stopped(serve)
    (served.project / "pylon.toml").write_text(
        '[backup]\naccess_key = "env:ATTIC_KEY"\nsecret_key = "env:ATTIC_SECRET"\n'
    )
    await _sent_and_back(served, f"s3://attic/notes?endpoint={endpoint}&region=us-east-1")


async def test_a_proof_leaves_nothing_when_it_is_killed(serve: Serve) -> None:
    """Its process ends with the runtime, and the sweep takes what it left."""
    served = await _stopped(serve)
    keeper = _keeper(served.project, ManualClock())
    made = await keeper.make("hand")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon.server.backups.prover",
        str(keeper.folder.file(made.name)), str(keeper.folder.path), "-",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    while process.returncode is None and not list(keeper.folder.path.glob(".proof-*")):
        await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
    for one in keeper.folder.path.glob(".proof-*"):
        os.utime(one, (0, 0))
    keeper.folder.sweep(ManualClock())
    assert _left(served.project) == []
    assert [one.name for one in keeper.records()] == [made.name]
