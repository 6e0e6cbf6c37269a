"""Workflows, for the owner: runs and their journals; start, signal, cancel, retry, rerun."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.app.functions import FunctionKind
from pylon.errors import Conflict, InvalidArgument, NotFound
from pylon.identity import SYSTEM
from pylon.server.functions.workflow_calls import new_run, signal_run
from pylon.server.http.admin import labels_of
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.http.services import Services
from pylon.server.storage import workflow_reads, workflows
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import RunState, StoredRun
from pylon.sqlite import IntegrityError

_PAGE_MAX: Final = 1_000


async def list_runs(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/workflows?name=&state=&search=&before=&limit=: the newest, and figures.

    `search` is a line: words in name, id, error, what it waits for; `state:x`; `!` turns it round.
    """
    services = exchange.services
    query = exchange.query(("name", "state", "search", "before", "limit"))
    state = query.get("state")
    if state is not None and state not in set(RunState):
        raise InvalidArgument(f"state is one of {', '.join(RunState)}", field="state")
    limit = min(integer(query.get("limit"), "limit") or 100, _PAGE_MAX)
    before = integer(query.get("before"), "before")

    def read(raw: Any) -> dict[str, Any]:
        page = workflow_reads.list_runs(
            raw, name=query.get("name"), state=state, search=query.get("search") or "",
            before=before, limit=limit,
        )  # fmt: skip
        return {
            "runs": [workflow_reads.listed_json(raw, one) for one in page],
            "next": page[-1].n if len(page) == limit else None,
            "counts": workflow_reads.count_runs(raw),
        }

    found = await services.database.readers.run(lambda reader: read(reader.raw))
    return json_value(
        {
            "runs": _signed(services, found["runs"]), "next": found["next"],
            "workflows": figures_of(services, found["counts"]),
        }
    )  # fmt: skip


def _signed(services: Services, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return runs with the address of whoever each runs as; None where that is nobody's."""
    labels = labels_of(services, (one["user"] for one in runs))
    return [{**one, "email": labels.get(one["user"])} for one in runs]


def figures_of(services: Services, counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Return the workflows of the app, and those that it has no more, with counts by state."""
    declared = {
        one.name for one in services.definitions.current.functions.values()
        if one.kind is FunctionKind.WORKFLOW
    }  # fmt: skip
    return [
        {
            "name": name,
            "is_declared": name in declared,
            **{state.value: counts.get(name, {}).get(state.value, 0) for state in RunState},
        }
        for name in sorted({*declared, *counts})
    ]


async def workflows_of(services: Services, ids: list[str] | None) -> dict[str, Any]:
    """Return the message of the admin stream about these runs (None: the newest), and figures."""

    def read(raw: Any) -> tuple[list[StoredRun], dict[str, dict[str, int]]]:
        if ids is None:
            return workflow_reads.list_runs(raw), workflow_reads.count_runs(raw)
        return workflow_reads.runs_by_id(raw, ids), workflow_reads.count_runs(raw)

    runs, counts = await services.database.readers.run(lambda reader: read(reader.raw))
    return {
        "type": "workflows",
        "runs": _signed(services, [workflow_reads.run_json(one) for one in runs]),
        "workflows": figures_of(services, counts),
    }  # fmt: skip


def _run(exchange: Exchange) -> StoredRun:
    raw = exchange.services.database.readers.inline.raw
    found = workflows.by_id(raw, exchange.parts[0])
    if found is None:
        raise NotFound(
            "there is no such run, or none any more", hint="pylon workflows lists them"
        )  # fmt: skip
    return found


def _shown(exchange: Exchange, run_id: str) -> web.StreamResponse:
    raw = exchange.services.database.readers.inline.raw
    found = workflows.by_id(raw, run_id)
    assert found is not None
    return json_value(workflow_reads.run_json(found))


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/workflows/{run}: one run with its journal and what it waits for."""
    raw = exchange.services.database.readers.inline.raw
    whole = workflow_reads.whole_json(raw, _run(exchange))
    return json_value(_signed(exchange.services, [whole])[0])


async def start(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/workflows {name, args?, key?}: start a run, as the system."""
    body = await exchange.json_object()
    services, name, args = exchange.services, body.get("name"), body.get("args", {})
    if not isinstance(name, str):
        raise InvalidArgument("name is that of a workflow", field="name")
    if not isinstance(args, dict):
        raise InvalidArgument("args is an object", field="args")
    run = new_run(
        services.definitions.current, SYSTEM, name, args, key=body.get("key"),
        run_id=services.ids.uuid7(),
    )  # fmt: skip

    def work(transaction: Transaction) -> str:
        transaction.cause = "admin"
        return workflows.start(transaction, run)

    return _shown(exchange, (await services.database.writer.submit(work)).value)


async def signal(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/workflows/{run}/signal {event, data?}."""
    run, body = _run(exchange), await exchange.json_object()

    def work(transaction: Transaction) -> bool:
        return signal_run(transaction, run.id, body.get("event"), body.get("data"))

    if not (await exchange.services.database.writer.submit(work)).value:
        raise Conflict(f"the run has ended: it is {run.state}")
    return _shown(exchange, run.id)


async def cancel(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/workflows/{run}/cancel: end a run for good, with its children."""
    run = _run(exchange)

    def work(transaction: Transaction) -> bool:
        return workflows.cancel(transaction, run.id)

    if not (await exchange.services.database.writer.submit(work)).value:
        raise Conflict(f"the run has ended: it is {run.state}")
    return _shown(exchange, run.id)


async def retry(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/workflows/{run}/retry: have a run try now what failed, or did not fit."""
    run = _run(exchange)

    def work(transaction: Transaction) -> None:
        found = workflows.by_n(transaction.connection, run.n)
        assert found is not None
        try:
            workflows.retry(transaction, found)
        except IntegrityError as error:
            raise Conflict("another run with its key has not ended") from error

    await exchange.services.database.writer.submit(work)
    return _shown(exchange, run.id)


async def rerun(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/workflows/{run}/rerun {from?}: a new run with what came before a step."""
    run, body = _run(exchange), await exchange.json_object()
    step, new_id = body.get("from"), exchange.services.ids.uuid7()
    if step is not None and not isinstance(step, str):
        raise InvalidArgument("from is the number of a step", field="from")

    def work(transaction: Transaction) -> None:
        transaction.cause = "admin"
        workflows.rerun(transaction, run, new_id, step)

    await exchange.services.database.writer.submit(work)
    return _shown(exchange, new_id)


ROUTES: Final = (
    ("GET", "/api/admin/workflows", list_runs),
    ("POST", "/api/admin/workflows", start),
    ("GET", "/api/admin/workflows/{run}", show),
    ("POST", "/api/admin/workflows/{run}/signal", signal),
    ("POST", "/api/admin/workflows/{run}/cancel", cancel),
    ("POST", "/api/admin/workflows/{run}/retry", retry),
)
#: In development only: what steps did is done once more (I73).
DEV_ROUTES: Final = (("POST", "/api/admin/workflows/{run}/rerun", rerun),)
