"""Work that another one gives up before it ran: nothing of it is complained of afterwards."""

from __future__ import annotations

import ast
import asyncio
import gc
import warnings
from pathlib import Path

from textual.app import App

import pylon.tui
from pylon.tui.working import begin


async def test_work_that_never_began_says_nothing() -> None:
    """Two keys in one go: the first one's work is given up, and leaves no warning behind."""
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    app: App[None] = App()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        async with app.run_test():
            first = begin(app, work, name="work", group="work")
            second = begin(app, work, name="work", group="work")
            await second.wait()
            assert first.is_cancelled
        await asyncio.sleep(0)
        gc.collect()
    assert done == [1]
    assert [str(one.message) for one in said if "never awaited" in str(one.message)] == []


def test_work_that_gives_up_other_work_is_begun_as_a_function() -> None:
    """Nowhere is a coroutine handed to what may be given up before it runs."""
    places = []
    for path in Path(pylon.tui.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "run_worker":
                is_exclusive = any(
                    one.arg == "exclusive" and ast.unparse(one.value) != "False"
                    for one in node.keywords
                )
                if is_exclusive and isinstance(node.args[0], ast.Call):
                    places.append(f"{path.name}:{node.lineno}")
    assert places == []
