"""Files and their owner: the admin API, the command line, sweeps, backups, kill -9."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, limits_files
from tests.conftest import Serve
from tests.integration.files_app import FILES, Front, files_front
from tests.shell import Shell


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


async def _admin(front: Front, method: str, path: str, data: Any = None) -> Any:
    services = front.rt.runtime.services
    owner = front.nobody()
    got = await owner.ask(
        method, f"/api/admin/{path}", data, Authorization=f"Bearer {services.admin_tokens[0]}"
    )
    assert got.status == 200, got
    return jsonvalue.parse(got.data)


async def test_the_owner_sees_and_deletes(front: Front) -> None:
    """Pages by size, states, who brought what and where it is; a delete empties the fields."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    small = await ann.upload(b"1", "small.txt")
    large = await bob.upload(b"2" * 5000, "large.png", "image/png")
    doc = await bob.insert("Doc", file=large["id"])
    await ann.ask("POST", "/api/files?resumable=1", Upload_Length="9", X_Filename="slow")
    found = await _admin(front, "GET", "files?order=largest&limit=1")
    assert [one["id"] for one in found["files"]] == [large["id"]]
    assert found["files"][0]["owners"] == [{"entity": "Doc", "row_id": doc["id"], "field": "file"}]
    assert found["files"][0]["email"] == "bob@example.com"
    rest = await _admin(front, "GET", f"files?order=largest&limit=1&after={found['next']}")
    assert [one["id"] for one in rest["files"]] == [small["id"]]
    totals = found["totals"]
    assert (totals["files"], totals["bytes"], totals["uploads"]) == (2, 5001, 1)
    assert found["uploads"][0]["name"] == "slow"
    for query, wanted in (
        ("state=fresh", [small["id"]]), ("uploader=bob@example.com", [large["id"]]),
        ("entity=Doc", [large["id"]]), ("q=SMALL", [small["id"]]), ("q=image/", [large["id"]]),
        ("search=user:bob", [large["id"]]), ("search=!.file", [small["id"]]),
        ("search=entity:doc%20png", [large["id"]]), ("search=!entity:doc", [small["id"]]),
        ("search=state:fresh", [small["id"]]),
        ("search=user:ann&state=fresh&entity=Doc", []), ("search=type:image", [large["id"]]),
        ("entity=Nothing", []),
    ):  # fmt: skip
        page = await _admin(front, "GET", f"files?{query}")
        assert [one["id"] for one in page["files"]] == wanted, query
    assert (await _admin(front, "GET", "files-verify?hash=1"))["ok"]
    shown = await _admin(front, "POST", f"files/{large['id']}/delete", {})
    assert (shown["state"], shown["owners"]) == ("released", [])
    got = await bob.ask("GET", f"/api/entities/Doc/{doc['id']}")
    assert jsonvalue.parse(got.data)["file"] is None
    swept = await _admin(front, "POST", "files/sweep", {"now": True})
    assert (swept["files"], swept["blobs"]) == (1, 1)
    assert front.blobs() == [small["sha256"]]
    (front.folder / "blobs" / small["sha256"][:2] / small["sha256"]).write_bytes(b"?")
    assert (await _admin(front, "GET", "files-verify"))["ok"], "of the right size"
    faults = (await _admin(front, "GET", "files-verify?hash=1"))["faults"]
    assert faults == [f"{small['sha256']} holds something else"]
    assert (await ann.ask("GET", "/api/admin/files")).status in (401, 403)


async def test_what_nobody_owns_is_swept(front: Front) -> None:
    """Files never owned, bytes and pieces that the database does not know; shared bytes stay."""
    ann = await front.person("ann@example.com")
    kept, alone = await ann.upload(b"kept"), await ann.upload(b"alone")
    twin = await ann.upload(b"kept")
    await ann.insert("Doc", file=kept["id"])
    (front.folder / "tmp" / "left").write_bytes(b"half")
    orphan = front.folder / "blobs" / "ab" / ("ab" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"?")
    await front.sweep()
    assert front.leftovers() == []
    assert orphan.exists(), "another database may know it"
    await front.sweep(limits_files.FILE_ORPHAN_SECONDS + 1)
    assert not orphan.exists()
    await front.sweep(limits_files.FILE_FRESH_SECONDS)
    ann = await front.person("ann@example.com")
    assert front.blobs() == [kept["sha256"]]
    assert [await ann.status_of(one["id"]) for one in (kept, alone, twin)] == [200, 404, 404]


async def test_who_is_gone_brought_nothing(front: Front) -> None:
    """With an account its rows' files go; what others' rows hold stays, and names nobody."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    fresh, shared = await ann.upload(b"fresh"), await ann.upload(b"shared")
    mine = await ann.insert("Doc", shared=True, file=shared["id"])
    await bob.insert("Doc", file=shared["id"])
    await ann.ask("DELETE", f"/api/entities/Doc/{mine['id']}")
    services = front.rt.runtime.services
    await services.own_data.delete(str(ann.user_id))
    assert await bob.status_of(shared["id"]) == 200
    found = await _admin(front, "GET", "files")
    assert {one["id"]: (one["state"], one["uploader"]) for one in found["files"]} == {
        fresh["id"]: ("released", None), shared["id"]: ("owned", None)
    }  # fmt: skip


async def test_kills_backups_and_the_command_line(serve: Serve, tmp_path: Path) -> None:
    """A killed upload leaves nothing readable; a backup has the files and brings them back."""
    served = await serve(FILES)
    ada, pylon = await served.login("ada@example.com"), Shell(served)
    data = bytes(range(256)) * 2000
    made = await ada.ask(
        "POST", "/api/files", data=data,
        headers={"X-Filename": "a.bin", "Content-Type": "application/zip"},
    )  # fmt: skip
    doc = await ada.insert("Doc", file=made.body["id"])

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"secret" * 10_000
        await asyncio.sleep(60)

    sending = asyncio.create_task(
        served.session.post(f"{served.url}/api/files", data=endless(), headers=ada.headers)
    )
    folder = served.project / ".pylon" / "files"
    async with asyncio.timeout(10):
        while not sum(one.stat().st_size for one in (folder / "tmp").iterdir()):
            await asyncio.sleep(0.01)
    await served.stop(signal.SIGKILL)
    await asyncio.gather(sending, return_exceptions=True)
    assert len(list((folder / "tmp").iterdir())) == 1
    await served.start()
    blobs = list((folder / "blobs").glob("*/*"))
    assert [one.name for one in blobs] == [made.body["sha256"]]
    async with asyncio.timeout(5):
        while list((folder / "tmp").iterdir()):
            await asyncio.sleep(0.02)
    backup = tmp_path / "b.db"
    said = await pylon("backup", str(backup))
    assert "b.db.files" in said
    assert "a.bin" in await pylon("files")
    assert await pylon("verify", str(backup), is_for_project=False)
    await ada.ask("DELETE", f"/api/entities/Doc/{doc['id']}")
    assert "1 files" in await pylon("files", "sweep", "--now")
    assert list((folder / "blobs").glob("*/*")) == []
    await served.stop()
    assert await pylon("restore", str(backup), "--yes")
    shutil.rmtree(f"{backup}.files")
    (tmp_path / "b.db.files").mkdir()
    said = await pylon("verify", str(backup), code=1, is_for_project=False)
    assert "do not fit" in said
    await served.start()
    ada = await served.login("ada@example.com")
    got = await served.session.get(served.url + made.body["url"], headers=ada.headers)
    assert await got.read() == data


async def test_a_sweep_takes_no_file_that_finds_its_row_at_that_moment(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was due as the sweep looked, and owned as it came to remove it; its bytes stay, too."""
    ann = await front.person("ann@example.com")
    made, late = await ann.upload(b"same bytes"), await ann.upload(b"same bytes")
    writer = front.rt.runtime.services.database.writer
    submit, docs = writer.submit, []

    def attach_first(work: Any, **given: Any) -> Any:
        async def both() -> Any:
            docs.append(await ann.ask("POST", "/api/entities/Doc", {"file": made["id"]}))
            return await submit(work, **given)

        monkeypatch.setattr(writer, "submit", submit)
        return asyncio.ensure_future(both())

    services = front.rt.runtime.services
    monkeypatch.setattr(writer, "submit", attach_first)
    later_ms = services.clock.now_ms() + 2 * 86_400_000
    await services.files.sweeper.sweep(now_ms=later_ms, is_full=True)
    assert docs[0].status == 201
    assert await ann.status_of(made["id"]) == 200
    assert await ann.status_of(late["id"]) == 404
    assert front.blobs() == [made["sha256"]]
