"""`pylon import` of rows as large as a row may be: no request is larger than the runtime takes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon import limits
from pylon.cli.main import cli
from pylon.client import import_pace
from tests.conftest import Serve

APP = """
from pylon import App, Entity

app = App("large")


@app.entity(read="true", insert="true", update="true")
class Page(Entity):
    text: str = ""
    facts: dict | None = None
"""


def _page(name: str, letter: str, size: int) -> dict[str, Any]:
    """Return a row whose text fills so many bytes, about."""
    return {"_entity": "Page", "id": name, "text": letter * (size // len(letter.encode()))}


LARGEST = limits.ROW_BYTES_MAX - 1_000
FILES = {
    "large": [_page(f"p{n}", "x", 300 * limits.KIB) for n in range(10)],
    "largest": [_page(f"p{n}", "x", LARGEST) for n in range(6)],
    "not ASCII": [_page(f"p{n}", "語", LARGEST) for n in range(3)],
    "many keys": [
        {"_entity": "Page", "id": f"p{n}", "facts": {f"k{key}": key for key in range(80)}}
        for n in range(400)
    ],
}  # fmt: skip


@pytest.mark.parametrize("rows", FILES.values(), ids=FILES.keys())
async def test_rows_that_fill_a_request_go_in_as_many_as_it_takes(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]
) -> None:
    """Beside a runtime: each row is in, as it was."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    # However slow this machine is: as many at once as an import ever sends.
    monkeypatch.setattr(import_pace, "RUN_MS", 60_000.0)

    async def pylon(*arguments: str) -> str:
        asked = [*arguments, "--project", str(served.project)]
        ended = await asyncio.to_thread(CliRunner().invoke, cli, asked)
        assert ended.exit_code == 0, (ended.output[:1_000], ended.exception)
        return ended.stdout

    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows))
    told = await pylon("import", str(path), "--json")
    assert json.loads(told)["inserted"] == len(rows)
    exported = await pylon("export")
    found = {one["id"]: one for one in map(json.loads, exported.splitlines())}
    assert found == {one["id"]: {"text": "", "facts": None, **one} for one in rows}
