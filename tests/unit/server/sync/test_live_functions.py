"""Live query functions: run again when what they read changed, told when they changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits, limits_live
from pylon.client.clients_text import subscription_words
from pylon.identity import ANONYMOUS
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user
from tests.unit.server.sync.live_app import LIVE_APP, quiet, value_of

ANN, BEN = user("ann"), user("ben")


def _sub(fn: str, **args: Any) -> dict[str, Any]:
    return {"id": "f", "fn": fn, "args": args}


@pytest.fixture
async def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hubs]:
    """Return a hub over the app of functions."""
    monkeypatch.setattr("pylon.limits.FUNCTION_SECONDS", 1.9)  # the machine may be busy
    async with hubs_at(tmp_path, LIVE_APP) as found:
        yield found


def _values(peer: Peer) -> list[Any]:
    return [one["value"] for one in peer.of("value")]


async def test_a_value_comes_at_once_and_again_when_a_row_enters(hubs: Hubs) -> None:
    """A row that the filter had not found before is a change of the value (phantoms)."""
    peer = hubs.connect(ANN, _sub("ranked", least=3))
    await quiet(hubs)
    assert _values(peer) == [[]]
    await hubs.put("Note", "low", rank=1)
    await quiet(hubs)
    assert _values(peer) == [[]]
    seq = await hubs.put("Note", "high", rank=4)
    await quiet(hubs)
    assert _values(peer) == [[], ["high"]]
    assert peer.of("value")[-1]["at"] == f"{hubs.database.epoch}:{seq}"
    await hubs.put("Note", "high", rank=2)
    await quiet(hubs)
    assert _values(peer)[-1] == []


async def test_only_what_was_read_runs_it_again(hubs: Hubs) -> None:
    """Rows of other filters, other ids and other entities cost no run; equal values no frame."""
    hubs.connect(ANN, _sub("messages", room="a"), {**_sub("one_note", id="n"), "id": "g"})
    await quiet(hubs)
    before = hubs.hub.live.runs
    await hubs.put("Message", "m", room="b")
    await hubs.put("Note", "other")
    await hubs.put("Member", "x", room="a", userId="zoe")
    await quiet(hubs)
    assert hubs.hub.live.runs == before
    await hubs.put("Member", "y", room="a", userId="ann")
    await quiet(hubs)
    assert hubs.hub.live.runs == before + 1


async def test_changes_outside_a_range_or_behind_a_limit_cost_no_run(hubs: Hubs) -> None:
    """`where rank > t, order -rank, limit 2` runs for what may enter, leave or move in it alone."""
    hubs.connect(ANONYMOUS, _sub("newest", since=10))
    await quiet(hubs)
    live = hubs.hub.live

    async def runs_for(row_id: str, **values: Any) -> int:
        before = live.runs
        await hubs.put("Note", row_id, **values)
        await quiet(hubs)
        return live.runs - before

    assert await runs_for("old", owner="ann", rank=9) == 0, "below the range"
    assert await runs_for("old", owner="ann", rank=10) == 0, "still below"
    assert await runs_for("a", owner="ann", rank=20) == 1, "it enters"
    assert await runs_for("b", owner="ann", rank=15) == 1, "not full yet: anything in range counts"
    assert await runs_for("c", owner="ann", rank=14) == 0, "behind the second, and two are wanted"
    assert await runs_for("c", owner="ann", rank=13) == 0
    assert await runs_for("d", owner="ben", rank=30) == 0, "another's"
    assert await runs_for("e", owner="ann", rank=30, secret=True) == 0, "that nobody sees"
    assert await runs_for("c", owner="ann", rank=16) == 1, "it passes the second"
    assert await runs_for("b", owner="ann", rank=1) == 0, "it had fallen out"
    assert await runs_for("a", owner="ann", rank=2) == 1, "one leaves"
    assert await runs_for("f", owner="ann", rank=11) == 1, "and the next is asked for again"


async def test_an_equal_value_is_not_told_again(hubs: Hubs) -> None:
    """A run that comes to the same tells nobody, also where it is a new list."""
    peer = hubs.connect(ANONYMOUS, _sub("notes"))
    await hubs.put("Note", "n", text="a")
    await quiet(hubs)
    before, runs = len(_values(peer)), hubs.hub.live.runs
    await hubs.put("Note", "n", text="b")
    await quiet(hubs)
    assert hubs.hub.live.runs == runs + 1
    assert len(_values(peer)) == before


async def test_chance_is_the_same_at_each_run(hubs: Hubs) -> None:
    """`ctx.random` begins alike, or each run would come to something else."""
    peer = hubs.connect(ANONYMOUS, _sub("chance"))
    await quiet(hubs)
    await hubs.put("Note", "n")
    await quiet(hubs)
    assert hubs.hub.live.runs == 2
    assert len(_values(peer)) == 1


async def test_those_whose_value_cannot_differ_share_one_run(hubs: Hubs) -> None:
    """However many follow a call, a commit costs one run where nobody's answers differ."""
    peers = [hubs.connect(ANONYMOUS, _sub("total")) for _ in range(20)]
    peers += [hubs.connect(user(f"u{n}"), _sub("total")) for n in range(20)]
    await quiet(hubs)
    assert hubs.hub.live.runs == 1
    await hubs.put("Message", "m", room="a")
    await quiet(hubs)
    assert hubs.hub.live.runs == 2
    assert all(_values(peer) == [0, 1] for peer in peers)


async def test_the_sockets_of_one_user_share_one_run(hubs: Hubs) -> None:
    """The same person in two tabs is one caller."""
    peers = [hubs.connect(user("ann"), _sub("messages", room="a")) for _ in range(5)]
    await quiet(hubs)
    assert hubs.hub.live.runs == 1
    await hubs.put("Member", "x", room="a", userId="ann")
    await hubs.put("Message", "m", room="a", text="hi")
    await quiet(hubs)
    assert all(_values(peer)[-1] == [["m", "hi"]] for peer in peers)
    assert hubs.hub.live.runs <= 3


async def test_nobody_is_told_the_value_of_another(hubs: Hubs) -> None:
    """Two users of one call get what each of them may see, whoever came first."""
    await hubs.put("Note", "open")
    await hubs.put("Note", "anns", owner="ann", secret=True)
    ann, ben, nobody = (
        hubs.connect(one, _sub("notes"), {**_sub("me"), "id": "me"})
        for one in (ANN, BEN, ANONYMOUS)
    )
    await quiet(hubs)
    assert _values(ann)[0] in (["anns", "open"], ["ann", []])
    assert {str(one) for one in _values(ben)} == {"['open']", "['ben', []]"}
    assert value_of(nobody, "f") == ["open"]
    assert value_of(nobody, "me") == "UNAUTHENTICATED"
    await hubs.put("Note", "bens", owner="ben", secret=True)
    await quiet(hubs)
    assert value_of(ann, "f") == ["anns", "open"]
    assert value_of(ben, "f") == ["bens", "open"]
    assert all("bens" not in str(one) for one in ann.frames + nobody.frames)
    assert all("anns" not in str(one) for one in ben.frames + nobody.frames)


async def test_callers_part_when_a_run_begins_to_ask_who_they_are(hubs: Hubs) -> None:
    """What was everybody's is parted by the first run that looks at the caller."""
    ann, ben = hubs.connect(ANN, _sub("either")), hubs.connect(BEN, _sub("either"))
    await quiet(hubs)
    assert hubs.hub.live.runs == 1
    await hubs.put("Note", "switch")
    await quiet(hubs)
    assert _values(ann) == ["all alike", "for ann"]
    assert _values(ben) == ["all alike", "for ben"]


async def test_a_field_policy_parts_callers_of_different_roles(hubs: Hubs) -> None:
    """Fields that one of them does not get are in nobody else's value."""
    await hubs.put("Note", "n", rank=1, text="pay")
    chief, plain = hubs.connect(user("c", "chief"), _sub("texts")), hubs.connect(BEN, _sub("texts"))
    await quiet(hubs)
    assert _values(chief) == [["pay"]]
    assert _values(plain) == [["hidden"]]


async def test_rows_that_a_policy_looks_at_count(hubs: Hubs) -> None:
    """Joining and leaving a room changes what a list over its messages comes to."""
    await hubs.put("Message", "m", room="a", text="hi")
    peer = hubs.connect(ANN, _sub("messages", room="a"), {**_sub("guarded", room="a"), "id": "g"})
    await quiet(hubs)
    assert value_of(peer, "f") == []
    assert value_of(peer, "g") == "POLICY_DENIED"
    await hubs.put("Member", "x", room="a", userId="ann")
    await quiet(hubs)
    assert value_of(peer, "f") == [["m", "hi"]]
    assert value_of(peer, "g") == "in a"
    await hubs.drop("Member", "x")
    await quiet(hubs)
    assert value_of(peer, "f") == []
    assert value_of(peer, "g") == "POLICY_DENIED"


async def test_what_is_read_as_the_system_counts(hubs: Hubs) -> None:
    """`as_system()` lifts policies, and is followed all the same."""
    peer = hubs.connect(ANONYMOUS, _sub("total"))
    await hubs.put("Message", "m", room="nobody's")
    await quiet(hubs)
    assert _values(peer)[-1] == 1


async def test_an_error_is_told_and_heals(hubs: Hubs) -> None:
    """A function that throws stays subscribed; the next change brings its value."""
    peer = hubs.connect(ANONYMOUS, _sub("fragile"))
    await quiet(hubs)
    await hubs.put("Note", "b", owner="bomb")
    await quiet(hubs)
    assert peer.of("error")[-1]["subscription"] == "f"
    assert peer.of("error")[-1]["error"]["code"] == "BOMB"
    await hubs.drop("Note", "b")
    await hubs.put("Note", "x", owner="bomb")
    await quiet(hubs)
    assert value_of(peer, "f") == "INTERNAL"
    errors = len(peer.of("error"))
    await hubs.put("Note", "x", owner="bomb", text="again")
    await quiet(hubs)
    assert len(peer.of("error")) == errors, "the same trouble is told once"
    await hubs.drop("Note", "x")
    await quiet(hubs)
    assert value_of(peer, "f") == "calm"


async def test_what_cannot_be_followed_is_refused(hubs: Hubs) -> None:
    """Unknown names, other colours, filters and long arguments: `error`, and nothing is kept."""
    peer = hubs.connect(ANN)
    for spec, code in (
        ({"fn": "nope"}, "NOT_FOUND"),
        ({"fn": "write"}, "INVALID_ARGUMENT"),
        ({"fn": "notes", "entity": "Note"}, "INVALID_ARGUMENT"),
        ({"fn": "notes", "have": True}, "INVALID_ARGUMENT"),
        ({"entity": "Note", "args": {}}, "INVALID_ARGUMENT"),
        (
            {"fn": "one_note", "args": {"id": "x" * limits_live.LIVE_ARGS_BYTES_MAX}},
            "INVALID_ARGUMENT",
        ),
    ):
        peer.subscribe(id="f", **spec)
        assert peer.of("error")[-1]["error"]["code"] == code, spec
        assert peer.of("error")[-1]["subscription"] == "f"
    assert peer.connection.subscriber.count == 0
    peer.subscribe(id="f", fn="one_note", args={"wrong": 1})
    await quiet(hubs)
    assert value_of(peer, "f") == "INVALID_ARGUMENT"
    peer.subscribe(id="f", fn="notes")
    assert peer.of("error")[-1]["error"]["code"] == "INVALID_ARGUMENT", "the id is in use"
    peer.subscribe(id="f", fn="notes", version=1)
    await quiet(hubs)
    assert value_of(peer, "f") == []


async def test_arguments_have_a_bound_in_bytes(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one user over all his sockets: beyond it `error`; what ends or is replaced makes room."""
    monkeypatch.setattr(hubs.hub.quotas.live_args, "_per_user", 400)
    first, second, other = hubs.connect(ANN), hubs.connect(ANN), hubs.connect(user("bob"))
    long = {"id": "x" * 150}
    first.subscribe(id="f", fn="one_note", args=long)
    second.subscribe(id="f", fn="one_note", args=long)
    first.subscribe(id="g", fn="one_note", args=long)
    assert first.of("error")[-1]["error"]["code"] == "RATE_LIMITED"
    assert first.of("error")[-1]["subscription"] == "g"
    assert first.of("error")[-1]["error"]["details"]["limit"] == "bytes of arguments"
    first.subscribe(id="f", fn="one_note", args={"id": "y" * 100}, version=1)  # in its place
    assert len(first.of("error")) == 1
    other.subscribe(id="f", fn="one_note", args=long)
    assert other.of("error") == [], "his own bound is his"
    hubs.hub.unsubscribe(second.connection, "f")
    first.subscribe(id="g", fn="one_note", args=long)
    assert len(first.of("error")) == 1
    for peer in (first, second, other):
        hubs.hub.detach(peer.connection)
    assert hubs.hub.quotas.live_args.count == 0


async def test_both_kinds_count_against_one_bound(hubs: Hubs) -> None:
    """A hundred subscriptions of a socket, of rows and functions together."""
    peer = hubs.connect(ANN)
    for number in range(limits.SUBSCRIPTIONS_MAX - 1):
        peer.subscribe(id=f"f{number}", fn="ranked", args={"least": number})
    peer.subscribe(id="rows", entity="Note")
    peer.subscribe(id="f0", entity="Note")
    assert peer.of("error")[-1]["error"]["code"] == "INVALID_ARGUMENT", "one name, one thing"
    peer.subscribe(id="more", fn="notes")
    assert peer.of("error")[-1]["error"]["code"] == "RATE_LIMITED"
    hubs.hub.unsubscribe(peer.connection, "f0")
    peer.subscribe(id="more", fn="notes")
    await quiet(hubs)
    assert value_of(peer, "more") == []
    peer.connection.subscriber.check()


async def test_who_left_is_told_nothing_and_nothing_is_kept(hubs: Hubs) -> None:
    """Unsubscribing and leaving forget answers, read sets and what waits."""
    peer = hubs.connect(ANN, _sub("notes"), {**_sub("messages", room="a"), "id": "g"})
    other = hubs.connect(BEN, _sub("notes"))
    await quiet(hubs)
    hubs.hub.unsubscribe(peer.connection, "f")
    peer.clear()
    await hubs.put("Note", "n")
    await quiet(hubs)
    assert not peer.of("value")
    other.leave()
    peer.leave()
    assert not any(hubs.hub.live.sizes.values())
    assert hubs.hub.live._answers._index.is_empty


async def test_a_role_gained_or_lost_is_another_caller(hubs: Hubs) -> None:
    """After `resync identity_changed` comes the value of who he is now, and none before it."""
    await hubs.put("Note", "n", rank=1, text="pay")
    peer = hubs.connect(BEN, _sub("texts"))
    await quiet(hubs)
    hubs.sessions.now["ben"] = user("ben", "chief")
    hubs.sessions.end(None, "ben", "identity_changed")
    await quiet(hubs)
    told = [one for one in peer.frames if one["type"] in ("value", "resync")]
    assert [one["type"] for one in told] == ["value", "resync", "value"]
    assert told[-1]["value"] == ["pay"]
    hubs.sessions.now["ben"] = BEN
    hubs.sessions.end(None, "ben", "identity_changed")
    await quiet(hubs)
    assert value_of(peer, "f") == ["hidden"]


async def test_a_resync_is_followed_by_the_values(hubs: Hubs) -> None:
    """The socket goes on as after `hello`: values come anew, though they did not change."""
    peer = hubs.connect(ANN, _sub("notes"))
    await quiet(hubs)
    hubs.hub.resync(peer.connection, "gap")
    await quiet(hubs)
    assert _values(peer) == [[], []]


async def test_a_reload_runs_everything_again(hubs: Hubs) -> None:
    """Functions of the new generation answer; one that is gone says so and may come back."""
    from pylon.app.loader import load_app

    peer = hubs.connect(ANN, _sub("total"), {**_sub("notes"), "id": "g"})
    await quiet(hubs)
    for generation, text in enumerate(
        (
            LIVE_APP.replace('ctx.db.count("Message")', "41 + 1").replace("def notes", "def other"),
            LIVE_APP,
        ),
        start=2,
    ):
        (hubs.root / "app.py").write_text(text)
        hubs.definitions.current = load_app(hubs.root, generation=generation)
        hubs.hub.app_reloaded()
        await quiet(hubs)
        is_back = generation == 3
        assert value_of(peer, "f") == (0 if is_back else 42)
        assert value_of(peer, "g") == ([] if is_back else "NOT_FOUND")


async def test_a_slow_reader_gets_the_newest_value_only(hubs: Hubs) -> None:
    """What it can't take is not queued: when it has drained it is told how it ended."""
    slow, quick = hubs.connect(ANN, _sub("total")), hubs.connect(ANN, _sub("total"))
    await quiet(hubs)
    slow.transport.stuck = True
    slow.transport.queued = limits_live.LIVE_QUEUE_BYTES_MAX + 1
    for number in range(5):
        await hubs.put("Message", f"m{number}", room="a")
        await quiet(hubs)
    assert _values(quick) == [0, 1, 2, 3, 4, 5]
    assert _values(slow) == [0]
    slow.transport.drain()
    hubs.hub.live.tick(0.0)
    assert _values(slow) == [0, 5]


async def test_many_commits_are_few_runs(hubs: Hubs) -> None:
    """Runs of one call are coalesced: commits that come before the next one share it."""
    peer = hubs.connect(ANN, _sub("total"))
    await quiet(hubs)
    before = hubs.hub.live.runs
    await asyncio.gather(*(hubs.put("Message", f"m{n}", room="a") for n in range(200)))
    await quiet(hubs)
    assert value_of(peer, "f") == 200
    assert hubs.hub.live.runs - before < 50


async def test_what_asks_for_the_time_runs_by_the_clock(hubs: Hubs) -> None:
    """`ctx.now` brings a run every few seconds while somebody follows, and no other does."""
    peer = hubs.connect(ANN, _sub("clock"), {**_sub("notes"), "id": "g"})
    await quiet(hubs)
    now, runs = hubs.hub._clock.monotonic(), hubs.hub.live.runs
    hubs.hub.live.tick(now + limits_live.LIVE_LOOK_SECONDS / 2)
    await quiet(hubs)
    assert hubs.hub.live.runs == runs
    hubs.hub.live.tick(now + limits_live.LIVE_LOOK_SECONDS + 1)
    await quiet(hubs)
    assert hubs.hub.live.runs == runs + 1
    assert len(_values(peer)) == 3


async def test_trouble_of_the_storage_is_tried_again(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that can't be made is made later; nobody is left with an old value."""
    monkeypatch.setattr("pylon.limits_live.LIVE_REST_SECONDS_MAX", 0.01)
    # On a busy machine a run may take long, and the next one would be another reader's.
    monkeypatch.setattr("pylon.server.sync.live_answer._SLOW_SECONDS", 60.0)
    peer = hubs.connect(ANN, _sub("total"))
    await quiet(hubs)
    readers = hubs.database.readers
    inline, readers._inline_reads = readers._inline_reads, None
    await hubs.put("Message", "m", room="a")
    await asyncio.sleep(0.03)
    assert _values(peer) == [0]
    readers._inline_reads = inline
    await quiet(hubs)
    assert _values(peer) == [0, 1]


async def test_a_filter_with_an_exists_is_followed(hubs: Hubs) -> None:
    """Rows that a filter in the policy language looks at count as well."""
    await hubs.put("Message", "m", room="a")
    await hubs.put("Member", "z", room="a", userId="zoe")
    peer = hubs.connect(user("zoe"), _sub("joined"))
    await quiet(hubs)
    assert value_of(peer, "f") == []
    await hubs.put("Member", "x", room="a", userId="ann")
    await quiet(hubs)
    assert value_of(peer, "f") == ["m"]


async def test_what_takes_long_runs_apart(hubs: Hubs) -> None:
    """A slow function holds the loop once; one that asked for more time never does."""
    peer = hubs.connect(ANN, _sub("slow"), {**_sub("patient"), "id": "g"})
    await quiet(hubs)
    reads = hubs.reads
    assert value_of(peer, "g") == [False, 0]
    await hubs.put("Message", "m", room="a")
    await quiet(hubs)
    assert hubs.reads == reads + 2
    assert value_of(peer, "f") == 1
    assert value_of(peer, "g") == [False, 1]


async def test_a_hot_writer_does_not_keep_a_slow_function_from_its_value(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is overtaken again and again is run where nothing can come between."""
    monkeypatch.setattr("pylon.limits_live.LIVE_REST_SECONDS_MAX", 0.0)
    peer = hubs.connect(ANN, _sub("slow"))
    await quiet(hubs)
    told: set[int] = set()
    for number in range(60):
        await hubs.put("Message", f"m{number}", room="a")
        await asyncio.sleep(0.005)
        told.add(value_of(peer, "f"))
    assert len(told) > 1, "it was told of some of them while they went on"
    await quiet(hubs)
    assert value_of(peer, "f") == 60


async def test_who_looks_at_clients_sees_what_they_follow(hubs: Hubs) -> None:
    """The dashboard and `pylon cursors` name the function and its arguments."""
    hubs.connect(ANN, _sub("messages", room="a"), {"id": "rows", "entity": "Note"})
    (shown,) = hubs.hub.describe()
    assert [subscription_words(one).partition(",")[0] for one in shown["subscriptions"]] == [
        "rows: Note", 'f: the value of messages({"room":"a"})'
    ]  # fmt: skip
