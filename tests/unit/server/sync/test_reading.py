"""Reading for one connection: what was read before it had to start over is not sent after."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from pylon.clock import SystemClock
from pylon.identity import ANONYMOUS
from pylon.server.sync.channel import Connection
from pylon.server.sync.reading import Reading
from pylon.server.sync.subscriber import Phase, Subscriber
from pylon.server.sync.subscription import Subscription


class _Transport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class _Database:
    """Answers reads one by one, when the test says so."""

    epoch = "e"

    def __init__(self) -> None:
        self.asked: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        self.readers = self

    async def run(self, read: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        return await answer

    def cursor(self, seq: int) -> str:
        return f"e:{seq}"


class _Reading(Reading):
    def _visible(self, connection: Connection, wanted: Subscription) -> Any:
        return None


async def test_a_page_of_before_is_not_sent_after_starting_over() -> None:
    """A page asked for before a resync is thrown away: its caller and its place are of before."""
    database, transport = _Database(), _Transport()
    reading = _Reading(
        database, SystemClock(), 1_000_000,  # type: ignore[arg-type]
        catch_tail=lambda _: None, resync=lambda *_: None,
    )  # fmt: skip
    wanted: Any = SimpleNamespace(
        id="s", after="k5", total=9, entity=SimpleNamespace(name="Thing"), is_window=False,
        listed=None,
    )  # fmt: skip
    machine = Subscriber("e", phase=Phase.LIVE, cursor=5, subscriptions={"s": wanted})
    connection = Connection(
        id="c", identity=ANONYMOUS, address="", user_agent="", subscriber=machine,
        transport=transport, connected_at_ms=0,  # type: ignore[arg-type]
    )  # fmt: skip
    reading.work(connection)
    before = await database.asked.get()
    machine.start_over(7)
    reading.work(connection)
    before.set_result(('{"id":"of-before"}', None, 5, None))
    after = await database.asked.get()
    assert wanted.after == ""
    after.set_result(('{"id":"of-now"}', None, 7, None))
    assert connection.reader is not None
    await connection.reader
    sent = b"".join(transport.sent)
    assert b"of-before" not in sent
    assert b"of-now" in sent
    assert wanted.after is None
