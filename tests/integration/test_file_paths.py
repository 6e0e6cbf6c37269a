"""Files on every path that shows rows, by every policy; ranges, repeats and bounds over HTTP."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.files_app import FILES, Front, Person, files_front


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


async def _json(who: Person, path: str, data: Any = None) -> Any:
    got = await who.ask("GET" if data is None else "POST", path, data)
    assert got.status == 200, got
    return got.json()


async def test_every_path_gives_the_object(front: Front) -> None:
    """Row, list, query, search, pull, snapshot, functions and export agree."""
    ann = await front.person("ann@example.com")
    made = await ann.upload(b"mine")
    doc = await ann.insert("Doc", title="findable", file=made["id"])
    path = f"/api/entities/Doc/{doc['id']}"
    assert (await _json(ann, path))["file"] == made
    assert (await _json(ann, "/api/entities/Doc"))["rows"][0]["file"] == made
    assert (await _json(ann, "/api/query/Doc", {}))["rows"][0]["file"] == made
    assert (await _json(ann, "/api/fn/files_of", {}))["value"][0]["file"] == made
    rows = [one["row"] for one in (await _json(ann, "/api/sync/pull"))["changes"] if "row" in one]
    assert [one["file"] for one in rows if one["id"] == doc["id"]] == [made]
    assert (await _json(ann, "/api/sync/snapshot?entity=Doc"))["rows"][0]["file"] == made
    assert (await _json(ann, "/api/auth/export"))["rows"]["Doc"][0]["file"] == made
    where = {"where": {"file": {"!=": None}}}
    assert len((await _json(ann, "/api/query/Doc", where))["rows"]) == 1
    for refused in ({"where": {"file": made["id"]}}, {"order": ["file"]}):
        assert (await ann.ask("POST", "/api/query/Doc", refused)).status == 400
    schema = await _json(ann, "/api/schema")
    (entity,) = [one for one in schema["entities"] if one["name"] == "Doc"]
    assert {one["name"]: one["kind"] for one in entity["fields"]}["file"] == "file"


async def test_a_policy_asks_for_presence(front: Front) -> None:
    """`data.proof != null` is all that a policy can ask of a file, on insert and on read."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    assert (await ann.ask("POST", "/api/entities/Claim", {})).code == "POLICY_DENIED"
    made = await ann.upload(b"proof")
    claim = await ann.insert("Claim", proof=made["id"])
    assert await bob.status_of(made["id"]) == 200
    assert (await bob.ask("DELETE", made["url"])).status == 204, "update allows to empty it"
    assert await ann.status_of(made["id"]) == 404
    assert (await ann.ask("GET", f"/api/entities/Claim/{claim['id']}")).status == 404


async def test_deletes_ask_the_rows(front: Front) -> None:
    """404 for who can't read, 403 for who may not, 409 where a field must hold one, cascades."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"x")
    doc = await ann.insert("Doc", file=made["id"])
    assert (await bob.ask("DELETE", made["url"])).status == 404
    assert (await front.nobody().ask("DELETE", made["url"])).status == 401
    await ann.ask("PATCH", f"/api/entities/Doc/{doc['id']}", {"shared": True})
    assert (await bob.ask("DELETE", made["url"])).code == "POLICY_DENIED"
    mod = await front.person("mod@example.com", roles=frozenset({"moderator"}))
    assert (await mod.ask("DELETE", made["url"])).status == 204
    assert (await mod.ask("DELETE", made["url"])).status == 404
    image = await ann.upload(b"y")
    await ann.insert("Picture", image=image["id"], docId=doc["id"])
    got = await ann.ask("DELETE", image["url"])
    assert (got.code, got.body["error"]["details"]) == (
        "CONFLICT", {"entity": "Picture", "field": "image"}
    )  # fmt: skip
    fresh = await ann.upload(b"z")
    assert (await bob.ask("DELETE", fresh["url"])).status == 404
    assert (await ann.ask("DELETE", fresh["url"])).status == 204
    await ann.ask("DELETE", f"/api/entities/Doc/{doc['id']}")
    assert await ann.status_of(image["id"]) == 404, "gone by cascade"
    await front.sweep(601)
    assert front.blobs() == []


async def test_parts_repeats_and_what_browsers_do(front: Front) -> None:
    """206, 416, 304, If-Range, several ranges; what would run is saved; names stay names."""
    ann = await front.person("ann@example.com")
    data = bytes(range(200))
    made = await ann.upload(data, "x.html", "text/html")
    whole = await ann.ask("GET", made["url"])
    etag = whole.headers["ETag"]
    for asked, status, wanted in (
        ("bytes=10-19", 206, data[10:20]), ("bytes=-5", 206, data[-5:]), ("bytes=0-", 206, data),
        ("bytes=0-1,5-6", 200, data), ("lines=1-2", 200, data), ("bytes=500-", 416, None),
    ):  # fmt: skip
        got = await ann.ask("GET", made["url"], Range=asked)
        assert got.status == status, asked
        assert wanted is None or got.data == wanted
        head = await ann.ask("HEAD", made["url"], Range=asked)
        assert head.headers.get("Content-Range") == got.headers.get("Content-Range")
    assert (await ann.ask("GET", made["url"], If_None_Match=f'"a", {etag}')).status == 304
    for given, status in ((etag, 206), ('"old"', 200)):
        got = await ann.ask("GET", made["url"], Range="bytes=0-1", If_Range=given)
        assert got.status == status
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["Content-Disposition"] == 'attachment; filename="x.html"'
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert (await ann.ask("GET", f"{made['url']}?token=x")).status == 400
    for path in ("..%2Fapp.db", "%2e%2e", "x/../../app.db", "tmp", "a" * 65, "%00"):
        got = await ann.ask("GET", f"/api/files/{path}")
        assert got.status == 404, path
    key = {"Idempotency_Key": "once"}
    first, again = await ann.upload(b"q", **key), await ann.upload(b"q", **key)
    assert first == again
    other = await ann.ask("POST", "/api/files", b"other", **key)
    assert other.code == "CONFLICT"


async def test_what_comes_in_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anonymous callers, sizes, quotas, a broken form and a full disk: refused, nothing left."""
    toml = "[files]\nmax_mb = 1\nquota_mb = 2\n"
    async with files_front(tmp_path / "app", toml=toml) as front:
        ann = await front.person("ann@example.com")
        assert (await front.nobody().ask("POST", "/api/files", b"x")).status == 401
        large = b"x" * (2**20 + 1)

        async def unsaid() -> AsyncIterator[bytes]:
            for start in range(0, len(large), 65_536):
                yield large[start : start + 65_536]

        for body in (io.BytesIO(large), unsaid()):
            got = await ann.ask("POST", "/api/files", body)
            assert (got.status, got.code) == (413, "PAYLOAD_TOO_LARGE")
        for _ in range(2):
            got = await ann.ask("POST", "/api/files", io.BytesIO(large[:-1]))
            assert got.status == 201
        assert (await ann.ask("POST", "/api/files", b"x")).code == "QUOTA_EXCEEDED"
        bob = await front.person("bob@example.com")
        broken = await bob.ask(
            "POST", "/api/files", b"--b\r\nno form", Content_Type="multipart/form-data; boundary=b"
        )
        assert broken.status == 400
        cut = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nhalf'
        got = await bob.ask(
            "POST", "/api/files", cut, Content_Type="multipart/form-data; boundary=b"
        )
        assert got.status == 400

        def full(descriptor: int, data: Any) -> int:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr("pylon.server.files.disk.os.write", full)
        got = await bob.ask("POST", "/api/files", b"x")
        monkeypatch.undo()
        assert (got.status, got.body["error"]["details"]) == (503, {"reason": "disk_full"})
        assert front.leftovers() == []
        assert len(front.blobs()) == 1


async def test_anonymous_uploads_where_they_are_let_in(tmp_path: Path) -> None:
    """The id, which nobody can guess, is the right to put the file into a row; nobody reads it."""
    async with files_front(tmp_path / "app", toml="[files]\nanonymous = true\n") as front:
        ann = await front.person("ann@example.com")
        made = await front.nobody().upload(b"x")
        assert await front.nobody().status_of(made["id"]) == 404
        await ann.insert("Doc", file=made["id"])
        assert await ann.status_of(made["id"]) == 200


async def test_a_migration_takes_owners_along(tmp_path: Path) -> None:
    """A renamed field still owns its file; a dropped one lets it go."""
    async with files_front(tmp_path / "app") as front:
        ann = await front.person("ann@example.com")
        kept, lost = await ann.upload(b"kept"), await ann.upload(b"lost")
        doc = await ann.insert("Doc", file=kept["id"], draft=lost["id"])
        changed = FILES.replace(
            "    file: File | None = None\n",
            '    paper: File | None = field(default=None, renamed_from="file")\n',
        )
        changed = "\n".join(one for one in changed.split("\n") if "draft:" not in one)
        changed = changed.replace("found.file", "found.paper").replace("file=file)", "paper=file)")
        (tmp_path / "app" / "app.py").write_text(changed)
        await front.rt.runtime.services.reload(consent=True)
        got = await ann.ask("GET", f"/api/entities/Doc/{doc['id']}")
        assert got.json()["paper"] == kept
        assert [await ann.status_of(one["id"]) for one in (kept, lost)] == [200, 404]


async def test_a_long_download_ends_with_the_right_to_it(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not read a file any more does not get the rest of it."""
    monkeypatch.setattr("pylon.limits_files.FILE_RECHECK_SECONDS", -1.0)
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    # More than the sockets between them hold.
    made = await ann.upload(os.urandom(1_000_000) * 20)
    doc = await ann.insert("Doc", shared=True, file=made["id"])
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1024)
    writer.write(
        f"GET {made['url']} HTTP/1.1\r\nHost: 127.0.0.1:{front.port}\r\n"
        f"Authorization: Bearer {bob.token}\r\nConnection: close\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    await ann.ask("PATCH", f"/api/entities/Doc/{doc['id']}", {"shared": False})
    got = 0
    try:
        while chunk := await reader.read(1024):
            got += len(chunk)
    except ConnectionError:
        pass
    writer.close()
    assert 0 < got < 20_000_000
    assert (await bob.ask("GET", made["url"])).status == 404


async def test_a_replica_has_the_object(tmp_path: Path) -> None:
    """A live replica shows the object, and writes an id that comes back as one."""
    async with files_front(tmp_path / "app") as front:
        member = await front.rt.user("ann@example.com")
        ann = await front.person("ann@example.com")
        made = await ann.upload(b"mine")
        doc = await ann.insert("Doc", file=made["id"])
        await front.rt.settled()
        assert member.rows("Doc")[0].file == made
        other = await ann.upload(b"other")
        pushed = await member.update("Doc", doc["id"], file=other["id"])
        assert pushed.file == other
        assert member.rows("Doc")[0].file == other
