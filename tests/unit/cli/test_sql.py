"""`pylon sql`: what it asks, and how it prints what comes."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from pylon.cli import sql
from pylon.cli.main import cli

FOUND = {
    "columns": ["id", "note"], "rows": [["t1", None], ["t2", "\x1b[31mred"]], "more": True,
    "cut": 1, "ms": 1.25, "plan": [[0, "SCAN Task"], [1, "SEARCH User"]],
}  # fmt: skip


def test_it_prints_a_table_the_plan_and_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows on stdout, harmless; what was left out on stderr; stdin where a dash stands."""
    asked: list[Any] = []

    def ask(*given: Any) -> Any:
        asked.append(given)
        return FOUND

    monkeypatch.setattr(sql, "ask_path", ask)
    done = CliRunner().invoke(cli, ["sql", "-", "--plan", "--limit", "2"], input="SELECT 1\n")
    assert done.exit_code == 0
    assert asked == [
        (None, "POST", "admin/sql", {"sql": "SELECT 1\n", "limit": 2, "plan": True})
    ]  # fmt: skip
    assert done.stdout.splitlines()[0].split() == ["id", "note"]
    assert "\x1b" not in done.stdout
    assert "SCAN Task\n  SEARCH User\n" in done.stdout
    assert done.stderr == "2 rows and more · 1.25 ms · 1 long cells cut\n"
    done = CliRunner().invoke(cli, ["sql", "SELECT 1", "--json"])
    assert done.stdout.startswith('{"columns":["id","note"]')
    assert CliRunner().invoke(cli, ["sql", "SELECT 1", "--limit", "0"]).exit_code == 2
