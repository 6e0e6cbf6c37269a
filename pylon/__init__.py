"""Pylon: durable state, an API, background jobs and live browsers from one process.

What an app imports. Names are resolved when they are first used, so that importing a leaf of the
package loads nothing that it does not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pylon.version import __version__

if TYPE_CHECKING:
    from pylon.app.app import App
    from pylon.app.entities import Entity
    from pylon.app.fields import (
        BigInt,
        File,
        Json,
        Ref,
        Text,
        actor,
        field,
        inc,
        index,
        now,
        unique,
    )
    from pylon.app.keep import keep
    from pylon.app.user import User
    from pylon.errors import PylonError, Refused, StepFailed

_HOMES = {
    "App": "pylon.app.app",
    "BigInt": "pylon.app.fields",
    "Entity": "pylon.app.entities",
    "File": "pylon.app.fields",
    "Json": "pylon.app.fields",
    "PylonError": "pylon.errors",
    "Ref": "pylon.app.fields",
    "Refused": "pylon.errors",
    "StepFailed": "pylon.errors",
    "Text": "pylon.app.fields",
    "User": "pylon.app.user",
    "actor": "pylon.app.fields",
    "field": "pylon.app.fields",
    "inc": "pylon.app.fields",
    "index": "pylon.app.fields",
    "keep": "pylon.app.keep",
    "now": "pylon.app.fields",
    "unique": "pylon.app.fields",
}

__all__ = [
    "App",
    "BigInt",
    "Entity",
    "File",
    "Json",
    "PylonError",
    "Ref",
    "Refused",
    "StepFailed",
    "Text",
    "User",
    "__version__",
    "actor",
    "field",
    "inc",
    "index",
    "keep",
    "now",
    "unique",
]


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'pylon' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    """List the public names, resolved or not."""
    return sorted(__all__)
