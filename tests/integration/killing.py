"""A runtime that is killed over and over, and somebody outside who remembers what it promised.

`KilledProject` starts warm runtimes and kills them; `Driver` writes, reads and keeps a journal of
every answer and every change that it saw. What must hold after each start is in `checks`.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from pylon import jsonvalue
from pylon.testing.crash_points import VARIABLE
from pylon.testing.served import Caller, DidNotStart, RuntimeProcess, ServedProject
from pylon.testing.warm import WarmProject

APP = """
from __future__ import annotations

from pylon import App, Entity, Json

app = App("kill")
SIGNED_IN = "auth.userId != null"


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Account(Entity):
    money: int = 100


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Book(Entity):
    pages: Json = []


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Note(Entity):
    text: str


@app.mutation
def move(ctx, source: str, target: str, amount: int) -> list[int]:
    one, other = ctx.db.get("Account", source), ctx.db.get("Account", target)
    one = ctx.db.update("Account", source, money=one.money - amount)
    other = ctx.db.update("Account", target, money=other.money + amount)
    return [one.money, other.money]


@app.mutation
def append(ctx, book: str, page: int) -> int:
    pages = ctx.db.get("Book", book).pages
    ctx.db.update("Book", book, pages=[*pages, page])
    return len(pages) + 1
"""
ACCOUNTS, BOOKS = 6, 4


class KilledProject(WarmProject):
    """A project whose runtimes may kill themselves at a named point."""

    _is_forked: asyncio.Event

    async def start(self) -> ServedProject:
        """Start a runtime and return when it answers."""
        code = await self.start_until("")
        assert code is None, self.output
        return self

    async def start_until(self, crash_at: str) -> int | None:
        """Start a runtime; returns its exit code, or None once it answers."""
        self._environment[VARIABLE] = crash_at
        self._is_forked = asyncio.Event()
        try:
            await super().start()
        except DidNotStart:
            assert self.process.returncode is not None, "it hangs"
            return self.process.returncode
        finally:
            del self.lines[:-500]
        return None

    async def _spawn(self, *arguments: str) -> RuntimeProcess:
        process = await super()._spawn(*arguments)
        self._is_forked.set()
        return process

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the runtime, also one that is just being forked, and return its exit code."""
        await self._is_forked.wait()
        return await super().stop(how)

    async def killed(self, within_s: float) -> bool:
        """Wait for the runtime to die by itself; tells whether it did."""
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            return False
        return True


class Journal:
    """What was promised: answers, and changes that were seen."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        #: Operations with an answer: what was asked, and what was answered first.
        self.answered: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        #: Operations without one, to be sent again as they are.
        self.unknown: list[dict[str, Any]] = []
        #: HTTP writes by their key: method, path, body, and the answer or None.
        self.written: dict[str, tuple[str, str, Any, Any]] = {}
        #: Every change that a reader saw: seq to (tx, entity, row id, kind).
        self.seen: dict[int, tuple[Any, ...]] = {}
        #: Pulls that were answered, and those that had to wait for the file to be opened again.
        self.reads = self.waits = 0

    def note(self, kind: str, key: str, value: Any) -> None:
        """Write down an answer before anything else is done with it."""
        self._file.write(f"{kind} {key} {jsonvalue.encode_text(value)}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Driver:
    """Everybody who uses the app: each is cut off when the runtime dies, and comes again."""

    def __init__(self, served: KilledProject, journal: Journal, seed: int) -> None:
        self.served = served
        self.journal = journal
        self.chance = random.Random(seed)
        self.ada: Caller
        self.accounts: list[str] = []
        self.books: list[str] = []
        self._number = 0
        self._cursor: str | None = None

    async def found(self) -> None:
        """Make the accounts and books that everything happens to."""
        self.ada = await self.served.login("ada@example.com")
        self.accounts = [(await self.ada.insert("Account"))["id"] for _ in range(ACCOUNTS)]
        self.books = [(await self.ada.insert("Book"))["id"] for _ in range(BOOKS)]

    def load(self) -> list[asyncio.Task[None]]:
        """Start to work; each task ends when its connection does."""
        work: list[Callable[[], Awaitable[None]]] = [
            self._push, self._push, self._push_by_socket, self._write_rows, self._read,
        ]  # fmt: skip
        return [asyncio.create_task(self._until_cut(one)) for one in work]

    async def _until_cut(self, work: Callable[[], Awaitable[None]]) -> None:
        with suppress(OSError, ClientError, TimeoutError, ConnectionError):
            await work()

    # --- writing

    def _operation(self) -> dict[str, Any]:
        self._number += 1
        number, chance = self._number, self.chance
        fn, args = chance.choice([
            ("move", self._move()),
            ("append", {"book": chance.choice(self.books), "page": number}),
            ("append", {"book": chance.choice(self.books), "page": number}),
            ("pylon.insert", {"entity": "Note", "id": f"n{number}", "values": {"text": "new"}}),
            ("pylon.update", {"entity": "Note", "id": f"n{chance.randrange(1, number + 1)}",
                              "values": {"text": f"by {number}"}}),
            ("pylon.delete", {"entity": "Note", "id": f"n{chance.randrange(1, number + 1)}"}),
        ])  # fmt: skip
        return {"op_id": f"op-{number}", "fn": fn, "args": args}

    def _move(self) -> dict[str, Any]:
        source, target = self.chance.sample(self.accounts, 2)
        return {"source": source, "target": target, "amount": self.chance.randrange(1, 40)}

    def _next_push(self) -> list[dict[str, Any]]:
        """Return what has no answer yet, with the same ids, and something new."""
        again, self.journal.unknown = self.journal.unknown, []
        return again + [self._operation() for _ in range(self.chance.randrange(1, 9))]

    async def _push(self) -> None:
        while True:
            operations = self._next_push()
            try:
                answer = await self.ada.post(
                    "/api/sync/push", {"client_id": "kill", "operations": operations}
                )
            except BaseException:
                self.journal.unknown += operations
                raise
            self._note(operations, answer.body.get("results"))

    async def _push_by_socket(self) -> None:
        socket = await self.ada.sync(client_id="kill-socket")
        while True:
            operations = self._next_push()
            try:
                await socket.send({"type": "push", "request_id": "r", "operations": operations})
                results = (await socket.until("results"))["results"]
            except BaseException as error:
                self.journal.unknown += operations
                if isinstance(error, AssertionError):
                    raise ConnectionError from error  # it closed instead of answering
                raise
            self._note(operations, results)

    def _note(self, operations: list[dict[str, Any]], results: Any) -> None:
        if results is None:  # refused as a whole: 503 while it stops or recovers
            self.journal.unknown += operations
            return
        for operation, result in zip(operations, results, strict=True):
            if result["status"] == "retry":
                self.journal.unknown.append(operation)
                continue
            self.journal.note("push", operation["op_id"], result)
            self.journal.answered.setdefault(operation["op_id"], (operation, result))

    async def _write_rows(self) -> None:
        while True:
            self._number += 1
            key = f"key-{self._number}"
            request = ("POST", "/api/entities/Note", {"id": f"h{self._number}", "text": "http"})
            self.journal.written[key] = (*request, None)
            answer = await self._write(key)
            if answer[0] != 503:
                self.journal.written[key] = (*request, answer)

    async def _write(self, key: str) -> tuple[int, Any]:
        method, path, body, _ = self.journal.written[key]
        answer = await self.ada.ask(method, path, body, headers={"Idempotency-Key": key})
        self.journal.note("http", key, [answer.status, answer.body])
        return answer.status, answer.body

    # --- reading

    async def _read(self) -> None:
        while True:
            query = "" if self._cursor is None else f"&cursor={self._cursor}"
            answer = await self.ada.get(f"/api/sync/pull?limit=200{query}")
            if answer.status == 503 and answer.body["error"]["details"]["reason"] == "recovering":
                self.journal.waits += 1  # the file is being opened again, for a moment
                await asyncio.sleep(0.02)
                continue
            assert answer.status == 200, answer
            self.journal.reads += 1
            for one in answer.body["changes"]:
                known = (one["tx"], one["entity"], one["row_id"])
                assert self.journal.seen.setdefault(one["seq"], known) == known
            self._cursor = answer.body["through"]
            await asyncio.sleep(0.005)

    # --- asking again

    async def ask_again(self, at_most: int) -> None:
        """Send what has no answer, and some of what has one: each is answered as the first time."""
        journal = self.journal
        operations, journal.unknown = journal.unknown, []
        answered = list(journal.answered)[-200:]
        old = self.chance.sample(answered, min(at_most, len(answered)))
        operations += [journal.answered[op_id][0] for op_id in old]
        for start in range(0, len(operations), 500):
            part = operations[start : start + 500]
            answer = await self.ada.post("/api/sync/push", {"client_id": "k", "operations": part})
            self._note(part, answer.body["results"])
            for operation, result in zip(part, answer.body["results"], strict=True):
                assert result["status"] in ("applied", "duplicate", "rejected"), result
                first = journal.answered[operation["op_id"]][1]
                assert _without_status(first) == _without_status(result), (operation, first, result)
        await self._write_again(at_most)

    async def _write_again(self, at_most: int) -> None:
        written = self.journal.written
        keys = [key for key, one in written.items() if one[3] is None]
        newest = list(written)[-100:]
        keys += self.chance.sample(newest, min(at_most, len(newest)))
        for key in keys:
            *request, first = written[key]
            answer = await self._write(key)
            assert answer[0] == 201, answer
            assert first in (None, answer), "an answer is the same for ever"
            written[key] = (*request, answer)  # type: ignore[assignment]


def _without_status(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as it stays over repetitions: `applied` becomes `duplicate`."""
    is_rejected = "error" in result
    return {**result, "status": "rejected" if is_rejected else "done"}
