"""`python -m tests.replay VERSION`: record the journals of this release's workflows, to be kept.

Each file has the code of its workflows, and journals as they were stored. Later releases must
replay them: a run of a year may have begun with any of them. Files that are there are never
written anew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from pylon.server.storage import journal, workflows
from pylon.testing import running
from tests.properties.test_workflow_kills import APP

HERE = Path(__file__).parent
#: Programs, each with the signals that its run gets.
PROGRAMS: dict[str, tuple[list[Any], list[str]]] = {
    "steps": ([["note", "a"], ["act", "b"], ["refuse", "c"], ["breaks", "d"], ["chance"]], []),
    "waits": ([["sleep", 5], ["wait", "go", 30], ["wait", "never", 1], ["note", "a"]], ["go"]),
    "gathers": (
        [
            ["gather", [["note", "a"], ["sleep", 5], ["note", "b"]], [["act", "c"]], []],
            ["gather", [["gather", [["note", "d"]], [["wait", "x", 30]]]], [["refuse", "e"]]],
        ],
        ["x"],
    ),
    "children": ([["child", [["note", "a"], ["sleep", 1], ["chance"]]], ["note", "b"]], []),
    "undoing": ([["undo", [["note", "a"], ["act", "b"]], [["note", "c"]]]], []),
    "versions": ([["version", "v", [["note", "a"]]], ["note", "b"], ["version", "w", []]], []),
}


async def record() -> dict[str, Any]:
    """Return the journals of all programs, run to their ends."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP)
        async with running(folder) as rt:
            services = rt.runtime.services
            ann = await rt.user("ann@example.com")
            for name, (program, signals) in PROGRAMS.items():
                run_id = await ann.call("start", program=program, signals=signals)
                for _ in range(60):
                    await rt.settled()
                    await rt.advance(1)
                raw = services.database.readers.inline.raw
                run = workflows.by_id(raw, run_id)
                assert run is not None
                assert run.state == "completed", (name, run.error)
                found[name] = {
                    "program": program, "seed": run.seed, "began_at": run.began_at,
                    "result": json.loads(run.result or "null"),
                    "journal": [_line(one) for one in journal.read(raw, run.n)],
                }  # fmt: skip
    return found


def _line(record: Any) -> dict[str, Any]:
    fields = ("path", "seq", "kind", "name", "ended_at", "result", "error", "place")
    return {one: getattr(record, one) for one in fields}


def main() -> None:
    """Write the file of a release."""
    path = HERE / f"{sys.argv[1]}.json"
    if path.exists():
        sys.exit(f"{path.name} is there: journals that were kept are never written anew")
    value = {"app": APP, "runs": asyncio.run(record())}
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
