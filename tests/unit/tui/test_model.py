"""What the dashboard knows, message by message."""

from __future__ import annotations

import pytest

from pylon.tui.model import DashboardState
from tests.screens.fakes import change, changes, mail, status


def test_changes_are_kept_once_and_in_order() -> None:
    """A stream that begins again repeats changes; they are not shown twice."""
    state = DashboardState()
    state.fold(status(), 0.0)
    state.fold(changes(change(1), change(2)), 0.0)
    state.fold(changes(change(1), change(2), change(3)), 0.0)
    assert [one["seq"] for one in state.changes] == [1, 2, 3]


def test_what_was_missed_is_counted() -> None:
    """What the runtime left out, and what came while the stream was cut, by the holes in seqs."""
    state = DashboardState()
    state.fold(changes(change(90), change(91)), 0.0)
    assert state.dropped == 0, "what was before is in the log"
    state.fold(changes(change(100), dropped=8), 0.0)
    assert state.dropped == 8
    state.fold(changes(*(change(n) for n in range(150, 160))), 0.0)
    assert state.dropped == 8 + 49
    state.fold(changes(change(159), change(160)), 0.0)
    assert state.dropped == 8 + 49


def test_news_that_waited_on_its_way_is_said_to_be_old() -> None:
    """By how much longer it took than news did: the two clocks need not agree."""
    state = DashboardState()
    for second in range(10):
        state.fold(status(uptime_s=100.0 + second), 5_000.0 + second)
    assert not state.is_behind
    state.fold(status(uptime_s=110.0), 5_013.5)
    assert state.is_behind
    assert state.behind_s == 3.5
    state.fold(status(uptime_s=114.0), 5_014.1)
    assert not state.is_behind
    state.fold(status(uptime_s=0.5, pid=78), 5_020.0)
    assert not state.is_behind, "another process began at another time"
    state.fold(status(uptime_s=900.5, pid=78), 5_021.0)
    state.fold(status(uptime_s=901.5, pid=78), 5_022.0)
    assert not state.is_behind, "its clock was put forward"
    state.fold(status(uptime_s=0.2, pid=78), 5_023.0)
    assert not state.is_behind, "the same process began anew, on another branch"


def test_a_stream_that_ended_is_said_to_be_gone_a_second_later() -> None:
    """Not at once: one that only began anew comes again before that; and from its first end on."""
    state = DashboardState(is_attached=True)
    state.fold(status(), 10.0)
    state.note_no_stream("refused", 10.1)
    state.note_silence(11.0)
    assert state.process_state == "attached"
    state.note_no_stream("refused again", 11.05)
    state.note_silence(11.2)
    assert (state.process_state, state.process_why) == ("gone", "refused again")
    state.fold(status(), 11.3)
    state.note_silence(12.4)
    assert state.process_state == "attached", "it is back, and its end forgotten"


def test_lines_are_counted_when_they_come_and_when_they_do_not() -> None:
    """Of lines that were too many the runtime tells their number."""
    state = DashboardState(is_attached=True)
    line = {"level": "info", "message": "hello", "at": ""}
    state.fold({"type": "logs", "lines": [line, line], "dropped": 3_000}, 0.0)
    assert (len(state.lines), state.lines_seen, state.lines_dropped) == (2, 2, 3_000)


def test_another_epoch_begins_a_new_list() -> None:
    """Numbers of another lineage mean other changes."""
    state = DashboardState()
    state.fold(status(epoch="a"), 0.0)
    state.fold(changes(change(9)), 0.0)
    state.fold(status(epoch="b"), 1.0)
    state.fold(changes(change(1)), 1.0)
    assert [one["seq"] for one in state.changes] == [1]


def test_the_rate_is_of_the_last_seconds() -> None:
    """Writes per second come from two counts and the time between them."""
    state = DashboardState()
    for second in range(10):
        state.fold(status(writes=second * 50), float(second))
    assert state.writes_per_second() == 50.0


def test_a_runtime_that_counts_from_nothing_writes_no_less_than_nothing() -> None:
    """The same screens go on beside the next process."""
    state = DashboardState()
    state.fold(status(writes=900), 0.0)
    state.fold(status(writes=3, pid=78), 1.0)
    assert state.writes_per_second() == 0.0


def test_a_restart_forgets_what_the_dead_one_knew() -> None:
    """Connections and calls of a process that has ended are gone; changes stay."""
    state = DashboardState()
    state.fold(status(), 0.0)
    state.fold(changes(change(1)), 0.0)
    state.fold({"type": "clients", "clients": [{"connection_id": "x"}]}, 0.0)
    before = {part: state.version_of(part) for part in ("calls", "clients")}
    state.note_process("backing off", "it was ended by signal 9")
    assert all(state.version_of(part) > version for part, version in before.items())
    assert state.clients == []
    assert len(state.changes) == 1
    assert state.has_trouble
    state.note_process("starting", "")
    assert state.restarts == 1


def test_mails_are_those_since_the_runtime_started() -> None:
    """As `pylon mail` lists them: a new process, or another database, knows of none before."""
    state = DashboardState()
    state.fold(status(), 1.0)
    state.fold({"type": "mail", "mails": [mail(1), mail(2)]}, 1.0)
    state.fold(status(uptime_s=0.1), 2.0)
    assert len(state.mails) == 2, "its clock was set back"
    seen = state.version_of("mail")
    state.fold(status(pid=78), 3.0)
    assert not state.mails
    assert state.version_of("mail") > seen
    state.fold({"type": "mail", "mails": [mail(1)]}, 4.0)
    state.fold(status(pid=78, epoch="e-of-a-branch"), 5.0)
    assert not state.mails


def test_production_is_known_before_the_stream_tells_it() -> None:
    """Whoever attaches was told by the first answer; a stream that never comes unlocks nothing."""
    state = DashboardState(is_attached=True)
    assert not state.is_production
    state.environment = "production"
    assert state.is_production
    state.fold(status(environment="dev"), 0.0)
    assert not state.is_production


def test_another_lineage_takes_marks_and_the_past_along() -> None:
    """Rows and numbers were of the branch before; the place stays, and is read anew."""
    state = DashboardState()
    state.fold(status(), 0.0)
    data = state.data
    data.enter("Task")
    data.rows, data.marked, data.as_of = [{"id": "t1"}], {"t1": None}, 7
    generation = data.generation
    state.fold(status(), 1.0)
    assert (data.marked, data.as_of, data.generation) == ({"t1": None}, 7, generation)
    state.fold(status(epoch="another"), 2.0)
    assert (data.marked, data.as_of, data.rows) == ({}, None, [])
    assert data.place is not None
    assert data.place.entity == "Task"
    assert data.generation > generation
    assert data.is_answered is None


def test_a_loop_that_goes_on_is_no_trouble_any_more() -> None:
    """The stack of where it hung stays among the lines of the runtime."""
    state = DashboardState()
    state.note_process("hung", "its loop does not answer")
    state.note_stack("File app.py, line 3\nsleep()")
    assert state.has_trouble
    state.note_process("running", "")
    assert (state.stack, state.has_trouble) == ("", False)
    assert [text for _, text, _ in state.lines] == ["File app.py, line 3", "sleep()"]


def test_a_change_without_a_number_hides_none_that_comes_after_it() -> None:
    """Of another version: it is left out, and the next ones are there."""
    state = DashboardState()
    for seq in (1e300, "7", None):
        with pytest.raises(TypeError):
            state.fold(changes(change(1) | {"seq": seq}), 0.0)
    state.fold(changes(change(1), change(2)), 0.0)
    assert [one["seq"] for one in state.changes] == [1, 2]


def test_what_is_told_once_is_told_anew() -> None:
    """A stream that begins again fills what was forgotten; another screen forgets nothing."""
    state = DashboardState()
    state.fold(changes(change(1), change(2)), 0.0)
    state.forget_told("backups")
    assert len(state.changes) == 2
    state.forget_told("log")
    assert not state.changes
    state.fold(changes(change(1), change(2)), 0.0)
    assert [one["seq"] for one in state.changes] == [1, 2]
