"""How fast a page takes in a change: 10,000 rows behind React's `useQuery`, in Chromium.

    python -m benchmarks.browser

From the frame that brings a change to the replica, the sorted result and React's commit.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from pylon.testing.served import Caller, ServedProject

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "pylon/client/browser"
ROWS = 10_000
CHANGES = 200
COMMITTED_MS_MAX = 2.0

_APP = """
from __future__ import annotations
from pylon import App, Entity

app = App("rows")

@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null")
class Row(Entity):
    n: int
    text: str
"""


def _project(folder: Path) -> Path:
    web = folder / "app" / "web"
    web.mkdir(parents=True)
    (web.parent / "app.py").write_text(_APP)
    (web / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><body>'
        '<script type="module" src="/rows.js"></script>'
    )
    subprocess.run(
        [
            CLIENT / "node_modules/esbuild/bin/esbuild",
            ROOT / "benchmarks/page/rows.tsx", "--bundle", "--format=esm", "--target=es2022",
            "--jsx=automatic", "--minify", '--define:process.env.NODE_ENV="production"',
            f"--outfile={web}/rows.js", "--log-level=warning",
        ],
        check=True, env={**os.environ, "NODE_PATH": str(CLIENT / "node_modules")},
    )  # fmt: skip
    return web.parent


async def _push(caller: Caller, operations: list[dict[str, object]]) -> None:
    answer = await caller.post("/api/sync/push", {"client_id": "b", "operations": operations})
    assert answer.status == 200, answer


async def _fill(caller: Caller) -> None:
    for start in range(0, ROWS, 500):
        await _push(caller, [
            {"op_id": f"i{n}", "fn": "pylon.insert", "args": {
                "entity": "Row", "id": f"r{n}",
                "values": {"n": n * 7919 % ROWS, "text": f"row {n}"},
            }}
            for n in range(start, start + 500)
        ])  # fmt: skip


async def measure() -> dict[str, float]:
    """Return milliseconds: median, p95 and maximum until React committed, median until applied."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        served = ServedProject(_project(Path(folder)), Path(folder) / "state")
        await served.start()
        caller = await served.login("writer@example.com")
        await _fill(caller)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = await browser.new_page()
            await page.goto(served.url)
            await page.wait_for_function(
                f"document.querySelector('main')?.textContent === '{ROWS} ready'"
            )
            await page.evaluate("samples.length = 0")
            for n in range(CHANGES):
                values = {"n": n * 31 % ROWS}
                args = {"entity": "Row", "id": f"r{n * 37 % ROWS}", "values": values}
                await _push(caller, [{"op_id": f"u{n}", "fn": "pylon.update", "args": args}])
                await page.wait_for_function(f"samples.length > {n * 0.9 - 5}")
            samples = await page.evaluate("samples")
            await browser.close()
        await served.close()
    committed = sorted(one["committed"] for one in samples)
    applied = [one["applied"] for one in samples]
    return {
        "changes": len(samples),
        "committed_p50_ms": statistics.median(committed),
        "committed_p95_ms": committed[int(len(committed) * 0.95) - 1],
        "committed_max_ms": committed[-1],
        "applied_p50_ms": statistics.median(applied),
    }


def main() -> int:
    """Measure, print and write `benchmarks/out/browser.json`; 1 if the promise does not hold."""
    figures = asyncio.run(measure())
    print(f"a change to one of {ROWS} rows behind useQuery, in Chromium:")
    for name, value in figures.items():
        print(f"  {name:18} {value:.2f}")
    out = ROOT / "benchmarks/out"
    out.mkdir(exist_ok=True)
    (out / "browser.json").write_text(json.dumps(figures, indent=2))
    return 0 if figures["committed_p95_ms"] < COMMITTED_MS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
