"""Rows over HTTP: every answer that PROTOCOL §3–§5 promises, from a real runtime."""

from __future__ import annotations

import json
from urllib.parse import quote

from tests.conftest import Serve
from tests.integration.apps import NOTES


def _where(**members: object) -> str:
    return quote(json.dumps(members))


async def test_a_row_goes_in_and_comes_back_whole(serve: Serve) -> None:
    """What was inserted is answered, read back with an ETag, listed, changed and deleted."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    given = {
        "text": "héllo 🌍", "rank": 7, "big": "9223372036854775807", "ratio": 0.1,
        "price": "12.30", "day": "2026-11-24", "at": "2026-11-24T12:00:00.000Z",
        "kind": "loud", "tags": ["a", "b"], "extra": {"deep": [1, None, True]}, "scar": "s",
    }  # fmt: skip
    made = await ada.post("/api/entities/Note", given)
    assert made.status == 201
    row = made.body
    assert {key: row[key] for key in given if key != "scar"} == {
        key: value for key, value in given.items() if key != "scar"
    }
    assert "scar" not in row, "private fields never leave"
    assert row["ownerId"] == ada.user_id
    read = await ada.get(f"/api/entities/Note/{row['id']}")
    assert read.body == row
    assert read.headers["ETag"] == f'"{row["_seq"]}"'
    patched = await ada.ask("PATCH", f"/api/entities/Note/{row['id']}", {"rank": 8})
    assert patched.body["rank"] == 8
    assert patched.body["_seq"] > row["_seq"]
    listed = await ada.get("/api/entities/Note")
    assert listed.body == {"rows": [patched.body], "next": None}
    gone = await ada.ask("DELETE", f"/api/entities/Note/{row['id']}")
    assert (gone.status, gone.body) == (204, "")
    assert (await ada.get(f"/api/entities/Note/{row['id']}")).code == "NOT_FOUND"


async def test_policies_answer_in_the_promised_order(serve: Serve) -> None:
    """401, then 404 for what is hidden, then 400, then 403, then 409."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    nobody = served.anonymous()
    open_note = await ada.insert("Note", text="open")
    secret = await ada.insert("Note", text="closed", secret=True)
    path, hidden = f"/api/entities/Note/{open_note['id']}", f"/api/entities/Note/{secret['id']}"
    assert (await nobody.post("/api/entities/Note", {"nope": 1})).code == "UNAUTHENTICATED"
    assert (await bob.get(hidden)).code == "NOT_FOUND"
    assert (await bob.ask("PATCH", hidden, {"nope": 1})).code == "NOT_FOUND"
    assert (await bob.ask("DELETE", hidden)).code == "NOT_FOUND"
    assert (await bob.ask("PATCH", path, {"nope": 1})).code == "INVALID_ARGUMENT"
    assert (await bob.ask("PATCH", path, {"rank": 1})).code == "POLICY_DENIED"
    assert (await bob.ask("DELETE", path)).code == "POLICY_DENIED"
    stolen = await bob.post("/api/entities/Note", {"text": "x", "ownerId": ada.user_id})
    assert stolen.code == "POLICY_DENIED"
    assert (await bob.get("/api/entities/Note")).body["rows"] == [open_note]
    listed = await nobody.get("/api/entities/Group")
    assert (listed.status, listed.body) == (200, {"rows": [], "next": None})


async def test_immutable_unique_and_restricted(serve: Serve) -> None:
    """Immutable fields, unique indexes and restricted deletes are refused by name."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    group = await ada.insert("Group", name="one")
    again = await ada.post("/api/entities/Group", {"name": "one"})
    assert (again.status, again.code) == (409, "CONFLICT")
    assert again.body["error"]["details"] == {"index": "by_name", "fields": ["name"]}
    frozen = await ada.ask("PATCH", f"/api/entities/Group/{group['id']}", {"ownerId": bob.user_id})
    assert (frozen.code, frozen.body["error"]["details"]["field"]) == (
        "INVALID_ARGUMENT", "ownerId",
    )  # fmt: skip
    await ada.insert("Guard", groupId=group["id"])
    kept = await ada.ask("DELETE", f"/api/entities/Group/{group['id']}")
    assert (kept.code, kept.body["error"]["details"]) == (
        "CONFLICT", {"entity": "Guard", "field": "groupId"},
    )  # fmt: skip


async def test_references_cascade_and_are_set_to_null(serve: Serve) -> None:
    """Deleting a group deletes its members and frees its notes, each as a change of its own."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    group = await ada.insert("Group", name="one")
    await ada.insert("Member", groupId=group["id"], userId=ada.user_id)
    note = await ada.insert("Note", text="x", groupId=group["id"])
    assert (await ada.ask("DELETE", f"/api/entities/Group/{group['id']}")).status == 204
    assert (await ada.get("/api/entities/Member")).body["rows"] == []
    freed = (await ada.get(f"/api/entities/Note/{note['id']}")).body
    assert freed["groupId"] is None
    assert freed["_seq"] > note["_seq"]
    missing = await ada.post("/api/entities/Note", {"text": "x", "groupId": "nobody"})
    assert missing.body["error"]["details"]["field"] == "groupId"


async def test_lists_filter_order_and_page(serve: Serve) -> None:
    """Filters of all kinds, order both ways, and pages that neither skip nor repeat."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    for n in range(25):
        await ada.insert("Note", text=f"n{n}", rank=n % 5, ratio=None if n % 2 else n / 2)

    async def ask(**query: object) -> list[str]:
        answer = await ada.post("/api/query/Note", query)
        assert answer.status == 200, answer.body
        return [row["text"] for row in answer.body["rows"]]

    assert len(await ask(where={"rank": 3})) == 5
    assert len(await ask(where={"rank": {">": 1, "<=": 3}})) == 10
    assert len(await ask(where={"rank": {"in": [0, 4]}})) == 10
    assert len(await ask(where={"ratio": None})) == 12
    assert len(await ask(where={"ratio": {"!=": None}})) == 13
    assert await ask(where={"or": [{"text": "n1"}, {"not": {"rank": {"<": 4}}, "text": "n4"}]}) == [
        "n1", "n4",
    ]  # fmt: skip
    assert await ask(where={"text": {"startsWith": "n2", "contains": "4"}}) == ["n24"]
    seen, after = [], None
    while True:
        page = await ada.post(
            "/api/query/Note", {"order": ["-rank", "text"], "limit": 7, "after": after}
        )
        seen += [(row["rank"], row["text"]) for row in page.body["rows"]]
        after = page.body["next"]
        if after is None:
            break
    assert seen == sorted(seen, key=lambda one: (-one[0], one[1]))
    assert len(set(seen)) == 25
    bound = await ada.post("/api/query/Note", {"order": ["rank"], "limit": 3})
    other = await ada.post(
        "/api/query/Note", {"order": ["text"], "limit": 3, "after": bound.body["next"]}
    )
    assert other.code == "INVALID_ARGUMENT", "a key belongs to its order"


async def test_private_and_unknown_fields_answer_alike(serve: Serve) -> None:
    """Who filters by a private field learns no more than by one that is not there."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    texts = []
    for name in ("scar", "star"):
        answer = await ada.get(f"/api/entities/Note?where={_where(**{name: 'x'})}")
        assert answer.code == "INVALID_ARGUMENT"
        texts.append(answer.body["error"]["message"].replace(name, "NAME"))
    assert texts[0] == texts[1]
    assert (await ada.get("/api/entities/Note?order=scar")).code == "INVALID_ARGUMENT"


async def test_a_stale_writer_is_told(serve: Serve) -> None:
    """If-Match with an older number is a conflict, with the right one it is not."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    row = await ada.insert("Note", text="x")
    path = f"/api/entities/Note/{row['id']}"
    first = await ada.ask("PATCH", path, {"rank": 1}, headers={"If-Match": f'"{row["_seq"]}"'})
    assert first.status == 200
    second = await ada.ask("PATCH", path, {"rank": 2}, headers={"If-Match": f'"{row["_seq"]}"'})
    assert second.code == "CONFLICT"


async def test_an_idempotency_key_writes_once(serve: Serve) -> None:
    """The same key answers the same; other content under it is a conflict."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    keyed = {"Idempotency-Key": "once-1"}
    first = await ada.ask("POST", "/api/entities/Note", {"text": "x"}, headers=keyed)
    again = await ada.ask("POST", "/api/entities/Note", {"text": "x"}, headers=keyed)
    assert (first.status, first.body) == (again.status, again.body)
    other = await ada.ask("POST", "/api/entities/Note", {"text": "y"}, headers=keyed)
    assert other.code == "CONFLICT"
    await served.stop()
    await served.start()
    later = await ada.ask("POST", "/api/entities/Note", {"text": "x"}, headers=keyed)
    assert later.body == first.body, "it is remembered across a restart"
    assert len((await ada.get("/api/entities/Note")).body["rows"]) == 1


async def test_an_own_id_is_taken_as_it_is(serve: Serve) -> None:
    """The caller may bring an id; a second row of that id is a conflict, a bad one is refused."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    assert (await ada.insert("Note", text="x", id="my-own_1"))["id"] == "my-own_1"
    assert (await ada.post("/api/entities/Note", {"text": "y", "id": "my-own_1"})).status == 409
    for bad in ("", "a b", "ä", "x" * 65, 7):
        answer = await ada.post("/api/entities/Note", {"text": "y", "id": bad})
        assert answer.code == "INVALID_ARGUMENT", bad


async def test_the_manifest_and_openapi_know_no_secrets(serve: Serve) -> None:
    """What clients may know is served: no policy text, no private field."""
    served = await serve(NOTES)
    nobody = served.anonymous()
    manifest, openapi = await nobody.get("/api/schema"), await nobody.get("/api/openapi.json")
    assert manifest.status == openapi.status == 200
    assert openapi.body["openapi"].startswith("3.1")
    assert "/api/entities/Note" in openapi.body["paths"]
    for text in (json.dumps(manifest.body), json.dumps(openapi.body)):
        assert "scar" not in text
        assert "exists Member" not in text
        assert "hidden" not in text
