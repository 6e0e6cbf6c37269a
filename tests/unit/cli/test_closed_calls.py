"""Against a running app: what is asked wrongly, or of a runtime that does not do it."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from pylon.cli.main import cli
from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations

from pylon import App

app = App("closed")


@app.mutation(internal=True)
def inner(ctx):
    pass


@app.query
def outer(ctx, n: int) -> int:
    return n


@app.job
def later(ctx):
    pass


@app.workflow
async def flow(ctx, item: str):
    await ctx.step("inner", inner)
    await ctx.wait_for("packed")
"""


async def _pylon(served: ServedProject, *words: str) -> tuple[int, str]:
    """Return the exit code of a command and what it said."""
    given = [*words, "--project", str(served.project)]
    result = await asyncio.to_thread(CliRunner().invoke, cli, given)
    error = result.exception
    return result.exit_code, f"{result.output}{error or ''}{getattr(error, 'hint', '')}"


async def test_what_is_asked_wrongly_says_what_to_do(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that takes no calls is named as what it is; wrong words are exit 2."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    for words, code, said in [
        (("call", "outer", '{"n": 2}'), 0, "2"),
        (("call", "outer"), 1, "n is required"),
        (("call", "otter"), 1, "did you mean outer?"),
        (("call", "inner"), 1, "inner is internal: only the app calls it"),
        (("call", "later"), 1, "later is a job: its queue runs it"),
        (("call", "flow"), 1, "flow is a workflow\n  pylon workflows start flow JSON"),
        (("workflows", "start", "flow", "{"), 2, "{ is not JSON at line 1, column 2"),
        (("clock", "soon"), 2, "'soon' is no time; next, +7d"),
        (("clock", "2020-01-01"), 2, "time goes back to the machine's only"),
    ]:
        exit_code, text = await _pylon(served, *words)
        assert (exit_code, said in text) == (code, True), (words, text)
    _ = await _pylon(served, "workflows", "start", "flow", '{"item": "tea"}')
    _, shown = await _pylon(served, "workflows", "--json")
    run = shown.partition('"id":"')[2].partition('"')[0]
    _, lines = await _pylon(served, "workflows", "show", run)
    assert 'args           {"item":"tea"}' in lines
    for group, state in [("jobs", "dead"), ("workflows", "failed")]:
        assert "is like that" in (await _pylon(served, group, "--state", state))[1]


async def test_what_only_dev_can_do_says_so_in_production(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock, previews and reruns name `pylon dev`, and exit 1."""
    served = await serve(APP, mode="serve")
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    for words in [("clock", "next"), ("mail", "preview", "code"), ("workflows", "rerun", "r1")]:
        exit_code, text = await _pylon(served, *words)
        assert (exit_code, "a power of `pylon dev`" in text) == (1, True), (words, text)
