"""The supervised runtime as a machine: starts, crashes, hangs, budgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.supervisor.lifecycle import Command, Event, Lifecycle, ProcessState


def _running(now: float = 0.0) -> Lifecycle:
    machine = Lifecycle()
    assert machine.step(Event.START_ASKED, now) == (Command.SPAWN,)
    machine.step(Event.ANSWERED, now)
    assert machine.state is ProcessState.RUNNING
    return machine


def test_a_crash_is_restarted_after_a_pause() -> None:
    """It backs off first, then spawns; the reason stays readable."""
    machine = _running()
    assert machine.step(Event.EXITED, 1.0, exit_code=-9) == ()
    assert machine.state is ProcessState.BACKING_OFF
    assert "signal 9" in machine.why
    assert machine.step(Event.TICK, 1.1) == ()
    assert machine.step(Event.TICK, 1.3) == (Command.SPAWN,)


def test_five_restarts_in_a_minute_are_enough() -> None:
    """The sixth crash within the window fails for good, and says how often it was tried."""
    machine, now, spawns = _running(), 0.0, 0
    for _ in range(limits.RESTARTS_MAX + 1):
        now += 0.1
        machine.step(Event.EXITED, now, exit_code=1)
        now += 5.0
        spawns += machine.step(Event.TICK, now).count(Command.SPAWN)
        machine.step(Event.ANSWERED, now)
    assert spawns == limits.RESTARTS_MAX
    assert machine.state is ProcessState.FAILED
    assert machine.step(Event.RESTART_ASKED, now) == (Command.SPAWN,)


def test_a_start_that_says_why_it_failed_is_not_repeated() -> None:
    """Exit code 1 or 3 before the first answer: trying again says the same."""
    for code in (1, 3):
        machine = Lifecycle()
        machine.step(Event.START_ASKED, 0.0)
        assert machine.step(Event.EXITED, 0.5, exit_code=code, said="no app.py") == ()
        assert machine.state is ProcessState.FAILED
        assert machine.why == "no app.py"


def test_a_save_may_mend_all_but_what_the_machine_refuses() -> None:
    """Mistakes, a migration, a crash again and again; not a folder in use, or a full disk."""
    for code, is_mendable in ((1, False), (3, True), (4, True)):
        machine = Lifecycle()
        machine.step(Event.START_ASKED, 0.0)
        assert not machine.is_mendable
        machine.step(Event.EXITED, 0.5, exit_code=code)
        assert machine.is_mendable is is_mendable, code
    machine = Lifecycle()
    machine.step(Event.START_ASKED, 0.0)
    for now in range(limits.RESTARTS_MAX + 1):
        machine.step(Event.EXITED, now, exit_code=-9)
        machine.step(Event.TICK, now + 10.0)
    assert machine.is_mendable


def test_a_hang_is_shown_with_its_stack_and_then_ended() -> None:
    """Silence first asks for the stacks, later kills; an answer in between saves it."""
    machine = _running()
    assert machine.step(Event.SILENT, limits.HANG_REPORT_SECONDS - 0.1) == ()
    assert machine.step(Event.SILENT, limits.HANG_REPORT_SECONDS) == (Command.DUMP_STACKS,)
    assert machine.state is ProcessState.HUNG
    machine.step(Event.ANSWERED, 3.0)
    assert machine.state is ProcessState.RUNNING
    machine.step(Event.SILENT, 3.0 + limits.HANG_REPORT_SECONDS)
    end = 3.0 + limits.HANG_RESTART_SECONDS
    assert machine.step(Event.TICK, end) == (Command.KILL,)
    machine.step(Event.EXITED, end + 0.1, exit_code=-9)
    assert machine.why == "its loop did not answer for 10 s"
    assert machine.step(Event.TICK, end + 1.0) == (Command.SPAWN,)
    machine.step(Event.ANSWERED, end + 2.0)
    machine.step(Event.EXITED, end + 3.0, exit_code=-9)
    assert machine.why == "it was ended by signal 9"


def test_a_runtime_that_was_asked_to_stop_elsewhere_stays_down() -> None:
    """Exit code 0 is no crash: it is not started again until somebody asks."""
    machine = _running()
    assert machine.step(Event.EXITED, 5.0, exit_code=0) == ()
    assert machine.state is ProcessState.STOPPED
    assert machine.step(Event.TICK, 100.0) == ()
    assert machine.step(Event.STOP_ASKED, 101.0) == ()
    assert machine.step(Event.START_ASKED, 102.0) == (Command.SPAWN,)


def test_a_hung_loop_is_not_waited_for_when_it_is_to_stop() -> None:
    """Quitting while it hangs takes two seconds, not ten."""
    machine = _running()
    machine.step(Event.SILENT, limits.HANG_REPORT_SECONDS)
    assert machine.step(Event.STOP_ASKED, 5.0) == (Command.TERMINATE,)
    assert machine.step(Event.TICK, 5.0 + limits.HANG_REPORT_SECONDS) == (Command.KILL,)


def test_a_start_that_is_begun_anew_is_not_waited_for() -> None:
    """It serves nobody yet, and an import that hangs hears nothing; a stop leaves it its time."""
    machine = Lifecycle()
    machine.step(Event.START_ASKED, 0.0)
    assert machine.step(Event.RESTART_ASKED, 5.0) == (Command.TERMINATE,)
    assert machine.step(Event.TICK, 5.0 + limits.HANG_REPORT_SECONDS) == (Command.KILL,)
    assert machine.step(Event.EXITED, 8.0, exit_code=-9) == (Command.SPAWN,)
    assert machine.step(Event.STOP_ASKED, 9.0) == (Command.TERMINATE,)
    assert machine.step(Event.TICK, 9.0 + limits.HANG_REPORT_SECONDS) == ()


def test_a_stop_that_takes_too_long_becomes_a_kill() -> None:
    """Asked to stop it gets its time, then it is ended."""
    machine = _running()
    assert machine.step(Event.STOP_ASKED, 1.0) == (Command.TERMINATE,)
    assert machine.step(Event.TICK, 1.0 + limits.DRAIN_SECONDS - 0.1) == ()
    assert machine.step(Event.TICK, 1.0 + limits.DRAIN_SECONDS) == (Command.KILL,)
    machine.step(Event.EXITED, 12.0, exit_code=-9)
    assert machine.state is ProcessState.STOPPED


def test_one_that_sleeps_is_started_again_by_whoever_comes() -> None:
    """It stops first, whole; asked for meanwhile, or restarted, it comes back at once."""
    machine = _running()
    assert machine.step(Event.SLEEP_ASKED, 1.0) == (Command.TERMINATE,)
    assert machine.step(Event.EXITED, 1.5, exit_code=0) == ()
    assert machine.state is ProcessState.ASLEEP
    assert machine.step(Event.TICK, 500.0) == ()
    assert machine.step(Event.START_ASKED, 501.0) == (Command.SPAWN,)
    machine.step(Event.ANSWERED, 502.0)
    machine.step(Event.SLEEP_ASKED, 503.0)
    assert machine.step(Event.START_ASKED, 503.1) == ()
    assert machine.step(Event.EXITED, 503.5, exit_code=0) == (Command.SPAWN,)


def test_only_what_answers_can_doze_off_and_a_stop_ends_that_too() -> None:
    """What starts, hangs or has failed does not sleep; a sleeper that is stopped stays down."""
    machine = Lifecycle()
    machine.step(Event.START_ASKED, 0.0)
    assert machine.step(Event.SLEEP_ASKED, 0.1) == ()
    machine.step(Event.ANSWERED, 0.2)
    machine.step(Event.SLEEP_ASKED, 0.3)
    machine.step(Event.STOP_ASKED, 0.4)
    machine.step(Event.EXITED, 0.5, exit_code=0)
    assert machine.state is ProcessState.STOPPED
    machine = _running()
    machine.step(Event.SLEEP_ASKED, 1.0)
    machine.step(Event.EXITED, 1.5, exit_code=0)
    assert machine.step(Event.STOP_ASKED, 2.0) == ()
    assert machine.state is ProcessState.STOPPED


_STEPS = st.tuples(st.sampled_from(list(Event)), st.floats(0, 3), st.sampled_from([0, 1, 3, -9]))


@given(st.lists(_STEPS, max_size=60))
def test_no_order_of_events_runs_two_processes(steps: list[tuple[Event, float, int]]) -> None:
    """Whatever happens, a process is spawned only when the one before has ended."""
    machine, now, alive = Lifecycle(), 0.0, False
    for event, pause, code in steps:
        now += pause
        if event is Event.EXITED:
            if not alive:
                continue
            alive = False
        if event in (Event.ANSWERED, Event.SILENT) and not alive:
            continue
        for command in machine.step(event, now, exit_code=code):
            if command is Command.SPAWN:
                assert not alive
                alive = True
        if alive:
            assert machine.state not in (
                ProcessState.STOPPED, ProcessState.ASLEEP, ProcessState.FAILED,
            )  # fmt: skip
