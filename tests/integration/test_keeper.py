"""What runs with no terminal is supervised all the same: restarted, slept, woken, ended."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import ports
from pylon.supervisor.claim import last_record, supervised
from pylon.supervisor.door import SupervisorRefused, ask_supervisor
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.registry import known_projects, running_runtime
from pylon.supervisor.supervisor import Supervisor
from tests.kept import end, make_project, pylon, record_of, runtimes_of, state_is, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project; what runs in it is ended afterwards."""
    folder = make_project(tmp_path / "kept")
    yield folder
    end(folder)


def _detach(project: Path, *more: str) -> str:
    done = pylon("dev", str(project), "--no-tui", "--detach", "--port", "0", *more)
    return done.stdout.strip().removeprefix("listening on ")


async def test_a_detached_runtime_that_dies_or_hangs_is_started_again(project: Path) -> None:
    """A crash and a loop that never comes back: the keeper sees to both, on the same port."""
    url = _detach(project)
    (first,) = runtimes_of(project)
    os.kill(first, signal.SIGKILL)
    until(lambda: runtimes_of(project) not in ([], [first]))
    until(state_is(project, "running"))
    (second,) = runtimes_of(project)
    os.kill(second, signal.SIGSTOP)  # its loop does not answer any more, whatever is asked
    until(lambda: runtimes_of(project) not in ([], [second]))
    until(state_is(project, "running"))
    assert "did not answer" in record_of(project).error
    async with aiohttp.ClientSession() as http, http.get(f"{url}/api/health") as answer:
        assert answer.status == 200


async def test_a_detached_project_is_loaded_anew_at_a_save(project: Path) -> None:
    """As under `pylon dev`; a mistake stands in the list of projects, the old version serves."""
    url = _detach(project)

    def answers(name: str) -> Callable[[], bool]:
        def asked() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/api/health") as answer:
                    return json.load(answer)["app"] == name
            except urllib.error.HTTPError as refused:
                if refused.code != 503:
                    raise
                return False  # it is being started anew
            except (urllib.error.URLError, http.client.HTTPException):
                return False  # between the one and the next

        return asked

    source = project / "app.py"
    text = source.read_text()
    name = json.loads(urllib.request.urlopen(f"{url}/api/health").read())["app"]
    source.write_text(text.replace(f'"{name}"', '"anew"'))
    until(answers("anew"))
    (before,) = runtimes_of(project)
    source.write_text("this is no python\n")
    until(lambda: "reload.failed app.py" in record_of(project).error)
    assert answers("anew")()
    assert runtimes_of(project) == [before]
    (project / "pylon.toml").write_text("[log]\nretain_days = 5\n")
    source.write_text(text)
    until(answers(name))
    until(lambda: runtimes_of(project) not in ([], [before]))


async def test_a_start_that_fails_says_why_and_leaves_nothing(project: Path) -> None:
    """The words of the runtime come through, the command fails, no keeper stays."""
    (project / "app.py").write_text("this is no Python\n")
    done = pylon("dev", str(project), "--no-tui", "--detach", "--port", "0", code=1)
    assert "app.py:1" in done.stderr
    assert supervised(project) is None
    assert runtimes_of(project) == []
    left = last_record(project)
    assert left is not None
    assert left.error


async def test_a_killed_keeper_takes_its_runtime_with_it_and_the_next_one_starts(
    project: Path,
) -> None:
    """No orphan stays, and nothing that was left lying keeps anybody out."""
    _detach(project)
    os.kill(record_of(project).pid, signal.SIGKILL)
    until(lambda: runtimes_of(project) == [], 20)
    assert supervised(project) is None
    assert _detach(project)
    assert pylon("dev", str(project), "--no-tui", "--detach", code=1).stderr.count(
        "ALREADY_SUPERVISED"
    )
    await ask_supervisor(project, "stop")
    until(lambda: supervised(project) is None)
    with pytest.raises(SupervisorRefused, match="nobody supervises kept"):
        await ask_supervisor(project, "wake")


async def test_all_who_come_while_it_sleeps_are_answered(project: Path) -> None:
    """Twenty at once, the first of which wakes it: none is refused, none is lost."""
    url = _detach(project, "--sleep-after", "0.02")
    async with aiohttp.ClientSession() as http:
        for round_ in range(2):
            until(state_is(project, "asleep"))
            assert running_runtime(project) is None
            started = time.monotonic()
            answers = await asyncio.gather(
                *(http.post(f"{url}/api/entities/Note", json={"text": "x"}) for _ in range(20)),
                return_exceptions=True,
            )
            # Anonymous callers may not write by themselves: what counts is who answered.
            assert [one.status for one in answers] == [401] * 20, answers  # type: ignore[union-attr]
            print(f"round {round_}: 20 answers {time.monotonic() - started:.2f} s after the first")
    assert record_of(project).port == int(url.rpartition(":")[2])


async def test_who_is_there_keeps_it_awake_and_a_person_may_not_put_it_to_sleep(
    project: Path,
) -> None:
    """An open stream is somebody: refused with the reason; once he has left it may sleep."""
    _detach(project, "--sleep-after", "0")
    admin = AdminClient.local(project)
    try:
        stream = admin.stream()
        await anext(stream)
        with pytest.raises(SupervisorRefused, match="is awake: 1 open connection"):
            await ask_supervisor(project, "sleep")
        await stream.aclose()  # type: ignore[attr-defined]
    finally:
        await admin.close()
    for _ in range(50):
        try:
            record = await ask_supervisor(project, "sleep")
            break
        except SupervisorRefused:
            await asyncio.sleep(0.1)
    assert record["state"] == "asleep"
    assert (await ask_supervisor(project, "wake"))["state"] == "running"


class _Ahead(SystemClock):
    """A clock whose wall time can be moved."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A supervisor in this process."""
    made = Supervisor(make_project(tmp_path / "kept"), _Ahead(), mode="dev", port=0)
    await made.start()
    await made.until(ProcessState.RUNNING, ProcessState.FAILED, timeout_s=60)
    yield made
    await made.stop()


async def test_it_is_woken_for_a_job_that_is_due(supervisor: Supervisor) -> None:
    """Something due soon keeps it awake; something due later wakes it a moment before."""
    await supervisor.admin.post("admin/call", {"fn": "later", "args": {"seconds": 30}})
    with pytest.raises(Exception, match="write is due within 60 s"):
        await supervisor.doze()
    found = await supervisor.admin.get("admin/jobs")
    await supervisor.admin.post(f"admin/jobs/{found['jobs'][0]['id']}/cancel", {})
    await supervisor.admin.post("admin/call", {"fn": "later", "args": {"seconds": 600}})
    await supervisor.doze()
    await supervisor.until(ProcessState.ASLEEP, timeout_s=30)
    due = supervisor.record.wake_at_ms
    assert due is not None
    clock = supervisor.clock
    assert isinstance(clock, _Ahead)
    assert 500_000 < due - clock.now_ms() < 600_000
    clock.ahead_ms = due - clock.now_ms() - 3_600_000  # not yet
    await asyncio.sleep(1.2)
    assert supervisor.state is ProcessState.ASLEEP
    clock.ahead_ms += 3_600_000
    await supervisor.until(ProcessState.RUNNING, timeout_s=60)


def test_two_starts_at_once_get_two_ports_and_keep_them(tmp_path: Path) -> None:
    """From nothing, again after a stop, and each remembers its own; none is lost from the list."""
    projects = [make_project(tmp_path / f"p{number}") for number in range(3)]
    try:
        for _ in range(2):
            starts = [
                subprocess.Popen(
                    [sys.executable, "-m", "pylon", "dev", str(one), "--no-tui", "--detach"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True,
                )
                for one in projects
            ]  # fmt: skip
            said = [one.communicate(timeout=120)[0] for one in starts]
            assert [one.returncode for one in starts] == [0, 0, 0], said
            given = [record_of(one).port for one in projects]
            assert len(set(given)) == 3
            assert [ports.known_ports()[str(one)] for one in projects] == given
            assert {one.path for one in known_projects()} == {str(one) for one in projects}
            for one in projects:
                asyncio.run(ask_supervisor(one, "stop"))
                until(lambda one=one: supervised(one) is None)  # type: ignore[misc]
    finally:
        for one in projects:
            end(one)


def test_two_starts_of_one_project_are_one(project: Path) -> None:
    """One of them has it, the other says who; there is one runtime."""
    starts = [
        subprocess.Popen(
            [sys.executable, "-m", "pylon", "dev", str(project), "--no-tui", "--detach"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    said = [one.communicate(timeout=120) for one in starts]
    assert sorted(one.returncode for one in starts) == [0, 1, 1], said
    assert len([one for one in said if "ALREADY_SUPERVISED" in one[1]]) == 2
    assert len(runtimes_of(project)) == 1


def test_a_port_that_is_named_is_not_taken_from_another(project: Path, tmp_path: Path) -> None:
    """Who asks for the port of one that sleeps is told whose it is."""
    _detach(project, "--sleep-after", "0.01")
    until(state_is(project, "asleep"))
    other = make_project(tmp_path / "other")
    port = str(record_of(project).port)
    done = pylon("dev", str(other), "--no-tui", "--detach", "--port", port, code=1)
    assert "ADDRESS_IN_USE" in done.stderr
    assert str(project) in done.stderr
    assert state_is(project, "asleep")()
