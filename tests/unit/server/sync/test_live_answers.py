"""Who shares an answer, what runs when, and who is told: the rules without a runtime."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pylon import limits_live
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.server.functions.live_run import LiveOutcome, LiveRun
from pylon.server.functions.readset import ReadSet
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.live_answer import Member
from pylon.server.sync.live_answers import LiveAnswers, Run


def _user(name: str) -> Identity:
    return Identity(kind=IdentityKind.USER, user_id=name)


def _record(seq: int, row_id: str = "r") -> LogRecord:
    return LogRecord(seq, seq, 0, "Note", row_id, "insert", None, {"id": row_id}, None, None, None,
                     None)  # fmt: skip


class _World:
    """A function whose value is told by hand."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.answers = LiveAnswers(self._tell)
        self.seq = 0
        self.now = 0.0

    def _tell(self, member: Member) -> None:
        assert member.news is not None
        outcome, _ = member.news
        member.told = outcome.mark
        self.told.append((member.key[1], outcome.value or outcome.error))

    def join(self, name: str, identity: Identity = ANONYMOUS, fn: str = "f") -> None:
        self.answers.join((None, name), fn, {}, identity)

    def commit(self, *rows: str) -> None:
        records = []
        for row in rows:
            self.seq += 1
            records.append(_record(self.seq, row))
        self.answers.changed(records)

    def next(self) -> Run | None:
        return self.answers.next_run(self.now)

    def end(
        self, run: Run, value: str, *, rows: tuple[str, ...] = ("r",), about_caller: bool = False,
        since: list[LogRecord] | None = None, seconds: float = 0.0, seq: int | None = None,
    ) -> None:  # fmt: skip
        reads = ReadSet()
        for row in rows:
            reads.note_row("Note", row)
        if about_caller:
            reads.note_caller()
        made = LiveRun(LiveOutcome(value), self.seq if seq is None else seq, reads, seconds)
        self.answers.ran(run, made, [] if since is None else since, self.now)


def _must(run: Run | None) -> Run:
    assert run is not None
    return run


def test_all_who_come_before_the_first_run_share_it() -> None:
    """One run, and each is told its value once."""
    world = _World()
    for name in "abc":
        world.join(name)
    world.end(_must(world.next()), "1")
    assert world.next() is None
    assert world.told == [("a", "1"), ("b", "1"), ("c", "1")]
    world.join("d")
    assert world.told[-1] == ("d", "1"), "what is known is told at once"


def test_a_run_about_its_caller_parts_the_others() -> None:
    """Those who were not asked get a run of their own, and no value of his."""
    world = _World()
    world.join("ann", _user("ann"))
    world.join("ben", _user("ben"))
    world.join("ann2", _user("ann"))
    world.end(_must(world.next()), "ann's", about_caller=True)
    assert world.told == [("ann", "ann's"), ("ann2", "ann's")]
    run = _must(world.next())
    assert run.identity.user_id == "ben"
    world.end(run, "ben's", about_caller=True)
    assert world.told[-1] == ("ben", "ben's")
    assert world.next() is None


def test_a_commit_during_a_run_is_asked_of_what_that_run_read() -> None:
    """What came behind the head that it was read at, and only that, makes it due again."""
    world = _World()
    world.join("a")
    world.end(_must(world.next()), "1", rows=("old",))
    world.commit("old")
    run = _must(world.next())
    world.commit("new")
    assert world.next() is None, "one run of a call at a time"
    world.end(run, "2", rows=("new",), since=[_record(world.seq, "new")], seq=world.seq - 1)
    assert world.told == [("a", "1")], "what was overtaken may show what is hidden now"
    world.end(_must(world.next()), "3", rows=("new",))
    assert world.told == [("a", "1"), ("a", "3")]
    world.commit("old")
    assert world.next() is None, "it is not what was read last"


def test_what_a_run_has_seen_already_makes_no_other() -> None:
    """A commit that is told of after a run at its head is no news."""
    world = _World()
    world.join("a")
    run = _must(world.next())
    world.seq = 5
    world.end(run, "1", seq=5)
    world.answers.changed([_record(4), _record(5)])
    assert world.next() is None


def test_who_comes_while_a_value_is_doubted_waits_for_the_next() -> None:
    """A value from before a change is given to nobody new."""
    world = _World()
    world.join("a")
    world.end(_must(world.next()), "1")
    world.commit("r")
    world.join("b")
    assert world.told == [("a", "1")]
    world.end(_must(world.next()), "2")
    assert world.told[1:] == [("a", "2"), ("b", "2")]


def test_doubt_during_a_run_outlives_it() -> None:
    """A reload while a function runs has it run again, by the new app."""
    world = _World()
    world.join("a")
    run = _must(world.next())
    world.answers.doubt_all()
    world.end(run, "of the old app")
    world.end(_must(world.next()), "of the new one")
    assert world.told[-1] == ("a", "of the new one")


def test_nobody_knows_what_was_committed_meanwhile() -> None:
    """Where the tail does not reach back, it runs once more."""
    world = _World()
    world.join("a")
    run = _must(world.next())
    reads = ReadSet()
    world.answers.ran(run, LiveRun(LiveOutcome("1"), 1, reads), None, 0.0)
    assert world.next() is not None


def test_a_slow_one_rests_as_long_as_it_ran() -> None:
    """Others run meanwhile; it is not run more often than it can."""
    world = _World()
    world.join("slow", fn="slow")
    world.join("quick", fn="quick")
    world.end(_must(world.next()), "1", seconds=0.5)
    world.end(_must(world.next()), "1")
    world.commit("r")
    assert _must(world.next()).fn == "quick"
    assert world.next() is None
    assert world.answers.rests_until() == 0.5
    world.now = 0.6
    assert _must(world.next()).fn == "slow"


def test_a_run_that_could_not_be_made_is_made_later() -> None:
    """After a rest, for whoever still follows."""
    world = _World()
    world.join("a")
    run = _must(world.next())
    world.answers.failed(run, world.now)
    assert world.next() is None
    world.now = limits_live.LIVE_REST_SECONDS_MAX + 1
    run = _must(world.next())
    world.answers.leave((None, "a"))
    world.answers.failed(run, world.now)
    world.now *= 3
    assert world.next() is None
    assert not any(world.answers.sizes.values())


def test_an_equal_internal_error_is_no_news() -> None:
    """Its id is another each time; the trouble is the same."""
    marks = [
        LiveOutcome(None, {"code": "INTERNAL", "message": "1"}).mark,
        LiveOutcome(None, {"code": "BOMB", "message": "1"}).mark,
        LiveOutcome(None, {"code": "BOMB", "message": "2"}).mark,
        LiveOutcome("INTERNAL").mark, LiveOutcome("1").mark, LiveOutcome("1.0").mark,
    ]  # fmt: skip
    assert len(set(marks)) == len(marks)
    assert LiveOutcome(None, {"code": "INTERNAL", "message": "2"}).mark == marks[0]
    assert LiveOutcome("1").mark == LiveOutcome("1").mark


class _Storm(_World):
    """A function whose value, and what it asks for it, rows decide; anything in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.state = {"r": 0, "s": 0, "asks": 0}
        self.running: list[tuple[Run, LiveRun]] = []
        self.joined: dict[str, Identity] = {}
        self.log: list[LogRecord] = []

    def value_for(self, identity: Identity) -> str:
        who = f" for {identity.user_id}" if self.state["asks"] % 2 else ""
        return f"{self.state['r' if self.state['s'] % 2 == 0 else 's']}{who}"

    def _somebody(self) -> Identity:
        return _user(self.chance.choice(["ann", "ben"]))

    def come(self) -> None:
        name = self.chance.choice("abcd")
        self.joined[name] = self._somebody()
        self.join(name, self.joined[name])

    def go(self) -> None:
        name = self.chance.choice("abcd")
        self.answers.leave((None, name))
        self.joined.pop(name, None)

    def become(self) -> None:
        if self.joined:
            name = self.chance.choice(sorted(self.joined))
            self.joined[name] = self._somebody()
            self.answers.change_identity((None, name), self.joined[name])

    def write(self) -> None:
        row = self.chance.choice(["r", "s", "asks"])
        self.state[row] += 1
        self.log.append(_record(self.seq + 1, row))
        self.commit(row)

    def start(self) -> None:
        run = self.next()
        if run is None:
            return
        reads = ReadSet()
        for row in ("s", "asks", *(("r",) if self.state["s"] % 2 == 0 else ())):
            reads.note_row("Note", row)
        if self.state["asks"] % 2:
            reads.note_caller()
        outcome = LiveOutcome(self.value_for(run.identity))
        self.running.append((run, LiveRun(outcome, self.seq, reads)))

    def finish(self) -> None:
        if self.running:
            run, made = self.running.pop(self.chance.randrange(len(self.running)))
            since = [one for one in self.log if one.seq > made.seq]
            self.answers.ran(run, made, since, self.now)


@pytest.mark.parametrize("seed", range(30))
def test_nobody_is_left_with_an_old_value_whatever_the_order(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random joins, leaves, callers, commits and ends: at rest each was told what is true now.

    Also where next to no value can be kept for who comes next.
    """
    if seed % 3 == 0:
        monkeypatch.setattr(limits_live, "LIVE_KEPT_USER_BYTES_MAX", 70 * (seed % 2))
    storm = _Storm(seed)
    steps = [storm.come, storm.go, storm.become, storm.write, storm.start, storm.finish]
    for _ in range(150):
        storm.chance.choice(steps)()
    while storm.running or storm.answers.rests_until() is not None:
        storm.start()
        storm.finish()
    for name, identity in storm.joined.items():
        member = storm.answers.member((None, name))
        assert member is not None
        now = storm.value_for(identity)
        assert member.told == LiveOutcome(now).mark
        assert [value for one, value in storm.told if one == name][-1] == now
        storm.answers.leave((None, name))
    assert not any(storm.answers.sizes.values())


def test_who_follows_much_takes_every_other_turn() -> None:
    """A hundred calls of one delay another's by one run, and a shared one goes the short way."""
    world = _World()
    for number in range(20):
        world.join(f"ann{number}", _user("ann"), fn=f"f{number}")
    world.join("ben", _user("ben"), fn="g")
    world.join("ann", _user("ann"), fn="shared")
    world.join("carl", _user("carl"), fn="shared")
    while run := world.next():
        world.end(run, "1")
    world.commit("r")
    turns = []
    while run := world.next():
        turns.append(run.fn)
        world.end(run, "2")
    assert len(turns) == 22
    assert max(turns.index("g"), turns.index("shared")) < 4
