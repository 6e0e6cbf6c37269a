"""Clients of a runtime, for scripts: `async with connect(url, token=…) as db`. See docs/client.md.

What is heavy is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylon.client.client import PylonClient, connect
    from pylon.client.connection import ServerRefused
    from pylon.client.query import Query

__all__ = ["PylonClient", "Query", "ServerRefused", "connect"]

_HOMES = {
    "PylonClient": "pylon.client.client",
    "Query": "pylon.client.query",
    "ServerRefused": "pylon.client.connection",
    "connect": "pylon.client.client",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(name)
