"""What an operation starts (jobs, runs, mails) and holds (files) comes once, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.files_app import Front, Person, files_front

APP = """
from __future__ import annotations

from pylon import App, Entity, File, Refused, actor, field

app = App("effects")


@app.entity(read="auth.userId == data.ownerId", insert="auth.userId == data.ownerId")
class Doc(Entity):
    ownerId: str = field(default=actor)
    text: str = ""
    file: File | None = None


@app.job
def works(ctx, text: str) -> None:
    ctx.db.insert(Doc, text=f"job {text}")


@app.mutation
def step(ctx, text: str) -> None:
    ctx.jobs.enqueue(works, text=text)
    ctx.db.insert(Doc, text=f"step {text}")


@app.mutation
def tries(ctx) -> None:
    ctx.jobs.enqueue(works, text="of a try")
    with open(__file__ + ".tries", "a") as tries:
        tries.write("x")
        if tries.tell() < 3:
            raise ValueError("not yet")


@app.workflow
async def runs(ctx, text: str) -> None:
    await ctx.step("one", step, text=text)
    await ctx.step("two", tries, retries=5, backoff=1)
    await ctx.wait_for("go")


@app.mutation
def starts(ctx, text: str, file: str | None = None) -> list[str]:
    ctx.mail.send("ann@example.com", text, "hi")
    ctx.db.insert(Doc, text=f"made {text}", file=file)
    return [ctx.jobs.enqueue(works, text=text), ctx.workflows.start(runs, text=text)]


@app.mutation
def refuses(ctx) -> None:
    raise Refused("NO", "no")


@app.mutation
def catches(ctx, text: str, file: str) -> None:
    try:
        ctx.run(starts_and_fails, text=text, file=file)
    except Refused:
        ctx.db.insert(Doc, text="caught")


@app.mutation
def starts_and_fails(ctx, text: str, file: str) -> None:
    ctx.run(starts, text=text, file=file)
    raise Refused("NO", "no")


@app.mutation
def go(ctx, run: str) -> bool:
    return ctx.workflows.signal(run, "go")
"""


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app", app=APP) as started:
        yield started


def _operation(op_id: str, fn: str, **args: Any) -> dict[str, Any]:
    return {"op_id": op_id, "fn": fn, "args": args}


async def _push(who: Person, *operations: dict[str, Any], atomic: bool = False) -> list[Any]:
    given: dict[str, Any] = {"operations": list(operations), "atomic": atomic}
    results: list[Any] = (await who.ask("POST", "/api/sync/push", given)).json()["results"]
    return results


async def _texts(front: Front, who: Person) -> list[str]:
    await front.rt.settled()
    rows = (await who.ask("GET", "/api/entities/Doc?limit=1000")).json()["rows"]
    return sorted(one["text"] for one in rows)


def _mails(front: Front) -> int:
    return len(list((front.rt.runtime.services.database.folder / "outbox").glob("*.eml")))


def _count(front: Front, table: str) -> int:
    raw = front.rt.runtime.services.database.readers.inline.raw
    ((count,),) = raw.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


async def test_what_is_sent_twice_starts_once(front: Front) -> None:
    """By push and over HTTP; the answer names the same job and the same run (I38, I81)."""
    ann = await front.person("ann@example.com")
    (first,) = await _push(ann, _operation("a", "starts", text="a"))
    (again,) = await _push(ann, _operation("a", "starts", text="a"))
    assert (first["status"], again["status"]) == ("applied", "duplicate")
    assert again["value"] == first["value"]
    posted = [
        await ann.ask("POST", "/api/fn/starts", {"text": "b"}, Idempotency_Key="b") for _ in "12"
    ]
    assert posted[0].body["value"] == posted[1].body["value"]
    texts = await _texts(front, ann)
    for one in "ab":
        assert [texts.count(f"{what} {one}") for what in ("made", "job", "step")] == [1, 2, 1]
    assert (_count(front, "_pylon_workflows"), _mails(front)) == (2, 2)


async def test_nothing_of_a_rejected_batch_ever_happens(front: Front) -> None:
    """Neither what an atomic push had done before, nor what a caught call had (I3, I81, I77)."""
    ann = await front.person("ann@example.com")
    made = await ann.upload(b"kept")
    before = _operation("a", "starts", text="a", file=made["id"])
    results = await _push(ann, before, _operation("b", "refuses"), atomic=True)
    assert [one["error"]["code"] for one in results] == ["ABORTED", "NO"]
    (caught,) = await _push(ann, _operation("c", "catches", text="c", file=made["id"]))
    assert caught["status"] == "applied"
    await front.rt.advance(3_600)
    assert await _texts(front, ann) == ["caught"]
    assert (_count(front, "_pylon_jobs"), _count(front, "_pylon_workflows")) == (0, 0)
    assert (_count(front, "_pylon_file_owners"), _mails(front)) == (0, 0)
    # The file is as fresh as before: it goes into a row, or in a day.
    (applied,) = await _push(ann, before)
    assert applied["status"] == "applied", "an aborted operation may be sent again"
    await front.sweep(2 * 86_400)
    assert await ann.status_of(made["id"]) == 200


async def test_a_step_that_is_tried_again_or_diverges_starts_its_job_once(front: Front) -> None:
    """A try that failed enqueued nothing; code that fits no more takes nothing back, nor again."""
    ann = await front.person("ann@example.com")
    (started,) = await _push(ann, _operation("a", "starts", text="a"))
    run = started["value"][1]
    await front.rt.settled()
    await front.rt.advance(30)
    told = ["caught", "job a", "job a", "job of a try", "made a", "step a"][1:]
    assert await _texts(front, ann) == told
    source = front.rt.runtime.config.project / "app.py"
    code = source.read_text()
    reload = front.rt.runtime.services.reload
    for text in (code.replace('ctx.step("one", step', 'ctx.step("other", step'), code):
        source.write_text(text)
        assert (await reload())["ok"]
        assert (await _push(ann, _operation(str(len(text)), "go", run=run)))[0]["value"] is True
        assert await _texts(front, ann) == told
    raw = front.rt.runtime.services.database.readers.inline.raw
    states = raw.execute("SELECT state FROM _pylon_workflows").fetchall()
    assert states == [("completed",)]
