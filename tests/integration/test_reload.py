"""Hot reload end to end: a save becomes live, sockets stay, calls finish on their version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.cli.address import check_settings
from pylon.clock import SystemClock
from pylon.devtools.codegen.app import MARK
from pylon.devtools.session import DevSession, ReloadReport
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor
from pylon.testing.served import Caller, ServedProject

APP = """
from __future__ import annotations

import asyncio

from pylon import App, Entity, field

app = App("live", version="1")


@app.entity(read="auth.userId != null", insert="auth.userId != null", update="auth.userId != null")
class Thing(Entity):
    name: str


@app.query(allow="true")
def version(ctx) -> int:
    return 1


@app.action(allow="true")
async def slow(ctx) -> int:
    await asyncio.sleep(1.0)
    return 1
"""


class Live:
    """A supervised project with its dev session."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.app = project / "app.py"
        self.reports: asyncio.Queue[ReloadReport] = asyncio.Queue()
        self.supervisor = Supervisor(project, SystemClock(), mode="dev", port=0)
        self.session = DevSession(
            project, self.supervisor, self.reports.put_nowait, SystemClock(),
            lambda: check_settings(project),
        )  # fmt: skip
        self.served = ServedProject(project, project)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.supervisor.start()
        await self.supervisor.until(ProcessState.RUNNING, ProcessState.FAILED, timeout_s=60)
        self.served.port = self.supervisor.port
        self._task = asyncio.create_task(self.session.run())
        async with asyncio.timeout(60):
            await self.session.is_watching.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.supervisor.stop()
        await self.served.close()

    async def watch_again(self, *, saying: str) -> None:
        """Begin a session anew, with a save between its look at the files and its watching."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.session = DevSession(
            self.project, self.supervisor, self.reports.put_nowait, SystemClock()
        )
        self._task = asyncio.create_task(self.session.run())
        while not self.session._hashes:
            await asyncio.sleep(0)
        assert not self.session.is_watching.is_set()
        self.app.write_text(saying)

    async def save(self, text: str) -> ReloadReport:
        """Save the app and return what that led to."""
        self.app.write_text(text)
        async with asyncio.timeout(60):
            return await self.reports.get()

    async def version(self) -> int:
        """Ask the running app which version it is."""
        value: int = (await self.served.anonymous().call("version")).body["value"]
        return value


Start = Callable[..., Awaitable[Live]]


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a live project."""
    started: list[Live] = []

    async def start(source: str = APP) -> Live:
        project = tmp_path / "live"
        project.mkdir()
        (project / "app.py").write_text(source)
        one = Live(project)
        started.append(one)
        await one.start()
        return one

    yield start
    for one in started:
        await one.stop()


async def _login(one: Live) -> Caller:
    return await one.served.login("ada@example.com")


async def test_settings_with_a_mistake_stop_nothing(live: Start) -> None:
    """A broken pylon.toml is reported with file and line; the runtime runs on as it was."""
    one = await live()
    pid = one.supervisor.pid
    (one.project / "pylon.toml").write_text("[server]\nprot = 1\n")
    async with asyncio.timeout(60):
        report = await one.reports.get()
    assert not report.ok
    assert "pylon.toml:2" in report.mistakes[0]
    assert "server.port" in report.mistakes[0]
    assert one.supervisor.pid == pid
    assert await one.version() == 1


async def test_a_save_is_live_and_sockets_stay(live: Start) -> None:
    """The new version answers; an open socket gets `schema` and its changes go on."""
    one = await live()
    ada = await _login(one)
    socket = await ada.sync({"id": "s", "entity": "Thing"})
    await socket.until("snapshot")
    assert await one.version() == 1
    report = await one.save(APP.replace("return 1", "return 2"))
    assert report.ok, report.mistakes
    assert await one.version() == 2
    await socket.until("schema")
    await ada.insert("Thing", name="after")
    batch = await socket.until("changes")
    while not batch["changes"]:
        batch = await socket.until("changes")
    assert batch["changes"][0]["row"]["name"] == "after"
    await socket.close()


async def test_a_save_before_the_watching_began_is_live(live: Start) -> None:
    """Who saves while the checker is still starting is not forgotten until the next save."""
    one = await live()
    await one.watch_again(saying=APP.replace("return 1", "return 2"))
    async with asyncio.timeout(60):
        report = await one.reports.get()
    assert report.ok
    assert await one.version() == 2


async def test_a_call_in_flight_finishes_on_its_version(live: Start) -> None:
    """The old generation answers what it began."""
    one = await live()
    begun = asyncio.create_task(one.served.anonymous().call("slow"))
    await asyncio.sleep(0.2)
    report = await one.save(APP.replace("return 1", "return 2"))
    assert report.ok
    assert await one.version() == 2
    assert (await begun).body["value"] == 1


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (APP[: len(APP) // 2] + "\n    (", "app.py:"),
        (APP + "\nraise RuntimeError('at import')\n", "at import"),
        (APP + "\nimport sys\nsys.exit(3)\n", "exit(3)"),
        (APP.replace("name: str", "name: strr"), "strr"),
        (
            APP.replace('read="auth.userId != null"', 'read="data.nme == null"'),
            "did you mean name?",
        ),
        (APP + "\nwhile True:\n    pass\n", "longer than"),
    ],
    ids=["half written", "raises", "exits", "wrong annotation", "wrong policy", "never ends"],
)
async def test_a_broken_save_never_runs(live: Start, broken: str, says: str) -> None:
    """The old version serves on, and the report says what is wrong and where."""
    one = await live()
    report = await one.save(broken)
    assert not report.ok
    assert says in "\n".join(report.mistakes)
    assert await one.version() == 1
    report = await one.save(APP.replace("return 1", "return 3"))
    assert report.ok
    assert await one.version() == 3


async def test_an_added_field_is_there_at_once(live: Start) -> None:
    """Additive schema changes apply with the save; old rows read the default."""
    one = await live()
    ada = await _login(one)
    await ada.insert("Thing", name="old")
    report = await one.save(APP.replace("    name: str\n", "    name: str\n    size: int = 7\n"))
    assert report.ok, report.mistakes
    assert (await ada.get("/api/entities/Thing")).body["rows"][0]["size"] == 7
    assert (await ada.insert("Thing", name="new", size=9))["size"] == 9


async def test_a_renamed_field_starts_clients_over(live: Start) -> None:
    """Rows written anew reach who holds the old ones: on the socket, and by an old cursor."""
    one = await live()
    ada = await _login(one)
    await ada.insert("Thing", name="x")
    socket = await ada.sync({"id": "s", "entity": "Thing"})
    before = (await socket.until("snapshot"))["at"]
    added = APP.replace("    name: str\n", "    name: str\n    size: int = 7\n")
    report = await one.save(added)
    assert report.ok, report.mistakes
    await socket.until("schema")
    renamed = added.replace("    name: str\n", '    title: str = field(renamed_from="name")\n')
    report = await one.save(renamed)
    assert report.ok, report.mistakes
    told = await socket.until("resync")
    assert told["reason"] == "schema_changed"
    page = await socket.until("snapshot")
    assert [(row["title"], row["size"]) for row in page["rows"]] == [("x", 7)]
    answer = await ada.get(f"/api/sync/pull?cursor={before}")
    assert (answer.status, answer.body["error"]["details"]["reason"]) == (410, "schema_changed")
    assert (await ada.get(f"/api/sync/pull?cursor={told['head']}")).status == 200
    assert (await ada.get("/api/sync/pull")).status == 410
    await ada.insert("Thing", title="y")
    batch = await socket.until("changes")
    while not batch["changes"]:
        batch = await socket.until("changes")
    assert batch["changes"][0]["row"]["title"] == "y"
    await socket.close()


async def test_a_lossy_save_waits_for_consent(live: Start) -> None:
    """The plan with its counts is in the report; with consent it is applied, after a copy."""
    source = APP.replace("    name: str\n", "    name: str\n    size: int = 7\n")
    one = await live(source)
    ada = await _login(one)
    await ada.insert("Thing", name="x")
    report = await one.save(APP)
    assert not report.ok
    assert "1 row" in report.plan
    assert (await ada.get("/api/entities/Thing")).body["rows"][0]["size"] == 7
    answer: dict[str, Any] = await one.supervisor.reload(consent=True)
    assert answer["ok"], answer
    assert "size" not in (await ada.get("/api/entities/Thing")).body["rows"][0]
    assert list((one.project / ".pylon" / "branches").iterdir())


async def test_a_tighter_bound_waits_where_rows_break_it(live: Start) -> None:
    """Refused with counts; agreed to, the rows stay, and are held to it when they are written."""
    bounded = APP.replace(
        "    name: str\n", "    name: str = field(max_length=3)\n    n: int = 0\n"
    )
    one = await live(APP.replace("    name: str\n", "    name: str\n    n: int = 0\n"))
    ada = await _login(one)
    row = await ada.insert("Thing", name="long")
    report = await one.save(bounded)
    assert not report.ok
    assert "Thing: 1 row has a name longer than 3 characters; it stays as it is" in report.plan
    assert (await ada.insert("Thing", name="longer"))["name"] == "longer"
    answer: dict[str, Any] = await one.supervisor.reload(consent=True)
    assert answer["ok"], answer
    assert list((one.project / ".pylon" / "branches").iterdir())
    path = f"/api/entities/Thing/{row['id']}"
    assert (await ada.get(path)).body["name"] == "long"
    assert (await ada.ask("PATCH", path, {"n": 1})).body["name"] == "long"
    refused = await ada.ask("PATCH", path, {"name": "short"})
    assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT")
    report = await one.save(bounded.replace("max_length=3", "max_length=9"))
    assert report.ok, report.mistakes
    report = await one.save(bounded.replace("max_length=3", "max_length=7"))
    assert report.ok, report.mistakes


async def test_generated_types_follow_a_save(live: Start) -> None:
    """What `pylon codegen` once wrote is written again, at the start and with each good save."""
    one = await live()
    target = one.project / "web" / "pylon.gen.ts"
    assert not target.exists()
    target.parent.mkdir()
    target.write_text(f"{MARK} once\n")
    report = await one.save(APP.replace("    name: str\n", "    name: str\n    size: int = 7\n"))
    assert report.ok, report.mistakes
    async with asyncio.timeout(60):
        while "readonly size: number;" not in target.read_text():
            await asyncio.sleep(0.05)
    assert one.reports.empty()


async def test_a_page_is_told_to_load_again(live: Start) -> None:
    """A save below web/ reaches open pages, and reloads no app."""
    one = await live()
    (one.project / "web").mkdir()
    await asyncio.sleep(0.3)
    async with one.served.session.get(
        one.served.url + "/_pylon/dev/events", timeout=aiohttp.ClientTimeout(total=15)
    ) as stream:
        assert b"connected" in await stream.content.readline()
        (one.project / "web" / "index.html").write_text("<p>hi</p>")
        async for line in stream.content:
            if line.startswith(b"event: reload"):
                break
    page = await one.served.anonymous().get("/")
    assert "<p>hi</p>" in page.body


async def test_a_project_that_could_not_start_is_started_by_the_save_that_mends_it(
    live: Start,
) -> None:
    """Broken at the first start: the supervisor waits, and the next good save brings it up."""
    one = await live(APP + "\nbroken (")
    assert one.supervisor.state is ProcessState.FAILED
    report = await one.save(APP)
    assert report.ok, report.mistakes
    assert await one.version() == 1
