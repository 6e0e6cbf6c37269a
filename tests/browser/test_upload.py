"""An upload from a real browser, over connections that are cut on the way, and over a reload."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from playwright.async_api import Page, Playwright

from pylon.testing.proxy import Direction, Fault, FaultKind, Proxy, Script
from tests.browser.conftest import FLAGS, chromium
from tests.conftest import Serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

APP = """
from __future__ import annotations

from pylon import App, Entity, File

app = App("pictures")


@app.entity(read="auth.userId != null", insert="auth.userId != null")
class Picture(Entity):
    file: File
"""
PAGE = """<!doctype html><title>pictures</title><link rel="icon" href="data:,">
<input type="file" id="file"><progress id="bar" value="0"></progress><script type="module">
import { connect } from "/_pylon/client.js";
const db = await connect();
window.seen = [];
file.onchange = async () => {
  const onProgress = ({ loaded, total }) => { seen.push(loaded); bar.value = loaded / total; };
  window.made = await db.upload(file.files[0], { onProgress });
  window.row = await db.insert("Picture", { file: made.id });
};
window.isUp = true;
</script>"""
BYTES = random.Random(2).randbytes(5 << 20)
MIB = 1 << 20
#: Each connection carries so much, slowly, and is cut in the middle of a piece.
CUTTING = Script(
    faults=(Fault(FaultKind.CUT, Direction.UP, 1_300_000),), bytes_per_second=4_000_000
)  # fmt: skip


async def _give(page: Page, path: Path) -> None:
    await page.goto("http://app.test/")
    await page.wait_for_function("window.isUp")
    await page.set_input_files("#file", path)


async def test_an_upload_survives_cuts_and_a_reload(
    serve: Serve, playwright: Playwright, tmp_path: Path
) -> None:
    """It goes on where the server is, shows that, and ends with every byte in its place."""
    served = await serve(
        APP, is_started=False, toml='[server]\norigins = ["http://app.test"]\n'
    )  # fmt: skip
    (served.project / "web").mkdir()
    (served.project / "web" / "index.html").write_text(PAGE)
    await served.start()
    ann = await served.login("ann@example.com")
    assert ann.token is not None
    path = tmp_path / "cat.png"
    path.write_bytes(BYTES)
    async with Proxy(served.port, CUTTING) as proxy:
        rules = f"--host-resolver-rules=MAP app.test 127.0.0.1:{proxy.port}"
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=[*FLAGS, rules]
        )  # fmt: skip
        context = await browser.new_context()
        cookie = {"name": "pylon_session", "value": ann.token, "url": "http://app.test"}
        await context.add_cookies([cookie])  # type: ignore[list-item]
        page = await context.new_page()
        await _give(page, path)
        await page.wait_for_function(f"seen.at(-1) > {MIB}", timeout=60_000)
        cuts = sum(
            one.is_over.is_set() and one.passed[Direction.UP] >= MIB for one in proxy.passages
        )
        assert cuts >= 1
        before = await page.evaluate("seen")
        assert before == sorted(before)
        proxy.script = Script()
        await _give(page, path)
        await page.wait_for_function("window.row", timeout=60_000)
        after = await page.evaluate("seen")
        made = await page.evaluate("made")
        await browser.close()
    assert made["sha256"] == hashlib.sha256(BYTES).hexdigest()
    assert after[0] == 0
    assert after[1] >= MIB  # not from the beginning
    assert after == sorted(after)
    assert after[-1] == len(BYTES)
    async with served.session.get(served.url + made["url"], headers=ann.headers) as answer:
        assert hashlib.sha256(await answer.read()).hexdigest() == made["sha256"]
