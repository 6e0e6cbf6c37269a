"""One connection's machine: which cursor goes on, what is read next, how it comes to rest."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from pylon import limits
from pylon.errors import InvalidArgument, RateLimited
from pylon.ids import Epoch, Seq
from pylon.protocol.change import Cursor, ResyncReason
from pylon.server.sync.subscriber import Phase, ReadLog, ReadPage, ReadWindow, Subscriber
from pylon.server.sync.subscription import Subscription


def _subscription(name: str, *, limit: int | None = None, version: int = 0,
                  after: str | None = "") -> Subscription:  # fmt: skip
    unused = cast(Any, None)
    return Subscription(
        id=name, entity=unused, filter=unused, filter_key="{}", order=(), limit=limit,
        version=version, after=None if limit is not None else after,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("epoch", "seq", "reason", "cursor", "phase"),
    [
        ("e1", 100, None, 100, Phase.LIVE),
        ("e1", 99, None, 99, Phase.CATCHING_UP),
        ("e1", 50, None, 50, Phase.CATCHING_UP),
        ("e1", 49, ResyncReason.CURSOR_TOO_OLD, 100, Phase.LIVE),
        ("e1", 29, ResyncReason.SCHEMA_CHANGED, 100, Phase.LIVE),
        ("e1", 101, ResyncReason.CURSOR_AHEAD, 100, Phase.LIVE),
        ("e0", 100, ResyncReason.EPOCH_CHANGED, 100, Phase.LIVE),
        ("e0", 101, ResyncReason.EPOCH_CHANGED, 100, Phase.LIVE),
    ],
)
def test_which_cursors_go_on(
    epoch: str, seq: int, reason: ResyncReason | None, cursor: int, phase: Phase
) -> None:
    """Head 100, horizon 50, rewritten at 30: only what the log has, of this epoch, is continued."""
    subscriber = Subscriber("e1")
    given = Cursor(Epoch(epoch), Seq(seq))
    assert subscriber.greet(given, head=100, horizon=50, rewritten=30) is reason
    assert (subscriber.cursor, subscriber.phase) == (cursor, phase)


def test_who_has_no_cursor_starts_at_the_head() -> None:
    """What was written before comes as rows of snapshots, not as changes."""
    subscriber = Subscriber("e1")
    assert subscriber.greet(None, head=100, horizon=50) is None
    assert (subscriber.cursor, subscriber.phase) == (100, Phase.LIVE)


def test_nothing_is_read_before_hello_and_after_the_end() -> None:
    """A subscription alone starts no work."""
    subscriber = Subscriber("e1")
    subscriber.add(_subscription("a"))
    assert (subscriber.next_read(), subscriber.next_read_is_due()) == (None, False)
    subscriber.greet(None, 0, 0)
    assert subscriber.next_read() == ReadPage("a", "")
    subscriber.phase = Phase.CLOSED
    assert (subscriber.next_read(), subscriber.next_read_is_due()) == (None, False)


def test_the_log_comes_before_rows() -> None:
    """A page of rows says through which seq it holds; the log is read up to there first."""
    subscriber = Subscriber("e1")
    subscriber.greet(Cursor(Epoch("e1"), Seq(5)), head=10, horizon=0)
    subscriber.add(_subscription("window", limit=10))
    subscriber.add(_subscription("all"))
    assert subscriber.next_read() == ReadLog(5)
    subscriber.log_sent(7, more=True)
    assert subscriber.next_read() == ReadLog(7)
    subscriber.log_sent(10, more=False)
    assert subscriber.next_read() == ReadWindow("window")
    assert subscriber.next_read() == ReadPage("all", "")
    assert not subscriber.page_sent("all", "r9")
    assert subscriber.next_read() == ReadPage("all", "r9")
    assert subscriber.page_sent("all", None)
    assert (subscriber.next_read(), subscriber.phase) == (None, Phase.LIVE)


def test_an_id_in_use_needs_a_higher_version() -> None:
    """The same or a lower version is refused and changes nothing; a higher one takes its place."""
    subscriber = Subscriber("e1")
    first = _subscription("a", version=3)
    subscriber.add(first)
    for version in (2, 3):
        with pytest.raises(InvalidArgument):
            subscriber.add(_subscription("a", version=version))
        assert subscriber.subscriptions["a"] is first
    assert subscriber.add(_subscription("a", version=4)) is first
    assert subscriber.remove("a")
    assert not subscriber.remove("a")
    assert subscriber.add(_subscription("a")) is None


def test_one_socket_has_so_many_subscriptions() -> None:
    """One more is refused; to replace one is not one more."""
    subscriber = Subscriber("e1")
    for number in range(limits.SUBSCRIPTIONS_MAX):
        subscriber.add(_subscription(f"s{number}"))
    with pytest.raises(RateLimited):
        subscriber.add(_subscription("more"))
    subscriber.add(_subscription("s0", version=1))
    subscriber.check()


def test_a_window_runs_again_once_for_many_changes() -> None:
    """Marked twice before it is read, it is read once; one that was dropped not at all."""
    subscriber = Subscriber("e1")
    subscriber.greet(None, 0, 0)
    for name in ("w1", "w2"):
        subscriber.add(_subscription(name, limit=5))
        subscriber.next_read()
    for _ in range(3):
        for name in ("w1", "w2", "gone"):
            subscriber.mark_window(name)
    subscriber.remove("w1")
    assert [subscriber.next_read(), subscriber.next_read()] == [ReadWindow("w2"), None]


def test_to_start_over_is_to_send_everything_again() -> None:
    """Rows from their first page, windows anew, changes from the head."""
    subscriber = Subscriber("e1")
    subscriber.greet(Cursor(Epoch("e1"), Seq(1)), head=10, horizon=0)
    subscriber.add(_subscription("all", after=None))
    subscriber.add(_subscription("window", limit=5))
    subscriber.start_over(10)
    assert (subscriber.cursor, subscriber.phase) == (10, Phase.LIVE)
    assert [subscriber.next_read(), subscriber.next_read()] == [
        ReadWindow("window"),
        ReadPage("all", ""),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_comes_to_rest(seed: int) -> None:
    """Any run of events keeps its invariants, and then few reads bring it to the head."""
    chance = random.Random(seed)
    subscriber, head = Subscriber("e1"), 50
    subscriber.greet(Cursor(Epoch("e1"), Seq(chance.randint(0, 50))), head, horizon=0)
    for _ in range(300):
        name = f"s{chance.randint(0, 5)}"
        match chance.randint(0, 7):
            case 0:
                limit = chance.choice([None, 3])
                version = subscriber.versions.get(name, -1) + 1
                subscriber.add(_subscription(name, limit=limit, version=version))
            case 1:
                subscriber.remove(name)
            case 2:
                head += 1
                for one in list(subscriber.subscriptions.values()):
                    if one.is_window and chance.random() < 0.5:
                        subscriber.mark_window(one.id)
                if subscriber.phase is Phase.LIVE and chance.random() < 0.7:
                    subscriber.log_sent(head, more=False)
                else:
                    subscriber.fall_behind()
            case 3:
                subscriber.start_over(head)
            case _:
                _answer(subscriber, chance, head)
        subscriber.check()
        assert subscriber.next_read_is_due() or subscriber.next_read() is None
    for _ in range(200):
        if not subscriber.next_read_is_due():
            break
        _answer(subscriber, chance, head)
    assert subscriber.phase is Phase.LIVE
    assert subscriber.cursor == head
    assert all(one.after is None for one in subscriber.subscriptions.values())


def _answer(subscriber: Subscriber, chance: random.Random, head: int) -> None:
    """Read what is next and hand it over."""
    match subscriber.next_read():
        case ReadLog(seq):
            through = min(head, seq + chance.randint(1, 20))
            subscriber.log_sent(through, more=through < head)
        case ReadPage(name, after):
            subscriber.page_sent(name, None if len(after) > 3 else after + "r")
        case _:
            pass
