"""What the dashboard knows: the admin stream's messages folded into one state.

Pure: messages and a monotonic time in; screens read the state and never the wire.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import limits
from pylon.tui.data_state import DataState
from pylon.tui.files import FilesState
from pylon.tui.functions_state import FunctionsState
from pylon.tui.jobs_state import JobsState
from pylon.tui.users_pages import UserPages
from pylon.tui.workflows import WorkflowsState

_CHANGES_MAX = 10_000
_STALE_SECONDS = 2.0
#: A stream that ended comes again sooner where the runtime only began anew.
_ENDED_SECONDS = 1.0
_RATE_SECONDS = 5.0
#: How late the stream is, is told by the least late status of so many seconds.
_DELAY_SECONDS = 60.0
#: Messages that a stream begins with, whatever there is, and the parts that are known from then on:
#: calls, mails and lines come before functions, where there are any.
_TOLD: Final = {
    "changes": ("changes",), "clients": ("clients",), "workflows": ("workflows",),
    "functions": ("functions", "calls", "mail", "lines"),
}  # fmt: skip


#: The panes of what is told once.
_TOLD_ONCE: Final = ("log", "functions", "mail")


@dataclass(slots=True)
class DashboardState:
    """Everything on the screens; `version_of` tells a screen whether to draw again."""

    changes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_CHANGES_MAX))
    clients: list[dict[str, Any]] = field(default_factory=list)
    calls: deque[dict[str, Any]] = field(
        default_factory=lambda: deque(maxlen=limits.CALLS_KEPT_MAX)
    )
    mails: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200))
    #: (level, text, ISO time) of each line.
    lines: deque[tuple[str, str, str]] = field(
        default_factory=lambda: deque(maxlen=limits.LOG_LINES_KEPT_MAX)
    )
    #: The matrix of policies as it was asked for last, and what the last reload changed for whom.
    policies: dict[str, Any] = field(default_factory=dict)
    #: Accounts as far as they were read, and what is to be said about that.
    users: UserPages = field(default_factory=UserPages)
    users_note: str = ""
    #: Functions with their counts.
    functions: FunctionsState = field(default_factory=FunctionsState)
    jobs: JobsState = field(default_factory=JobsState)
    workflows: WorkflowsState = field(default_factory=WorkflowsState)
    #: Entities and rows, and what is to be said about how old they are.
    data: DataState = field(default_factory=DataState)
    data_note: str = ""
    files: FilesState = field(default_factory=FilesState)
    #: Lines that ever came, and those of which the runtime told their number alone.
    lines_seen: int = 0
    lines_dropped: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    status_at: float | None = None
    #: By how much what the stream says is older than it was when it was least late.
    behind_s: float = 0.0
    #: Somebody allowed changes to this production.
    is_unlocked: bool = False
    #: Changes that went by too fast to be sent here, or while the stream was cut.
    dropped: int = 0
    changes_seen: int = 0
    #: Why the last reload failed, as paragraphs; empty where it did not.
    mistakes: tuple[str, ...] = ()
    reload_note: str = ""
    plan: str = ""
    stack: str = ""
    #: What the header calls the app before the runtime has told its name.
    project_name: str = "pylon"
    #: Where it runs, as was known before the stream told it; empty for nothing.
    environment: str = ""
    #: Which machine one is attached to, such as `ada@box`; empty where it is this one.
    machine: str = ""
    #: The runtime was started elsewhere: its lines come over the stream, not from a pipe.
    is_attached: bool = False
    process_state: str = "starting"
    process_why: str = ""
    #: A migration that waits for a decision keeps the runtime from starting.
    is_held: bool = False
    #: What `pylon migrate` tells of it; None before it was read. And what kept it from being read.
    held: dict[str, Any] | None = None
    held_trouble: str = ""
    restarts: int = 0
    #: Why the stream of an attached runtime says nothing.
    why_silent: str = ""
    #: When the stream ended; None while it runs, or before it began.
    ended_at: float | None = None
    is_connected: bool = False
    #: Kinds of `_TOLD` that came: what they tell of is known, also where there is nothing.
    told: set[str] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)
    _last_seq: int = 0
    _epoch: str = ""
    _writes: deque[tuple[float, int]] = field(default_factory=deque)
    #: (when a status came, by our time; when the runtime had begun, by the two of them).
    _delays: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def app_name(self) -> str:
        """Return the app's name, or the project's until it is known."""
        return str(self.status.get("app", self.project_name))

    @property
    def is_production(self) -> bool:
        """Tell whether real people are behind it, as far as that is known."""
        return bool(self.status.get("environment", self.environment) == "production")

    @property
    def head(self) -> int:
        """Return the newest change that was heard of, by either way."""
        return max(int(self.status.get("head", 0)), self._last_seq)

    @property
    def epoch(self) -> str:
        """Return the lineage that numbers of changes are of; empty before it was told."""
        return self._epoch

    def app_ms(self, now_ms: int) -> int:
        """Return the time that the app lives in, Unix ms: warped where its clock is."""
        return now_ms + int((self.status.get("clock") or {}).get("offset_ms") or 0)

    def version_of(self, part: str) -> int:
        """Return a number that rises when a part changes."""
        return self.versions.get(part, 0)

    def touch(self, part: str) -> None:
        """Take it that a part changed."""
        self.versions[part] = self.versions.get(part, 0) + 1

    def fold(self, message: dict[str, Any], now: float) -> None:
        """Take one message of the admin stream."""
        kind = message.get("type")
        self._note_told(kind)
        if kind == "status":
            self._fold_status(message, now)
        elif kind == "changes":
            self._fold_changes(message)
        elif kind == "clients":
            self.clients = message["clients"]
            self.touch("clients")
        elif kind == "calls":
            self._extend_new(self.calls, message["calls"])
            self.touch("calls")
        elif kind in ("functions", "timings"):
            self.functions.fold(message)
            self.touch("functions")
        elif kind == "mail":
            self._extend_new(self.mails, message["mails"])
            self.touch("mail")
        elif kind == "jobs":
            self.jobs.fold(message, now)
            self.touch("jobs")
        elif kind == "workflows":
            self.workflows.fold(message)
            self.touch("workflows")
        elif kind == "files":
            self.files.fold(message)
            self.touch("files")
        elif kind == "policy_change":
            self.note_policies({**self.policies, "change": message})
        elif kind == "logs" and self.is_attached:
            for line in message["lines"]:
                for text in f"{line['level']:<7} {line['message']}".splitlines():
                    self.add_line(line["level"], text, str(line.get("at", "")))
            self.lines_dropped += message.get("dropped", 0)

    def forget_told(self, pane: str) -> None:
        """Forget what a pane shows of what the stream tells once: it begins again, with all."""
        if pane not in _TOLD_ONCE:
            return
        self._last_seq = 0
        self.changes = deque(maxlen=_CHANGES_MAX)
        self.calls.clear()
        self.mails.clear()
        for part in ("changes", "calls", "mail"):
            self.touch(part)

    def _note_told(self, kind: Any) -> None:
        """Take it that what a kind of message tells of is known from now on."""
        if kind in _TOLD and kind not in self.told:
            self.told.add(kind)
            for part in _TOLD[kind]:
                self.touch(part)

    def _fold_status(self, message: dict[str, Any], now: float) -> None:
        is_anew = message.get("pid") != self.status.get("pid")
        if message.get("epoch") != self._epoch:
            is_anew = True  # the same process begins anew, on another branch or on a backup
            if self._epoch:  # another lineage: its numbers mean other changes
                self._last_seq = 0
                self.changes = deque(maxlen=_CHANGES_MAX)
                self.data.begin_lineage()
                self.touch("data")
            self._epoch = str(message.get("epoch"))
        if is_anew:  # it counts from 1, and knows of nothing that was sent before
            self.calls.clear()
            self.mails.clear()
            self._delays.clear()
            self.touch("calls")
            self.touch("mail")
        uptime_s = float(message.get("uptime_s", 0.0))
        if uptime_s < float(self.status.get("uptime_s", 0.0)):
            self._delays.clear()  # it began anew: on another branch, or on a backup
        self._note_delay(uptime_s, now)
        self.status = message
        self.status_at = now
        if self.is_attached:
            self.process_state, self.process_why, self.why_silent = "attached", "", ""
            if self.is_held:
                self.is_held = False
                self.touch("held")
        self.is_connected, self.ended_at = True, None
        self._writes.append((now, int(message.get("writes", 0))))
        while len(self._writes) > 2 and now - self._writes[0][0] > _RATE_SECONDS:
            self._writes.popleft()
        self.touch("status")

    def _note_delay(self, uptime_s: float, now: float) -> None:
        """Tell how late the stream is, of no two clocks: by how much longer news takes than it did.

        What waits on its way, because it comes faster than it is taken, is as fresh as any
        other to whoever looks at when it came.
        """
        self._delays.append((now, now - uptime_s))
        while now - self._delays[0][0] > _DELAY_SECONDS:
            self._delays.popleft()
        self.behind_s = now - uptime_s - min(delay for _, delay in self._delays)

    def _fold_changes(self, message: dict[str, Any]) -> None:
        missing = message.get("dropped", 0)
        if self._last_seq and message["changes"]:  # seqs have no holes: what is missing was missed
            missing = max(missing, message["changes"][0]["seq"] - self._last_seq - 1)
        for change in message["changes"]:
            if type(change["seq"]) is not int:  # what came after it would be passed over
                raise TypeError(f"a change has no number: {change['seq']!r:.40}")
            if change["seq"] > self._last_seq:
                self._last_seq = change["seq"]
                self.changes.append(change)
                self.changes_seen += 1
        self.dropped += missing
        self.touch("changes")

    @staticmethod
    def _extend_new(kept: deque[dict[str, Any]], coming: list[dict[str, Any]]) -> None:
        known = {one["id"] for one in kept}
        kept.extend(one for one in coming if one["id"] not in known)

    def note_policies(self, found: dict[str, Any]) -> None:
        """Take the matrix of policies, or what a reload changed for whom."""
        self.policies = found
        self.touch("policies")

    def add_line(self, level: str, text: str, at: str = "") -> None:
        """Take a line that the runtime printed at an ISO time."""
        self.lines.append((level, text, at))
        self.lines_seen += 1
        self.touch("lines")

    def note_process(self, state: str, why: str, *, is_held: bool = False) -> None:
        """Take a new state of the runtime's process; one that is held starts by a decision."""
        self.is_held = is_held
        self.note_held(None)
        if state == "running" and self.process_state == "starting":
            self.clear_trouble()  # it has loaded what is there
            self.reload_note = ""
        if state == "starting" and self.process_state == "backing off":
            self.restarts += 1
        self.process_state, self.process_why = state, why
        if state == "running":
            self.stack = ""
        if state in ("stopped", "failed", "backing off", "starting"):
            self.is_connected = False
            self._writes.clear()
            self.calls.clear()
            self.clients = []
            self.touch("calls")
            self.touch("clients")
        self.touch("status")

    def note_held(self, found: dict[str, Any] | None, trouble: str = "") -> None:
        """Take the plan of the migration that keeps the runtime from starting, or why not."""
        self.held, self.held_trouble = found, trouble
        self.touch("held")

    @property
    def at_rest(self) -> str:
        """Return why nothing more is told, and which key goes on; empty while something may be."""
        if self.is_held:
            return "The runtime is stopped by a migration that waits: M shows it and asks."
        if self.process_state == "failed":
            return "The runtime has failed: 0 says why."
        if self.process_state == "stopped":
            return "The runtime was stopped elsewhere: ctrl+r starts it again."
        return ""

    def note_stack(self, stack: str, at: str = "") -> None:
        """Take the stack of a loop that hangs; it stays in the log when the loop is back."""
        self.stack = stack
        for line in stack.splitlines():
            self.add_line("error", line, at)
        self.touch("status")

    def clear_trouble(self) -> None:
        """Forget mistakes and stacks: a new start tells its own."""
        self.mistakes, self.stack, self.plan = (), "", ""
        self.touch("reload")

    def note_reload(self, *, ok: bool, note: str, mistakes: tuple[str, ...], plan: str) -> None:
        """Take what a save led to."""
        self.mistakes = () if ok else mistakes
        self.reload_note, self.plan = note, plan
        self.touch("reload")

    def writes_per_second(self) -> float:
        """Return the rate of committed operations over the last seconds."""
        if len(self._writes) < 2:
            return 0.0
        (first, before), (last, after) = self._writes[0], self._writes[-1]
        return max(0.0, (after - before) / (last - first)) if last > first else 0.0

    @property
    def has_trouble(self) -> bool:
        """Tell whether the Runtime pane has something to explain."""
        is_bad = self.process_state in ("failed", "hung", "gone", "backing off")
        return is_bad or bool(self.mistakes or self.stack)

    def note_silence(self, now: float) -> None:
        """Take it that nothing came: an attached runtime that says nothing is gone."""
        has_ended = self.ended_at is not None and now - self.ended_at > _ENDED_SECONDS
        if not self.is_attached or not (has_ended or self.is_stale(now)):
            return
        said = ("gone", self.why_silent or "it does not answer")
        if (self.process_state, self.process_why) != said:
            self.process_state, self.process_why = said
            self.touch("status")

    def note_no_stream(self, why: str, now: float) -> None:
        """Take it that the stream ended, or did not begin; it is tried again."""
        self.is_connected = False
        self.why_silent = why
        if self.ended_at is None:
            self.ended_at = now

    @property
    def is_behind(self) -> bool:
        """Tell whether what comes is older than two seconds as it comes."""
        return self.behind_s > _STALE_SECONDS

    def is_stale(self, now: float) -> bool:
        """Tell whether the status shown is older than two seconds."""
        return self.status_at is None or now - self.status_at > _STALE_SECONDS
