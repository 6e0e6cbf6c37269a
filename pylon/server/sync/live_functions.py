"""Live query functions at work: runs what a commit may have turned, and tells those who follow.

The rules are `live_answers`. Runs are made one after the other between the loop's other work, which
gets as much time as they took.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from heapq import nlargest
from typing import Any, Final, Protocol

from pylon import jsonvalue, sqlite
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.identity import Identity
from pylon.server.functions.live_run import LiveRun, LiveRunner
from pylon.server.functions.next_code import fields_asked
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.database import Database
from pylon.server.sync.live_answer import Answer, Member
from pylon.server.sync.live_answers import LiveAnswers, Run
from pylon.server.sync.subscription import FunctionSubscription

_log = logging.getLogger("pylon.sync")
#: How long runs hold the loop before others get it, and then rest at most.
_TURN_SECONDS: Final = 0.01
_REST_SECONDS_MAX: Final = 0.2
#: What followed calls can be ordered by.
COSTS: Final[Mapping[str, Callable[[Answer], float]]] = {
    "ms": lambda one: one.counts.seconds,
    "runs": lambda one: one.counts.runs,
    "useless": lambda one: one.counts.runs - one.counts.useful,
    "told": lambda one: one.counts.told_bytes,
    "followers": lambda one: len(one.members),
}
_SUMMED: Final = ("runs", "useful", "failed", "told", "told_bytes", "rows_read")
_ARGS_CHARACTERS: Final = 400
_SHARERS_LOOKED_AT: Final = 100
_SHARERS_SHOWN: Final = 20


class Follower(Protocol):
    """Whoever has subscribed: a socket or a stream of events."""

    def take_live(self, kind: str, members: str) -> bool:
        """Take a `value` or an `error` (the inside of its JSON object); False where it is busy."""
        ...


class LiveFunctions:
    """Follows the values of query functions for one runtime."""

    def __init__(self, database: Database, clock: Clock, runner: LiveRunner) -> None:
        self._database = database
        self._clock = clock
        self._runner = runner
        self._answers = LiveAnswers(self._told)
        #: Members of whom a follower was busy: it gets what is newest when it is not.
        self._held: dict[Member, None] = {}
        self._handle: asyncio.Handle | None = None
        #: The one run that is made on a thread, because such runs take long.
        self._apart: asyncio.Task[None] | None = None
        database.writer.on_commit(self._committed)

    # --- who follows

    def follow(self, follower: Follower, one: FunctionSubscription, identity: Identity) -> None:
        """Tell a follower the value of a function, and each other one that it comes to."""
        self._answers.join((follower, one.id), one.fn, one.args, identity)
        self._wake()

    def leave(self, follower: Follower, subscription_id: str) -> None:
        """Tell a follower nothing more of a subscription."""
        member = self._answers.member((follower, subscription_id))
        if member is not None:
            self._held.pop(member, None)
            self._answers.leave(member.key)

    def change_identity(
        self, follower: Follower, subscriptions: Mapping[str, FunctionSubscription],
        identity: Identity,
    ) -> None:  # fmt: skip
        """Have what a follower follows be another caller's from now on."""
        for name in subscriptions:
            self._answers.change_identity((follower, name), identity)
        self._wake()

    def start_over(
        self, follower: Follower, subscriptions: Mapping[str, FunctionSubscription]
    ) -> None:
        """Tell a follower anew what it was told."""
        for name in subscriptions:
            self._answers.start_over((follower, name))

    def app_reloaded(self) -> None:
        """Run everything again: the functions are others."""
        self._answers.doubt_all()
        self._wake()

    def is_told(self, follower: Follower, subscription_id: str) -> bool:
        """Tell whether a follower was told a value or an error of a subscription."""
        member = self._answers.member((follower, subscription_id))
        return member is not None and member.told is not None

    @property
    def sizes(self) -> dict[str, int]:
        """Return how much is kept."""
        return {**self._answers.sizes, "live_held": len(self._held)}

    def costs(self, fn: str | None, order: str, limit: int) -> list[dict[str, Any]]:
        """Return what is followed and what each costs, those that cost most first.

        Args:
            fn: of this function alone; None for all.
            order: of `COSTS`.
            limit: how many at most.
        """
        found = (one for one in self._answers if fn is None or one.question[0] == fn)
        return [self._cost(one) for one in nlargest(limit, found, key=COSTS[order])]

    def _cost(self, answer: Answer) -> dict[str, Any]:
        members = [one for one, _ in zip(answer.members, range(_SHARERS_LOOKED_AT), strict=False)]
        users = dict.fromkeys(
            one.identity.email or one.identity.user_id or one.identity.kind.value for one in members
        )
        fn, args = answer.question
        return {
            "function": fn, "args": args.decode()[:_ARGS_CHARACTERS],
            "followers": len(answer.members), "users": list(users)[:_SHARERS_SHOWN],
            "is_waiting": answer.is_due or answer.is_running,
            "kept_bytes": self._answers.kept.size_of(answer), **answer.counts.to_json(),
        }  # fmt: skip

    def counts_of(self, fn: str) -> dict[str, Any] | None:
        """Return what runs of a function cost since the start; None for one never followed."""
        stats = self._answers.stats.get(fn)
        if stats is None:
            return None
        return {"followers": self._answers.followers[fn], **stats.to_json()}

    def seen(self) -> dict[str, dict[str, set[str]]]:
        """Return, by function that is followed and entity it read, the fields it asked by."""
        found: dict[str, dict[str, set[str]]] = {}
        for fn, reads in self._answers.reads():
            for entity, fields in fields_asked(reads).items():
                found.setdefault(fn, {}).setdefault(entity, set()).update(fields)
        return found

    @property
    def followed(self) -> list[str]:
        """Return the names of functions that somebody follows, or has followed."""
        return list(self._answers.stats)

    @property
    def totals(self) -> dict[str, Any]:
        """Return what all of them cost since the runtime started."""
        answers, stats = self._answers, list(self._answers.stats.values())
        return {
            "followers": answers.followers.total(), "answers": answers.count,
            "kept_bytes": answers.kept.bytes,
            **{name: sum(getattr(one, name) for one in stats) for name in _SUMMED},
            "ms": round(sum(one.seconds for one in stats) * 1000, 2),
        }  # fmt: skip

    @property
    def is_quiet(self) -> bool:
        """Tell whether everybody was told what is true now."""
        return not self._held and self._answers.is_quiet

    @property
    def runs(self) -> int:
        """Return how many runs were made so far."""
        return self._answers.runs

    # --- what happens

    def _committed(self, records: list[LogRecord], head: int) -> None:
        self._answers.changed(records)
        self._wake()

    def tick(self, now: float) -> None:
        """Look at the time, and at followers that were busy."""
        self._answers.pass_time(now)
        held, self._held = self._held, {}
        for member in held:
            self._answers.look_after(member)
        self._wake()

    def _wake(self) -> None:
        """Have runs be made soon, if any are due."""
        if self._handle is not None:
            return
        due = self._answers.rests_until(self._is_held)
        if due is None:
            return
        wait_s = due - self._clock.monotonic()
        loop = asyncio.get_running_loop()
        self._handle = (
            loop.call_soon(self._turn) if wait_s <= 0 else loop.call_later(wait_s, self._turn)
        )

    def _turn(self) -> None:
        """Run what is due for a while."""
        self._handle = None
        started = now = self._clock.monotonic()
        while now - started < _TURN_SECONDS:
            run = self._answers.next_run(now, self._is_held)
            if run is None:
                break
            if self._takes_long(run.answer):
                self._apart = asyncio.create_task(self._run_apart(run), name="pylon-live")
            else:
                self._run(run)
            now = self._clock.monotonic()
        else:
            rest_s = min(now - started, _REST_SECONDS_MAX)
            self._handle = asyncio.get_running_loop().call_later(rest_s, self._turn)
            return
        self._wake()

    def _takes_long(self, answer: Answer) -> bool:
        return answer.is_slow or self._runner.takes_long(next(iter(answer.members)).fn)

    def _is_held(self, answer: Answer) -> bool:
        """Tell whether an answer waits for the thread."""
        is_busy = self._apart is not None
        return is_busy and bool(answer.members) and self._takes_long(answer)

    async def _run_apart(self, run: Run) -> None:
        made: LiveRun | Exception
        try:
            made = await self._runner.run_apart(run.identity, run.fn, run.args)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody may miss a value
            made = error
        self._apart = None
        self._take(run, made)
        self._wake()

    async def stop(self) -> None:
        """Wait for the run that is under way."""
        if self._apart is not None:
            await asyncio.gather(self._apart, return_exceptions=True)

    def _run(self, run: Run) -> None:
        made: LiveRun | Exception
        try:
            made = self._runner.run(run.identity, run.fn, run.args)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody may miss a value
            made = error
        self._take(run, made)

    def _take(self, run: Run, made: LiveRun | Exception) -> None:
        now = self._clock.monotonic()
        if isinstance(made, LiveRun):
            self._runner.ended(made, len(run.answer.members))
            self._answers.ran(run, made, self._database.tail.since(made.seq), now)
            return
        is_trouble = isinstance(made, PylonError | sqlite.Error)  # of the storage, which says more
        _log.warning(
            "sync.live_run_failed %s: %s; trying again", run.fn, made,
            exc_info=None if is_trouble else made,
        )  # fmt: skip
        self._answers.failed(run, now)

    # --- telling

    def _told(self, member: Member) -> None:
        news = member.news
        if news is None:
            return
        outcome, seq = news
        follower, subscription_id = member.key
        name = jsonvalue.encode_text(subscription_id)
        if outcome.error is None:
            at = self._database.cursor(seq)
            kind, text = "value", f'"subscription":{name},"value":{outcome.value},"at":"{at}"'
        else:
            error = jsonvalue.encode_text(dict(outcome.error))
            kind, text = "error", f'"subscription":{name},"error":{error}'
        if follower.take_live(kind, text):
            self._answers.note_told(member, outcome.mark, len(text))
        else:
            self._held[member] = None
