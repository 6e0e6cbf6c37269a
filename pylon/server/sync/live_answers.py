"""The values of live query functions: who follows which, what must run, and whom to tell.

Pure: subscriptions, changes and ended runs in; runs to make and members to tell out. Callers who
follow the same call share one *answer* for as long as the last run asked nothing of its caller
that they would answer otherwise; a run that did parts them, and those left over get a run of their
own. What does not live here: running (`functions.live_run`), sockets and timers
(`live_functions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue, limits, limits_live
from pylon.identity import Identity
from pylon.server.functions.asked import Asked
from pylon.server.functions.live_run import LiveRun
from pylon.server.functions.readset import ReadSet
from pylon.server.live_counts import LiveStats
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.due import Due, Turn
from pylon.server.sync.live_answer import Answer, Key, Member
from pylon.server.sync.live_index import LiveIndex, concerns
from pylon.server.sync.live_kept import Kept
from pylon.server.sync.live_sharing import Question


@dataclass(frozen=True, slots=True)
class Run:
    """Run a function as this caller, for an answer."""

    answer: Answer
    identity: Identity
    fn: str
    args: Mapping[str, Any]


class LiveAnswers:
    """All answers of a runtime."""

    def __init__(self, tell: Callable[[Member], None]) -> None:
        """Make it; `tell` is called for members whose `news` are to be sent."""
        self._tell = tell
        self._members: dict[Key, Member] = {}
        self._questions: dict[Hashable, Question[Answer]] = {}
        self._index: LiveIndex[Answer] = LiveIndex()
        self._due: Due[Answer] = Due()
        #: Answers that follow the time.
        self._timed: dict[Answer, None] = {}
        self.kept: Kept[Answer] = Kept(_let_go)
        #: How many answers there are.
        self.count = 0
        #: Runs that were made so far.
        self.runs = 0
        #: By function: how many follow it, and what its runs cost since the runtime started.
        self.followers: Counter[str] = Counter()
        self.stats: dict[str, LiveStats] = {}

    # --- who is there

    def join(self, key: Key, fn: str, args: Mapping[str, Any], identity: Identity) -> None:
        """Take a subscription, in the place of one with the same key."""
        self.leave(key)
        member = self._members[key] = Member(key, fn, args, identity)
        self.followers[fn] += 1
        if len(self.stats) < limits.FUNCTIONS_COUNTED_MAX:
            self.stats.setdefault(fn, LiveStats())
        self._place(member)

    def leave(self, key: Key) -> bool:
        """End a subscription; tells whether it was there."""
        member = self._members.pop(key, None)
        if member is None:
            return False
        self._take_out(member)
        self.followers[member.fn] -= 1
        if not self.followers[member.fn]:
            del self.followers[member.fn]
        return True

    def change_identity(self, key: Key, identity: Identity) -> None:
        """Have a subscription be another caller's: what it was told is forgotten."""
        member = self._members[key]
        self._take_out(member)
        member.identity, member.told = identity, None
        self._place(member)

    def start_over(self, key: Key) -> None:
        """Have a subscription be told its value anew."""
        member = self._members[key]
        member.told = None
        self.look_after(member)

    def look_after(self, member: Member) -> None:
        """Have a subscription be told what it does not know, or have that be made again."""
        answer = member.answer
        if answer is None or answer.mark == member.told:
            return
        if member.news is not None:
            self.kept.use(answer)
            self._tell(member)
        elif answer.outcome is None:
            self._mark(answer, is_stale=answer.is_stale)

    def member(self, key: Key) -> Member | None:
        """Return a subscription, or None."""
        return self._members.get(key)

    @property
    def sizes(self) -> dict[str, int]:
        """Return how much is kept: subscriptions, answers, read sets, answers that wait."""
        return {
            "live_members": len(self._members),
            "live_answers": self.count,
            "live_reads": len(self._index),
            "live_due": sum(one.is_due for one in self._due),
            "live_kept_bytes": self.kept.bytes,
        }

    def note_told(self, member: Member, mark: bytes, size: int) -> None:
        """Note that a member was told a value of so many bytes."""
        member.told = mark
        if member.answer is not None:
            member.answer.counts.note_told(size)
        if member.fn in self.stats:
            self.stats[member.fn].note_told(size)

    def __iter__(self) -> Iterator[Answer]:
        """Yield all answers."""
        for question in self._questions.values():
            yield from question.answers

    def reads(self) -> Iterator[tuple[str, ReadSet]]:
        """Yield the functions that are followed, each with what a run of it looked at."""
        for answer, reads in self._index:
            yield answer.question[0], reads

    def _place(self, member: Member, asked: Asked | None = None) -> None:
        """Put a member where its outcome is, or will be.

        `asked` is what callers of this call are known to be asked: then he waits for an answer with
        those alone who answer it as he does, not with everybody.
        """
        key = (member.fn, jsonvalue.canonical_json(member.args))
        question = self._questions.setdefault(key, Question())
        found = question.find(member.identity)
        if found is None and asked is None:
            found = question.open
        if found is None:
            found = Answer(key)
            place = None if asked is None else (asked, asked.of(member.identity))
            question.add(found, place)
            self.count += 1
        self._join(member, found)

    def _join(self, member: Member, answer: Answer) -> None:
        answer.members[member] = None
        member.answer = answer
        if answer.mark is None:
            self._mark(answer)
        else:
            self.look_after(member)

    def _take_out(self, member: Member) -> None:
        answer, member.answer = member.answer, None
        if answer is None:
            return
        del answer.members[member]
        if not answer.members:
            self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        question = self._questions[answer.question]
        question.drop(answer)
        self.count -= 1
        if not question.answers:
            del self._questions[answer.question]
        self._index.drop(answer)
        self._timed.pop(answer, None)
        self.kept.drop(answer)
        answer.is_due = False

    # --- what changed

    def changed(self, records: list[LogRecord]) -> None:
        """Take commits, in order: what they touch is run again."""
        newest = records[-1].seq if records else 0
        for answer in self._index.concerned(records):
            if answer.seq < newest:
                self._mark(answer)

    def doubt_all(self) -> None:
        """Have everything run again: nobody can say what changed, or the app is another."""
        for answer in self:
            answer.is_doubted = answer.is_running
            self._mark(answer)

    def pass_time(self, now: float) -> None:
        """Have those run again that follow the time and have not run for a while."""
        for answer in self._timed:
            if now - answer.ran_at >= limits_live.LIVE_LOOK_SECONDS:
                self._mark(answer, is_stale=False)

    def _mark(self, answer: Answer, *, is_stale: bool = True) -> None:
        answer.is_stale = answer.is_stale or is_stale
        if not answer.is_due:
            answer.is_due = True
            if not answer.is_running:
                self._line_up(answer)

    def _line_up(self, answer: Answer) -> None:
        self._due.add(answer, (one.identity.asker for one in answer.members))

    # --- running

    def next_run(
        self, now: float, is_held: Callable[[Answer], bool] = lambda _: False
    ) -> Run | None:
        """Return a run that is due and has rested; None where there is none.

        Whoever had no turn for the longest comes first, with what is due for him the longest.
        `is_held` tells of answers that have to wait for another reason.
        """

        def judge(answer: Answer) -> Turn:
            if answer.is_running or not answer.members or not answer.is_due:
                return Turn.DROP
            return Turn.WAIT if answer.rests_until > now or is_held(answer) else Turn.RUN

        answer = self._due.take(judge)
        if answer is None:
            return None
        answer.is_due, answer.is_running = False, True
        member = next(iter(answer.members))
        return Run(answer, member.identity, member.fn, member.args)

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is due and nothing runs."""
        return not any(one.is_due or one.is_running for one in self)

    def rests_until(self, is_held: Callable[[Answer], bool] = lambda _: False) -> float | None:
        """Return when the first of those that rest may run; None where nothing is due."""
        return min((one.rests_until for one in self._due if not is_held(one)), default=None)

    def failed(self, run: Run, now: float) -> None:
        """Take that a run could not be made at all: it is due again after a rest."""
        answer = run.answer
        answer.is_running = False
        answer.rests_until = now + limits_live.LIVE_REST_SECONDS_MAX
        if answer.members:
            answer.is_due = False
            self._mark(answer)

    def ran(self, run: Run, made: LiveRun, since: list[LogRecord] | None, now: float) -> None:
        """Take the end of a run, and have those be told to whom it is news.

        Args:
            run: which.
            made: what came of it.
            since: what was committed after the head that it was read at; None where nobody knows.
            now: the time, monotonic.
        """
        self.runs += 1
        answer = run.answer
        answer.is_running = False
        if made.call is not None:
            is_news = bool(answer.members) and answer.mark != made.outcome.mark
            answer.counts.add(made.call, is_news=is_news)
            if run.fn in self.stats:
                self.stats[run.fn].add(made.call, is_news=is_news)
        if not answer.members:
            return
        answer.outcome, answer.mark, answer.seq = made.outcome, made.outcome.mark, made.seq
        answer.seconds = made.seconds
        answer.ran_at = now
        answer.rests_until = now + min(made.seconds, limits_live.LIVE_REST_SECONDS_MAX)
        self._index.put(answer, made.reads)
        if made.reads.is_timed:
            self._timed[answer] = None
        else:
            self._timed.pop(answer, None)
        self._settle_due(answer, made, since)
        question, asked = self._questions[answer.question], made.reads.asked
        if not question.settle(answer, asked, run.identity):
            self._part(answer, question, asked)
        answer = self._unite(answer, question)
        for member in list(answer.members):
            if member.news is not None:
                self._tell(member)
        if answer.members:  # now that all were given it, it may be the one that is let go
            self.kept.keep(answer, run.identity.asker, made.outcome.size)

    def _settle_due(self, answer: Answer, made: LiveRun, since: list[LogRecord] | None) -> None:
        """Decide whether what was committed while it ran makes it due again."""
        was_doubted, answer.is_doubted = answer.is_doubted, False
        answer.is_due = answer.is_stale = False
        is_overtaken = since is None or concerns(made.reads, since)
        answer.overtaken = answer.overtaken + 1 if is_overtaken else 0
        if was_doubted or is_overtaken:
            self._mark(answer)

    def _part(self, answer: Answer, question: Question[Answer], asked: Asked) -> None:
        """Have those leave whom the run's outcome need not be the outcome of."""
        leaving = [one for one in answer.members if not question.fits(answer, one.identity)]
        for member in leaving:
            del answer.members[member]
            member.answer = None
        # The first time they wait together: the next run may ask less. It has asked the same: then
        # each waits with his like, or the last of many would be parted from others many times.
        known = asked if question.is_common(asked) else None
        for member in leaving:
            self._place(member, known)

    def _unite(self, answer: Answer, question: Question[Answer]) -> Answer:
        """Join an answer to one that its callers would find now; returns where they are.

        So they share again what asked more of them once, as before a reload.
        """
        # He who asked is among those that stay, unless he has left meanwhile.
        twin = question.twin(answer) if answer.members and not answer.is_due else None
        if twin is not None and twin.is_settled and twin.mark == answer.mark:
            twin.outcome, twin.seq = answer.outcome, max(twin.seq, answer.seq)
            members, answer.members = answer.members, {}
            for member in members:
                twin.members[member] = None
                member.answer = twin
        else:
            twin = answer
        if not answer.members:
            self._forget(answer)
        return twin


def _let_go(answer: Answer) -> None:
    answer.outcome = None
