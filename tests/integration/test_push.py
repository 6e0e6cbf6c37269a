"""Many operations in one message: each stands or falls alone, and is remembered as it fell."""

from __future__ import annotations

import asyncio
from typing import Any

from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.apps import NOTES

LETTERS = '''
"""Letters that only their receiver reads."""

from __future__ import annotations

from pylon import App, Entity, Ref

app = App("letters", version="1")


@app.entity(read="auth.userId == data.toId", insert="auth.userId != null")
class Letter(Entity):
    toId: Ref["User"]
    text: str
'''


def _insert(op_id: str, entity: str = "Note", row_id: str | None = None, **values: Any) -> Any:
    args: dict[str, Any] = {"entity": entity, "values": values}
    if row_id is not None:
        args["id"] = row_id
    return {"op_id": op_id, "fn": "pylon.insert", "args": args}


def _update(op_id: str, row_id: str, **values: Any) -> Any:
    args = {"entity": "Note", "id": row_id, "values": values}
    return {"op_id": op_id, "fn": "pylon.update", "args": args}


def _delete(op_id: str, entity: str, row_id: str) -> Any:
    return {"op_id": op_id, "fn": "pylon.delete", "args": {"entity": entity, "id": row_id}}


async def _push(caller: Caller, *operations: Any) -> list[dict[str, Any]]:
    body = {"client_id": "c", "operations": list(operations)}
    answer = await caller.post("/api/sync/push", body)
    assert answer.status == 200, answer
    results: list[dict[str, Any]] = answer.body["results"]
    assert [one["op_id"] for one in results] == [one["op_id"] for one in operations]
    return results


async def _texts(caller: Caller) -> list[str]:
    rows = (await caller.get("/api/entities/Note?limit=1000&order=rank")).body["rows"]
    return [row["text"] for row in rows]


def _codes(results: list[dict[str, Any]]) -> list[str]:
    return [one["error"]["code"] if "error" in one else one["status"] for one in results]


async def test_whatever_fails_in_the_middle_fails_alone(serve: Serve) -> None:
    """Invalid, denied, conflicting, missing, refused and broken operations harm no other."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    await ada.insert("Group", name="taken")
    operations = [
        _insert("o1", row_id="n1", text="one", rank=1),
        _insert("o2", text=""),
        _insert("o3", text="not mine", ownerId=bob.user_id),
        _insert("o4", "Group", name="taken"),
        _insert("o5", row_id="n1", text="the same id"),
        _update("o6", "nowhere", text="x"),
        {"op_id": "o7", "fn": "writeThenFail", "args": {}},
        {"op_id": "o8", "fn": "shout", "args": {"noteId": "n1"}},
        {"op_id": "o9", "fn": "shout", "args": {"noteId": "n1"}},
        {"op_id": "o10", "fn": "nothing", "args": {}},
        _insert("o11", text="dangling", groupId="nowhere"),
        _insert("o12", text="last", rank=2),
    ]
    results = await _push(ada, *operations)
    assert _codes(results) == [
        "applied", "INVALID_ARGUMENT", "POLICY_DENIED", "CONFLICT", "CONFLICT", "NOT_FOUND",
        "INTERNAL", "applied", "ALREADY_LOUD", "NOT_FOUND", "INVALID_ARGUMENT", "applied",
    ]  # fmt: skip
    assert await _texts(ada) == ["ONE", "last"]
    # No number is lost to what failed: the function wrote its row twice, the others once.
    first = results[0]["seq"]
    assert [one["seq"] for one in results if one["seq"]] == [first, first + 2, first + 3]
    again = await _push(ada, *operations)
    assert [one["status"] for one in again] == ["duplicate"] * 12
    assert [one.get("value") for one in again] == [one.get("value") for one in results]
    assert [one.get("error") for one in again] == [one.get("error") for one in results]
    assert [one["seq"] for one in again] == [one["seq"] for one in results]


async def test_what_fails_after_it_wrote_is_undone_alone(serve: Serve) -> None:
    """A delete that met a restriction behind a cascade leaves everything as it was."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    group = (await ada.insert("Group", name="g"))["id"]
    member = await ada.insert("Member", groupId=group, userId=ada.user_id)
    await ada.insert("Guard", groupId=group)
    results = await _push(
        ada, _insert("o1", text="before", rank=1), _delete("o2", "Group", group),
        _insert("o3", text="after", rank=2),
    )  # fmt: skip
    assert _codes(results) == ["applied", "CONFLICT", "applied"]
    assert results[1]["error"]["details"] == {"entity": "Guard", "field": "groupId"}
    assert results[2]["seq"] == results[0]["seq"] + 1
    assert (await ada.get(f"/api/entities/Member/{member['id']}")).body == member
    assert await _texts(ada) == ["before", "after"]


async def test_an_atomic_batch_with_an_old_refusal_does_nothing(serve: Serve) -> None:
    """One that was rejected before rejects the batch now; one that was applied does not."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    await _push(ada, _insert("bad", text=""), _insert("done", text="done"))

    async def atomic(*operations: Any) -> list[tuple[str, str | None]]:
        answer = await ada.post("/api/sync/push", {"operations": operations, "atomic": True})
        return [(one["status"], one.get("error", {}).get("code")) for one in answer.body["results"]]

    assert await atomic(_insert("new", text="new"), _insert("bad", text="")) == [
        ("rejected", "ABORTED"), ("duplicate", "INVALID_ARGUMENT"),
    ]  # fmt: skip
    assert await _texts(ada) == ["done"]
    assert await atomic(_insert("new", text="new"), _insert("done", text="done")) == [
        ("applied", None), ("duplicate", None),
    ]  # fmt: skip
    assert await atomic(_insert("new", text="new"), _insert("done", text="done")) == [
        ("duplicate", None), ("duplicate", None),
    ]  # fmt: skip
    assert await _texts(ada) == ["done", "new"]


async def test_a_message_may_hold_an_operation_twice(serve: Serve) -> None:
    """The second answers like the first; other content under the id is refused, unrecorded."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    once = _insert("o1", text="once")
    other = _insert("o1", text="other")
    results = await _push(ada, once, once, other, once)
    assert [one["status"] for one in results] == ["applied", "duplicate", "rejected", "duplicate"]
    assert results[2]["error"]["code"] == "CONFLICT"
    assert results[0]["value"] == results[1]["value"] == results[3]["value"]
    assert results[0]["seq"] == results[1]["seq"] == results[3]["seq"]
    # Equal content is equal however it is spelled, and over any transport.
    spelled = '{"operations":[{"args":{"values":{"text":"once"}, "entity":"Note"},"fn":"pylon.inse'
    spelled += 'rt","op_id":"o1"}]}'
    answer = await ada.ask("POST", "/api/sync/push", data=spelled.encode())
    assert answer.body["results"][0]["status"] == "duplicate"
    assert await _texts(ada) == ["once"]


async def test_operations_see_those_before_them(serve: Serve) -> None:
    """A row inserted, changed and deleted in one message: three changes, and nothing is left."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    results = await _push(
        ada, _insert("o1", row_id="n", text="new"), _update("o2", "n", text="newer"),
        _delete("o3", "Note", "n"), _insert("o4", row_id="n", text="again"),
        _insert("o5", "Group", "g", name="g"), _update("o6", "n", groupId="g"),
    )  # fmt: skip
    assert [one["status"] for one in results] == ["applied"] * 6
    first = results[0]["seq"]
    assert [one["seq"] for one in results] == list(range(first, first + 6))
    assert results[2]["value"] is None
    assert results[5]["value"]["groupId"] == "g"
    batch = (await ada.get("/api/sync/pull?cursor=0")).body
    changes = [one for one in batch["changes"] if one["row_id"] == "n"]
    assert [(one["seq"], one["kind"]) for one in changes if "row" in one] == [(first + 5, "update")]


async def test_private_fields_stay_inside(serve: Serve) -> None:
    """What a caller may write and nobody may read is in no result, pull or duplicate."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    operation = _insert("o1", row_id="n", text="seen", scar="hidden words")
    for results in (await _push(ada, operation), await _push(ada, operation)):
        assert results[0]["value"]["text"] == "seen"
        assert "scar" not in results[0]["value"]
    await _push(ada, _update("o2", "n", scar="other words"))
    for path in ("/api/sync/pull?cursor=0", "/api/sync/snapshot?entity=Note", "/api/entities/Note"):
        text = str((await ada.get(path)).body)
        assert "seen" in text
        assert "words" not in text
        assert "scar" not in text


async def test_a_result_that_may_not_be_read_is_an_id(serve: Serve) -> None:
    """A row written out of its writer's sight answers its id and number, and no more."""
    served = await serve(LETTERS)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    letter = _insert("o1", "Letter", "l1", toId=bob.user_id, text="for bob")
    results = await _push(ada, letter, _insert("o2", "Letter", "l2", toId=ada.user_id, text="own"))
    assert results[0]["value"] == {"id": "l1", "_seq": results[0]["seq"]}
    assert results[1]["value"]["text"] == "own"
    assert (await _push(ada, letter))[0]["value"] == results[0]["value"]
    assert (await bob.get("/api/entities/Letter/l1")).body["text"] == "for bob"


async def test_anonymous_operations_are_neither_done_nor_remembered(serve: Serve) -> None:
    """Every operation of somebody unknown is UNAUTHENTICATED."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    operations = [_insert("o1", text="a"), _insert("o2", text="b")]
    assert _codes(await _push(served.anonymous(), *operations)) == ["UNAUTHENTICATED"] * 2
    assert _codes(await _push(ada, *operations)) == ["applied"] * 2


async def test_more_operations_than_a_commit_takes(serve: Serve) -> None:
    """A thousand in a message, beside single writes and reads: all applied, in order, no gap."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    many = [_insert(f"o{n}", "Group", name=f"m{n:03}") for n in range(1000)]

    async def single(n: int) -> int:
        row = await ada.insert("Group", name=f"g{n}")
        assert (await ada.get(f"/api/entities/Group/{row['id']}")).body == row
        return int(row["_seq"])

    results, *others = await asyncio.gather(_push(ada, *many), *(single(n) for n in range(20)))
    seqs = [one["seq"] for one in results]
    assert seqs == sorted(seqs)
    assert len({*seqs, *others}) == 1020
    assert max(*seqs, *others) - min(*seqs, *others) == 1019
    rows = (await ada.get("/api/entities/Group?limit=1000&order=-name")).body["rows"]
    assert [row["name"] for row in rows] == [f"m{n:03}" for n in reversed(range(1000))]


async def test_a_push_survives_the_process(serve: Serve) -> None:
    """What was answered is there after a kill, and so is the memory of it."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    operations = [_insert(f"o{n}", text=f"t{n}", rank=n) for n in range(60)]
    operations[30] = _insert("o30", text="")
    before = await _push(ada, *operations)
    served.process.kill()
    await served.process.wait()
    await served.start()
    after = await _push(ada, *operations)
    assert [one["status"] for one in after] == ["duplicate"] * 60
    assert [(one["seq"], one.get("value")) for one in after] == [
        (one["seq"], one.get("value")) for one in before
    ]
    assert len(await _texts(ada)) == 59
