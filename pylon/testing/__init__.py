"""Tests of apps: `async with running("myapp") as rt`. See docs/testing.md.

What is heavy is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylon.client.connection import ServerRefused
    from pylon.testing.harness import Member, Running, running
    from pylon.testing.simulation.saved import replay

__all__ = ["Member", "Running", "ServerRefused", "replay", "running"]

_HOMES = {
    "Member": "pylon.testing.harness",
    "Running": "pylon.testing.harness",
    "ServerRefused": "pylon.client.connection",
    "replay": "pylon.testing.simulation.saved",
    "running": "pylon.testing.harness",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(name)
