"""The timeline of one run: its journal as rows with start, duration, tries, outcome; and in words.

Pure. Gathers are rows of their own, what they wait for stands below them, moved in.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Final

from pylon import jsonvalue
from pylon.printable import clean, clean_block
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import pretty
from pylon.tui.workflows_tables import SIGNS, Line, ms_of, span_words, wait_words

STEPS: Final = (
    Column("STEP", 7), Column("WHAT", 24), Column("START", 7, right=True),
    Column("TOOK", 7, right=True), Column("TRY", 3, right=True), Column("TIME", 32, 150),
    Column("PLACE", 16, 120), Column("OUTCOME", 18),
)  # fmt: skip
_BAR: Final = 32
_FACT: Final = 9


def steps_head(width: int) -> Line:
    """Return the heads of steps."""
    return head_line(STEPS, width)


def is_bad_step(row: dict[str, Any]) -> bool:
    """Tell whether a step failed, or is not what the code asks for."""
    return "bad" in (row["style"], row["outcome_style"])


def step_line(row: dict[str, Any], width: int) -> Line:
    """Return the line of a step."""
    return data_line(
        STEPS,
        (
            (row["step"], "strong"), (row["title"], row["style"]), (row["start"], "quiet"),
            (row["took"], "plain"), (row["tries"], "quiet"), (row["bar"], row["style"]),
            (row["place"] or "-", "quiet"), (row["outcome"], row["outcome_style"]),
        ),
        width,
    )  # fmt: skip


def timeline(run: dict[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """Return the rows of a run's journal in the order of its code, gathers above their branches."""
    lines = sorted(run["journal"], key=lambda one: _parts(one["step"]))
    known = {one["step"] for one in lines}
    begun = ms_of(run["created_at"])
    ended = now_ms if run["ended_at"] is None else ms_of(run["ended_at"])
    span = (begun, max(ended, begun + 1))
    rows = []
    for one in lines:
        for head in _gathers(one["step"]):
            if head not in known:
                known.add(head)
                inside = [it for it in lines if it["step"].startswith(f"{head}.")]
                rows.append(_gather_row(head, inside, span, now_ms))
        rows.append(_row(one, run, span, now_ms))
    return rows


def _parts(path: str) -> tuple[int, ...]:
    return tuple(int(one) if one.isdigit() else 0 for one in path.split("."))


def _gathers(path: str) -> list[str]:
    """Return the paths of the gathers that a step is in, the outermost first."""
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts), 2)]


def _title(path: str, sign: str, words: str) -> str:
    return f"{'  ' * len(_gathers(path))}{sign} {words}"


def _row(one: dict[str, Any], run: dict[str, Any], span: tuple[int, int],
         now_ms: int) -> dict[str, Any]:  # fmt: skip
    is_open = one["seq"] is None
    since = ms_of(one["begun_at"])
    until = now_ms if one["ended_at"] is None else ms_of(one["ended_at"])
    misfit = _is_misfit(one, run)
    if misfit:
        sign, style, outcome = "!", "bad", f"the code asks for {misfit}"
    elif is_open and run["ended_at"] is not None:
        sign, style, outcome = "-", "quiet", f"{run['state']} meanwhile"
    elif is_open:
        is_step = one["kind"] == "step" and one["due_at"] is None
        sign, style = ("●", "accent") if is_step else ("◔", "warn")
        outcome = wait_words(
            {"kind": one["kind"], "name": one["name"], "until": one["due_at"], "run": one["run"],
             "since": one["begun_at"], "attempt": one["attempt"]}, now_ms,
        )  # fmt: skip
    elif one["error"] is not None:
        sign, style, outcome = "✗", "bad", f"{one['error']['code']}: {one['error']['message']}"
    else:
        sign, style, outcome = "✓", "good", jsonvalue.encode_text(one["result"])
    kind = "" if one["kind"] == "step" or one["name"] == one["kind"] else f"{one['kind']} "
    return {
        **one, "title": _title(one["step"], sign, f"{kind}{one['name']}"), "style": style,
        "start": f"+{span_words(since - span[0])}", "took": span_words(until - since),
        "tries": one["attempt"] or "", "bar": _bar(since, until, span), "outcome": outcome,
        "outcome_style": style if style != "good" else "plain",
    }  # fmt: skip


def _gather_row(
    head: str, inside: Sequence[dict[str, Any]], span: tuple[int, int], now_ms: int
) -> dict[str, Any]:
    since = min(ms_of(one["begun_at"]) for one in inside)
    is_open = any(one["seq"] is None for one in inside)
    until = now_ms if is_open else max(ms_of(one["ended_at"]) for one in inside)
    branches = {one["step"].split(".")[len(head.split("."))] for one in inside}
    done = sum(one["seq"] is not None for one in inside)
    style = "warn" if is_open else "good"
    return {
        "step": head, "kind": "gather", "name": "gather", "run": None, "seq": None,
        "title": _title(head, "◔" if is_open else "✓", f"gather of {len(branches)}"),
        "style": style, "start": f"+{span_words(since - span[0])}",
        "took": span_words(until - since), "tries": "", "bar": _bar(since, until, span),
        "place": inside[0]["place"], "outcome": f"{done} of {len(inside)} done",
        "outcome_style": "plain", "inside": [one["step"] for one in inside],
        # The first that was recorded: what ran beside it is done once more, too.
        "first": min(inside, key=lambda it: (it["seq"] is None, it["seq"] or 0))["step"],
    }  # fmt: skip


def _bar(since: int, until: int, span: tuple[int, int]) -> str:
    """Return where in the run's time a step lies; never nothing, however short it was."""
    whole = span[1] - span[0]
    first = min(_BAR - 1, max(0, (since - span[0]) * _BAR // whole))
    last = min(_BAR - 1, max(first, (until - span[0]) * _BAR // whole))
    return "·" * first + "━" * (last - first + 1) + "·" * (_BAR - 1 - last)


def _is_misfit(one: dict[str, Any], run: dict[str, Any]) -> str:
    """Return what the code asks for instead of this step; empty where it fits."""
    details = (run["details"] or {}).get("details") or {}
    is_it = run["state"] == "diverged" and details.get("step") == one["step"]
    return str(details.get("got") or "") if is_it else ""


# --- in words


def about_run(run: dict[str, Any], now_ms: int, width: int, *, is_dev: bool) -> str:
    """Return what stands below the timeline: why it stopped, what it waits for, facts, error."""
    lines = []
    if run["state"] == "diverged":
        lines += divergence(run)
    if run["error"] and run["state"] != "diverged":
        lines += [" error", *_wrapped(clean_block(run["error"]), width), ""]
    for one in run["waits"] if run["ended_at"] is None else ():
        until = "" if one["until"] is None else f" (until {one['until'][:19].replace('T', ' ')}Z)"
        lines.append(f" {'waits':<{_FACT}}{one['step']}: {clean(wait_words(one, now_ms))}{until}")
    if is_dev and any(one["until"] for one in run["waits"]):
        lines.append(f" {'':<{_FACT}}T jumps to what is due next (pylon clock next)")
    for one in run["signals"]:
        data = clean(jsonvalue.encode_text(one["data"]))
        lines.append(f" {'signal':<{_FACT}}{clean(one['event'])} {data}, not taken yet")
    for name, value in _facts(run, now_ms):
        if value not in (None, ""):
            lines.append(f" {name:<{_FACT}}{clean(value)}")
    for name, text in _values(run):
        lines += ["", f" {name}", *_wrapped(clean_block(text), width)]
    if run["traceback"]:
        frames = clean_block(run["traceback"]).rstrip().splitlines()
        lines += ["", " traceback", *(f"   {one}" for one in frames)]
    return clean_block("\n".join(lines))


def _who(run: dict[str, Any]) -> str:
    email = run.get("email")
    return f"{email} ({run['user']})" if email else str(run["user"])


def _facts(run: dict[str, Any], now_ms: int) -> list[tuple[str, Any]]:
    until = now_ms if run["ended_at"] is None else ms_of(run["ended_at"])
    sign = SIGNS.get(run["state"], (run["state"], ""))[0]
    age = span_words(until - ms_of(run["created_at"]))
    steps = "step" if run["steps"] == 1 else "steps"
    again = f" · its process ended {run['lost']} times" if run["lost"] else ""
    return [
        ("state", f"{sign} · {run['steps']} {steps} in {age}{again}"), ("key", run["key"]),
        ("runs as", _who(run)), ("cause", run["cause"]), ("parent", run["parent"]),
        ("rerun of", run["origin"]), ("started", run["created_at"]), ("ended", run["ended_at"]),
        ("id", run["id"]),
    ]  # fmt: skip


def _values(run: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("arguments", jsonvalue.encode_text(run["args"]))]
    if run["state"] == "completed":
        found.append(("result", jsonvalue.encode_text(run["result"])))
    return found


def divergence(run: dict[str, Any]) -> list[str]:
    """Return both sides of what fits no more, each with its place."""
    found = run["details"] or {}
    details = found.get("details") or {}
    step = details.get("step")
    if step is None:
        return [f" ! {clean(found.get('message', run['error'] or ''))}", ""]
    recorded = next((one for one in run["journal"] if one["step"] == step), None)
    places = (recorded or {}).get("place"), details.get("place")
    sides = (("recorded", details.get("expected")), ("code asks", details.get("got")))
    lines = [f" ! step {clean(step)} does not fit what the run recorded:"]
    for (name, what), place in zip(sides, places, strict=True):
        at = f"  at {clean(place)}" if place else ""
        lines.append(f"   {name:<11}{clean(what)}{at}")
    hint = clean(found.get("hint") or details.get("hint") or "")
    return [*lines, *([f"   {hint}"] if hint else []), ""]


def _wrapped(text: str, width: int) -> list[str]:
    found = []
    for line in text.splitlines() or [""]:
        found += wrap(line, max(20, width - 6), subsequent_indent="  ") or [""]
    return [f"   {one}" for one in found]


def step_words(row: dict[str, Any]) -> str:
    """Return all about one step: facts, then arguments, result and error as JSON on lines."""
    facts = [
        ("step", row["step"]), ("kind", row["kind"]), ("name", row["name"]),
        ("function", row.get("fn")), ("place", row["place"]), ("tries", row["tries"] or None),
        ("failures", row.get("failures") or None), ("begun", row.get("begun_at")),
        ("ended", row.get("ended_at")), ("due", row.get("due_at")), ("took", row["took"]),
        ("run", row["run"]), ("inside", ", ".join(row.get("inside", [])) or None),
    ]  # fmt: skip
    lines = [f"{name:<{_FACT}} {clean(value)}" for name, value in facts if value is not None]
    for name in ("args", "result", "error"):
        is_known = row.get(name) is not None or (name == "result" and row["seq"] is not None
                                                 and row.get("error") is None)  # fmt: skip
        if is_known:
            lines += ["", name, *pretty(row.get(name)).splitlines()]
    return "\n".join(lines)


def journal_words(run: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Return the journal whole, step by step, with all values; then the run's own."""
    parts = [step_words(one) for one in rows if one["kind"] != "gather"]
    rule = "\n" + "─" * 40 + "\n"
    parts.append(f"arguments of the run\n{pretty(run['args'])}")
    if run["state"] == "completed":
        parts.append(f"result of the run\n{pretty(run['result'])}")
    return rule.join(parts)
