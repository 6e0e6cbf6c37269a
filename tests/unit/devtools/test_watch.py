"""Which files are watched, and that a real save arrives as one batch."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pylon.devtools.watch import is_watched, watch


@pytest.mark.parametrize(
    "name",
    [
        ".git/index", ".pylon/app.db-wal", "venv/lib/x.py", "node_modules/a/b.js",
        "__pycache__/app.cpython-311.pyc", "app.py~", ".app.py.swp", "4913", ".#app.py", "a.tmp",
    ],
)  # fmt: skip
def test_leftovers_are_ignored(name: str) -> None:
    """State, environments and editor leftovers make no reload."""
    assert not is_watched(Path(name))


@pytest.mark.parametrize(
    "name", ["app.py", "app/models.py", "web/index.html", "pylon.toml", ".env"]
)
def test_the_project_is_watched(name: str) -> None:
    """The app's own files are watched."""
    assert is_watched(Path(name))


async def test_a_save_by_rename_is_one_batch(tmp_path: Path) -> None:
    """An editor that writes beside and renames gives one batch with the file's name."""
    (tmp_path / "app.py").write_text("a = 1\n")
    stop = asyncio.Event()
    batches = watch(tmp_path, stop=stop)
    coming = asyncio.ensure_future(anext(batches))
    for attempt in range(50):  # the watcher needs a moment before it sees anything
        beside = tmp_path / "app.py.tmp"
        beside.write_text(f"a = {attempt}\n")
        beside.replace(tmp_path / "app.py")
        done, _ = await asyncio.wait({coming}, timeout=0.2)
        if done:
            break
    assert await coming == {Path("app.py")}
    stop.set()
    await batches.aclose()


async def test_files_that_come_with_their_folder_are_seen(tmp_path: Path) -> None:
    """What is written into a new folder before anything can watch that one is not missed."""
    stop = asyncio.Event()
    seen: set[Path] = set()

    async def look() -> None:
        async for batch in watch(tmp_path, stop=stop):
            seen.update(batch)

    looking = asyncio.create_task(look())
    async with asyncio.timeout(60):
        while not seen:  # the watcher needs a moment before it sees anything
            (tmp_path / "app.py").write_text("a = 1\n")
            await asyncio.sleep(0.05)
        wanted = {Path(f"m{n}", "deeper", "0001_first.py") for n in range(100)}
        for file in wanted:
            (tmp_path / file).parent.mkdir(parents=True)
            (tmp_path / file).write_text("a = 1\n")
        (tmp_path / "node_modules" / "a").mkdir(parents=True)
        (tmp_path / "node_modules" / "a" / "b.js").touch()
        (tmp_path / "last.py").touch()
        while Path("last.py") not in seen or not wanted <= seen:
            await asyncio.sleep(0.05)
    stop.set()
    await looking
    assert not [one for one in seen if "node_modules" in one.parts]
