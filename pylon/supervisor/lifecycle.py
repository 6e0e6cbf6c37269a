"""One supervised runtime as a machine: what it is doing, and what to do when it dies or hangs.

Pure: events and a monotonic time in, commands out. Restarts are backed off and bounded; a loop
that does not answer is first shown with its stack, then ended (I100).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pylon import limits

#: Exit codes of a runtime that said itself why it can't start. The first is for what no save mends:
#: the folder is another's, the disk is full, the database can't be read.
EXIT_FAILED, EXIT_APP_MISTAKES, EXIT_MIGRATION_WAITS = 1, 3, 4
_SAYS_WHY = (EXIT_FAILED, EXIT_APP_MISTAKES, EXIT_MIGRATION_WAITS)
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)


class ProcessState(StrEnum):
    """Where a supervised runtime stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    HUNG = "hung"
    BACKING_OFF = "backing off"
    STOPPING = "stopping"
    ASLEEP = "asleep"
    FAILED = "failed"


#: Where no process lives, and none is about to by itself.
_AT_REST = (ProcessState.STOPPED, ProcessState.ASLEEP, ProcessState.FAILED)


class Event(StrEnum):
    """What happens to it."""

    START_ASKED = "start asked"
    STOP_ASKED = "stop asked"
    RESTART_ASKED = "restart asked"
    SLEEP_ASKED = "sleep asked"
    ANSWERED = "answered"
    SILENT = "silent"
    EXITED = "exited"
    TICK = "tick"


class Command(StrEnum):
    """What to do."""

    SPAWN = "spawn"
    TERMINATE = "terminate"
    KILL = "kill"
    DUMP_STACKS = "dump stacks"


@dataclass(slots=True)
class Lifecycle:
    """The machine; `step` is told the time as monotonic seconds."""

    state: ProcessState = ProcessState.STOPPED
    #: When the loop last answered, or the process was started.
    answered_at: float = 0.0
    restarts: list[float] = field(default_factory=list)
    due_at: float = 0.0
    kill_at: float = 0.0
    is_wanted: bool = False
    #: It stops in order to sleep: the next connection starts it again.
    is_dozing: bool = False
    why: str = ""
    exit_code: int | None = None
    #: Why it was ended by us; empty where it ended by itself.
    killed_for: str = ""
    #: What holds a loop that does not answer, as its stacks say; told by the shell.
    held_by: str = ""

    @property
    def is_held(self) -> bool:
        """Tell whether a migration that waits for a decision keeps it from starting."""
        return self.state is ProcessState.FAILED and self.exit_code == EXIT_MIGRATION_WAITS

    @property
    def is_mendable(self) -> bool:
        """Tell whether it failed for something that a save may mend: all but machine and place."""
        return self.state is ProcessState.FAILED and self.exit_code != EXIT_FAILED

    def step(
        self, event: Event, now: float, *, exit_code: int | None = None, said: str = ""
    ) -> tuple[Command, ...]:
        """Take an event and return what to do, in order.

        Args:
            event: what happened.
            now: monotonic seconds.
            exit_code: of a process that has exited.
            said: what it said last of the reason.
        """
        match event:
            case Event.START_ASKED:
                return self._start(now)
            case Event.STOP_ASKED:
                return self._stop(now)
            case Event.RESTART_ASKED:
                return self._restart(now)
            case Event.SLEEP_ASKED:
                return self._sleep(now)
            case Event.ANSWERED:
                return self._answered(now)
            case Event.SILENT:
                return self._silent(now)
            case Event.EXITED:
                return self._exited(now, exit_code, said)
            case Event.TICK:
                return self._tick(now)

    def _start(self, now: float) -> tuple[Command, ...]:
        self.is_wanted, self.is_dozing = True, False
        if self.state not in (*_AT_REST, ProcessState.BACKING_OFF):
            return ()
        self.restarts.clear()
        return self._spawn(now)

    def _spawn(self, now: float) -> tuple[Command, ...]:
        self.state = ProcessState.STARTING
        self.answered_at = now
        self.killed_for = ""
        return (Command.SPAWN,)

    def _stop(self, now: float) -> tuple[Command, ...]:
        self.is_wanted = self.is_dozing = False
        if self.state in (*_AT_REST, ProcessState.BACKING_OFF):
            self.state = ProcessState.STOPPED
            return ()
        if self.state is ProcessState.STOPPING:
            return ()
        # A loop that hangs drains nothing: it gets a moment to come back, not all the time.
        is_hung = self.state is ProcessState.HUNG
        self.state = ProcessState.STOPPING
        self.kill_at = now + (limits.HANG_REPORT_SECONDS if is_hung else limits.DRAIN_SECONDS)
        return (Command.TERMINATE,)

    def _restart(self, now: float) -> tuple[Command, ...]:
        self.restarts.clear()
        if self.state in (*_AT_REST, ProcessState.BACKING_OFF):
            return self._start(now)
        self.is_wanted, self.is_dozing = True, False
        is_hung, is_starting = (
            self.state is one for one in (ProcessState.HUNG, ProcessState.STARTING)
        )
        self.state = ProcessState.STOPPING
        # What starts serves nobody yet; where app.py hangs as it is imported, it hears nothing.
        self.kill_at = now + (limits.HANG_REPORT_SECONDS if is_starting else limits.DRAIN_SECONDS)
        # A loop that hangs hears no request to stop.
        return (Command.KILL,) if is_hung else (Command.TERMINATE,)

    def _sleep(self, now: float) -> tuple[Command, ...]:
        """Stop what runs, and stay ready to start it: only a runtime that answers can doze off."""
        if self.state is not ProcessState.RUNNING:
            return ()
        self.is_dozing = True
        self.state = ProcessState.STOPPING
        self.kill_at = now + limits.DRAIN_SECONDS
        return (Command.TERMINATE,)

    def _answered(self, now: float) -> tuple[Command, ...]:
        self.answered_at = now
        if self.state in (ProcessState.STARTING, ProcessState.HUNG):
            self.state = ProcessState.RUNNING
            self.held_by = ""
        return ()

    def _silent(self, now: float) -> tuple[Command, ...]:
        """Note that a heartbeat had no answer in time."""
        if self.state is not ProcessState.RUNNING:
            return ()
        if now - self.answered_at < limits.HANG_REPORT_SECONDS:
            return ()
        self.state = ProcessState.HUNG
        self.why = "its loop does not answer"
        return (Command.DUMP_STACKS,)

    def _exited(self, now: float, exit_code: int | None, said: str) -> tuple[Command, ...]:
        self.exit_code = exit_code
        if not self.is_wanted:
            self.state = ProcessState.STOPPED
            return ()
        if self.is_dozing:
            self.is_dozing = False
            self.state, self.why = ProcessState.ASLEEP, "nobody was there"
            return ()
        if self.state is ProcessState.STOPPING:
            return self._spawn(now)  # a restart that was asked for
        if exit_code == 0:
            # It was asked to stop past us: by the owner's surface, or a signal to it alone.
            self.is_wanted = False
            self.state = ProcessState.STOPPED
            self.why = "it was asked to stop elsewhere"
            return ()
        was_starting = self.state is ProcessState.STARTING
        self.why = self.killed_for or said or _ending(exit_code)
        if was_starting and exit_code in _SAYS_WHY and not self.restarts:
            # It said itself why it can't start; doing it again says the same.
            self.state = ProcessState.FAILED
            return ()
        window = now - limits.RESTART_WINDOW_SECONDS
        self.restarts = [at for at in self.restarts if at > window]
        if len(self.restarts) >= limits.RESTARTS_MAX:
            self.state = ProcessState.FAILED
            self.why += f" ({limits.RESTARTS_MAX} restarts in a minute did not help)"
            return ()
        self.state = ProcessState.BACKING_OFF
        self.due_at = now + _BACKOFF_SECONDS[min(len(self.restarts), len(_BACKOFF_SECONDS) - 1)]
        self.restarts.append(now)
        return ()

    def _tick(self, now: float) -> tuple[Command, ...]:
        match self.state:
            case ProcessState.BACKING_OFF if now >= self.due_at:
                return self._spawn(now)
            case ProcessState.STOPPING if now >= self.kill_at:
                self.kill_at = now + 1.0
                return (Command.KILL,)
            case ProcessState.HUNG if now - self.answered_at >= limits.HANG_RESTART_SECONDS:
                self.answered_at = now
                self.killed_for = f"its loop did not answer for {limits.HANG_RESTART_SECONDS:.0f} s"
                if self.held_by:
                    self.killed_for += f", held by {self.held_by}"
                return (Command.KILL,)
            case _:
                return ()


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"it was ended by signal {-exit_code}"
    return f"it ended with exit code {exit_code}"
