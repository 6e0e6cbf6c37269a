"""A runtime of another version, or none: before an honest one, with answers that a seed distorts.

Members are left out, types are others, and now and then it is no Pylon that answers.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from pylon import jsonvalue
from tests.twisted import TwistedRuntime

_MIB: Final = 1024 * 1024
#: What an answer without end sends at most.
ENDLESS_BYTES: Final = 300 * _MIB
#: How much of an answer is another: one place of it, some, or most.
_SHARES: Final = (0.0, 0.02, 0.2)
#: How often it is no Pylon that answers, and of these, that it does not end.
_FOREIGN: Final = 0.15
_ENDLESS: Final = 0.02
_HTML: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def distorted(value: Any, by: random.Random, share: float) -> Any:
    """Return a JSON value in which a share of the members is missing, or of another type."""
    if by.random() < share:
        return swapped(value, by)
    if isinstance(value, dict):
        return {
            name: distorted(one, by, share) for name, one in value.items() if by.random() >= share
        }
    if isinstance(value, list):
        return [distorted(one, by, share) for one in value]
    return value


def distorted_once(value: Any, by: random.Random) -> Any:
    """Return a JSON value of which one place is missing, or of another type."""
    if not value or not isinstance(value, dict | list) or by.random() < 0.1:
        return swapped(value, by)
    if isinstance(value, list):
        at = by.randrange(len(value))
        return [*value[:at], distorted_once(value[at], by), *value[at + 1 :]]
    name = by.choice(list(value))
    if by.random() < 0.3:
        return {key: one for key, one in value.items() if key != name}
    return {**value, name: distorted_once(value[name], by)}


def swapped(value: Any, by: random.Random) -> Any:
    """Return a value of another type."""
    others: list[Any] = [
        None,
        7,
        -1,
        2.5,
        1e300,
        "",
        "7",
        "seven",
        True,
        [],
        {},
        [value],
        {"0": value},
    ]
    match value:
        case str():
            others += [len(value), list(value), value * 3]
        case bool():
            others += [str(value), int(value)]
        case int() | float():
            others += [str(value), -value, value * 1e12]
        case list():
            others += [{str(at): one for at, one in enumerate(value)}, len(value)]
        case dict():
            others += [list(value.values()), list(value), jsonvalue.encode_text(value)]
        case _:
            pass
    return by.choice([one for one in others if type(one) is not type(value)])


class DistortedRuntime(TwistedRuntime):
    """Listens before a runtime, and passes on what a seed makes of its answers."""

    def __init__(self, behind: str, seed: int, *, socket: Path | None = None) -> None:
        super().__init__(behind, socket=socket)
        self._by = random.Random(seed)
        #: It passes on what it is told.
        self.is_honest = False
        #: It says that it is of this version; empty: what it is of.
        self.version = ""
        #: How often it was asked and was no Pylon.
        self.foreign = 0

    def told(self, value: Any) -> Any:
        """Return what is told in place of a JSON value."""
        if self.is_honest:
            return value
        share = self._by.choice(_SHARES)
        found = distorted(value, self._by, share) if share else distorted_once(value, self._by)
        if self.version and isinstance(value, dict) and "pylon" in value:
            found = {**(found if isinstance(found, dict) else {}), "pylon": self.version}
        return found

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not self.is_honest and self._by.random() < _FOREIGN:
            self.foreign += 1
            if self._by.random() < _ENDLESS:
                return await _endless(request)
            return await self._by.choice(_FOREIGN_ANSWERS)(request)
        return await super()._answer(request)


async def _page(request: web.Request) -> web.StreamResponse:
    return web.Response(body=_HTML, status=502, content_type="text/html")


async def _page_of_another(request: web.Request) -> web.StreamResponse:
    return web.Response(body=_HTML, content_type="text/html")


async def _elsewhere(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://sso.example/"})


async def _nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type="application/json")


async def _refusal(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "no"}, status=400)


async def _cut(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"rows": [{"id": "a', content_type="application/json")


async def _cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"rows": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"rows": "')
    for _ in range(ENDLESS_BYTES // _MIB):
        await response.write(b"x" * _MIB)
    return response


_FOREIGN_ANSWERS: Final[list[Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
    _page, _page_of_another, _elsewhere, _nothing, _refusal, _cut, _cut_off,
]  # fmt: skip
