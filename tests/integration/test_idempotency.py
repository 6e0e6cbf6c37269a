"""One operation id, one effect, one answer: raced, cut, killed, aged, stolen (I38-I44).

Over HTTP with a key, by push over HTTP, and by push over the socket; the ways know of each other.
PYLON_TEST_SCALE multiplies rounds and cuts.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientError

from pylon import jsonvalue, limits
from pylon.testing.proxy import Direction, Fault, FaultKind, Proxy, Script
from pylon.testing.served import Answer, Caller, ServedProject, SyncSocket
from tests.conftest import Serve
from tests.integration.killing import KilledProject
from tests.integration.rawsocket import RawSocket

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
ROUNDS = 4 * SCALE
COPIES_EACH_WAY = 10
APP = '''
from __future__ import annotations

from pylon import App, Entity, Refused

app = App("once")
SIGNED_IN = "auth.userId != null"


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Item(Entity):
    text: str
    n: int = 0


@app.mutation
def count(ctx, id: str) -> int:
    item = ctx.db.get("Item", id)
    return ctx.db.update("Item", id, n=item.n + 1).n


@app.mutation
def refuse(ctx, id: str) -> None:
    ctx.db.update("Item", id, n=-1)
    raise Refused("NOT_NOW", "come back later", at=id)
'''  # fmt: skip


def _insert(op_id: str, row_id: str, text: str = "x") -> dict[str, Any]:
    args = {"entity": "Item", "id": row_id, "values": {"text": text}}
    return {"op_id": op_id, "fn": "pylon.insert", "args": args}


def _call(op_id: str, fn: str, row_id: str) -> dict[str, Any]:
    return {"op_id": op_id, "fn": fn, "args": {"id": row_id}}


async def _keyed(caller: Caller, operation: dict[str, Any]) -> Answer:
    """Send an operation as the HTTP request that means the same."""
    key = {"Idempotency-Key": operation["op_id"]}
    args = operation["args"]
    if operation["fn"] == "pylon.insert":
        body = {**args["values"], "id": args["id"]}
        return await caller.ask("POST", "/api/entities/Item", body, headers=key)
    return await caller.ask("POST", f"/api/fn/{operation['fn']}", args, headers=key)


async def _pushed(caller: Caller, *operations: dict[str, Any], **members: Any) -> list[Any]:
    answer = await caller.post("/api/sync/push", {"operations": operations, **members})
    assert answer.status == 200, answer
    results: list[Any] = answer.body["results"]
    return results


async def _sent(socket: SyncSocket, *operations: dict[str, Any], request_id: str = "r") -> Any:
    await socket.send({"type": "push", "request_id": request_id, "operations": list(operations)})
    while True:
        message = await socket.until("results")
        if message["request_id"] == request_id:
            return message["results"]


async def _items(caller: Caller) -> dict[str, int]:
    items: dict[str, int] = {}
    after = None
    while True:
        page = await caller.post("/api/query/Item", {"limit": 1000, "after": after})
        items |= {row["id"]: row["n"] for row in page.body["rows"]}
        after = page.body["next"]
        if after is None:
            return items


def _essence(result: dict[str, Any]) -> str:
    """Return what must be the same in every answer, whatever its status says of the way."""
    kept = {name: one for name, one in result.items() if name not in ("status", "op_id")}
    return jsonvalue.encode_text(kept)


async def test_racing_copies_over_all_ways_are_one(serve: Serve) -> None:
    """Thirty copies at once over HTTP with a key, HTTP push and three sockets: one change (I39)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Item", id="counted", text="x")
    sockets = [await ada.sync(client_id=f"c{n}") for n in range(COPIES_EACH_WAY)]
    for number in range(ROUNDS):
        made, counted, refused = f"made-{number}", f"count-{number}", f"refuse-{number}"
        for operation in (
            _insert(made, f"i{number}"), _call(counted, "count", "counted"),
            _call(refused, "refuse", "counted"),
        ):  # fmt: skip
            head = (await ada.get("/api/health")).body["head"]
            ways = await asyncio.gather(
                *(_keyed(ada, operation) for _ in range(COPIES_EACH_WAY)),
                *(_pushed(ada, operation) for _ in range(COPIES_EACH_WAY)),
                *(_sent(one, operation, request_id=operation["op_id"]) for one in sockets),
            )
            answers = [one for one in ways if isinstance(one, Answer)]
            results = [one[0] for one in ways if isinstance(one, list)]
            assert len(answers) == COPIES_EACH_WAY
            assert len({(one.status, jsonvalue.encode_text(one.body)) for one in answers}) == 1
            assert len({_essence(one) for one in results}) == 1
            firsts = [one for one in results if one["status"] != "duplicate"]
            assert len(firsts) <= 1, "who came first over HTTP is not among them"
            _check_agreement(operation["op_id"], answers[0], results[0])
            now = (await ada.get("/api/health")).body["head"]
            grown = int(now.split(":")[1]) - int(head.split(":")[1])
            assert grown == (0 if operation["op_id"] == refused else 1)
        assert (await _items(ada))["counted"] == number + 1
    for socket in sockets:
        await socket.close()


def _check_agreement(op_id: str, answer: Answer, result: dict[str, Any]) -> None:
    """Hold the answer over HTTP and the result of a push to each other."""
    match op_id.partition("-")[0]:
        case "made":
            assert (answer.status, answer.body) == (201, result["value"])
        case "count":
            assert (answer.status, answer.body["value"]) == (200, result["value"])
            assert answer.body["head"].endswith(f":{result['seq']}")
        case _:
            assert (answer.status, answer.body["error"]) == (422, result["error"])
            assert result["seq"] is None


async def test_a_doubled_connection_does_everything_once(serve: Serve) -> None:
    """Whatever the network says twice happens once, with one answer."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Item", id="counted", text="x")
    async with Proxy(served.port, Script(is_doubled=True)) as proxy:
        for number in range(5):
            request = _request(served, ada, _call(f"twice-{number}", "count", "counted"))
            answer = await _through(proxy, request)
            assert b'{"value":%d,' % (number + 1) in answer
    assert (await _items(ada))["counted"] == 5


# --- cuts


def _request(served: ServedProject, caller: Caller, operation: dict[str, Any]) -> bytes:
    """Return an operation as the bytes of an HTTP request with a key."""
    body = jsonvalue.encode(operation["args"])
    lines = [
        f"POST /api/fn/{operation['fn']} HTTP/1.1", f"Host: 127.0.0.1:{served.port}",
        f"Authorization: Bearer {caller.token}", "Content-Type: application/json",
        f"Idempotency-Key: {operation['op_id']}", f"Content-Length: {len(body)}",
        "Connection: close", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


async def _through(proxy: Proxy, data: bytes) -> bytes:
    """Send bytes through a proxy; return what came until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(data)
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def _all(work: Callable[[int], Awaitable[None]], places: range) -> None:
    """Do something at many places, a few at a time."""
    turns = asyncio.Semaphore(8)

    async def one(place: int) -> None:
        async with turns:
            await work(place)

    await asyncio.gather(*(one(place) for place in places))


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.RESET])
async def test_an_answer_cut_at_any_byte_is_found_again(serve: Serve, kind: FaultKind) -> None:
    """Whatever part of it arrived, the same id gets the whole of it, and nothing happens twice."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    whole = await _send_once(served, ada, "measure")
    step = 1 if kind is FaultKind.CUT else max(1, 16 // SCALE)
    places = range(0, len(whole) + 1, step)
    texts: dict[int, bytes] = {}

    async def cut(place: int) -> None:
        async with Proxy(served.port, Script(faults=(Fault(kind, Direction.DOWN, place),))) as at:
            request = _request(served, ada, _insert_by_call(f"{kind.value}-{place}"))
            texts[place] = await _through(at, request)

    await _all(cut, places)
    if kind is FaultKind.CUT:
        assert all(len(texts[place]) == place for place in places)

    async def again(place: int) -> None:
        operation = _insert_by_call(f"{kind.value}-{place}")
        async with Proxy(served.port) as at:
            found = await _through(at, _request(served, ada, operation))
        assert found.startswith(b"HTTP/1.1 200")
        first = texts[place].partition(b"\r\n\r\n")[2]
        assert found.partition(b"\r\n\r\n")[2].startswith(first), "the first answer, to the byte"
        (result,) = await _pushed(ada, operation)
        assert result["status"] == "duplicate", "over the other way, too"

    await _all(again, places)
    items = await _items(ada)
    assert set(items) == {f"{kind.value}-{place}" for place in places} | {"measure"}


def _insert_by_call(op_id: str) -> dict[str, Any]:
    return _insert(op_id, op_id)


async def _send_once(served: ServedProject, caller: Caller, op_id: str) -> bytes:
    async with Proxy(served.port) as proxy:
        return await _through(proxy, _request(served, caller, _insert_by_call(op_id)))


async def test_a_request_cut_anywhere_happens_once_or_not_at_all(serve: Serve) -> None:
    """What the server never had whole it never did; sent again it happens."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    size = len(_request(served, ada, _insert_by_call("up-0000")))
    places = range(0, size + 1, max(1, 12 // SCALE))

    async def cut(place: int) -> None:
        script = Script(faults=(Fault(FaultKind.CUT, Direction.UP, place),))
        async with Proxy(served.port, script) as at:
            await _through(at, _request(served, ada, _insert_by_call(f"up-{place:04}")))

    await _all(cut, places)
    before = await _items(ada)
    assert set(before) <= {f"up-{place:04}" for place in places if place >= size}
    for place in places:
        (result,) = await _pushed(ada, _insert_by_call(f"up-{place:04}"))
        if place < size:
            assert result["status"] == "applied"
        else:  # it was whole: the server may have been at it still when we looked
            assert result["status"] in ("applied", "duplicate")
    assert set(await _items(ada)) == {f"up-{place:04}" for place in places}


async def test_results_cut_on_the_socket_are_found_again(serve: Serve) -> None:
    """The socket dies somewhere in the frame of the results; the next one gets the same."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    async with Proxy(served.port) as proxy:
        socket = await RawSocket.open(ada, port=proxy.port)
        socket.hello()
        await socket.until("welcome")
        before = proxy.passages[0].passed[Direction.DOWN]
        _push_raw(socket, "measure", "measured")
        await socket.until("results")
        size = proxy.passages[0].passed[Direction.DOWN] - before
        socket.close()
    places = range(0, size + 1, max(1, 9 // SCALE))

    async def cut(place: int) -> None:
        # The same welcome comes first, of the same length.
        fault = Fault(FaultKind.CUT, Direction.DOWN, before + place)
        async with Proxy(served.port, Script(faults=(fault,))) as at:
            socket = await RawSocket.open(ada, port=at.port)
            socket.hello()
            _push_raw(socket, f"ws-{place}", f"ws-{place}")
            while (await socket.next())[0] != -1:
                pass
            socket.close()

    await _all(cut, places)
    socket = await ada.sync()
    for place in places:
        (result,) = await _sent(
            socket, _insert(f"ws-{place}", f"ws-{place}"), request_id=f"{place}"
        )
        assert result["status"] in ("duplicate", "applied")
        answer = await _keyed(ada, _insert(f"ws-{place}", f"ws-{place}"))
        assert (answer.status, answer.body) == (201, result["value"])
    await socket.close()
    assert set(await _items(ada)) == {f"ws-{place}" for place in places} | {"measured"}


def _push_raw(socket: RawSocket, op_id: str, row_id: str) -> None:
    socket.send({"type": "push", "request_id": "r", "operations": [_insert(op_id, row_id)]})


# --- batches


async def test_an_atomic_batch_is_whole_however_its_answer_was_cut(serve: Serve) -> None:
    """Sent again it is the same batch: all duplicates with their numbers, nothing twice (I43)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")

    def batch(name: str) -> list[dict[str, Any]]:
        return [_insert(f"{name}-{n}", f"{name}-{n}") for n in range(5)]

    first = await _pushed(ada, *batch("whole"), atomic=True)
    assert [one["status"] for one in first] == ["applied"] * 5
    again = await _pushed(ada, *batch("whole"), atomic=True)
    assert [one["status"] for one in again] == ["duplicate"] * 5
    assert [_essence(one) for one in again] == [_essence(one) for one in first]
    for place in range(0, 900, max(1, 60 // SCALE)):
        body = jsonvalue.encode({"operations": batch(f"cut{place}"), "atomic": True})
        head = (
            f"POST /api/sync/push HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            f"Authorization: Bearer {ada.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        direction = Direction.UP if place % 2 else Direction.DOWN
        script = Script(faults=(Fault(FaultKind.CUT, direction, place),))
        async with Proxy(served.port, script) as at:
            await _through(at, head + body)
        statuses = {one["status"] for one in await _pushed(ada, *batch(f"cut{place}"), atomic=True)}
        assert statuses in ({"applied"}, {"duplicate"}), "all of it, or none"
    # One that is rejected takes the others with it and uses up no id of theirs.
    good, bad = _insert("good", "good"), _insert("bad", "whole-0")
    rejected = await _pushed(ada, good, bad, atomic=True)
    assert [one["error"]["code"] for one in rejected] == ["ABORTED", "CONFLICT"]
    assert "good" not in await _items(ada)
    mended = await _pushed(ada, good, _insert("bad", "free"), atomic=True)
    assert [one["status"] for one in mended] == ["applied"] * 2


async def test_a_batch_that_failed_in_part_repeats_nothing(serve: Serve) -> None:
    """Applied and rejected ones answer as before; only what is new runs."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Item", id="counted", text="x")
    operations = [
        _call("a", "count", "counted"), _call("b", "refuse", "counted"),
        _insert("c", "counted"), _call("d", "count", "nobody"), _call("e", "count", "counted"),
    ]  # fmt: skip
    first = await _pushed(ada, *operations)
    assert [one["status"] for one in first] == [
        "applied", "rejected", "rejected", "rejected", "applied"
    ]  # fmt: skip
    again = await _pushed(ada, *operations, _call("f", "count", "counted"))
    assert [one["status"] for one in again] == ["duplicate"] * 5 + ["applied"]
    assert [_essence(one) for one in again[:5]] == [_essence(one) for one in first]
    assert (await _items(ada))["counted"] == 3


# --- crashes and trouble


async def test_what_was_committed_before_a_kill_is_answered_after_it(tmp_path: Any) -> None:
    """Killed between commit and answer, over every way: the retry gets the answer (I40)."""
    project = tmp_path / "app"
    project.mkdir()
    (project / "app.py").write_text(APP)
    served = KilledProject(project, tmp_path / "state")
    try:
        await served.start()
        ada = await served.login("ada@example.com")
        await ada.insert("Item", id="counted", text="x")
        counted, at_start = 0, 1
        for way in ("keyed", "pushed", "sent") * SCALE:
            was_committed = False
            while not was_committed:  # other commits, of what is known of clients, pass here too
                await served.stop()
                # A start commits, too, before it answers: those are not what is asked about.
                place = counted % 3 + 1
                while await served.start_until(f"answer.before:{place + at_start}") is not None:
                    at_start += 1
                    assert at_start < 10
                lost: dict[str, Any] | None = None
                while lost is None:
                    operation = _call(f"{way}-{counted}", "count", "counted")
                    counted += 1
                    if not await _is_answered(way, ada, operation):
                        lost = operation
                assert await served.killed(10)
                was_committed = lost["op_id"] in _remembered(served)
                await served.start()
                (result,) = await _pushed(ada, lost)
                assert result["status"] == ("duplicate" if was_committed else "applied")
                answer = await _keyed(ada, lost)
                assert (answer.status, answer.body["value"], result["value"]) == (
                    200, counted, counted
                )  # fmt: skip
                assert (await _items(ada))["counted"] == counted
    finally:
        await served.close()


def _remembered(served: ServedProject) -> set[str]:
    """Return the operation ids in the file."""
    database = sqlite3.connect(f"file:{served.project / '.pylon' / 'app.db'}?mode=ro", uri=True)
    try:
        return {row[0] for row in database.execute("SELECT op_id FROM _pylon_ops")}
    finally:
        database.close()


async def _is_answered(way: str, caller: Caller, operation: dict[str, Any]) -> bool:
    try:
        async with asyncio.timeout(60):
            if way == "keyed":
                return (await _keyed(caller, operation)).status == 200
            if way == "pushed":
                return bool(await _pushed(caller, operation))
            socket = await caller.sync()
            return bool(await _sent(socket, operation))
    except (ClientError, OSError, AssertionError, TimeoutError):
        return False


async def test_trouble_uses_up_no_id(serve: Serve) -> None:
    """What must be retried stops the batch, is not recorded, and may be applied later (I44)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Item", id="counted", text="x")
    operations = [
        _call("small", "refuse", "counted"), _insert("large", "large", "y" * 400_000),
        _insert("behind", "behind"),
    ]  # fmt: skip
    hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (200_000, hard))
    results = await _pushed(ada, *operations)
    assert {one["status"] for one in results[1:]} == {"retry"}
    assert {one["error"]["code"] for one in results[1:]} == {"UNAVAILABLE"}
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (hard, hard))
    async with asyncio.timeout(60):
        while (await ada.get("/api/health")).status != 200:
            await asyncio.sleep(0.1)
    results = await _pushed(ada, *operations)
    assert results[0]["error"]["code"] == "NOT_NOW"
    assert [one["status"] for one in results[1:]] == ["applied", "applied"]
    assert set(await _items(ada)) == {"counted", "large", "behind"}


# --- whose, what, how old


async def test_an_id_is_its_owners_and_stands_for_one_thing(serve: Serve) -> None:
    """Another caller neither uses it up nor reads its answer; other content is refused (I41)."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    (mine,) = await _pushed(ada, _insert("same", "adas", "secret words"))
    (his,) = await _pushed(bob, _insert("same", "bobs"))
    assert (mine["status"], his["status"]) == ("applied", "applied")
    assert "secret words" not in jsonvalue.encode_text(his)
    (stolen,) = await _pushed(bob, _insert("same", "adas", "secret words"))
    assert (stolen["status"], stolen["error"]["code"]) == ("rejected", "CONFLICT")
    assert "secret words" not in jsonvalue.encode_text(stolen)
    head = (await ada.get("/api/health")).body["head"]
    for other in (
        _insert("same", "adas", "other words"), _insert("same", "else", "secret words"),
        _call("same", "count", "adas"),
    ):  # fmt: skip
        (result,) = await _pushed(ada, other)
        assert (result["status"], result["error"]["code"]) == ("rejected", "CONFLICT")
        assert (await _keyed(ada, other)).code == "CONFLICT"
    assert (await ada.get("/api/health")).body["head"] == head, "nothing of it happened"
    (again,) = await _pushed(ada, _insert("same", "adas", "secret words"))
    assert (again["status"], again["value"]) == ("duplicate", mine["value"])
    # Two sessions of one person are one person.
    other_session = await served.login("ada@example.com")
    assert (await _pushed(other_session, _insert("same", "adas", "secret words"))) == [again]


def _uuid7(ms: int, number: int) -> str:
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}"


async def test_an_id_older_than_the_memory_is_refused(serve: Serve) -> None:
    """On either side of the edge, over every way, in any spelling; others are not judged (I42)."""
    served = await serve(APP, toml="[log]\nretain_days = 1\n")
    ada = await served.login("ada@example.com")
    day_ms = 86_400_000
    made = await ada.insert("Item", text="x")
    now_ms = int(made["id"].replace("-", "")[:12], 16)
    edge_ms = now_ms - (1 + limits.OPERATION_EXTRA_DAYS) * day_ms
    socket = await ada.sync()
    for number, (ms, is_old) in enumerate(
        ((edge_ms - 60_000, True), (edge_ms + 60_000, False), (now_ms + day_ms, False))
    ):  # fmt: skip
        for place, spelled in enumerate((str.lower, str.upper)):
            op_id = spelled(_uuid7(ms, number))
            operation = _insert(op_id, f"u{number}{place}")
            (pushed,) = await _pushed(ada, operation)
            (sent,) = await _sent(socket, operation, request_id=op_id)
            answer = await _keyed(ada, operation)
            if is_old:
                codes = [one["error"]["code"] for one in (pushed, sent)]
                assert [*codes, answer.code] == ["OPERATION_EXPIRED"] * 3
                assert answer.status == 409
            else:
                assert [pushed["status"], sent["status"]] == ["applied", "duplicate"]
                assert (answer.status, answer.body) == (201, pushed["value"])
    await socket.close()
    await served.stop()
    assert _uuid7(edge_ms - 60_000, 0) not in {one.lower() for one in _remembered(served)}


async def test_ids_have_a_form(serve: Serve) -> None:
    """1-64 of `A-Za-z0-9_.:-`, at both edges, over every way."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    for number, op_id in enumerate(("a", "a" * 64, "A-z_0.9:")):
        assert (await _pushed(ada, _insert(op_id, f"f{number}")))[0]["status"] == "applied"
    for op_id in ("", "a" * 65, "a b", "ä", "a/b", "a\n"):
        (result,) = await _pushed(ada, _insert(op_id, "bad"))
        assert result["error"]["code"] == "INVALID_ARGUMENT"
    assert (await _keyed(ada, _insert("a" * 65, "bad"))).code == "INVALID_ARGUMENT"
    assert set(await _items(ada)) == {"f0", "f1", "f2"}
