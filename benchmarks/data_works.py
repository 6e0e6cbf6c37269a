"""The Data screen over a table of a million rows: opened, scrolled, ended and filtered, as seen.

The dashboard runs in this process, against a runtime in another; a step ends when its row is on the
screen. Nothing of the driver of a terminal is measured.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from textual.pilot import Pilot

from benchmarks.pylon_runtime import PylonRuntime
from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.testing.grid import shown
from pylon.tui.dashboard import Dashboard

ROWS: Final = 1_000_000
SIZES: Final = ((80, 24), (200, 50))
#: Each step is done so often; the median stands.
ROUNDS: Final = 5
_STEP_SECONDS: Final = 60.0


@dataclass(slots=True)
class Seen:
    """How long each step took until it was on the screen, in milliseconds; memory in MiB."""

    size: str
    open_ms: float
    open_worst_ms: float
    #: What this process itself took for it, of one core.
    open_cpu_ms: float
    page_ms: float
    end_ms: float
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
    admin = AdminClient(f"http://{server.host}", token=server.admin_token)
    app = Dashboard(SystemClock(), admin)
    async with app.run_test(size=size) as pilot:
        await _until(app, lambda: "bench" in shown(app))
        await pilot.press("3")
        await _until(app, lambda: bool(app.state.data.entities) and "TeamRow" in shown(app))
        place = [one["name"] for one in app.state.data.entities].index("TeamRow")
        await pilot.press("g", *["down"] * place)
        before = _mib()
        both = [await _open(app, pilot) for _ in range(ROUNDS)]
        opened, cpu = [one for one, _ in both], [one for _, one in both]
        await pilot.press("enter")
        await _until(app, lambda: "row-00000001" in shown(app) or "0000001" in shown(app))
        pages = [await _page(app, pilot) for _ in range(ROUNDS * 4)]
        ends = [await _ends(app, pilot, rows) for _ in range(ROUNDS)]
        indexed = await _filtered(app, pilot, "team == 'team7'", "0000007")
        unindexed = await _filtered(app, pilot, f"body == 'text of row {rows - 1}'", str(rows - 1))
        after = _mib()
    await admin.close()
    return Seen(
        f"{size[0]}x{size[1]}", statistics.median(opened), max(opened), statistics.median(cpu),
        statistics.median(pages),
        statistics.median(ends), indexed, unindexed, before, after,
    )  # fmt: skip


async def _open(app: Dashboard, pilot: Pilot[int]) -> tuple[float, float]:
    """Return (milliseconds until it was seen, of them on a core in this process)."""
    started, worked = time.perf_counter(), time.process_time()
    await pilot.press("enter")
    await _until(app, lambda: bool(app.state.data.rows) and "0000001 " in shown(app))
    took = (time.perf_counter() - started) * 1000
    worked = (time.process_time() - worked) * 1000
    await pilot.press("backspace")
    await _until(app, lambda: app.state.data.place is None)
    await asyncio.sleep(0.3)
    return took, worked


async def _page(app: Dashboard, pilot: Pilot[int]) -> float:
    grid = app.pane.list
    assert grid is not None
    before = grid.current["id"]
    started = time.perf_counter()
    await pilot.press("pagedown")
    await _until(
        app, lambda: grid.current["id"] != before and grid.current["id"][-8:] in shown(app)
    )
    return (time.perf_counter() - started) * 1000


async def _ends(app: Dashboard, pilot: Pilot[int], rows: int) -> float:
    started = time.perf_counter()
    await pilot.press("G")
    await _until(app, lambda: str(rows) in shown(app))
    took = (time.perf_counter() - started) * 1000
    await pilot.press("g")
    await _until(app, lambda: "0000001 " in shown(app))
    return took


async def _filtered(app: Dashboard, pilot: Pilot[int], text: str, wanted: str) -> float:
    """Return how long a filter takes from enter on; the wait for typing to end is in it."""
    await pilot.press("slash")
    line = app.query_one("#filter")
    started = time.perf_counter()
    line.value = text  # type: ignore[attr-defined]
    await pilot.press("enter")
    await _until(
        app, lambda: bool(app.state.data.is_answered)
        and bool(app.state.data.place and app.state.data.place.filter == text)
        and wanted in shown(app),
    )  # fmt: skip
    took = (time.perf_counter() - started) * 1000
    await pilot.press("escape")
    await _until(app, lambda: "0000001 " in shown(app))
    return took


async def _until(app: Dashboard, holds: Callable[[], bool]) -> None:
    end = time.perf_counter() + _STEP_SECONDS
    while not holds():
        if time.perf_counter() > end:
            raise TimeoutError(f"it was never shown:\n{shown(app)}")
        await asyncio.sleep(0.002)


def _mib() -> float:
    """Return the resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_048_576
