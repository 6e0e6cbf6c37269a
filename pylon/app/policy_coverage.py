"""The file with the policy coverage of the last run, in the project's `.pylon`, and how it is read.

A *run* is one process: a `pylon dev`, or all tests of one pytest process. Each writes the file
anew; tests of one process add to what those before them counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson
from pylon.policy.coverage import Counts

FILE_NAME = "policy-coverage.json"


def read_coverage(path: Path) -> dict[str, Any] | None:
    """Return what was counted last; None where there is no file that makes sense."""
    try:
        found = jsonvalue.parse(path.read_bytes())
    except (OSError, InvalidJson):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("policies"), dict) else None


def write_coverage(
    path: Path, run: str, at: str, policies: Iterable[tuple[str, str, Counts]]
) -> None:
    """Write what a run counted: (key, text, counts) of each policy."""
    found = {
        "run": run, "at": at,
        "policies": {key: {"policy": text, **counts.to_json()} for key, text, counts in policies},
    }  # fmt: skip
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.write_private(path, jsonvalue.encode(found))


def coverage_of(
    stored: Mapping[str, Any] | None, key: str, text: str | None
) -> dict[str, Any] | None:
    """Return the counts of one policy; None where it was not watched, or is another now."""
    if stored is None or text is None:
        return None
    found = stored["policies"].get(key)
    return found if isinstance(found, dict) and found.get("policy") == text else None
