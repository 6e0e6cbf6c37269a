"""Files against those who want another's bytes, the app's origin, its headers or its disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pylon import limits_files
from pylon.server.files import images
from tests.integration.files_app import Front, Person, files_front

BYTES = "application/octet-stream"
#: Names that are paths, headers, controls or pages, and what is left of each.
NAMES = {
    "..%2f..%2fetc%2fpasswd": "passwd", "%2e%2e%5c%2e%2e%5cx": "x", "%00nul": "nul", "..": "file",
    "a%0d%0aX-Evil:%201": "aX-Evil: 1", "%e2%80%aegnp.exe": "gnp.exe", "%1b%5b2Jx": "[2Jx",
    'p.png"; filename="b.html': 'p.png"; filename="b.html', "%ff": "�", "A" * 4_000: "A" * 255,
}  # fmt: skip
#: Types that a browser might run, as uploaders spell them.
ACTIVE = (
    "text/html", "TEXT/HTML; charset=utf-7", "image/svg+xml", "application/xhtml+xml", "text/xml",
    "text/javascript", "text/css", "application/wasm", "image/png, text/html", "*/*",
)  # fmt: skip


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


async def test_threat_47_a_name_is_shown_and_is_part_of_nothing(front: Front) -> None:
    """No name leaves its quotes, its line or the store."""
    ann = await front.person("ann@example.com")
    for name, left in NAMES.items():
        made = await ann.upload(b"x", name)
        assert made["name"] == left, name
        got = await ann.ask("GET", made["url"])
        said = got.headers["Content-Disposition"]
        assert "X-Evil" not in got.headers
        assert said.partition("; filename*=")[0].count('"') == 2, said
    lying = {one.name for one in front.folder.rglob("*") if one.is_file()}
    assert lying == set(front.blobs())
    assert len(lying) == 1


async def test_threat_48_what_a_browser_might_run_is_saved(front: Front) -> None:
    """Whatever the uploader calls it: octets, an attachment, no sniffing, a sandbox."""
    ann = await front.person("ann@example.com")
    for kind in ACTIVE:
        made = await ann.upload(b"<svg onload=alert(1)>", "a.svg", kind)
        headers = (await ann.ask("GET", made["url"])).headers
        assert headers["Content-Type"] == BYTES, kind
        assert headers["Content-Disposition"].startswith("attachment;"), kind
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].endswith("; sandbox")


async def test_threat_49_no_way_around_the_row_leads_to_its_file(front: Front) -> None:
    """An id alone reads, moves, keeps and deletes nothing; a file that there is not says the same.

    By range, validator, form and function; through a row of one's own, a private field, a row that
    is gone.
    """
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"secret bytes")
    doc = await ann.insert("Doc", secret=made["id"], shared=True)
    own = await bob.insert("Doc", title="mine")
    path, missing = f"/api/entities/Doc/{own['id']}", "0" * len(made["id"])
    for file_id in (made["id"], missing):
        url = f"/api/files/{file_id}"
        answers = [
            await bob.ask("GET", url), await bob.ask("GET", url, Range="bytes=0-0"),
            await bob.ask("GET", url, If_None_Match=f'"{made["sha256"]}"'),
            await bob.ask("GET", url + "?download=1"), await bob.ask("DELETE", url),
            await bob.ask("GET", f"/api/files/uploads/{file_id}"),
        ]  # fmt: skip
        assert {one.status for one in answers} == {404}
        assert len({one.data for one in answers[:5]}) == 1
        for field in ("file", "draft", "secret"):
            got = await bob.ask("PATCH", path, {field: file_id})
            assert (got.status, got.body["error"]["details"]) == (400, {"field": field})
            got = await bob.ask("PATCH", path, {field: {**made, "id": file_id}})
            assert got.status == 400
        got = await bob.ask("POST", "/api/fn/put", {"doc": own["id"], "file": file_id})
        assert got.status == 400
    # Bytes that somebody else has already are no faster, no smaller and nobody's but one's own.
    same = await bob.upload(b"secret bytes")
    assert same["id"] != made["id"]
    assert (await ann.ask("DELETE", f"/api/entities/Doc/{doc['id']}")).status == 204
    assert [await one.status_of(made["id"]) for one in (ann, bob)] == [404, 404]
    assert await bob.status_of(same["id"]) == 200


async def test_threat_50_the_disk_keeps_its_room_however_many_come_at_once(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each found room as it began; those that it ends for leave nothing behind."""
    ann = await front.person("ann@example.com")
    chunk, floor = limits_files.FILE_CHUNK_BYTES, limits_files.FILE_ROOM_BYTES

    def usage(_: object) -> SimpleNamespace:
        free = floor + 3 * chunk - sum(one.stat().st_size for one in tmp.iterdir())
        return SimpleNamespace(total=floor * 9, used=0, free=free)

    tmp, began = front.folder / "tmp", asyncio.Barrier(4)
    monkeypatch.setattr(shutil, "disk_usage", usage)

    async def chunks() -> AsyncIterator[bytes]:
        await began.wait()
        for _ in range(2):
            yield b"x" * chunk

    async with asyncio.timeout(60):
        got = await asyncio.gather(*(ann.ask("POST", "/api/files", chunks()) for _ in range(4)))
    full = [one.body["error"]["details"] for one in got if one.status == 503]
    assert full
    assert full == [{"reason": "disk_full"}] * len(full)
    assert front.leftovers() == []


async def test_threat_50_nobody_begins_more_uploads_by_beginning_them_at_once(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted where they are stored."""
    monkeypatch.setattr(limits_files, "UPLOADS_PER_USER_MAX", 3)
    ann = await front.person("ann@example.com")
    begin = [ann.ask("POST", "/api/files?resumable=1", Upload_Length="4") for _ in range(12)]
    assert sorted(one.status for one in await asyncio.gather(*begin)) == [201] * 3 + [429] * 9


async def test_threat_49_a_token_that_only_reads_moves_no_upload(front: Front) -> None:
    """Neither on nor out of the way; its owner's goes on from where it was."""
    ann = await front.person("ann@example.com")
    begun = await ann.ask("POST", "/api/files?resumable=1", Upload_Length="4")
    url = begun.headers["Location"]
    people = front.rt.runtime.services.people
    made = await people.make_token("ann@example.com", scope={"read_only": True})
    reads = Person(front, made["token"], ann.user_id)
    piece = await reads.ask("PATCH", url, b"abcd", Upload_Offset="0", Content_Type=BYTES)
    assert (piece.status, piece.code) == (403, "POLICY_DENIED")
    assert (await reads.ask("DELETE", url)).status == 403
    assert (await ann.ask("HEAD", url)).headers["Upload-Offset"] == "0"


async def test_threat_50_who_asks_for_many_pictures_keeps_nobody_from_his(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller never has all the workers, and what waits for him counts against him alone."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    begun, held = [], asyncio.Event()

    async def work(source: Path, target: Path, width: int, kind: str) -> int:
        begun.append(source.read_bytes())
        if begun[-1] != b"bob's":
            await held.wait()
        target.write_bytes(b"smaller")
        return 0

    monkeypatch.setattr(images, "_run", work)
    monkeypatch.setattr(limits_files, "IMAGES_WAITING_MAX", 4)
    many = [await ann.upload(b"ann's %d" % n, "a.png", "image/png") for n in range(8)]
    his = await bob.upload(b"bob's", "b.png", "image/png")
    asked = [asyncio.create_task(ann.ask("GET", one["url"] + "?w=64")) for one in many]
    async with asyncio.timeout(60):
        while not begun or sum(one.done() for one in asked) < 4:
            await asyncio.sleep(0.01)
        assert (await bob.ask("GET", his["url"] + "?w=64")).data == b"smaller"
        assert len(begun) == 2
        held.set()
        got = await asyncio.gather(*asked)
    assert sorted(one.status for one in got) == [200] * 4 + [503] * 4
