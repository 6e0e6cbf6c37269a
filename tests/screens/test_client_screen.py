"""One client on the screen: what it has not seen, what is done to it, and its ghost."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.ghost import Frame
from pylon.client.networks import network_of
from pylon.protocol import messages as m
from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import AT, ScriptedAdmin, ScriptedGhost, client, details, status
from tests.screens.test_dashboard import opened, until

PATH = "admin/clients/client-ada"


def _change(seq: int, **changed: Any) -> dict[str, Any]:
    return {
        "seq": seq, "entity": "Message", "row_id": f"row-{seq}", "kind": "insert", "tx": seq,
        "at": AT, "row": {"id": f"row-{seq}", "body": f"text {seq}"}, **changed,
    }  # fmt: skip


async def _open(app: Dashboard, admin: ScriptedAdmin, pilot: Any, **changed: Any) -> None:
    """Open the screen of ada's client."""
    ada = client("ada", **changed)
    admin.answers.setdefault(PATH, details(ada, _change(8), _change(9, kind="delete", row=None,
                                                                    cause="hidden")))  # fmt: skip
    admin.say(status(head=9), {"type": "clients", "clients": [ada]})
    await pilot.press("4")
    await until(app, lambda text: "ada@example.com" in text)
    await pilot.press("enter")
    await until(app, lambda text: "unseen   2 changes" in text)


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (200, 50)])
async def test_a_client_is_shown_whole(size: tuple[int, int]) -> None:
    """Cursor, subscriptions, queue, round trip, waiting writes, the changes it has not seen."""
    subscription = {"id": "s1", "entity": "Message", "where": '{"a":1}', "done": False}
    async with opened(size) as (app, admin, pilot):
        await _open(
            app, admin, pilot, round_trip_ms=12.5, pending=3, queued_bytes=2048,
            subscriptions=[subscription], network={"mode": "asleep", "minutes": 2.0,
            "latency_ms": 0, "jitter_ms": 0, "loss": 0.25, "duplicate": 0, "bandwidth": 0},
        )  # fmt: skip
        text = await until(app, lambda text: "row-8" in text)
        for words in ("stored 7", "12.5 ms", "wait 3", "2.0 KiB", "Message where", "25 % lost",
                      "asleep for 2 min", "- delete"):  # fmt: skip
            assert words in text, words
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(word in lines[-1] for word in ("Disconnect", "Resync", "Network", "Ghost"))
        assert "Log" not in lines[-1]
        await pilot.press("enter")
        await until(app, lambda text: '"body": "text 8"' in text)
        await pilot.press("escape", "escape")
        await until(app, lambda text: "  Clients  " in text.splitlines()[0])


async def test_it_is_disconnected_and_resynced_after_a_question() -> None:
    """d and S ask first; no leaves it alone."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        for key, what, said in (
            ("d", "disconnect", "disconnected"),
            ("S", "resync", "starts over"),
        ):
            admin.answers[f"{PATH}/{what}"] = {}
            await pilot.press(key)
            await until(app, lambda text: "ada@example.com" in text and "y yes" in text)
            await pilot.press("n")
            await until(app, lambda text: "y yes" not in text)
            assert (f"{PATH}/{what}", {}) not in admin.asked
            await pilot.press(key)
            await until(app, lambda text: "y yes" in text)
            await pilot.press("y")
            await until(app, lambda text, said=said: said in text)  # type: ignore[misc]
            assert (f"{PATH}/{what}", {}) in admin.asked


async def test_its_network_is_chosen_or_described() -> None:
    """N offers networks; another one is a line, and a slip is said in its place."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.answers[f"{PATH}/network"] = {}
        await pilot.press("N")
        await until(app, lambda text: "offline for a minute" in text)
        await pilot.press("down", "enter")
        await until(app, lambda text: "network: slow" in text)
        slow = {"latency_ms": 300, "jitter_ms": 200, "bandwidth": 20_000}
        assert (f"{PATH}/network", slow) in admin.asked
        await pilot.press("N")
        await until(app, lambda text: "another" in text)
        await pilot.press("end", "enter")
        await until(app, lambda text: "latency=200" in text)
        await pilot.press(*"lss=1", "enter")
        await until(app, lambda text: "one of latency" in text)
        await pilot.press(*["backspace"] * 5, *"loss=10% minutes=2 mode=half-open", "enter")
        await until(app, lambda text: "network: loss=10%" in text)
        wanted = {"loss": 0.1, "minutes": 2.0, "mode": "half_open"}
        assert (f"{PATH}/network", wanted) in admin.asked


async def test_networks_of_production_are_left_alone() -> None:
    """Outside development N says so and asks nothing."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text)
        await pilot.press("N")
        await until(app, lambda text: "networks are spoiled" in text)


async def test_where_one_is_leaves_the_errors_their_room_and_steers_no_terminal() -> None:
    """In 80 cells a long name gives way; in ascii the arrows do; the ghost's own name never."""
    evil = f"ada@example.com\x1b[2J\u202e{'x' * 300}"
    async with opened() as (app, admin, pilot):
        app.make_ghost = lambda _, on_frame: ScriptedGhost(on_frame)  # type: ignore[method-assign,assignment]
        await _open(app, admin, pilot, email=evil)
        await pilot.press("v")
        await until(app, lambda text: "from its cursor 7" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: "… › Ghost  :4321  0 errors" in text)
        assert "  Clients › ada" in text.splitlines()[0]
        assert "\x1b" not in text
        assert "\u202e" not in text
        app.charts = "ascii"
        await until(app, lambda text: "… > Ghost  :4321  0 errors" in text)
        assert "›" not in grid(app)[0]


def test_a_network_in_words_is_read() -> None:
    """Shares may be said in percent; what is no number or no name is refused by its word."""
    assert network_of("latency=5 duplicate=50%") == {"latency_ms": 5.0, "duplicate": 0.5}
    for wrong in ("latency", "latency=x", "speed=3"):
        with pytest.raises(ValueError, match=wrong.partition("=")[0]):
            network_of(wrong)


async def test_a_ghost_is_watched_from_the_client() -> None:
    """v asks from where; frames come as lines, counts below; enter shows them; leaving ends it."""
    async with opened((90, 30)) as (app, admin, pilot):
        ghosts: list[ScriptedGhost] = []

        def make(user: str, on_frame: Any) -> ScriptedGhost:
            assert user == "ada@example.com"
            ghosts.append(ScriptedGhost(on_frame))
            return ghosts[-1]

        app.make_ghost = make  # type: ignore[method-assign,assignment]
        await _open(app, admin, pilot)
        await pilot.press("v")
        await until(app, lambda text: "from its cursor 7" in text)
        assert "  Clients › Client  " in grid(app)[0]
        await pilot.press("enter")
        await until(app, lambda text: "as ada@example.com" in text)
        await until(app, lambda text: "  Clients › ada@example.com › Ghost  " in text)
        ghost = ghosts[0]
        assert ghost.opened == ["e:7"]
        ghost.held = {"Message": [{"id": "r1", "body": "[red]x\x1b[/red]"}], "Channel": []}
        ghost.on_frame(Frame(at=AT, message=m.Resync(reason="gap", head="e:9")))
        batch = m.Changes(after="e:7", through="e:9", changes=[_change(9)], more=False)
        ghost.on_frame(Frame(at=AT, message=batch))
        text = await until(app, lambda text: "Message" in text and "1 change" in text)
        assert "gap: start over" in text
        await pilot.press("tab", "g", "enter")
        text = await until(app, lambda text: "Message: 1 row" in text)
        assert "[red]x" in text
        assert "\x1b" not in text
        await pilot.press("escape", "escape")
        await until(app, lambda text: "unseen" in text)
        assert ghost.is_closed
