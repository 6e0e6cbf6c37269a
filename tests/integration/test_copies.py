"""`pylon backup`, `restore`, `verify`, `log` beside a runtime that works, died, or is stopped."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from pylon import jsonvalue
from pylon.server.storage.backup import check, verify_file
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity, field, unique

app = App("bank")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null")
class Account(Entity):
    name: str
    money: int = 100
    secret: str | None = field(default=None, private=True)

    by_name = unique("name")


@app.mutation
def move(ctx, source: str, target: str, amount: int) -> None:
    one, other = ctx.db.get("Account", source), ctx.db.get("Account", target)
    if source != target:
        ctx.db.update("Account", source, money=one.money - amount)
        ctx.db.update("Account", target, money=other.money + amount)
"""
ACCOUNTS = 12


async def _filled(serve: Serve, **options: Any) -> tuple[ServedProject, Caller, list[str]]:
    served = await serve(APP, **options)
    ada = await served.login("ada@example.com")
    rows = [await ada.insert("Account", name=f"a{n}", secret="s") for n in range(ACCOUNTS)]
    return served, ada, [row["id"] for row in rows]


async def _move(ada: Caller, ids: list[str], seed: int) -> None:
    """Move money until cancelled or cut off."""
    chance = random.Random(seed)
    number = 0
    while True:
        operations = []
        for _ in range(20):
            number += 1
            args = {
                "source": chance.choice(ids), "target": chance.choice(ids),
                "amount": chance.randrange(50),
            }  # fmt: skip
            operations.append({"op_id": f"{seed}-{number}", "fn": "move", "args": args})
        try:
            await ada.post("/api/sync/push", {"client_id": f"c{seed}", "operations": operations})
        except (OSError, ClientError):
            return


def _money(path: Path) -> list[int]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return [money for (money,) in database.execute("SELECT money FROM Account")]


async def test_a_backup_under_load_is_the_state_of_one_seq(serve: Serve, tmp_path: Path) -> None:
    """While money moves: every copy is whole, private, adds up, and is the fold of its log."""
    served, ada, ids = await _filled(serve)
    pylon = Shell(served)
    movers = [asyncio.create_task(_move(ada, ids, seed)) for seed in range(3)]
    heads = []
    for n in range(3):
        path = tmp_path / f"{n}.db"
        report = jsonvalue.parse((await pylon("backup", str(path), "--json")).encode())
        held, faults = await verify_file(path, is_live=False)
        assert faults == []
        assert (report["head"], report["rows"]) == (held.head, held.rows)
        assert sum(_money(path)) == ACCOUNTS * 100
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        heads.append(held.head)
    for mover in movers:
        mover.cancel()
    await asyncio.gather(*movers, return_exceptions=True)
    assert heads[0] < heads[1] < heads[2], "it was written meanwhile"
    left = [one.name for one in (*tmp_path.glob(".*"), *served.project.rglob("*.partial"))]
    assert left == [], "nothing half done lies about"
    assert "is there already" in await pylon("backup", str(tmp_path / "0.db"), code=1)


async def test_a_killed_backup_leaves_no_file_of_that_name(serve: Serve, tmp_path: Path) -> None:
    """Neither the command's death nor the runtime's gives the name to half a file."""
    served, ada, _ = await _filled(serve)
    for n in range(30):
        await ada.insert("Account", name=f"large {n}", secret="x" * 400_000)
    target = tmp_path / "out" / "backup.db"
    target.parent.mkdir()
    chance = random.Random(3)
    for victim in ("command", "command", "runtime", "runtime"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", "backup", str(target), "--project", str(served.project),
            env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        while process.returncode is None and not list(target.parent.iterdir()):
            await asyncio.sleep(0.002)
        await asyncio.sleep(chance.uniform(0, 0.03))
        if victim == "runtime":
            await served.stop(signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
        await process.wait()
        if target.exists():  # it was done before
            await check(target)
            target.unlink()
        if victim == "runtime":
            await served.start()
            assert [one.name for one in target.parent.iterdir() if "partial" in one.name] == []
        for one in target.parent.iterdir():
            one.unlink()


async def test_a_runtime_that_died_is_copied_whole(serve: Serve, tmp_path: Path) -> None:
    """What only its journal holds is in the copy, and the command writes nothing there."""
    served, ada, ids = await _filled(serve)
    mover = asyncio.create_task(_move(ada, ids, 1))
    await asyncio.sleep(0.3)
    await served.stop(signal.SIGKILL)
    await mover
    folder = served.project / ".pylon"
    before = {name: (folder / name).read_bytes() for name in ("app.db", "app.db-wal")}
    assert before["app.db-wal"], "there is something that only the journal holds"
    pylon = Shell(served)
    assert "ok:" in await pylon("verify", str(served.project), is_for_project=False)
    await pylon("backup", str(tmp_path / "copy.db"))
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert sum(_money(tmp_path / "copy.db")) == ACCOUNTS * 100
    held, faults = await verify_file(tmp_path / "copy.db", is_live=False)
    assert faults == []
    await served.start()
    head = (await ada.get("/api/health")).body["head"]
    assert head == f"{held.epoch}:{held.head}"


async def test_a_restore_asks_and_refuses(serve: Serve, tmp_path: Path) -> None:
    """It wants a stopped runtime, a sound file, and the project's name typed."""
    served, ada, _ = await _filled(serve)
    pylon = Shell(served)
    backup = tmp_path / "backup.db"
    await pylon("backup", str(backup))
    assert "is running" in await pylon("restore", str(backup), "--yes", code=1)
    await ada.insert("Account", name="later")
    await served.stop()
    database = served.project / ".pylon" / "app.db"
    before = database.read_bytes()
    assert "--yes" in await pylon("restore", str(backup), code=1)
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"no database at all" * 99)
    assert "DATABASE_UNUSABLE" in await pylon("restore", str(bad), "--yes", code=1)
    assert "DATABASE_UNUSABLE" in await pylon("verify", str(bad), code=1, is_for_project=False)
    assert database.read_bytes() == before
    report = jsonvalue.parse((await pylon("restore", str(backup), "--yes", "--json")).encode())
    assert Path(report["kept"]).read_bytes() == before, "what was there before is kept"
    await served.start()
    listed = (await served.anonymous().get("/api/entities/Account")).body["rows"]
    assert "later" not in {row["name"] for row in listed}
    assert len(listed) == ACCOUNTS


async def test_a_backup_becomes_a_project_of_its_own(serve: Serve, tmp_path: Path) -> None:
    """Restored elsewhere it is another database: neither start is taken for a rollback there."""
    served, _, _ = await _filled(serve)
    backup = tmp_path / "backup.db"
    await Shell(served)("backup", str(backup))
    other = await serve(APP, is_started=False)
    await Shell(other)("restore", str(backup), "--yes")
    await other.start()
    bob = await other.login("bob@example.com")
    epochs = set()
    for one in (served, other, served, other):
        await one.stop()
        await one.start()
        health = (await one.anonymous().get("/api/health")).body
        epochs.add(health["head"].partition(":")[0])
    assert len(epochs) == 2
    assert (await bob.get("/api/auth/me")).status == 200


async def test_the_log_is_counted_and_trimmed(serve: Serve) -> None:
    """Stats say what there is and who stands furthest back; trim works offline too."""
    served, ada, _ = await _filled(serve)
    socket = await ada.sync({"id": "s", "entity": "Account"}, client_id="far-behind")
    welcome = await socket.until("welcome")
    await socket.send({"type": "stored", "cursor": welcome["head"]})
    pylon = Shell(served)
    stats: dict[str, Any] = {}
    for _ in range(40):
        stats = jsonvalue.parse((await pylon("log", "stats", "--json")).encode())
        if stats["furthest_back"]:
            break
    assert stats["furthest_back"]["client_id"] == "far-behind"
    assert stats["furthest_back"]["behind"] == 0
    await socket.close()
    for n in range(5):
        await ada.insert("Account", name=f"later {n}")
    stats = jsonvalue.parse((await pylon("log", "stats", "--json")).encode())
    assert stats["furthest_back"]["behind"] == 5
    assert stats["entries"] == ACCOUNTS + 6, "Ada's account, and hers"
    assert {one["entity"] for one in stats["entities"]} == {"Account", "User"}
    assert stats["bytes"] > 0
    nothing = jsonvalue.parse((await pylon("log", "trim", "--json")).encode())
    assert nothing["trimmed"] == 0, "the settings keep all of it"
    done = jsonvalue.parse(
        (await pylon("log", "trim", "--keep-changes", "3", "--keep-days", "0", "--json")).encode()
    )
    assert done["trimmed"] == ACCOUNTS + 3
    head = int(done["head"].rpartition(":")[2])
    assert done["horizon"].endswith(f":{head - 3}")
    pulled = await ada.get(f"/api/sync/pull?cursor={welcome['head']}")
    assert pulled.body["error"]["details"]["reason"] == "cursor_too_old"
    assert (await ada.get(f"/api/sync/pull?cursor={done['horizon']}")).status == 200
    assert (await ada.get("/api/sync/pull")).code == "RESYNC_REQUIRED"
    assert "1 must load anew" in await pylon("log", "stats")
    await served.stop()
    done = jsonvalue.parse(
        (await pylon("log", "trim", "--keep-changes", "0", "--keep-days", "0", "--json")).encode()
    )
    assert done["trimmed"] == 3
    assert done["horizon"] == done["head"]
    stats = jsonvalue.parse((await pylon("log", "stats", "--json")).encode())
    assert (stats["entries"], stats["oldest_at"]) == (0, None)
    assert "ok:" in await pylon("verify", str(served.project), is_for_project=False)
    await served.start()
    assert (await ada.insert("Account", name="after"))["_seq"] == head + 1
