"""Pull: what each page shows of the log to one caller, by the state of this moment."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.apps import NOTES


async def _page(
    caller: Caller, cursor: str = "0", limit: int = 1000, subscriptions: Any = None
) -> dict[str, Any]:
    path = f"/api/sync/pull?cursor={cursor}&limit={limit}"
    if subscriptions is not None:
        path += f"&subscriptions={quote(json.dumps(subscriptions))}"
    answer = await caller.get(path)
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    assert cursor in ("0", body["after"])
    return body


async def _head(caller: Caller) -> str:
    cursor = "0"
    while True:
        page = await _page(caller, cursor)
        cursor = page["through"]
        if not page["more"]:
            return cursor


async def _patch(caller: Caller, note: dict[str, Any], **values: Any) -> dict[str, Any]:
    answer = await caller.ask("PATCH", f"/api/entities/Note/{note['id']}", values)
    assert answer.status == 200, answer
    row: dict[str, Any] = answer.body
    return row


def _shape(page: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["seq"], one["kind"], "row" in one, one.get("cause")) for one in page["changes"]]


async def test_a_row_changed_twice_comes_once(serve: Serve) -> None:
    """Only the newest entry carries the row; the older one takes it out of view, without cause."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    cursor = await _head(ada)
    note = await ada.insert("Note", text="one")
    second = await _patch(ada, note, text="two")
    third = await _patch(ada, note, text="three")
    page = await _page(ada, cursor)
    assert _shape(page) == [
        (second["_seq"], "delete", False, None), (third["_seq"], "update", True, None)
    ]  # fmt: skip
    assert page["changes"][1]["row"] == third
    assert page["through"].endswith(f":{third['_seq']}")
    assert page["more"] is False
    # A page that ends before the newest entry shows the row as it is by then: not at all.
    first_only = await _page(ada, cursor, limit=1)
    assert _shape(first_only) == []
    assert first_only["through"].endswith(f":{note['_seq']}")
    assert first_only["more"] is True


async def test_what_is_hidden_leaves_without_its_content(serve: Serve) -> None:
    """A row that turned secret is a delete with its cause for others, and a row for its owner."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    shown = await ada.insert("Note", text="shown")
    never = await ada.insert("Note", text="never", secret=True)
    cursor = await _head(bob)
    hidden = await _patch(ada, shown, secret=True, text="now secret")
    await _patch(ada, never, rank=7)
    page = await _page(bob, cursor)
    assert _shape(page) == [(hidden["_seq"], "delete", False, "hidden")]
    assert "now secret" not in json.dumps(page)
    assert never["id"] not in json.dumps(page)
    assert [one["kind"] for one in (await _page(ada, cursor))["changes"]] == ["update", "update"]
    back = await _patch(ada, shown, secret=False)
    page = await _page(bob, page["through"])
    assert _shape(page) == [(back["_seq"], "insert", True, None)]


async def test_subscriptions_decide_what_is_filtered(serve: Serve) -> None:
    """A row that no subscription matches any more leaves as filtered, one that never did is not."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    note = await ada.insert("Note", text="a", rank=1)
    cursor = await _head(ada)
    await ada.insert("Note", text="b", rank=0)
    gone = await _patch(ada, note, rank=0)
    wanted = [{"id": "s", "entity": "Note", "where": {"rank": {">": 0}}}]
    page = await _page(ada, cursor, subscriptions=wanted)
    assert _shape(page) == [(gone["_seq"], "delete", False, "filtered")]
    assert page["through"].endswith(f":{gone['_seq']}")


async def test_a_page_ends_with_a_transaction(serve: Serve) -> None:
    """A transaction of several changes is never cut, whatever the limit."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    note = await ada.insert("Note", text="quiet")
    cursor = await _head(ada)
    assert (await ada.call("shout", noteId=note["id"])).body["value"] == "QUIET"
    await ada.insert("Note", text="next")
    page = await _page(ada, cursor, limit=1)
    seqs = [one["seq"] for one in page["changes"]]
    assert seqs == [note["_seq"] + 1, note["_seq"] + 2]
    assert len({one["tx"] for one in page["changes"]}) == 1
    assert page["more"] is True


async def test_deletes_and_cascades_come_in_order(serve: Serve) -> None:
    """Entities stand in one list, ordered by seq, with what a cascade did in its place."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    group = await ada.insert("Group", name="g")
    member = await ada.insert("Member", groupId=group["id"], userId=ada.user_id)
    note = await ada.insert("Note", text="in it", groupId=group["id"])
    cursor = await _head(ada)
    await ada.ask("DELETE", f"/api/entities/Group/{group['id']}")
    page = await _page(ada, cursor)
    *rows, refresh = page["changes"]
    assert [(one["entity"], one["row_id"], one["kind"]) for one in rows] == [
        ("Member", member["id"], "delete"), ("Note", note["id"], "update"),
        ("Group", group["id"], "delete"),
    ]  # fmt: skip
    assert rows[1]["row"]["groupId"] is None
    assert len({one["tx"] for one in rows}) == 1
    assert refresh == {
        "seq": rows[-1]["seq"] + 1, "kind": "refresh", "entity": "Note",
        "where": {"groupId": group["id"]}, "rows": [], "done": True,
    }, "what being a member showed"  # fmt: skip


async def test_pages_of_any_size_are_the_same_log(serve: Serve) -> None:
    """Pages join without gap or overlap, hold at most `limit` entries, and end at the head."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    cursor = await _head(ada)
    rows = [
        {"op_id": f"o{n}", "fn": "pylon.insert",
         "args": {"entity": "Group", "values": {"name": f"g{n}"}}}
        for n in range(330)
    ]  # fmt: skip
    pushed = await ada.post("/api/sync/push", {"operations": rows})
    assert {one["status"] for one in pushed.body["results"]} == {"applied"}
    for limit in (7, 100, 1000):
        at, seen = cursor, []
        while True:
            page = await _page(ada, at, limit)
            assert len(page["changes"]) <= limit
            seen += page["changes"]
            at = page["through"]
            if not page["more"]:
                break
        assert [one["row"]["name"] for one in seen] == [f"g{n}" for n in range(330)]
        assert all(one["kind"] == "insert" and one["tx"] == one["seq"] for one in seen)
        assert all(one["row"]["_seq"] == one["seq"] for one in seen)
        assert at == pushed.body["head"]


async def test_a_page_is_never_of_before(serve: Serve) -> None:
    """Between two pages rows are hidden, changed, and a caller changes: the next page knows."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    cursor = await _head(ada)
    notes = [await ada.insert("Note", text=f"n{n}") for n in range(30)]
    page = await _page(bob, cursor, limit=10)
    assert page["more"] is True
    await _patch(ada, notes[15], secret=True, text="now secret")
    await _patch(ada, notes[16], text="changed")
    second = await _page(bob, page["through"], limit=10)
    assert [one["row_id"] for one in second["changes"]] == [
        one["id"] for one in notes[10:20] if one not in (notes[15], notes[16])
    ]
    # The same cursor asked again, and asked by somebody else, is answered for who asks, now.
    assert await _page(bob, page["through"], limit=10) == second
    for_ada = await _page(ada, page["through"], limit=10)
    assert for_ada["changes"] == second["changes"]
    await _patch(ada, notes[12], secret=True)
    third = await _page(bob, second["through"])
    assert "secret" not in json.dumps([one for one in third["changes"] if "row" not in one])
    assert notes[12]["id"] in [one["row_id"] for one in third["changes"] if "row" not in one]
    rows = {one["row_id"] for one in third["changes"] if "row" in one}
    assert rows == {one["id"] for one in (*notes[20:], notes[16])}


async def test_a_session_that_ended_gets_no_page(serve: Serve) -> None:
    """Not even one that was read for it already."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    for n in range(20):
        await ada.insert("Note", text=f"n{n}")
    page = await _page(bob, limit=5)
    assert (await bob.post("/api/auth/logout", {})).status == 204
    answer = await bob.get(f"/api/sync/pull?cursor={page['through']}&limit=5")
    assert answer.status == 401
