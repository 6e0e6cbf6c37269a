"""The route table: method, path, handler. Read it and you know what there is.

A path part in braces is open; `{tail...}` takes the rest. Routes marked dev exist in development
only (I73).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import web

from pylon.errors import MethodNotAllowed, NotFound
from pylon.server.http.exchange import Exchange

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    handler: Handler


def segments_of(exchange: Exchange) -> list[str]:
    """Return a path's parts; a slash that was escaped is a part's own and ends none."""
    raw = exchange.request.rel_url.raw_path
    if "%" not in raw:
        return exchange.path.split("/")
    return [unquote(one) for one in raw.split("/")]


class Router:
    """Finds the handler of a path by its parts; the fallback serves the app's own pages."""

    def __init__(self, routes: list[Route], fallback: Handler | None) -> None:
        self.routes = routes
        self._fallback = fallback
        self._fixed: dict[str, dict[str, Handler]] = {}
        self._open: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}
        self._tails: list[tuple[str, dict[str, Handler]]] = []
        by_path: dict[str, dict[str, Handler]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route.handler
        for path, handlers in by_path.items():
            if path.endswith("{tail...}"):
                self._tails.append((path.removesuffix("{tail...}"), handlers))
            elif "{" in path:
                parts = tuple(path.split("/"))
                self._open.setdefault(len(parts), []).append((parts, handlers))
            else:
                self._fixed[path] = handlers

    async def dispatch(self, exchange: Exchange) -> web.StreamResponse:
        """Answer an exchange; raises NotFound or MethodNotAllowed."""
        handlers, parts = self._find(exchange)
        if handlers is None:
            if self._fallback is None or exchange.path.startswith("/api/"):
                raise NotFound(f"there is no {exchange.path[:200]}")
            return await self._fallback(exchange)
        exchange.parts = parts
        method = "GET" if exchange.method == "HEAD" else exchange.method
        handler = handlers.get(method)
        if handler is None:
            allow = {*handlers, "HEAD"} if "GET" in handlers else set(handlers)
            raise MethodNotAllowed(
                f"{exchange.path[:200]} takes {', '.join(sorted(allow))}", allow=allow
            )
        return await handler(exchange)

    def _find(self, exchange: Exchange) -> tuple[dict[str, Handler] | None, tuple[str, ...]]:
        path = exchange.path
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, ()
        given = segments_of(exchange)
        for pattern, handlers in self._open.get(len(given), ()):
            parts = []
            for wanted, part in zip(pattern, given, strict=True):
                if wanted.startswith("{"):
                    parts.append(part)
                elif wanted != part:
                    break
            else:
                return handlers, tuple(parts)
        for prefix, handlers in self._tails:
            if path.startswith(prefix):
                return handlers, (path.removeprefix(prefix),)
        return None, ()
