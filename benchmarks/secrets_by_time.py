"""Can the time of an answer tell a secret? Pairs of requests, Mann-Whitney over their times.

Run: python -m benchmarks.secrets_by_time [--samples 500]
Each pair differs in what the caller may not know: a row that is hidden or missing, a field that
holds this or that. Both are asked in turn, in random order, on one connection. Printed are the
medians and how probable so large a difference of ranks is by chance alone (p, two-sided). Below
0.01 the two can be told apart. The last pair may be told apart: it shows that the test can tell.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pylon.testing.served import Caller, ServedProject

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, Text, actor, field

app = App("secrets")
SIGNED_IN = "auth.userId != null"


@app.entity(read=SIGNED_IN, insert=SIGNED_IN)
class Seat(Entity):
    teamId: str = field(index=True)
    userId: Ref["User"] = field(index=True)


@app.entity(
    read="isOwner() || exists Seat(teamId == data.teamId, userId == auth.userId)",
    insert=SIGNED_IN, update="isOwner()", delete="isOwner()",
)
class Paper(Entity):
    ownerId: Ref["User"] = field(default=actor)
    teamId: str = "t"
    title: str = ""


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, update="isOwner()")
class Person(Entity):
    ownerId: Ref["User"] = field(default=actor)
    name: str = ""
    pay: int = field(default=0, read="isOwner()")
    review: Text | None = field(default=None, read="isOwner()")


@app.query
def found(ctx, id: str) -> Paper | None:
    return ctx.db.get(Paper, id)
"""
Ask = Callable[[], Awaitable[object]]


def mann_whitney(first: list[float], second: list[float]) -> float:
    """Return the two-sided p of two samples being of one distribution (normal approximation)."""
    ranked = sorted((value, side) for side, one in ((0, first), (1, second)) for value in one)
    n, m = len(first), len(second)
    rank_sum, ties, place = 0.0, 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        rank = (place + 1 + end) / 2
        rank_sum += rank * sum(1 for _, side in ranked[place:end] if side == 0)
        ties += (end - place) ** 3 - (end - place)
        place = end
    total = n + m
    spread = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    z = (abs(rank_sum - n * (total + 1) / 2) - 0.5) / spread
    return math.erfc(max(z, 0.0) / math.sqrt(2))


async def compared(name: str, first: Ask, second: Ask, samples: int) -> None:
    """Measure a pair and print it."""
    times: tuple[list[float], list[float]] = ([], [])
    asks = (first, second)
    for ask in asks * 50:
        await ask()
    turns = [0] * samples + [1] * samples
    random.SystemRandom().shuffle(turns)
    for turn in turns:
        begun = time.perf_counter()
        await asks[turn]()
        times[turn].append((time.perf_counter() - begun) * 1e6)
    medians = [statistics.median(one) for one in times]
    print(f"{name:<44} {medians[0]:8.0f} {medians[1]:8.0f}   {mann_whitney(*times):.3f}")


def _asker(caller: Caller, method: str, path: str, value: object = None) -> Ask:
    return lambda: caller.ask(method, path, value)


async def measure(samples: int) -> None:
    """Serve the app and measure all pairs."""
    with tempfile.TemporaryDirectory() as folder:
        project, state = Path(folder, "app"), Path(folder, "state")
        project.mkdir()
        (project / "app.py").write_text(APP)
        served = ServedProject(project, state)
        await served.start()
        try:
            await _pairs(served, samples)
        finally:
            await served.close()


async def _pairs(served: ServedProject, samples: int) -> None:
    ada, eve = [await served.login(f"{one}@x.example") for one in ("ada", "eve")]
    for place in range(200):
        await ada.insert("Paper", id=f"h{place}", title="x" * 200)
    await ada.insert("Person", id="low", name="Ada")
    await ada.insert("Person", id="high", name="Ada", pay=987_654, review="x" * 200)
    await ada.insert("Person", id="long", name="Ada", review="x" * 100_000)
    print(f"{'':<44} {'µs':>8} {'µs':>8}   p")
    paper, person = "/api/entities/Paper", "/api/entities/Person"
    pairs: list[tuple[str, Ask, Ask]] = [
        ("GET a row: hidden, missing",
         _asker(eve, "GET", f"{paper}/h7"), _asker(eve, "GET", f"{paper}/m7")),
        ("PATCH a row: hidden, missing",
         _asker(eve, "PATCH", f"{paper}/h7", {"title": "y"}),
         _asker(eve, "PATCH", f"{paper}/m7", {"title": "y"})),
        ("DELETE a row: hidden, missing",
         _asker(eve, "DELETE", f"{paper}/h7"), _asker(eve, "DELETE", f"{paper}/m7")),
        ("a function that gets it: hidden, missing",
         _asker(eve, "POST", "/api/fn/found", {"id": "h7"}),
         _asker(eve, "POST", "/api/fn/found", {"id": "m7"})),
        ("GET a row with a hidden field: null, a text",
         _asker(eve, "GET", f"{person}/low"), _asker(eve, "GET", f"{person}/high")),
        ("GET a row with a hidden field: null, 100 kB",
         _asker(eve, "GET", f"{person}/low"), _asker(eve, "GET", f"{person}/long")),
        ("order by a field: hidden, not there",
         _asker(eve, "GET", f"{person}?order=pay"), _asker(eve, "GET", f"{person}?order=pax")),
        ("(may differ) a list: of 1 row, of 3",
         _asker(ada, "GET", f"{person}?limit=1"), _asker(ada, "GET", f"{person}?limit=3")),
    ]  # fmt: skip
    for name, first, second in pairs:
        await compared(name, first, second, samples)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=500)
    asyncio.run(measure(parser.parse_args().samples))


if __name__ == "__main__":
    main()
