"""A script: who takes part and what happens, one step after the other. Plain data.

The same script and seed give the same run; a script without some of its steps is a script too,
which is what shrinking needs. Rows are named by ids that the script chose; a user's id, which the
server gives, is written `{"$user": "alice@example.com"}`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device with a store of its own, and who is signed in on it at the beginning."""

    name: str
    #: None is somebody who is not signed in.
    email: str | None = None
    roles: list[str] = []
    #: Which machine: python or typescript.
    language: str = "python"


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happens, so many milliseconds after the one before it."""

    kind: str
    #: The device; empty where the server or the network is meant.
    actor: str = ""
    after_ms: int = 0
    entity: str = ""
    id: str = ""
    values: dict[str, Any] = {}
    #: Function and arguments of a call.
    fn: str = ""
    args: dict[str, Any] = {}
    #: Roles, filters, lengths of time: what the kind needs besides.
    more: dict[str, Any] = {}


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run but for the weather, which follows from the seed."""

    seed: int
    actors: list[Actor]
    steps: list[Step]
    #: The weather is bad until the steps are over.
    is_stormy: bool = True


def emails_of(script: Script) -> list[str]:
    """Return the addresses that take part, in order of appearance."""
    found = [one.email for one in script.actors if one.email is not None]
    found += [str(step.more["email"]) for step in script.steps if step.more.get("email")]
    return list(dict.fromkeys(found))
