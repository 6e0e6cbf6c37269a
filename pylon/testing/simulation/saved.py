"""A script as a pytest file that a project keeps, and how such a file plays it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pylon import jsonvalue
from pylon.testing.folders import find_project
from pylon.testing.simulation.campaign import Bench
from pylon.testing.simulation.findings import Finding
from pylon.testing.simulation.script import Script

_FILE = '''"""Found by `pylon simulate`, seed {seed}."""

from pylon.testing import replay

FOUND = {finding!r}
SCRIPT = {{
    "seed": {seed},
    "is_stormy": {is_stormy},
    "actors": [
{actors}
    ],
    "steps": [
{steps}
    ],
}}


def test_{name}():
    replay({app!r}, SCRIPT)
'''


def replay(app: Path | str, script: Mapping[str, Any]) -> None:
    """Play a saved script on an app; raises Finding (an AssertionError) where a promise breaks.

    Args:
        app: the project's folder, found as by `running`.
        script: what `pylon simulate --save` wrote.
    """
    bench = Bench(find_project(app))
    try:
        outcome = bench.play(msgspec.convert(dict(script), Script))
    finally:
        bench.close()
    if outcome.finding is not None:
        raise outcome.finding


def pytest_file(script: Script, finding: Finding, app: str) -> str:
    """Return the text of a pytest file that plays a script."""
    return _FILE.format(
        seed=script.seed, finding=str(finding), is_stormy=script.is_stormy, app=app,
        name=f"seed_{script.seed}",
        actors="\n".join(f"        {_literal(one)}," for one in script.actors),
        steps="\n".join(f"        {_literal(one)}," for one in script.steps),
    )  # fmt: skip


def _literal(value: msgspec.Struct) -> str:
    return repr(jsonvalue.decode_trusted(jsonvalue.encode(value)))
