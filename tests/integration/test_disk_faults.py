"""Disks that are full or fail, for real: what cannot be stored is said, and nothing else harmed.

A small tmpfs, a limit on the size of files, and system calls that the kernel is made to refuse.
In all of it the driver's journal holds: no acknowledged write is lost, unknown ones happened once
or not at all (I6), reads go on, and writing resumes once the fault is gone (I7).
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kill_world import World
from tests.integration.killing import ACCOUNTS

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A project with somebody who works on it; started by the test."""
    made = World(tmp_path, 5)
    yield made
    await made.close()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Put a file system of its own under a folder."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs is not allowed here (it needs root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def _status(world: World) -> str:
    health = await world.served.anonymous().get("/api/health")
    status: str = health.body["status"]
    assert (health.status == 200) is (status == "ok")
    return status


async def _until(world: World, *wanted: str, within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while await _status(world) not in wanted:
            await asyncio.sleep(0.02)


async def _reads_go_on(world: World) -> None:
    """Lists are answered, but for the moments in which the file is opened again."""
    async with asyncio.timeout(60):
        while True:
            listed = await world.served.anonymous().get("/api/entities/Account")
            if listed.status == 200:
                break
            assert listed.body["error"]["details"] == {"reason": "recovering"}
            await asyncio.sleep(0.01)
    assert len(listed.body["rows"]) == ACCOUNTS


async def _let_go(load: list[asyncio.Task[None]]) -> None:
    """End the work; what has no answer is unknown. Nobody met anything that was not foreseen."""
    for task in load:
        task.cancel()
    for result in await asyncio.gather(*load, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def _holds(world: World) -> None:
    """Everything that was said is true, of the running runtime and of the next one."""
    await _until(world, "ok")
    await world.driver.ask_again(20)
    world.check(is_full=True)
    await world.kill_at_random()
    await world.recover()


async def _refusals(world: World) -> list[dict[str, Any]]:
    """Write a little of everything; return the errors."""
    insert = {"entity": "Note", "values": {"text": "z" * 9_000}}
    pushed = await world.driver.ada.post(
        "/api/sync/push",
        {"client_id": "x", "operations": [{"op_id": "x", "fn": "pylon.insert", "args": insert}]},
    )
    row = await world.driver.ada.post("/api/entities/Note", insert["values"])
    called = await world.driver.ada.call("move", **world.driver._move())
    assert (row.status, called.status) == (503, 503)
    assert pushed.body["results"][0]["status"] == "retry"
    return [pushed.body["results"][0]["error"], row.body["error"], called.body["error"]]


async def test_a_full_disk_refuses_writes_and_nothing_else(world: World) -> None:
    """Full under load, held so, full at a kill, and with room again."""
    data = world.served.project / ".pylon"
    with small_disk(data, "8m"):
        await world.found()
        load = world.driver.load()
        with (data / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, _free(data) - 400_000)
            await _until(world, "disk_full")
            for error in await _refusals(world):
                assert (error["code"], error["details"]) == (
                    "UNAVAILABLE", {"reason": "disk_full"}
                )  # fmt: skip
            await asyncio.sleep(0.3)
            reads = world.journal.reads
            await _reads_go_on(world)
            async with asyncio.timeout(60):
                while world.journal.reads < reads + 5:  # and so do pulls
                    await asyncio.sleep(0.01)
            await world.served.stop(signal.SIGKILL)
            await asyncio.gather(*load)
        (data / "ballast").unlink()
        await world.recover()
        load = world.driver.load()
        await asyncio.sleep(0.1)
        with (data / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, _free(data) - 300_000)
            await _until(world, "disk_full")
        (data / "ballast").unlink()
        await _until(world, "ok")
        await asyncio.sleep(0.1)
        await _let_go(load)
        await _holds(world)
        await world.close()


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


async def test_a_limit_on_files_is_survived(world: World) -> None:
    """The journal may not grow any more: commits fail half written, until they may again."""
    await world.found()
    journal = world.database.with_name("app.db-wal")
    for more in (0, 5_000, 30_000):
        load = world.driver.load()
        await asyncio.sleep(0.1)
        limit = journal.stat().st_size + more
        resource.prlimit(world.served.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        async with asyncio.timeout(60):
            while await _status(world) == "ok":
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await _reads_go_on(world)
        infinite = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(world.served.pid, resource.RLIMIT_FSIZE, infinite)
        await _until(world, "ok")
        await asyncio.sleep(0.05)
        await _let_go(load)
        await _holds(world)


#: What the kernel is made to refuse, with what; the n-th call once, and from the n-th call on.
CALLS = [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")]
NUMBERS = (1, 3, 8)


@pytest.mark.slow
@pytest.mark.timeout(600 * SCALE)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("call", "error"), CALLS)
async def test_a_refused_system_call_is_survived(world: World, call: str, error: str) -> None:
    """Wherever it strikes: nobody is told yes for what is not there, and it goes on afterwards."""
    await world.found()
    for number in range(1, 12 * SCALE) if SCALE > 1 else NUMBERS:
        for when in (f"{number}", f"{number}+"):
            load = world.driver.load()
            tracer = await _inject(world.served.pid, f"{call}:error={error}:when={when}")
            await asyncio.sleep(0.15)
            tracer.send_signal(signal.SIGINT)  # it lets go, and the fault is gone
            await tracer.wait()
            await _until(world, "ok")
            await _let_go(load)
            await world.driver.ask_again(20)
            world.check(is_full=False)
    await _holds(world)
    assert "storage" in world.served.output, "it did strike"


async def _inject(pid: int, fault: str) -> asyncio.subprocess.Process:
    call = fault.partition(":")[0]
    tracer = await asyncio.create_subprocess_exec(
        "strace", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={fault}",
        "-o", os.devnull, "-p", str(pid),
    )  # fmt: skip
    async with asyncio.timeout(60):
        while not _is_traced(pid):
            assert tracer.returncode is None, "strace may not attach"
            await asyncio.sleep(0.005)
    return tracer


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0" not in status
