"""Turns at the readers: one caller never holds up another."""

from __future__ import annotations

import asyncio

from pylon.server.storage.fair_queue import FairQueue


class _Crowd:
    """Askers that stay in their place until they are sent out."""

    def __init__(self, size: int) -> None:
        self.queue = FairQueue(size)
        self.inside: list[str] = []
        self.tasks: dict[asyncio.Task[None], str] = {}

    async def ask(self, asker: str, times: int = 1) -> None:
        for _ in range(times):
            self.tasks[asyncio.create_task(self._enter(asker))] = asker
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _enter(self, asker: str) -> None:
        await self.queue.enter(asker)
        self.inside.append(asker)

    async def leave(self, asker: str, seconds: float) -> None:
        self.inside.remove(asker)
        self.queue.leave(asker, seconds)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def give_up(self, asker: str) -> None:
        for task, name in list(self.tasks.items()):
            if name == asker and not task.done():
                task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_one_caller_never_holds_all_readers() -> None:
    """Twelve slow questions of one leave a place at once for another's first."""
    crowd = _Crowd(3)
    await crowd.ask("slow", 12)
    assert crowd.inside == ["slow", "slow"]
    await crowd.ask("other")
    assert crowd.inside == ["slow", "slow", "other"]


async def test_who_had_less_goes_first() -> None:
    """A place that becomes free goes to whoever used less time, not to who waits longest."""
    crowd = _Crowd(2)
    await crowd.ask("a")
    await crowd.ask("b")
    await crowd.ask("a", 3)
    await crowd.ask("c")
    await crowd.leave("a", 5.0)
    assert crowd.inside == ["b", "c"], "c never had any"
    await crowd.ask("b", 2)
    await crowd.leave("b", 0.1)
    await crowd.leave("c", 0.1)
    assert sorted(crowd.inside) == ["a", "b"]


async def test_time_that_was_used_long_ago_does_not_count_for_ever() -> None:
    """Who was greedy takes turns again once the others have had as much."""
    crowd = _Crowd(2)
    await crowd.ask("greedy")
    await crowd.leave("greedy", 3.0)
    order = []
    await crowd.ask("steady", 8)
    await crowd.ask("greedy", 2)
    for _ in range(8):
        name = crowd.inside[0]
        order.append(name)
        await crowd.leave(name, 1.0)
    assert order.count("greedy") == 2


async def test_who_gives_up_keeps_no_place() -> None:
    """A caller that left while waiting, or just as his turn came, leaves nothing behind."""
    crowd = _Crowd(2)
    await crowd.ask("a", 2)
    await crowd.give_up("a")
    assert crowd.inside == ["a"]
    await crowd.ask("b")
    waiter = asyncio.create_task(crowd.queue.enter("c"))
    await asyncio.sleep(0)
    crowd.queue.leave("b", 0.0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    crowd.queue.leave("a", 0.0)
    assert crowd.queue.free == 2


async def test_a_place_that_frees_as_its_next_gives_up_goes_to_the_one_behind() -> None:
    """In the same pass of the loop: he has not come to say so, and no place is lost."""
    crowd = _Crowd(2)
    await crowd.ask("a")
    await crowd.ask("b")
    await crowd.ask("c")
    await crowd.ask("d")
    for task, name in crowd.tasks.items():
        if name == "c":
            task.cancel()
    await crowd.leave("a", 0.0)
    assert crowd.inside == ["b", "d"]
    await crowd.leave("b", 0.0)
    await crowd.leave("d", 0.0)
    assert crowd.queue.free == 2
