"""Conformance vectors: transcripts of the client machine that both languages must reproduce.

A vector is JSON: the random numbers handed in, then steps, each an event, the commands that it
brings and, where asked, what the view shows. The Python machine writes them
(`python -m pylon.testing.vectors`); pytest and vitest replay them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.machine import Machine
from pylon.testing import filter_cases, scenarios

FOLDER = Path(__file__).parents[2] / "tests" / "vectors"


def replay(random: list[float], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps of a transcript: each event with its commands and the view after it."""
    numbers = itertools.cycle(random)
    machine = Machine(lambda: next(numbers))
    return [_step(machine, event) for event in events]


def _step(machine: Machine, event: dict[str, Any]) -> dict[str, Any]:
    commands = machine.step(msgspec.convert(event, ev.Event))
    subscriptions = machine.replica.subscriptions
    followed = {
        one.id: {"value": one.value} if one.error is None else {"error": one.error}
        for one in machine.values.all()
        if one.is_ready
    }
    return {
        "event": event,
        "commands": [normal(msgspec.to_builtins(one)) for one in commands],
        "view": {
            entity: sorted((dict(row) for row in machine.view.rows(entity)), key=_by_id)
            for entity in scenarios.ENTITIES
        },
        "ready": sorted(one for one in subscriptions if machine.replica.is_ready(one)),
        **({} if not followed else {"values": followed}),
    }  # fmt: skip


def _by_id(row: Mapping[str, Any]) -> str:
    return str(row["id"])


def normal(command: dict[str, Any]) -> dict[str, Any]:
    """Return a command with lists whose order means nothing in one order."""
    match command:
        case {"type": "publish", "changes": changes}:
            return {**command, "changes": sorted([entity, sorted(ids)] for entity, ids in changes)}
        case {"type": "save", "save": save}:
            puts = sorted(save["puts"], key=lambda put: (put[0], put[1]["id"]))
            return {**command, "save": {**save, "puts": puts, "deletes": sorted(save["deletes"])}}
        case _:
            return command


def record() -> dict[str, bytes]:
    """Return the text of every vector by file name."""
    found: dict[str, bytes] = {}
    for name, scenario in scenarios.SCENARIOS.items():
        vector = {
            "name": name,
            "goal": (scenario.__doc__ or "").strip(),
            "random": scenarios.RANDOM,
            "steps": replay(scenarios.RANDOM, _plain(scenario)),
        }
        found[f"machine/{name}.json"] = (
            msgspec.json.format(jsonvalue.encode(vector), indent=1) + b"\n"
        )
    found["filters.json"] = filter_cases.record()
    return found


def _plain(scenario: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return list(scenario())


def main(arguments: list[str]) -> int:
    """Write the vectors, or with `--check` tell whether they are current."""
    is_current = True
    for name, text in record().items():
        path = FOLDER / name
        if "--check" in arguments:
            is_current &= path.is_file() and path.read_bytes() == text
        else:
            path.write_bytes(text)
    return 0 if is_current else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
