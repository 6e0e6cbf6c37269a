"""What each list shows: columns and lines for changes, clients, calls, mails and projects."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from pylon.client.frames_text import change_words, frame_words
from pylon.client.ghost import Frame
from pylon.printable import clean
from pylon.tui.columns import Column, data_line, head_line, placed
from pylon.tui.policies_text import covered, sign_of

Line = list[tuple[str, str]]

#: Sign and word of each kind of change.
KINDS = {
    "insert": ("+ insert", "good"), "update": ("~ update", "accent"), "delete": ("- delete", "bad"),
    "slice": ("= slice", "quiet"),
}  # fmt: skip
_STATES = {
    "live": ("● live", "good"), "catching_up": ("◐ catching up", "warn"),
    "hydrating": ("◔ hydrating", "warn"), "greeting": ("○ greeting", "quiet"),
    "offline": ("○ offline", "quiet"), "closed": ("○ closed", "quiet"),
}  # fmt: skip

CHANGES = (
    Column("TIME", 12, 72, narrow=8), Column("SEQ", 8, narrow=6, right=True), Column("KIND", 8),
    Column("ENTITY", 12, narrow=10, most=16), Column("USER", 18, 66, narrow=15, most=22),
    Column("CAUSE", 10, 130, most=24),
    Column("ROW", 9, 110, keeps_end=True), Column("WHAT", 84),
)  # fmt: skip
CLIENTS = (
    Column("STATE", 14), Column("USER", 20, most=32), Column("CURSOR", 9, 100, right=True),
    Column("LAG", 6, right=True), Column("BEHIND", 7, 80, right=True),
    Column("QUEUED", 8, 90, right=True), Column("TRIP", 8, 120, right=True),
    Column("WAITING", 7, 110, right=True), Column("LAST SEEN", 9, 70),
    Column("CLIENT", 40, keeps_end=True),
)  # fmt: skip
CALLS = (
    Column("TIME", 12, 72), Column("OUTCOME", 11), Column("MS", 8, right=True),
    Column("READ", 7, 120, right=True), Column("WROTE", 6, 120, right=True),
    Column("USER", 20, 100, most=32), Column("CODE", 18, 66, most=24),
    Column("CAUSE", 30, 150, most=32),
    Column("FUNCTION", 24),
)  # fmt: skip
UNSEEN = (
    Column("SEQ", 8, right=True), Column("KIND", 8), Column("ENTITY", 12, most=24),
    Column("ROW", 13, 66, keeps_end=True), Column("WHAT", 60),
)  # fmt: skip
FRAMES = (Column("TIME", 12, 72), Column("FRAME", 9), Column("WHAT", 40))
HELD = (Column("ENTITY", 24), Column("ROWS", 10))
MAILS = (
    Column("TIME", 12, 66),
    Column("TO", 26, most=40),
    Column("CODE", 10),
    Column("SUBJECT", 60),
)
POLICIES = (
    Column("ENTITY", 16, most=24), Column("ACCESS", 6), Column("FLAGS", 15, most=36),
    Column("TAKEN", 8, 100, right=True), Column("IN WORDS", 80),
)  # fmt: skip
PROJECTS = (
    Column("STATE", 11), Column("NAME", 18, most=32), Column("PORT", 5, right=True),
    Column("DISK", 9, right=True), Column("BACKUP", 10, 66), Column("UNTOUCHED", 9, 76),
    Column("LAST USE", 10, 130), Column("LAST ERROR", 40, 120, most=60),
    Column("FOLDER", 48, 88, keeps_end=True),  # in fewer than that it would be a stump
)  # fmt: skip
_PROJECT_STATES = {
    "running": ("● running", "good"), "asleep": ("☾ asleep", "accent"),
    "starting": ("◔ starting", "warn"), "stopping": ("◑ stopping", "warn"),
    "backing off": ("◔ restarts", "warn"), "hung": ("◍ hung", "bad"), "failed": ("✗ failed", "bad"),
    "stopped": ("○ stopped", "quiet"), "missing": ("✗ missing", "bad"),
}  # fmt: skip


def clock_time(text: Any) -> str:
    """Return the time of day of an ISO text."""
    return str(text or "")[11:23]


def change_line(change: dict[str, Any], width: int) -> Line:
    """Return the line of a change."""
    return data_line(
        CHANGES,
        (
            (clock_time(change["at"])[: CHANGES[0].at(width)], "quiet"), (change["seq"], "quiet"),
            KINDS.get(change["kind"], (change["kind"], "plain")), (change["entity"], "strong"),
            (change["user"] or "system", "plain"), (change["cause"], "quiet"),
            (change["row_id"], "quiet"), (change.get("effect"), "plain"),
        ),
        width,
    )  # fmt: skip


def is_bad_client(client: dict[str, Any]) -> bool:
    """Tell whether a client that is connected has not seen everything yet."""
    return bool(client["lag_changes"]) and client["state"] not in ("offline", "closed", "greeting")


def client_line(client: dict[str, Any], width: int) -> Line:
    """Return the line of a client."""
    lag = client["lag_changes"]
    return data_line(
        CLIENTS,
        (
            _client_state(client),
            (client["email"] or "anonymous", "strong"),
            (str(client["cursor"] or "").rpartition(":")[2], "plain"),
            ("?" if lag is None else lag, "warn" if lag else "quiet"),
            (duration_text(client["lag_s"]) if lag else "-", "warn" if lag else "quiet"),
            (size_text(client["queued_bytes"]), "warn" if client["queued_bytes"] else "quiet"),
            ("-" if client.get("round_trip_ms") is None else f"{client['round_trip_ms']:.0f} ms",
             "quiet"),
            ("-" if client["pending"] is None else client["pending"], "quiet"),
            (clock_time(client["last_seen"])[:8], "quiet"), (client["client_id"], "quiet"),
        ),
        width,
    )  # fmt: skip


def unseen_line(change: dict[str, Any], width: int) -> Line:
    """Return the line of a change that a client has not seen."""
    seq, kind, entity, row_id, what = change_words(change)
    return data_line(
        UNSEEN,
        (
            (seq, "quiet"), KINDS.get(kind, (kind, "plain")), (entity, "strong"),
            (row_id, "quiet"), (what[: width * 2], "plain"),
        ),
        width,
    )  # fmt: skip


def is_bad_frame(frame: Frame) -> bool:
    """Tell whether a frame tells a ghost of an error."""
    return frame_words(frame.message)[0] == "error"


def frame_line(frame: Frame, width: int) -> Line:
    """Return the line of a frame that a ghost got."""
    kind, words = frame_words(frame.message)
    style = {"error": "bad", "resync": "warn", "goaway": "warn"}.get(kind, "strong")
    return data_line(
        FRAMES, ((clock_time(frame.at), "quiet"), (kind, style), (words, "plain")), width
    )


def held_line(held: tuple[str, int], width: int) -> Line:
    """Return the line of an entity of which a ghost holds rows."""
    return data_line(HELD, ((held[0], "strong"), (held[1], "plain")), width)


def _client_state(client: dict[str, Any]) -> tuple[str, str]:
    """Return the state of a client, with a mark where its network was spoiled."""
    if client.get("is_ghost"):
        return "◌ ghost", "accent"
    text, style = _STATES.get(client["state"], (client["state"], "plain"))
    return (f"{text} ≈", "warn") if client.get("network") is not None else (text, style)


def is_bad_call(call: dict[str, Any]) -> bool:
    """Tell whether a call was refused or failed."""
    return call["outcome"] not in ("done", "cancelled") and call["code"] != "CANCELLED"


def call_line(call: dict[str, Any], width: int) -> Line:
    """Return the line of a call."""
    if is_bad_call(call):
        outcome = (f"✗ {call['outcome']}", "bad")
    else:
        is_done = call["outcome"] == "done"
        outcome = ("✓ done", "good") if is_done else ("- cancelled", "quiet")
    return data_line(
        CALLS,
        (
            (clock_time(call["at"]), "quiet"), outcome,
            (f"{call['ms']:.1f}", "warn" if call["ms"] > 100 else "plain"),
            (call["rows_read"], "quiet"), (call["rows_written"], "quiet"),
            (call["user"] or "anonymous", "plain"), (call["code"], "bad"), (call["cause"], "quiet"),
            (call["name"], "strong"),
        ),
        width,
    )  # fmt: skip


def mail_line(mail: dict[str, Any], width: int) -> Line:
    """Return the line of a mail."""
    return data_line(
        MAILS,
        (
            (clock_time(mail["at"]), "quiet"), (mail["to"], "strong"),
            (mail["code"] or "-", "accent"), (mail["subject"], "plain"),
        ),
        width,
    )  # fmt: skip


def policy_line(row: dict[str, Any], width: int) -> Line:
    """Return the line of a policy."""
    return data_line(
        POLICIES,
        (
            (row["entity"], "strong"), (row["access"], "plain"), sign_of(row),
            covered(row), (row["in_words"], "plain"),
        ),
        width,
    )  # fmt: skip


def is_bad_project(project: dict[str, Any]) -> bool:
    """Tell whether a project has failed, hangs, or is gone."""
    return _PROJECT_STATES.get(project["state"], ("", ""))[1] == "bad"


def project_line(project: dict[str, Any], width: int) -> Line:
    """Return the line of a project."""
    state = _PROJECT_STATES.get(project["state"], (project["state"], "warn"))
    return data_line(
        PROJECTS,
        (
            state, (project["name"], "strong"), (project["port"] or "-", "plain"),
            (project["disk"], "quiet"), (project["backup"], "quiet"),
            (project["untouched"], "quiet"), (project["last_use"], "quiet"),
            (project["error"] or "-", "bad" if project["error"] else "quiet"),
            (project["path"], "quiet"),
        ),
        width,
    )  # fmt: skip


#: A line of the log, which has no columns.
_WORDS = Column("LINE", 4)


def is_bad_line(line: tuple[str, str, str]) -> bool:
    """Tell whether a line of the log begins an error: those below it are of the same one."""
    return line[0] == "error" and line[1].startswith(("error", "Traceback", "pylon:"))


def line_line(line: tuple[str, str, str], width: int) -> Line:
    """Return a line of the runtime's log."""
    level, text, at = line
    style = {"error": "bad", "warning": "warn", "note": "accent"}.get(level, "plain")
    time = [(f" {at[11:19]} ", "quiet")] if at and width >= 66 else []
    room = width - sum(len(piece) for piece, _ in time) - 2  # the last cell may be the bar's
    shown = clean(text[: width + 200].expandtabs(4))
    return [
        *time,
        (" " + (placed(shown, room, _WORDS) if cell_len(shown) > room else shown), style),
    ]


HEADS = {
    "lines": lambda width: [(" LINE", "head")],
    "changes": lambda width: head_line(CHANGES, width),
    "clients": lambda width: head_line(CLIENTS, width),
    "unseen": lambda width: head_line(UNSEEN, width),
    "frames": lambda width: head_line(FRAMES, width),
    "held": lambda width: head_line(HELD, width),
    "calls": lambda width: head_line(CALLS, width),
    "mails": lambda width: head_line(MAILS, width),
    "policies": lambda width: head_line(POLICIES, width),
    "projects": lambda width: head_line(PROJECTS, width),
}


def duration_text(seconds: float) -> str:
    """Return a time span for people."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit takes everything")
