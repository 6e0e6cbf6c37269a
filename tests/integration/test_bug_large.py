"""`pylon bug` after large transactions: as much as fits, and a word where the newest does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylon import jsonvalue
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from pylon import App, Entity

app = App("shop")


@app.entity(read="true")
class Shelf(Entity):
    name: str


@app.mutation(allow="true")
def many(ctx, count: int) -> None:
    for _ in range(count):
        ctx.db.insert(Shelf, name="x")
"""


async def test_large_transactions_keep_no_report_from_being_made(
    serve: Serve, tmp_path: Path
) -> None:
    """Whole ones are taken as far as they fit; of one that is too large the file says so."""
    pylon = Shell(await serve(APP))

    async def report(name: str) -> dict[str, Any]:
        out = await pylon("bug", "--out", str(tmp_path / name), "--json")
        found: dict[str, Any] = jsonvalue.parse(out.encode())
        return found

    await pylon("call", "many", '{"count":1000}')
    assert (await report("whole.zip"))["changes"] == 1_000
    await pylon("call", "many", '{"count":1}')
    after = await report("after.zip")
    assert (after["changes"], after["from"], after["to"]) == (1, 1_001, 1_001)
    await pylon("call", "many", '{"count":1001}')
    large = await report("large.zip")
    assert large["changes"] == 0
    assert any("newest transaction has more than 1,000" in one for one in large["left_out"])
    assert "code/app.py" in await pylon(
        "bug", "show", str(tmp_path / "large.zip"), is_for_project=False
    )
