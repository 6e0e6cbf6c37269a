"""Jobs as an app declares them: what their keywords say, and every mistake at its place."""

from __future__ import annotations

import pytest

from pylon.app.functions import FunctionKind
from pylon.app.jobs import seconds_of
from tests.unit.app.conftest import FIRST, Load, Mistaken

JOBS = """
from datetime import timedelta
@app.job
def plain(ctx, n: int): ...

@app.job(queue="import", retries=3, backoff=timedelta(seconds=2), timeout=60, concurrency=2,
         unique=("n",))
async def full(ctx, n: int, note: str = "") -> int: ...

@app.job(unique=True)
def once(ctx, a: int, b: int = 0): ...

@app.cron("*/5 * * * *", tz="Europe/Berlin", queue="nightly", retries=1)
def nightly(ctx): ...
"""


def test_keywords_become_options(load: Load) -> None:
    """Each keyword has its place, and what is not given its default."""
    functions = load(JOBS).functions
    plain, full = functions["plain"].job, functions["full"].job
    once, nightly = functions["once"].job, functions["nightly"].job
    assert plain is not None
    assert full is not None
    assert once is not None
    assert nightly is not None
    assert {one.kind for one in functions.values()} == {FunctionKind.JOB}
    assert (plain.queue, plain.retries, plain.backoff_s, plain.timeout_s) == (
        "default",
        10,
        5,
        None,
    )
    assert (full.queue, full.retries, full.backoff_s, full.timeout_s, full.concurrency) == (
        "import", 3, 2.0, 60.0, 2
    )  # fmt: skip
    assert full.key_of({"n": 1, "note": "x"}) == full.key_of({"n": 1, "note": "y"})
    assert full.key_of({"n": 1}) != full.key_of({"n": 2})
    assert once.key_of({"a": 1, "b": 2}) != once.key_of({"a": 1, "b": 3})
    assert plain.key_of({"n": 1}) is None
    assert nightly.schedule is not None
    assert (nightly.schedule.expression, nightly.schedule.zone) == ("*/5 * * * *", "Europe/Berlin")
    assert (nightly.queue, nightly.retries, nightly.concurrency) == ("nightly", 1, 1)


def test_a_job_is_not_callable_from_outside(load: Load) -> None:
    """It is internal, and clients are not told of it."""
    definition = load(JOBS)
    assert all(one.is_internal for one in definition.functions.values())
    assert definition.manifest.functions == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@app.job(retries=-1)\ndef f(ctx): ...", "retries is a whole number from 0 to 100"),
        ("@app.job(queue='a b')\ndef f(ctx): ...", "queue is a short name"),
        ("@app.job(backoff='1s')\ndef f(ctx): ...", "backoff is 0 to"),
        ("@app.job(concurrency=0)\ndef f(ctx): ...", "concurrency is a whole number from 1"),
        ("@app.job(unique='m')\ndef f(ctx, n: int): ...", "unique names m, which is no argument"),
        ("@app.job(unique=3)\ndef f(ctx): ...", "unique is True, or the names"),
        ("@app.job(allow='true')\ndef f(ctx): ...", "@app.job has no allow"),
        ("@app.job(retires=1)\ndef f(ctx): ...", "did you mean retries?"),
        ("@app.job\ndef f(ctx, key: str): ...", "no argument named key"),
        ("@app.job\ndef f(ctx):\n    yield 1", "a job returns its value"),
        ("@app.cron('* * *')\ndef f(ctx): ...", "five fields"),
        ("@app.cron('* * * * *', tz='Nowhere')\ndef f(ctx): ...", "no time zone Nowhere"),
        ("@app.cron\ndef f(ctx): ...", "five fields"),
        ("@app.cron('* * * * *')\ndef f(ctx, n: int): ...", "give it a default"),
        ("@app.cron('* * * * *', concurrency=3)\ndef f(ctx): ...", "no concurrency"),
    ],
)
def test_a_mistake_is_told_with_its_place(mistaken: Mistaken, text: str, words: str) -> None:
    """The line is the declaration's."""
    (found,) = mistaken(text)
    assert words in found
    assert found.startswith("app.py:")
    assert FIRST <= int(found.split(":")[1]) <= FIRST + 3


def test_times_are_seconds_or_timedeltas() -> None:
    """Nothing else is a time: no text, no bool, no infinity."""
    assert seconds_of(2) == 2.0
    assert [seconds_of(one) for one in ("2", True, float("inf"), float("nan"), None)] == [None] * 5
