"""`ctx.files` in the app's code: by the caller's rights, in the transaction, as the system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.files_app import Front, Person, files_front


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


async def _call(who: Person, name: str, **args: Any) -> Any:
    got = await who.ask("POST", f"/api/fn/{name}", args)
    return got.body["value"] if got.status == 200 else got.body["error"]["code"]


async def test_functions_see_what_their_caller_may_see(front: Front) -> None:
    """Metadata, content, in chunks or whole; what he may not read is not there."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"quiet", "q.txt")
    doc = await ann.insert("Doc", file=made["id"])
    assert await _call(ann, "known", file=made["id"]) == made
    assert await _call(bob, "known", file=made["id"]) is None
    assert await _call(ann, "name_of", doc=doc["id"]) == "q.txt 5 text/plain"
    loud = await _call(ann, "shout", file=made["id"], doc=doc["id"])
    assert (loud["name"], loud["size"]) == ("loud.txt", 5)
    assert (await ann.ask("GET", loud["url"])).data == b"QUIET"
    tail = await _call(ann, "shout", file=loud["id"], doc=doc["id"], chunked=True)
    assert (await ann.ask("GET", tail["url"])).data == b"UIET"
    assert await _call(ann, "files_of") == [
        (await ann.ask("GET", f"/api/entities/Doc/{doc['id']}")).json()
    ]
    assert await _call(bob, "shout", file=tail["id"], doc=doc["id"]) == "NOT_FOUND"
    assert await _call(bob, "as_system", file=tail["id"]) == "UIET"


async def test_a_delete_shares_its_transactions_fate(front: Front) -> None:
    """Rolled back it did not happen; committed the field is empty and nobody reads the file."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made = await ann.upload(b"x")
    doc = await ann.insert("Doc", shared=True, file=made["id"])
    assert await _call(bob, "drop", file=made["id"]) == "POLICY_DENIED"
    assert await _call(ann, "drop", file=made["id"], fail=True) == "INTERNAL"
    assert await bob.status_of(made["id"]) == 200
    assert await _call(ann, "drop", file=made["id"]) is None
    assert await ann.status_of(made["id"]) == 404
    assert (await ann.ask("GET", f"/api/entities/Doc/{doc['id']}")).json()["file"] is None
    assert await _call(ann, "drop", file=made["id"]) == "NOT_FOUND"


async def test_a_followed_file_is_told_to_whoever_may_read_it_alone(front: Front) -> None:
    """One call, two callers: what one may read is no answer for the other, and is never stale."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    made, other = await ann.upload(b"quiet", "q.txt"), await ann.upload(b"b", "b.txt")
    clients = [(await front.rt.user(f"{name}@example.com")).client for name in ("ann", "bob")]
    follows = [one.live("known", file=made["id"]) for one in clients]

    async def both() -> list[bool]:
        await front.rt.settled()
        assert all(one.value in (None, made) for one in follows)
        return [one.value is not None for one in follows]

    assert [await one.ready() for one in follows] == [made, None]  # fresh: its uploader's
    doc = await ann.insert("Doc", file=made["id"])
    path = f"/api/entities/Doc/{doc['id']}"
    assert await both() == [True, False]
    await ann.ask("PATCH", path, {"shared": True})
    assert await both() == [True, True]
    await ann.ask("PATCH", path, {"shared": False})
    assert await both() == [True, False]
    copy = await ann.insert("Doc", file=made["id"], shared=True)
    assert await both() == [True, True]  # a row that the run before could not know of
    await ann.ask("DELETE", f"/api/entities/Doc/{copy['id']}")
    assert await both() == [True, False]
    await ann.ask("PATCH", path, {"file": other["id"]})
    assert await both() == [False, False]
    assert await bob.status_of(made["id"]) == 404
    owned = [one.live("known", file=other["id"]) for one in clients]
    assert [await one.ready() for one in owned] == [other, None]  # by the policy of its row
