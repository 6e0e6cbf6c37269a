"""Clients of a runtime: `PylonClient`, loaded when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylon.client.client import PylonClient

__all__ = ["PylonClient"]


def __getattr__(name: str) -> object:
    if name == "PylonClient":
        from pylon.client.client import PylonClient

        return PylonClient
    raise AttributeError(name)
