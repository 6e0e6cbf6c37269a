"""Against a running app: calls that no caller can make, and moments that are none."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner, Result

from pylon.cli.main import cli
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


async def test_what_is_asked_wrongly_says_what_to_do(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that takes no calls is named as what it is; wrong words are exit 2."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))

    async def pylon(*words: str) -> Result:
        given = [*words, "--project", str(served.project)]
        return await asyncio.to_thread(CliRunner().invoke, cli, given)

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
        result = await pylon(*words)
        text = f"{result.output}{result.exception or ''}{getattr(result.exception, 'hint', '')}"
        assert (result.exit_code, said in text) == (code, True), (words, result, text)
    _ = await pylon("workflows", "start", "flow", '{"item": "tea"}')
    shown = await pylon("workflows", "--json")
    run = shown.output.partition('"id":"')[2].partition('"')[0]
    lines = (await pylon("workflows", "show", run)).output
    assert 'args           {"item":"tea"}' in lines
    for group, state in [("jobs", "dead"), ("workflows", "failed")]:
        assert "is like that" in (await pylon(group, "--state", state)).output
