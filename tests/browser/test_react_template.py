"""The template `react` as a person gets it: scaffolded, type-checked, developed, built, served."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, TimeoutError

from pylon.devtools.scaffold import create_project

ROOT = Path(__file__).resolve().parents[2]
SIGN_IN = """(email) => fetch("/api/auth/dev/login", {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email }),
}).then((answer) => answer.status)"""


@pytest.fixture(scope="module")
def with_node() -> dict[str, str]:
    """Return an environment in which there is Node."""
    folder = subprocess.run(
        ["sh", str(ROOT / "installers" / "node.sh")], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def run(project: Path, environment: dict[str, str], *command: str) -> str:
    """Run a command in the project; returns what it printed."""
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@asynccontextmanager
async def pylon(project: Path, environment: dict[str, str], *arguments: str) -> AsyncIterator[str]:
    """Run `pylon …` on a project and yield the address that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", *arguments, "--port", "0", str(project),
        env={**environment, "PYLON_STATE_DIR": str(project.parent / "state")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        found = re.search(rb"http://\S+", line)
        assert found is not None, line
        yield found[0].decode()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def opened(browser: Browser, url: str, email: str) -> Page:
    """Return the page of somebody who is signed in, once it is live."""
    page = await (await browser.new_context()).new_page()
    await page.goto(url)
    await page.get_by_role("button", name="Sign in").wait_for()
    assert await page.evaluate(SIGN_IN, email) == 200
    await page.reload()
    await page.get_by_text("live", exact=True).wait_for()
    return page


async def save_until_seen(file: Path, text: str, seen: Locator) -> None:
    """Save a file until a page shows it: Vite hears of no save before it watches all."""
    for _ in range(3):
        file.write_text(text)
        with suppress(TimeoutError):
            await seen.wait_for(timeout=15_000)
            return
    raise AssertionError(f"no page shows what was saved in {file.name}")


@pytest.mark.timeout(900)
async def test_it_is_developed_built_and_served(
    browser: Browser, tmp_path: Path, with_node: dict[str, str]
) -> None:
    """Two people share the list; a saved module is replaced under them; the build serves it too."""
    project = create_project(tmp_path, "mine", "react")
    assert "src/pylon/" in (project / ".gitignore").read_text()
    run(project, with_node, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error")
    async with pylon(project, with_node, "dev", "--no-tui") as url:
        ada = await opened(browser, url, "ada@example.com")
        bob = await opened(browser, url, "bob@example.com")
        await ada.get_by_label("New item").fill("milk")
        await ada.get_by_role("button", name="Add").click()
        await bob.get_by_label("milk", exact=True).check()
        await ada.locator("input[type=checkbox]:checked").wait_for()
        await bob.get_by_role("button", name="Clear what I have done").click()
        await bob.get_by_text("Tick something off first.").wait_for()

        await ada.get_by_label("New item").fill("typed, not sent")
        page = project / "src" / "List.tsx"
        text = page.read_text().replace("<h1>List</h1>", "<h1>Shopping</h1>")
        await save_until_seen(page, text, ada.get_by_role("heading", name="Shopping"))
        assert await ada.get_by_label("New item").input_value() == "typed, not sent"

        # What `pylon dev` wrote for the page says what app.py says, also after a save of it.
        types = project / "src" / "pylon" / "app.d.ts"
        source = project / "app.py"
        more = "done: bool = False\n    note: str | None = None"
        source.write_text(source.read_text().replace("done: bool = False", more))
        for _ in range(600):
            if "readonly note: string | null;" in types.read_text():
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the types were not written again")
        await ada.get_by_label("milk", exact=True).wait_for()

    run(project, with_node, sys.executable, "-m", "pylon", "codegen")
    run(project, with_node, "npm", "run", "build")
    assert (project / "web" / "index.html").is_file()
    async with pylon(project, with_node, "dev", "--no-tui") as url:
        pass  # the database has the new field now
    shutil.rmtree(project / "node_modules")
    async with pylon(project, with_node, "serve") as url:
        page_served = await (await browser.new_context()).new_page()
        await page_served.goto(url)
        await page_served.get_by_role("button", name="Sign in").wait_for()
