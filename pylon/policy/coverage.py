"""Which branches of a policy were ever taken: counts of true, false and unknown for each operand.

Operands of `&&` and `||` are counted where they were needed: `&&` stops at the first that is false,
`||` at the first that is true. A policy is only counted while somebody watches it; otherwise it
runs as compiled and knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.audience import Audience, Moment, Some
from pylon.policy.compiled import CompiledExpression, ExistsLookup
from pylon.policy.predicate import Predicate, compile_predicate
from pylon.policy.sentence import sentence
from pylon.policy.slots import slots_of
from pylon.schema.model import Row

#: Questions put to SQLite that wait to be asked again of sampled rows, for each policy.
_QUESTIONS_MAX = 16
_PLACES = {True: 0, False: 1, None: 2}


@dataclass(frozen=True, slots=True)
class Branch:
    """One operand, or the whole policy: how deep it stands and what it says."""

    depth: int
    words: str


@dataclass(slots=True)
class Counts:
    """What one policy was asked, and how each branch came out: true, false, unknown."""

    branches: tuple[Branch, ...]
    taken: list[list[int]]
    asked: int = 0
    sampled: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "asked": self.asked, "sampled": self.sampled,
            "branches": [
                {"depth": branch.depth, "words": branch.words,
                 "true": taken[0], "false": taken[1], "unknown": taken[2]}
                for branch, taken in zip(self.branches, self.taken, strict=True)
            ],
        }  # fmt: skip

    def add(self, before: Mapping[str, Any]) -> None:
        """Add what was counted before, of the same text."""
        branches = before["branches"]
        if len(branches) != len(self.taken):
            return
        self.asked += before["asked"]
        self.sampled += before["sampled"]
        for taken, one in zip(self.taken, branches, strict=True):
            for place, name in enumerate(("true", "false", "unknown")):
                taken[place] += one[name]


@dataclass(frozen=True, slots=True)
class Question:
    """A policy asked by SQL for one class of callers: its rows are sampled later."""

    facts: tuple[Hashable, ...]
    now: str


@dataclass(slots=True)
class Watched:
    """One policy under watch."""

    policy: CompiledExpression
    counts: Counts
    judge: Predicate
    #: By facts: what SQLite was asked and no sample was taken of yet.
    questions: dict[Hashable, Question] = field(default_factory=dict)

    def sample(self, question: Question, row: Row, lookup: ExistsLookup) -> None:
        """Ask again what SQLite was asked, of one row."""
        self.counts.sampled += 1
        self.judge(question.facts, row, None, None, question.now, None, lookup)

    def note_clause(self, identity: Identity, now: str) -> None:
        """Keep that SQLite was asked for this caller."""
        if len(self.questions) < _QUESTIONS_MAX:
            facts = self.policy.facts(identity)
            self.questions[facts] = Question(facts, now)


def watch(policy: CompiledExpression) -> Watched:
    """Count the branches of a policy from now on."""
    branches: list[Branch] = []
    taken: list[list[int]] = []
    slots = slots_of(policy.condition)

    def counted(node: ir.Condition, depth: int) -> Predicate:
        branches.append(Branch(depth, sentence(node)))
        counts = [0, 0, 0]
        taken.append(counts)
        judge = judged(node, depth)

        def count(*world: Any) -> bool | None:
            answer = judge(*world)
            counts[_PLACES[answer]] += 1
            return answer

        return count

    def judged(node: ir.Condition, depth: int) -> Predicate:
        match node:
            case ir.Conjunction(items):
                return _folded([counted(one, depth + 1) for one in items], stop=False)
            case ir.Disjunction(items):
                return _folded([counted(one, depth + 1) for one in items], stop=True)
            case ir.Negation(item) if isinstance(item, ir.Conjunction | ir.Disjunction):
                inner = judged(item, depth)
                return lambda *world: _not(inner(*world))
            case _:
                return compile_predicate(node, slots)

    judge = counted(policy.condition, 0)
    counts = Counts(tuple(branches), taken)

    def asked(*world: Any) -> bool | None:
        counts.asked += 1
        return judge(*world)

    found = Watched(policy, counts, judge)
    policy.watch(asked, _JudgedAudience(policy, asked), found.note_clause)
    return found


def _folded(items: list[Predicate], *, stop: bool) -> Predicate:
    def fold(*world: Any) -> bool | None:
        answer: bool | None = not stop
        for item in items:
            found = item(*world)
            if found is stop:
                return stop
            if found is None:
                answer = None
        return answer

    return fold


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


class _JudgedAudience(Audience):
    """Judges the classes one by one, so that each is counted."""

    def __init__(self, policy: CompiledExpression, judge: Callable[..., bool | None]) -> None:
        super().__init__(policy.condition)
        self._judge = judge

    def of(self, moment: Moment, row: Row) -> Some:
        """Return the classes for which the policy is true of a row."""
        return Some(frozenset([
            facts for facts in moment.classes
            if self._judge(facts, row, None, None, moment.now, None, moment.exists) is True
        ]))  # fmt: skip
