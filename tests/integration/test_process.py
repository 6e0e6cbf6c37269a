"""The runtime as a process: one owner, tight files, clean stops, migrations, lineage."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from pylon.client.admin import AdminClient
from pylon.testing.served import DidNotStart, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES

TINY = """
from __future__ import annotations

from pylon import App, Entity, field, unique

app = App("tiny")


@app.entity(read="auth.userId != null", insert="auth.userId != null", update="auth.userId != null")
class Thing(Entity):
    name: str
    size: int = 0
"""


async def test_a_second_owner_is_told_who_the_first_is(serve: Serve) -> None:
    """The message names folder and process, and says what to do (I9)."""
    served = await serve(TINY)
    second = type(served)(served.project, served.state)
    with pytest.raises(DidNotStart) as caught:
        await second.start()
    text = str(caught.value)
    assert "in use by another runtime" in text
    assert str(served.pid) in text
    assert (await served.anonymous().get("/api/health")).status == 200
    for command in (("serve",), ("dev", "--no-tui")):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", *command, str(served.project), "--port", "0",
            env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert f"process {served.pid}".encode() in err
        assert b"runtime has failed" not in err, "it was not even tried"


async def test_no_code_of_the_app_runs_for_a_second_owner(serve: Serve) -> None:
    """The folder is asked for before the app is loaded (I9)."""
    served = await serve(TINY)
    app = served.project / "app.py"
    app.write_text(TINY + '\nprint("the app was loaded", flush=True)\n')
    second = type(served)(served.project, served.state)
    with pytest.raises(DidNotStart) as caught:
        await second.start()
    assert "the app was loaded" not in str(caught.value)


def _files(served: ServedProject) -> dict[str, tuple[bytes, int, int]]:
    """Return content, time of change and mode of every file of a project and of its runtime."""
    found = {}
    for folder in (served.project / ".pylon", served.state):
        for path in folder.rglob("*"):
            if path.is_file():
                about = path.stat()
                found[str(path)] = (path.read_bytes(), about.st_mtime_ns, about.st_mode)
    return found


async def test_a_second_owner_changes_no_byte(serve: Serve) -> None:
    """Its start fails, and everything lies as it lay (I9)."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    await ada.insert("Thing", name="x")
    os.kill(served.pid, signal.SIGUSR1)  # the owner's stacks are there to be harmed
    await asyncio.sleep(1.5)  # and its witness is written
    before = _files(served)
    for mode in ("dev", "serve"):
        second = type(served)(served.project, served.state, mode=mode)
        with pytest.raises(DidNotStart):
            await second.start()
    assert _files(served) == before
    os.kill(served.pid, signal.SIGSTOP)
    try:
        third = type(served)(served.project, served.state)
        with pytest.raises(DidNotStart):
            await third.start()
    finally:
        os.kill(served.pid, signal.SIGCONT)
    assert _files(served) == before, "also while the owner is stopped"


async def test_of_many_that_start_at_once_one_owns(serve: Serve) -> None:
    """Over a folder that is not there yet, and over one that was killed."""
    served = await serve(TINY, is_started=False)
    for _ in range(3):
        racing = [type(served)(served.project, served.state) for _ in range(5)]
        results = await asyncio.gather(*(one.start() for one in racing), return_exceptions=True)
        owners = [one for one in results if isinstance(one, ServedProject)]
        refused = [one for one in results if isinstance(one, DidNotStart)]
        assert (len(owners), len(refused)) == (1, 4), results
        assert all("in use by another runtime" in str(one) for one in refused)
        assert (await owners[0].anonymous().get("/api/health")).status == 200
        await owners[0].stop(signal.SIGKILL)
        for one in racing:
            await one.close()


@pytest.mark.parametrize("mask", [0o000, 0o077])
async def test_only_the_owner_reads_the_data(serve: Serve, mask: int) -> None:
    """Folder 0700 and files 0600, whatever the umask says."""
    before = os.umask(mask)
    try:
        served = await serve(TINY)
        ada = await served.login("ada@example.com")
        await ada.insert("Thing", name="x")
        await served.anonymous().post("/api/auth/magic/send", {"email": "ada@example.com"})
    finally:
        os.umask(before)
    folder = served.project / ".pylon"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    for path in served.state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_quick_clean_and_whole(serve: Serve, number: signal.Signals) -> None:
    """Writes in flight are answered, the exit code is 0, no thread keeps the process."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    answers: list[str] = []

    async def write(n: int) -> None:
        while True:
            try:
                answer = await ada.post("/api/entities/Thing", {"name": f"{n}"})
            except OSError:
                return
            if answer.status == 201:
                answers.append(answer.body["id"])
            elif answer.status == 503:
                return

    writers = [asyncio.create_task(write(n)) for n in range(8)]
    await asyncio.sleep(0.5)
    started = time.monotonic()
    code = await served.stop(number)
    assert code == 0
    assert time.monotonic() - started < 10
    await asyncio.gather(*writers, return_exceptions=True)
    await served.start()
    kept = set()
    after = None
    while True:
        page = await ada.post("/api/query/Thing", {"limit": 1000, "after": after})
        kept |= {row["id"] for row in page.body["rows"]}
        after = page.body["next"]
        if after is None:
            break
    assert set(answers) <= kept, "what was acknowledged is there"


async def test_additive_changes_apply_in_dev_and_wait_in_serve(serve: Serve) -> None:
    """`serve` refuses a pending migration and says how; --migrate applies it."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    await ada.insert("Thing", name="x")
    await served.stop()
    app = served.project / "app.py"
    app.write_text(TINY + '    colour: str = "red"\n')
    strict = type(served)(served.project, served.state, mode="serve")
    with pytest.raises(DidNotStart) as caught:
        await strict.start()
    assert "Thing.colour" in str(caught.value)
    assert "--migrate" in str(caught.value)
    willing = type(served)(served.project, served.state, mode="serve", extra=("--migrate",))
    await willing.start()
    served.port = willing.port
    assert (await ada.get("/api/entities/Thing")).body["rows"][0]["colour"] == "red"
    await willing.close()


async def test_a_lossy_change_is_a_plan_with_counts(serve: Serve) -> None:
    """Nothing is lost without consent; what live rows do not allow is said with numbers."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    for n in range(3):
        await ada.insert("Thing", name="same", size=n)
    await served.stop()
    app = served.project / "app.py"
    app.write_text(TINY.replace("    size: int = 0\n", ""))
    with pytest.raises(DidNotStart) as caught:
        await served.start()
    assert "3 rows have a value" in str(caught.value)
    app.write_text(TINY + '    by_name = unique("name")\n')
    with pytest.raises(DidNotStart) as caught:
        await served.start()
    assert "2 duplicates in Thing.name" in str(caught.value)
    app.write_text(TINY)
    await served.start()
    assert len((await ada.get("/api/entities/Thing")).body["rows"]) == 3


async def test_an_older_copy_in_place_begins_another_epoch(serve: Serve) -> None:
    """A rolled-back file is noticed by its witness; cursors and sessions of the old line end."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    await ada.insert("Thing", name="one")
    await served.stop()
    copy = served.project.parent / "copy"
    shutil.copytree(served.project / ".pylon", copy)
    await served.start()
    await ada.insert("Thing", name="two")
    head = (await ada.get("/api/health")).body["head"]
    await served.stop()
    shutil.rmtree(served.project / ".pylon")
    shutil.copytree(copy, served.project / ".pylon")
    await served.start()
    now = (await served.anonymous().get("/api/health")).body["head"]
    assert now.split(":")[0] != head.split(":")[0]
    assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"
    bob = await served.login("bob@example.com")
    pulled = await bob.get(f"/api/sync/pull?cursor={head}")
    assert pulled.body["error"]["details"]["reason"] == "epoch_changed"


async def test_numbers_are_never_used_twice(serve: Serve) -> None:
    """A sequence number that a deleted row had is not given again after a restart (I13)."""
    served = await serve(TINY)
    ada = await served.login("ada@example.com")
    row = await ada.insert("Thing", name="x")
    await served.stop()
    await served.start()
    assert (await ada.insert("Thing", name="y"))["_seq"] > row["_seq"]


async def test_health_tells_what_the_owner_may_know(serve: Serve) -> None:
    """Everybody learns that it runs; sizes and modes are for the owner."""
    served = await serve(TINY, environment={"PYLON_ADMIN_TOKEN": "s" * 40})
    plain = (await served.anonymous().get("/api/health")).body
    assert set(plain) == {"status", "app", "version", "head", "schema"}
    full = await served.anonymous().ask(
        "GET", "/api/health?full=1", headers={"Authorization": "Bearer " + "s" * 40}
    )
    assert full.body["synchronous"] == "full"
    assert full.body["journal_mode"] == "wal"
    assert (await served.anonymous().get("/api/admin/status")).code == "UNAUTHENTICATED"


async def test_the_admin_socket_is_the_owners_alone(serve: Serve) -> None:
    """It answers over the Unix socket, and is gone after the stop."""
    served = await serve(NOTES)
    path = next((served.state / "run").glob("*/admin.sock"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    admin = AdminClient("http://127.0.0.1", socket_path=path)
    try:
        assert (await admin.get("admin/status"))["pid"] == served.pid
    finally:
        await admin.close()
    await served.stop()
    assert not path.exists()
    assert not list(Path(served.state / "run").glob("*/runtime.json"))


async def test_a_wrong_setting_stops_the_start(serve: Serve) -> None:
    """Unknown keys and wrong types name file, line and the nearest key."""
    served = await serve(TINY, is_started=False, toml='[server]\nhost = "127.0.0.1"\nprot = 1\n')
    with pytest.raises(DidNotStart) as caught:
        await served.start()
    assert "pylon.toml:3" in str(caught.value)
    assert "server.port" in str(caught.value)


async def test_accounts_can_be_made_before_the_first_start(serve: Serve) -> None:
    """`pylon roles grant` on a project that never ran; the person is there when it does."""
    served = await serve(TINY, is_started=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "roles", "grant", "ada@example.com", "admin",
        "--project", str(served.project), "--json",
        env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert b'"roles":["admin"]' in out
    await served.start()
    ada = await served.login("ada@example.com")
    assert (await ada.get("/api/auth/me")).body["roles"] == ["admin"]
    assert (await ada.get(f"/api/entities/User/{ada.user_id}")).status == 200


STUBBORN = (
    TINY
    + """

import asyncio


@app.action
async def never(ctx) -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except BaseException:
            pass


@app.on_stop
async def hang() -> None:
    await asyncio.sleep(60)
"""
)


@pytest.mark.alone  # it judges seconds
async def test_no_code_of_the_app_keeps_a_runtime_from_stopping(serve: Serve) -> None:
    """An action that can't be cancelled and a hook that hangs: sockets are seen off, exit 0."""
    served = await serve(STUBBORN)
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Thing"})
    await socket.until("snapshot")
    stream = await served.session.get(
        f"{served.url}/api/sync/events?cursor=0", headers=ada.headers
    )  # fmt: skip
    waiting = asyncio.create_task(ada.call("never"))
    await asyncio.sleep(0.3)
    operation = {"op_id": "last", "fn": "pylon.insert",
                 "args": {"entity": "Thing", "values": {"name": "last"}}}  # fmt: skip
    await socket.send({"type": "push", "request_id": "p", "operations": [operation]})
    started = time.monotonic()
    stopping = asyncio.create_task(served.stop())
    goaway = await socket.until("goaway", 3)
    assert time.monotonic() - started < 1.5, "nobody waits for the slow before he is told"
    assert goaway["reason"] == "stopping"
    assert any(one["type"] == "results" for one in socket.seen), "what was pushed is answered"
    assert (await socket.next())["code"] == 1001
    assert b"event: goaway" in await stream.read()
    assert await stopping == 0
    assert time.monotonic() - started < 10
    assert "Traceback" not in served.output
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting


@pytest.mark.parametrize("app", [TINY, "def broken(:\n"], ids=["good", "broken"])
async def test_a_runtime_whose_starter_dies_before_it_listens_ends(
    tmp_path: Path, app: str
) -> None:
    """Nobody reads what it prints and nobody holds its input: it stops, threads and all (I100)."""
    (tmp_path / "app.py").write_text(app)
    unread, printed = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon.server", "--project", str(tmp_path), "--port", "0",
        env={**os.environ, "PYLON_STATE_DIR": str(tmp_path / "state")},
        stdin=asyncio.subprocess.PIPE, stdout=printed, stderr=printed,
    )  # fmt: skip
    os.close(printed)
    os.close(unread)
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
