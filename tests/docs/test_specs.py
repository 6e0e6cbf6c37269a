"""The SPEC.md files beside the code: every promise names what holds it, and that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
_FOUND: Final = sorted((ROOT / "pylon").rglob("SPEC.md"))
SPECS: Final = [one for one in _FOUND if "node_modules" not in one.parts]
#: Where tests stand: Python's, and those of the browser client.
_PYTHON: Final = "\n".join(one.read_text("utf-8") for one in (ROOT / "tests").rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _promises(spec: Path) -> list[str]:
    text = spec.read_text(encoding="utf-8")
    return re.findall(r"^- \*\*[A-Z]+\d+\*\* .*?(?=^- \*\*|^#|\Z)", text, re.MULTILINE | re.DOTALL)


def test_the_specs_are_there() -> None:
    """Policy, protocol, sync and the client each have one."""
    assert {_name(one.parent) for one in SPECS} >= {
        "pylon/policy", "pylon/protocol", "pylon/server/sync", "pylon/client",
    }  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=_name)
def test_every_promise_says_what_enforces_it(spec: Path) -> None:
    """A promise without its test is a wish."""
    promises = _promises(spec)
    assert promises
    assert [one[:40] for one in promises if "*Enforcement:*" not in one] == []


@pytest.mark.parametrize("spec", SPECS, ids=_name)
def test_the_named_tests_exist(spec: Path) -> None:
    """Tests and files of tests that a spec names are there."""
    text = re.sub(r"\s+", " ", spec.read_text(encoding="utf-8"))
    names = re.findall(r"`(test_\w+)`", text)
    assert [one for one in names if f"def {one}(" not in _PYTHON] == []
    files = re.findall(r"`(tests/[\w/.]+)`", text)
    assert [one for one in files if not (ROOT / one).exists()] == []
