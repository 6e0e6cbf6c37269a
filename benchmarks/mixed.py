"""The write path with the real product under mixed load: what writers cost readers, and back.

Run: python -m benchmarks.mixed
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import works
from benchmarks.line import free_port
from benchmarks.load import Figures
from benchmarks.pylon_runtime import PylonRuntime


async def _measure() -> list[tuple[str, Figures, Figures | None]]:
    lines: list[tuple[str, Figures, Figures | None]] = []
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        server = await PylonRuntime(Path(folder), free_port()).start()
        try:
            await works.fill_pylon(server, 10_000)
            lines.append(("reads alone", await works.read_pylon(server), None))
            lines.append(("single creates alone", await works.create_pylon(server), None))
            lines.append(("pushes alone", await works.push_pylon(server), None))
            for name, write in (
                ("reads beside single creates", works.create_pylon),
                ("reads beside pushes", works.push_pylon),
            ):
                reads, writes = await asyncio.gather(works.read_pylon(server), write(server))
                lines.append((name, reads, writes))
            await works.fill_pylon(server, 90_000)
            reads, pulled = await asyncio.gather(
                works.read_pylon(server), works.catch_up_pylon(server)
            )
            lines.append(("reads beside one catch-up of 100,000", reads, pulled))
        finally:
            await server.stop()
    return lines


def main() -> None:
    """Measure and print."""
    table = Table(title="mixed load, durability full, 64 reading connections")
    for head in ("work", "rate", "p50 ms", "p99 ms", "beside it", "p99 ms"):
        table.add_column(head)
    for name, figures, other in asyncio.run(_measure()):
        table.add_row(
            name, f"{figures.per_second:,.0f}/s", f"{figures.percentile(0.5):.1f}",
            f"{figures.percentile(0.99):.1f}",
            "" if other is None else f"{other.per_second:,.0f}/s",
            "" if other is None or not other.latencies_ms else f"{other.percentile(0.99):.1f}",
        )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
