"""Files over HTTP: brought, owned by rows, read by those rows' policy, and gone with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.integration.files_app import Front, files_front


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


async def test_a_file_comes_in_and_goes_out_as_it_was(front: Front) -> None:
    """Raw or as a form: the object answered, the bytes on disk under their hash, sent back."""
    ann = await front.person("ann@example.com")
    data = bytes(range(256)) * 4000
    made = await ann.upload(data, "b%C3%BC%22ro.bin", "Application/X-Thing; v=1")
    assert made == {
        "id": made["id"], "url": f"/api/files/{made['id']}", "size": len(data),
        "type": "application/x-thing", "sha256": made["sha256"], "name": 'bü"ro.bin',
    }  # fmt: skip
    got = await ann.ask("GET", made["url"])
    assert (got.status, got.data) == (200, data)
    assert got.headers["Content-Length"] == str(len(data))
    head = await ann.ask("HEAD", made["url"])
    same = {"Date"}
    assert {k: v for k, v in head.headers.items() if k not in same} == {
        k: v for k, v in got.headers.items() if k not in same
    }
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("note", "before")
    form.add_field("file", data, filename="../../x/c%22.png", content_type="image/png")
    form.add_field("after", "behind")
    got = await ann.ask("POST", "/api/files", form)
    assert (got.status, got.body["name"], got.body["type"]) == (201, 'c".png', "image/png")
    assert got.body["id"] != made["id"]
    assert front.blobs() == [made["sha256"]], "the same bytes lie there once"
    assert front.leftovers() == []
    modes = {one.stat().st_mode & 0o777 for one in front.folder.rglob("*") if one.is_file()}
    assert modes == {0o600}


async def test_a_file_is_its_rows(front: Front) -> None:
    """Before a row owns it, its uploader's; then whoever may read the row; then nobody's (I78)."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"mine")
    assert await ann.status_of(made["id"]) == 200
    assert await bob.status_of(made["id"]) == 404
    assert await front.nobody().status_of(made["id"]) == 404
    doc = await ann.insert("Doc", file=made["id"])
    assert doc["file"] == made
    assert await bob.status_of(made["id"]) == 404
    path = f"/api/entities/Doc/{doc['id']}"
    assert (await ann.ask("PATCH", path, {"shared": True, "file": made})).status == 200
    assert await bob.status_of(made["id"]) == 200
    assert await front.nobody().status_of(made["id"]) == 200
    assert (await ann.ask("PATCH", path, {"file": None})).body["file"] is None
    assert await ann.status_of(made["id"]) == 404
    await front.sweep(599)
    assert front.blobs()
    await front.sweep(2)
    assert front.blobs() == []


async def test_fields_have_their_own_policies(front: Front) -> None:
    """A field that a caller does not get, or nobody gets, shows its file to none of them."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    draft, secret = await ann.upload(b"draft"), await ann.upload(b"secret")
    doc = await ann.insert("Doc", shared=True, draft=draft["id"], secret=secret["id"])
    assert doc["draft"] == draft
    assert "secret" not in doc
    assert await ann.status_of(draft["id"]) == 200
    assert await bob.status_of(draft["id"]) == 404
    assert await ann.status_of(secret["id"]) == 404


async def test_an_id_is_no_right(front: Front) -> None:
    """What somebody can't read he can't put into a row of his own, nor learn that it is there."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"mine")
    hidden = await bob.ask("POST", "/api/entities/Doc", {"file": made["id"]})
    await ann.insert("Doc", file=made["id"])
    owned = await bob.ask("POST", "/api/entities/Doc", {"file": made["id"]})
    missing = await bob.ask("POST", "/api/entities/Doc", {"file": "0" * 32})
    assert hidden.body == owned.body == missing.body
    assert (missing.status, missing.code) == (400, "INVALID_ARGUMENT")
    for wrong in (7, "", "../x", {"url": made["url"]}, [made["id"]], True):
        assert (await ann.ask("POST", "/api/entities/Doc", {"file": wrong})).status == 400
    shared = await ann.insert("Doc", shared=True, file=made["id"])
    own = await bob.insert("Doc", file={**made, "name": "x"})
    assert own["file"] == made, "whoever may read it may use it, and says nothing new of it"
    assert (await ann.ask("DELETE", f"/api/entities/Doc/{shared['id']}")).status == 204
    assert await bob.status_of(made["id"]) == 200, "his row still has it"
