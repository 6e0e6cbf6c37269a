"""The Data screen over a table of a million rows: opened, scrolled, ended and filtered, as seen.

The dashboard runs on a terminal of its own, against a runtime in another process; a step begins as
its key is written and ends as its row is drawn.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console

from benchmarks.line import Line, free_port
from benchmarks.pylon_runtime import PylonRuntime
from benchmarks.terminal import Terminal, attached

ROWS: Final = 1_000_000
SIZES: Final = ((80, 24), (200, 50))
#: Each step is done so often; the median stands.
ROUNDS: Final = 5
#: Between two steps: what the one before left to do is done.
_REST_SECONDS: Final = 0.5
_PAGE_DOWN: Final = "\x1b[6~"


@dataclass(slots=True)
class Seen:
    """How long each step took until it was on the screen, in milliseconds; memory in MiB."""

    size: str
    open_ms: float
    open_worst_ms: float
    #: What the dashboard took for it, of one core.
    open_cpu_ms: float
    #: What the runtime took for it.
    serve_cpu_ms: float
    page_ms: float
    page_worst_ms: float
    end_ms: float
    #: A filter that names one row by its id.
    jump_ms: float
    indexed_ms: float
    unindexed_ms: float
    mib_before: float
    mib_after: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def fill(database: Path, rows: int = ROWS) -> None:
    """Write rows of teams into the closed database of the bench app: `team` is indexed."""
    connection = sqlite3.connect(database)
    wire = (
        "json_object('id', printf('row-%08d', x), 'team', 'team' || (x % 1000),"
        " 'body', 'text of row ' || x, '_seq', 1)"
    )
    with connection:
        connection.execute(
            'INSERT INTO "TeamRow" (id, team, body, _seq, _wire)'
            " WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)"
            f" SELECT printf('row-%08d', x), 'team' || (x % 1000), 'text of row ' || x, 1, {wire}"
            " FROM n",
            (rows,),
        )
    connection.close()


async def measure(server: PylonRuntime, size: tuple[int, int], rows: int = ROWS) -> Seen:
    """Open the table again and again at one size of the terminal, and walk through it."""
    listed = (await server.admin("GET", "data"))["entities"]
    place = [one["name"] for one in listed].index("TeamRow")
    screen = attached(server.host, server.admin_token, size)
    try:
        await screen.until("bench")
        screen.press("3")
        await screen.until("TeamRow")
        screen.press("g" + "j" * place)
        await asyncio.sleep(_REST_SECONDS)
        runtime = psutil.Process(server.pid)
        before = screen.mib()
        opened = [await _open(screen, runtime) for _ in range(ROUNDS)]
        await screen.answered("\r", _id(1))
        pages = await _pages(screen)
        ends = [await _ends(screen, rows) for _ in range(ROUNDS)]
        jumps = [await _jump(screen, rows * (at + 1) // 9) for at in range(ROUNDS)]
        indexed = await _filtered(screen, "team == 'team777'", 777)
        unindexed = await _filtered(screen, f"body == 'text of row {rows - 1}'", rows - 1)
        after = screen.mib()
    finally:
        await screen.close()
    took, worked, served = zip(*opened, strict=True)
    return Seen(
        f"{size[0]}x{size[1]}", statistics.median(took), max(took), statistics.median(worked),
        statistics.median(served), statistics.median(pages), max(pages), statistics.median(ends),
        statistics.median(jumps), indexed, unindexed, before, after,
    )  # fmt: skip


def _id(number: int) -> str:
    """Return what is drawn of a row's id: its end."""
    return f"{number:08d} "


async def _open(screen: Terminal, runtime: psutil.Process) -> tuple[float, float, float]:
    """Return milliseconds until the rows were drawn, of a core here, and of one in the runtime."""
    before = runtime.cpu_times()
    took, worked = await screen.answered("\r", _id(1))
    after = runtime.cpu_times()
    served = (after.user + after.system - before.user - before.system) * 1000
    await screen.answered("\x7f", "enter opens an entity")
    await asyncio.sleep(_REST_SECONDS)
    return took, worked, served


async def _pages(screen: Terminal) -> list[float]:
    """Return how long each page took; a page ends as a row below all others is drawn."""
    found, last = [], 60
    for _ in range(ROUNDS * 4):
        started = time.perf_counter()
        screen.press(_PAGE_DOWN)
        while True:
            await screen.until(r"\d{8} ")
            newest = max(int(one) for one in re.findall(r"(\d{8}) ", screen.text))
            if newest > last:
                break
            if time.perf_counter() - started > 1.0:
                break  # it was in sight already
            await asyncio.sleep(0.001)
        if newest > last:
            found.append((time.perf_counter() - started) * 1000)
        last = max(last, newest)
        await asyncio.sleep(0.05)
    return found


async def _ends(screen: Terminal, rows: int) -> float:
    took, _ = await screen.answered("G", _id(rows))
    await screen.answered("g", _id(1))
    return took


async def _jump(screen: Terminal, number: int) -> float:
    """Return how long it takes to a row by its id."""
    return await _filtered(screen, f"id == 'row-{number:08d}'", number)


async def _filtered(screen: Terminal, text: str, number: int) -> float:
    """Return how long a filter takes from its first letter to enter and on."""
    await screen.answered("/", "filter:")
    took, _ = await screen.answered(f"{text}\r", _id(number))
    await screen.answered("\x1b", _id(1))
    await asyncio.sleep(_REST_SECONDS)
    return took


async def data_lines(console: Console) -> list[Line]:
    """Measure what the Data screen of the dashboard takes over a table of a million rows."""
    console.print(f"the dashboard on {ROWS:,} rows", style="dim")
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        server = await PylonRuntime(Path(folder), free_port()).start()
        await server.stop()
        fill(server.folder / "project" / ".pylon" / "app.db")
        await server.start()
        try:
            found = [await measure(server, size) for size in SIZES]
        finally:
            await server.stop()
    lines = []
    for one in found:
        more = one.mib_after - one.mib_before
        lines += [
            Line(
                f"{ROWS:,} rows opened at {one.size}",
                f"{one.open_ms:.0f} ms, worst {one.open_worst_ms:.0f} ms; {one.open_cpu_ms:.0f} ms"
                f" of a core, {one.serve_cpu_ms:.0f} ms in the runtime", "", None, "≤ 300 ms",
                one.open_ms <= 300, one.to_json(),
            ),
            Line(
                f"scrolled by a page, to the end, to an id, at {one.size}",
                f"{one.page_ms:.0f} ms (worst {one.page_worst_ms:.0f} ms), {one.end_ms:.0f} ms,"
                f" {one.jump_ms:.0f} ms; {more:.0f} MiB more", "", None,
                "≤ 50 MiB more", more <= 50, {},
            ),
            Line(
                f"filtered by an indexed field, and by another, at {one.size}",
                f"{one.indexed_ms:.0f} ms, {one.unindexed_ms:.0f} ms", "", None,
                "", None, {},
            ),
        ]  # fmt: skip
    return lines
