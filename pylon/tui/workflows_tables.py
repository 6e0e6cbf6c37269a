"""What the Workflows screen shows: workflows with their counts, runs with what they wait for."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from pylon import jsonvalue
from pylon.printable import clean
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.tables import duration_text

Line = list[tuple[str, str]]

#: Each state with its sign: it is told without colour, too.
SIGNS: Final = {
    "running": ("● running", "accent"), "parked": ("◔ parked", "plain"),
    "diverged": ("! diverged", "bad"), "completed": ("✓ completed", "good"),
    "failed": ("✗ failed", "bad"), "cancelled": ("- cancelled", "quiet"),
}  # fmt: skip
FIGURES: Final = (
    Column("WORKFLOW", 14, most=32), Column("RUNNING", 7, right=True),
    Column("PARKED", 6, right=True),
    Column("DIVERGED", 8, right=True), Column("FAILED", 6, right=True),
    Column("COMPLETED", 9, 66, right=True), Column("CANCELLED", 9, 76, right=True),
    Column("", 6),
)  # fmt: skip
RUNS: Final = (
    Column("STATE", 11), Column("WORKFLOW", 14, most=32), Column("STEPS", 5, right=True),
    Column("AGE", 7, right=True), Column("KEY", 14, 110, most=28), Column("BY", 18, 130, most=32),
    Column("ID", 36, 190), Column("WAITS FOR", 60),
)  # fmt: skip
_TAIL: Final = 12
#: The columns that a search line can name: the runtime looks it up, so none that only passes.
SEARCHED: Final = (
    "state", "workflow", "steps", "key", "by", "id", "waits-for", "name", "user", "cause",
)  # fmt: skip


def is_bad_figure(figure: dict[str, Any]) -> bool:
    """Tell whether runs of a workflow have failed, diverged, or lost their code."""
    return bool(figure["diverged"] or figure["failed"]) or not figure["is_declared"]


def figure_line(figure: dict[str, Any], width: int) -> Line:
    """Return the line of a workflow: how many of its runs are in each state."""
    counts = [
        (f"{figure[name]:,}", style if figure[name] else "quiet")
        for name, style in (("running", "accent"), ("parked", "plain"), ("diverged", "bad"),
                            ("failed", "bad"), ("completed", "good"), ("cancelled", "plain"))
    ]  # fmt: skip
    gone = ("", "quiet") if figure["is_declared"] else ("gone", "bad")
    return data_line(FIGURES, ((figure["name"], "strong"), *counts, gone), width)


def figures_head(width: int) -> Line:
    """Return the heads of workflows."""
    return head_line(FIGURES, width)


def is_bad_run(run: dict[str, Any]) -> bool:
    """Tell whether a run has failed or diverged."""
    return run["state"] in ("diverged", "failed")


def run_line(run: dict[str, Any], width: int) -> Line:
    """Return the line of a run; `age` and `what` were worked out for the moment of drawing."""
    return data_line(
        RUNS,
        (
            SIGNS.get(run["state"], (run["state"], "plain")), (run["name"], "strong"),
            (run["steps"], "quiet"), (run["age"], "plain"), (run["key"] or "-", "quiet"),
            (run.get("email") or run["user"], "quiet"), (run["id"], "quiet"),
            (run["what"], "bad" if is_bad_run(run) else "plain" if run["waits"] else "quiet"),
        ),
        width,
    )  # fmt: skip


def runs_head(width: int) -> Line:
    """Return the heads of runs."""
    return head_line(RUNS, width)


def drawn(run: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return a run with what its line says at this moment."""
    return {**run, "age": age_words(run, now_ms), "what": what_words(run, now_ms)}


def age_words(run: dict[str, Any], now_ms: int) -> str:
    """Return how long ago a run was started, or how long it took."""
    until = now_ms if run["ended_at"] is None else ms_of(run["ended_at"])
    return span_words(until - ms_of(run["created_at"]))


def what_words(run: dict[str, Any], now_ms: int) -> str:
    """Return the most telling thing about a run: why it stopped, or what it waits for."""
    if is_bad_run(run) and run["error"]:
        return str(run["error"])
    if run["ended_at"] is not None:
        return f"ended {run['ended_at'][:16].replace('T', ' ')}Z"
    waits = run.get("waits") or []
    if not waits:
        return "its code runs" if run["state"] == "running" else "-"
    more = f" +{len(waits) - 1}" if len(waits) > 1 else ""
    return f"{wait_words(waits[0], now_ms)}{more}"


def wait_words(wait: dict[str, Any], now_ms: int) -> str:
    """Return what one thing is that a run waits for, and how long yet."""
    kind, name = wait["kind"], wait["name"]
    left = "" if wait["until"] is None else span_words(max(0, ms_of(wait["until"]) - now_ms))
    if kind == "sleep":
        return f"sleep, {left} left"
    if kind == "wait":
        return f"signal {name}" + (f", {left} left" if left else "")
    if kind == "child":
        return f"child {name} …{str(wait['run'] or '')[-_TAIL:]}"
    begun = int(wait["attempt"])
    if left:
        return f"step {name}, try {begun + 1} in {left}"
    since = span_words(max(0, now_ms - ms_of(wait["since"])))
    return f"step {name}, try {max(1, begun)}, begun {since} ago"


def span_words(span_ms: float) -> str:
    """Return a span of time: short ones in ms, others as people say them."""
    if 0 <= span_ms < 1_000:
        return f"{span_ms:.0f} ms"
    return duration_text(max(0.0, span_ms / 1_000))


def ms_of(text: str) -> int:
    """Return an ISO time as Unix ms; 0 for what is none, as a runtime elsewhere may say."""
    try:
        return int(dt.datetime.fromisoformat(text).timestamp() * 1_000)
    except (TypeError, ValueError, OverflowError):
        return 0


def title_of(run: dict[str, Any]) -> str:
    """Return how questions and notices call a run: its workflow, key and the end of its id."""
    key = f" {clean(run['key'])[:24]}" if run.get("key") else ""
    return f"{clean(run['name'])[:32]}{key} …{str(run['id'])[-_TAIL:]}"


def run_copies(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of a run."""
    found = [("id", str(run["id"])), ("command", f"pylon workflows show {run['id']}")]
    told = ("key", "error", "traceback")
    found += [(name, str(run[name])) for name in told if run.get(name)]
    whole = {name: value for name, value in run.items() if name not in ("age", "what")}
    return [*found, ("JSON", jsonvalue.encode_text(whole))]
