"""What the Jobs screen shows: queues, jobs, throughput, next slots, and all about one job."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Final

from pylon import jsonvalue
from pylon.printable import clean, clean_block
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.sparks import spark
from pylon.tui.tables import duration_text
from pylon.tui.workflows_tables import ms_of

Line = list[tuple[str, str]]

#: Each state with its sign: it is told without colour, too.
SIGNS: Final = {
    "scheduled": ("◔ scheduled", "quiet"), "available": ("○ available", "warn"),
    "running": ("● running", "accent"), "completed": ("✓ completed", "good"),
    "cancelled": ("- cancelled", "quiet"), "dead": ("✗ dead", "bad"),
}  # fmt: skip
QUEUES: Final = (
    Column("QUEUE", 12, most=24), Column("STATE", 8), Column("SCHEDULED", 9, right=True),
    Column("AVAILABLE", 9, right=True), Column("RUNNING", 7, right=True),
    Column("COMPLETED", 9, 84, right=True), Column("CANCELLED", 9, 100, right=True),
    Column("DEAD", 5, right=True), Column("RATE", 8),
)  # fmt: skip
JOBS: Final = (
    Column("STATE", 11), Column("JOB", 18, most=32), Column("QUEUE", 12, 100, most=24),
    Column("TRY", 5, right=True),
    Column("WHEN", 11), Column("BY", 18, 120, most=32), Column("CAUSE", 20, 150, most=32),
    Column("ID", 36, 190),
    Column("WHAT", 48),
)  # fmt: skip
_FACT: Final = 10
#: The columns that a search line can name: the runtime looks it up, so none that only passes.
SEARCHED: Final = (
    "state", "job", "queue", "try", "by", "cause", "id", "what", "name", "key", "user",
)  # fmt: skip


def is_bad_queue(queue: dict[str, Any]) -> bool:
    """Tell whether a queue has dead jobs."""
    return bool(queue["dead"])


def queue_line(queue: dict[str, Any], width: int) -> Line:
    """Return the line of a queue: `running` of how many that may."""
    paused = queue["paused_at"] is not None
    counts = {
        name: (queue[name], style if queue[name] else "quiet")
        for name, style in (("scheduled", "plain"), ("available", "warn"), ("completed", "good"),
                            ("cancelled", "plain"), ("dead", "bad"))
    }  # fmt: skip
    running = (f"{queue['running']}/{queue['concurrency']}",
               "accent" if queue["running"] else "quiet")  # fmt: skip
    return data_line(
        QUEUES,
        (
            (queue["queue"], "strong"), ("⏸ paused", "warn") if paused else ("● open", "good"),
            counts["scheduled"], counts["available"], running, counts["completed"],
            counts["cancelled"], counts["dead"], (rate_words(queue["per_second"]), "quiet"),
        ),
        width,
    )  # fmt: skip


def queues_head(width: int) -> Line:
    """Return the heads of queues."""
    return head_line(QUEUES, width)


def rate_words(per_second: float | None) -> str:
    """Return a rate as the setting says it; `-` for none."""
    if per_second is None:
        return "-"
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3_600)):
        count = per_second * seconds
        if count >= 1 and abs(count - round(count)) < 1e-6:
            return f"{round(count)}/{unit}"
    return f"{per_second:.3g}/s"


def is_bad_job(job: dict[str, Any]) -> bool:
    """Tell whether a job is dead, or failed and waits to be tried again."""
    is_again = bool(job["error"]) and job["state"] in ("scheduled", "available")
    return job["state"] == "dead" or is_again


def job_line(job: dict[str, Any], width: int) -> Line:
    """Return the line of a job; `when` was worked out for the moment of drawing."""
    sign = SIGNS.get(job["state"], (job["state"], "plain"))
    return data_line(
        JOBS,
        (
            sign, (job["name"], "strong"), (job["queue"], "plain"),
            (f"{job['attempt']}/{job['attempts']}", "quiet"), (job["when"], "plain"),
            (job.get("email") or job["user"], "quiet"), (job["cause"] or "-", "quiet"),
            (job["id"], "quiet"),
            (what_words(job), "bad" if is_bad_job(job) else "quiet"),
        ),
        width,
    )  # fmt: skip


def jobs_head(width: int) -> Line:
    """Return the heads of jobs."""
    return head_line(JOBS, width)


def what_words(job: dict[str, Any]) -> str:
    """Return the most telling thing about a job: its progress, why it failed, its key."""
    if job["state"] == "running":
        return progress_words(job) or (f"key {job['key']}" if job["key"] else "")
    if job["error"] and job["state"] != "completed":
        return str(job["error"])
    return f"key {job['key']}" if job["key"] else ""


def progress_words(job: dict[str, Any]) -> str:
    """Return how far a job has come; empty where it did not say."""
    share = job["progress"]
    if share is None:
        return ""
    full = round(share * 10)
    text = f"{'█' * full}{'░' * (10 - full)} {share:.0%}"
    return f"{text} {job['progress_text']}" if job["progress_text"] else text


def when_words(job: dict[str, Any], now_ms: int) -> str:
    """Return when a job is due, since when it waits or runs, or when it ended."""
    state = job["state"]
    if state == "scheduled":
        left = (ms_of(job["due_at"]) - now_ms) / 1000
        return f"in {duration_text(max(0.0, left))}"
    since = job["due_at"] if state == "available" else job["started_at"]
    if state in ("available", "running") and since is not None:
        return f"for {duration_text(max(0.0, (now_ms - ms_of(since)) / 1000))}"
    ended = job["ended_at"]
    if ended is None:
        return "-"
    is_today = now_ms - ms_of(ended) < 86_400_000
    return str(ended[11:19] if is_today else ended[5:16].replace("T", " "))


def flow_line(done: Sequence[int], failed: Sequence[int], charts: str = "blocks") -> str:
    """Return throughput as a sparkline, one cell a second, and the rates of the last five."""
    most = max(done, default=0)
    bars = spark([one or None for one in done], len(done), kind=charts)
    rate, bad = sum(done[-5:]) / 5, sum(failed[-5:]) / 5
    return f"{bars}▏{rate:,.1f} done/s · {bad:,.1f} failed/s · highest {most:,}/s"


def slots_line(schedules: Sequence[dict[str, Any]], now_ms: int, width: int) -> str:
    """Return the next slots in one line, as many as fit, and how many more there are."""
    found = [
        f"{clean(one['name'])} {slot_words(one['next'], now_ms)}"
        for one in schedules if one["next"] is not None
    ]  # fmt: skip
    if not found:
        return "next slot: none" if not schedules else "next slot: none in sight"
    line, shown = f"next slot: {found[0]}", 1
    while shown < len(found) and len(line) + len(found[shown]) + 12 < width:
        line += f" · {found[shown]}"
        shown += 1
    return line if shown == len(found) else f"{line} · +{len(found) - shown} (s)"


def slot_words(slot: str, now_ms: int) -> str:
    """Return a moment, UTC, and in how long that is."""
    left = max(0.0, (ms_of(slot) - now_ms) / 1000)
    day = "" if left < 86_400 else f"{slot[5:10]} "
    return f"{day}{slot[11:16]}Z, in {duration_text(left)}"


def schedule_words(schedules: Sequence[dict[str, Any]], now_ms: int) -> str:
    """Return all schedules with their next slots."""
    if not schedules:
        return "There is no schedule: @app.cron makes one."
    lines = []
    for one in schedules:
        slot = "no slot in sight" if one["next"] is None else slot_words(one["next"], now_ms)
        lines.append(f"{one['name']}\n  {one['schedule']}  {one['tz']} · queue {one['queue']}\n"
                     f"  next: {slot}")  # fmt: skip
    return "\n\n".join(lines)


def job_words(job: dict[str, Any], now_ms: int, width: int) -> str:
    """Return all about a job: facts, arguments, result, error and traceback, each on its lines."""
    user = job.get("email") or job["user"]
    who = f"{user} ({job['user']})" if user != job["user"] else str(user)
    facts = (
        ("state", SIGNS.get(job["state"], (job["state"], ""))[0]
         + f", {when_words(job, now_ms)} · attempt {job['attempt']} of {job['attempts']}"),
        ("progress", progress_words(job)),
        ("queue", f"{job['queue']} · priority {job['priority']}"),
        ("key", job["key"]), ("runs as", who), ("cause", job["cause"]),
        ("due", job["due_at"]), ("enqueued", job["created_at"]), ("begun", job["started_at"]),
        ("ended", job["ended_at"]), ("lease", job.get("lease_until")), ("id", job["id"]),
    )  # fmt: skip
    lines = [f" {name:<{_FACT}}{clean(value)}" for name, value in facts if value not in (None, "")]
    args = job.get("args")
    kept = "not kept: they hold a secret" if args is None else jsonvalue.encode_text(args)
    sections = [("arguments", kept)]
    if job.get("result") is not None:
        sections.append(("result", jsonvalue.encode_text(job["result"])))
    if job["error"]:
        sections.append(("error", str(job["error"])))
    for name, text in sections:
        lines += ["", f" {name}", *_wrapped(clean_block(text), width)]
    if job.get("traceback"):
        frames = clean_block(job["traceback"]).rstrip().splitlines()
        lines += ["", " traceback", *(f"   {one}" for one in frames)]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    found = []
    for line in text.splitlines() or [""]:
        found += wrap(line, max(20, width - 6), subsequent_indent="  ") or [""]
    return [f"   {one}" for one in found]


def job_copies(job: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of a job."""
    found = [("id", str(job["id"])), ("command", f"pylon jobs show {job['id']}")]
    if job.get("error"):
        found.append(("error", str(job["error"])))
    if job.get("traceback"):
        found.append(("traceback", str(job["traceback"])))
    whole = {name: value for name, value in job.items() if name != "when"}
    return [*found, ("JSON", jsonvalue.encode_text(whole))]
