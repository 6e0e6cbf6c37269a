"""Functions, for the owner: what there is, how it is called, and how each has been doing."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from pylon import limits
from pylon.app.functions import ArgumentSpec, Function, FunctionKind
from pylon.errors import InvalidArgument, NotFound
from pylon.policy.mistakes import nearest
from pylon.server.calls import Call, FunctionStats
from pylon.server.functions.builtin import BUILTINS
from pylon.server.http.exchange import Exchange, flag, integer, json_value
from pylon.server.http.services import Services
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.statements import plan_of
from pylon.server.sync.live_functions import COSTS

_PAGE_MAX: Final = 1_000
_CALLS_SHOWN: Final = 50
_SLOW_SHOWN: Final = 20
_FOLLOWED_SHOWN: Final = 20
_SOURCE_CHARACTERS: Final = 65_536
_SQL_CHARACTERS: Final = 4_000


def functions_of(services: Services) -> list[dict[str, Any]]:
    """Return every function of the app, and each built-in one that was called, with its counts."""
    stats, now = services.observer.calls.stats, services.clock.monotonic()
    shown = [
        _shown(services, function) for function in services.definitions.current.functions.values()
    ]
    known = {one["name"] for one in shown}
    shown += [
        {**_BUILT_IN, "name": name, "signature": name, **counts_of(services, name, now)}
        for name in stats
        if name in BUILTINS and name not in known
    ]
    return sorted(shown, key=lambda one: one["name"])


def counts_of(services: Services, name: str, now: float) -> dict[str, Any]:
    """Return what is counted of a function; zeros for one that was never called."""
    book = services.observer.calls
    running = sum(one.name == name for one in book.running.values())
    return {
        "running": running, **(book.stats.get(name) or FunctionStats(name)).to_json(now),
        "live": services.hub.live.counts_of(name),
    }  # fmt: skip


_BUILT_IN: Final[dict[str, Any]] = {
    "kind": "mutation", "doc": None, "arguments": [], "returns": "unknown", "part": None,
    "internal": False, "built_in": True, "timeout_s": limits.FUNCTION_SECONDS, "rate": None,
    "queue": None, "allow": None, "allow_in_words": "as the policy of the entity says",
    "place": None,
}  # fmt: skip


def _shown(services: Services, function: Function) -> dict[str, Any]:
    at, part, rate = function.position, function.arguments.part, function.rate
    return {
        "name": function.name, "kind": function.kind.value, "signature": function.signature,
        "doc": function.doc,
        "arguments": [_argument(one) for one in function.arguments.arguments],
        "returns": function.arguments.returns.typescript,
        "part": None if part is None else part.typescript, "internal": function.is_internal,
        "built_in": False, "timeout_s": _seconds(function),
        "rate": None if rate is None else {"calls": rate.calls, "seconds": rate.seconds},
        "queue": None if function.job is None else function.job.queue,
        "allow": None if function.allow is None else function.allow.text,
        "allow_in_words": _who(function),
        "place": None if at is None else f"{at.file}:{at.line}",
        **counts_of(services, function.name, services.clock.monotonic()),
    }  # fmt: skip


def _argument(one: ArgumentSpec) -> dict[str, Any]:
    """Return an argument; its default is left out where it has none, or none that is JSON."""
    shown = {
        "name": one.name, "type": one.type.typescript, "required": one.is_required,
        "schema": one.type.schema,
    }  # fmt: skip
    if not one.is_required:
        with suppress(ValueError, TypeError):
            shown["default"] = one.type.encode(one.default)
    return shown


def _seconds(function: Function) -> float | None:
    if function.timeout_s is not None:
        return function.timeout_s
    if function.job is not None and function.job.is_coroutine:
        return limits.JOB_SECONDS
    return None if function.kind is FunctionKind.ACTION else limits.FUNCTION_SECONDS


def _who(function: Function) -> str:
    if function.kind is FunctionKind.JOB:
        return "nobody: its queue runs it"
    if function.is_internal:
        return "nobody from outside"
    if function.allow is None:
        return "whoever is signed in"
    return function.allow.sentence


async def list_functions(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/functions."""
    return json_value({"functions": functions_of(exchange.services)})


async def show_function(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/functions/{name}: with source, last calls, slow ones, and who follows it."""
    services, name = exchange.services, exchange.parts[0]
    found = next((one for one in functions_of(services) if one["name"] == name), None)
    if found is None:
        known = services.definitions.current.functions
        raise NotFound(f"there is no function {name}", hint=nearest(name, known))
    book = services.observer.calls
    slow = [one for one in reversed(book.slow) if one.name == name][:_SLOW_SHOWN]
    calls = [one for one, _ in zip(book.of(name), range(_CALLS_SHOWN), strict=False)]
    return json_value(
        {
            **found,
            "source": await asyncio.to_thread(_source, services, name),
            "last_calls": [one.to_json() for one in calls],
            "slow_calls": await slow_calls(services, slow),
            "followed": services.hub.live.costs(name, "ms", _FOLLOWED_SHOWN),
        }
    )


def _source(services: Services, name: str) -> str | None:
    function = services.definitions.current.functions.get(name)
    if function is None:
        return None
    try:
        return inspect.getsource(function.handler)[:_SOURCE_CHARACTERS]
    except (OSError, TypeError):  # not of a file, or of one that is gone
        return None


async def slow_calls(services: Services, calls: list[Call]) -> list[dict[str, Any]]:
    """Return slow calls with their statements, each with its plan as it would be run now."""
    wanted = {(one.sql, one.parameters) for call in calls for one in call.slowest}
    plans: dict[str, list[str]] = {}

    def explain(reads: ReadConnection) -> None:
        for sql, parameters in wanted:
            plans[sql] = plan_of(reads, sql, parameters)

    if wanted:
        await services.database.readers.run(explain)
    return [
        {
            **call.to_json(),
            "slowest": [
                {
                    "sql": one.sql[:_SQL_CHARACTERS], "count": one.count, "rows": one.rows,
                    "ms": round(one.seconds * 1000, 2), "plan": plans.get(one.sql, []),
                }
                for one in call.slowest
            ],
        }
        for call in calls
    ]  # fmt: skip


def _limit(text: str | None, default: int) -> int:
    given = integer(text, "limit")
    limit = default if given is None else given
    if not 1 <= limit <= _PAGE_MAX:
        raise InvalidArgument(f"limit is 1 to {_PAGE_MAX}", field="limit")
    return limit


async def list_calls(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/calls?function=&outcome=&slow=1&limit=: oldest first; those that run, too."""
    services = exchange.services
    query = exchange.query(("function", "outcome", "slow", "limit"))
    limit = _limit(query.get("limit"), _PAGE_MAX)
    book, name, outcome = services.observer.calls, query.get("function"), query.get("outcome")
    is_slow = flag(query.get("slow"))
    found = [
        one
        for one in (book.slow if is_slow else book.newest)
        if (name is None or one.name == name) and (outcome is None or one.outcome == outcome)
    ][-limit:]
    running = [one.to_json() for one in list(book.running.values())[:_PAGE_MAX]]
    shown = await slow_calls(services, found) if is_slow else [one.to_json() for one in found]
    return json_value({"calls": shown, "running": running})


async def list_followed(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/live?function=&order=&limit=: what followed calls cost, the dearest first."""
    live = exchange.services.hub.live
    query = exchange.query(("function", "order", "limit"))
    limit = _limit(query.get("limit"), _CALLS_SHOWN)
    order = query.get("order", "ms")
    if order not in COSTS:
        raise InvalidArgument(f"order is one of {', '.join(COSTS)}", field="order")
    return json_value({**live.totals, "live": live.costs(query.get("function"), order, limit)})


ROUTES: Final = (
    ("GET", "/api/admin/functions", list_functions),
    ("GET", "/api/admin/live", list_followed),
    ("GET", "/api/admin/functions/{name}", show_function),
    ("GET", "/api/admin/calls", list_calls),
)
