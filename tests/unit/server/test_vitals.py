"""The figures of the last minutes."""

from __future__ import annotations

from pylon import limits_keeping
from pylon.server.vitals import FIGURES, Vitals

FIGURES_OF_NOW = dict.fromkeys(
    ("wal_bytes", "memory_mb", "cpu_percent", "writer_queue", "readers_waiting", "jobs_running",
     "workflows_active", "clients", "unsent_bytes"), 1.0,
)  # fmt: skip


def _totals(n: int) -> dict[str, float]:
    return {"commits": 2 * n, "writes": 10 * n, "commit_s": 0.006 * n, "calls": n, "pushed": 3 * n}


def test_what_grows_is_told_per_second_and_per_commit() -> None:
    """The first sample counts from the start; each has all figures."""
    vitals = Vitals()
    vitals.take(FIGURES_OF_NOW, _totals(0))
    vitals.note_lag(3.0)
    vitals.note_lag(40.0)
    vitals.take(FIGURES_OF_NOW, _totals(1))
    vitals.take(FIGURES_OF_NOW, _totals(1))
    samples = vitals.since(0)["samples"]
    assert set(samples) == set(FIGURES)
    assert samples["writes"] == [0, 10, 0]
    assert samples["group_size"] == [0, 5, 0]
    assert samples["commit_ms"] == [0, 3, 0]
    assert samples["pushed"] == [0, 3, 0]
    assert samples["loop_lag_ms"] == [0, 40, 0], "the worst of each second"


def test_so_many_seconds_are_kept_and_the_new_ones_told() -> None:
    """At the limit the oldest go; who has some gets what came after."""
    vitals = Vitals()
    kept = limits_keeping.HEALTH_SAMPLES_KEPT_MAX
    for n in range(kept + 5):
        vitals.take(FIGURES_OF_NOW, _totals(n))
    assert vitals.size == kept
    assert len(vitals.since(0)["samples"]["writes"]) == kept
    found = vitals.since(kept + 2)
    assert (found["count"], len(found["samples"]["writes"])) == (kept + 5, 3)
    assert vitals.since(kept + 5)["samples"]["writes"] == []
    assert vitals.since(10**9)["samples"]["writes"] == [], "of a runtime before a restart"
