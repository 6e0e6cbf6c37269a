"""The dashboard on screens of several sizes, read as text."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual import events
from textual.color import Color
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.widgets import Input

from pylon import paths
from pylon.clock import SystemClock
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import SupervisorEvent
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import (
    ScriptedAdmin,
    call,
    change,
    changes,
    client,
    mail,
    status,
    waiting,
)

SIZES = [(80, 24), (60, 20), (200, 50)]


@asynccontextmanager
async def opened(
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[tuple[Dashboard, ScriptedAdmin, Pilot[int]]]:
    """Open a dashboard that is attached to a scripted runtime."""
    admin = ScriptedAdmin()
    app = Dashboard(SystemClock(), admin)
    app.url = "http://127.0.0.1:4321"
    async with app.run_test(size=size, notifications=True) as pilot:
        yield app, admin, pilot


async def until(app: Dashboard, holds: Callable[[str], bool], seconds: float = 60.0) -> str:
    """Return the screen as soon as it shows what is asked for."""
    text = ""
    for _ in range(int(seconds / 0.02)):
        text = shown(app)
        if holds(text):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"it was never shown:\n{text}")


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_every_screen(size: tuple[int, int]) -> None:
    """All panes fit; header, the strip of every screen with its key, and six keys below."""
    async with opened(size) as (app, admin, pilot):
        admin.say(
            status(head=3, clients=1), changes(change(1), change(2), change(3)),
            {"type": "clients", "clients": [client("ada")]},
            {"type": "calls", "calls": [call(1)]}, {"type": "mail", "mails": [mail(1)]},
        )  # fmt: skip
        await until(app, lambda text: "head 3" in text and "Message" in text)
        for key, word in (("2", "Message"), ("4", "ada@example.com"), ("5", "markRead"),
                          ("m", "GVSMX5Y5"), ("0", "3.45.0")):  # fmt: skip
            admin.say(status(head=3, clients=1))  # a slow machine must not look like a dead runtime
            await pilot.press(key)
            text = await until(app, lambda text, word=word: word in text)  # type: ignore[misc]
            lines = grid(app)
            assert len(lines) == size[1]
            assert all(len(line) <= size[0] for line in lines)
            assert ":4321" in lines[0]
            assert "chat" in lines[0]
            keys = ("1", "2", "4", "5", "6", "9", "U", "m", "0")
            assert all(f" {one} " in lines[1] for one in keys), lines[1]
            assert all(one in lines[-1] for one in ("Filter", "Copy", "Pause", "Help", "Quit"))
            assert "Traceback" not in text


async def test_the_strip_goes_to_a_screen_by_mouse_and_says_where_one_is() -> None:
    """A click on a name of the second line opens it."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        line = grid(app)[1]
        await pilot.click("ScreenStrip", offset=(line.index(" m ") + 1, 0))
        await until(app, lambda text: "Mail" in text.splitlines()[0])
        assert app.pane.id == "mail"


async def test_the_log_follows_its_end_until_the_cursor_leaves_it() -> None:
    """New changes scroll in; a reader who went up is left where he is; G follows again."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=100), changes(*(change(n) for n in range(1, 101))))
        await until(app, lambda text: " 100 " in text)
        await pilot.press("g")
        await until(app, lambda text: "row-1\n" in f"{text}\n")
        admin.say(changes(change(101)))
        await asyncio.sleep(0.4)
        assert "row-101" not in shown(app)
        await pilot.press("G")
        await until(app, lambda text: "row-101" in text)
        admin.say(changes(change(102)))
        await until(app, lambda text: "row-102" in text)


async def test_filters_narrow_and_invert() -> None:
    """Words, entity:, user: and ! work while they are typed; esc clears."""
    async with opened() as (app, admin, pilot):
        admin.say(
            status(),
            changes(
                change(1, row_id="aaa"), change(2, row_id="bbb", entity="Channel"),
                change(3, row_id="ccc", user="bob@example.com"),
            ),
        )  # fmt: skip
        await until(app, lambda text: "ccc" in text)
        for terms, seen in (
            ("entity:channel", {"bbb"}), ("user:bob", {"ccc"}), ("!entity:channel", {"aaa", "ccc"}),
            ("ada message", {"aaa"}),
        ):  # fmt: skip
            await pilot.press("slash")
            app.query_one("#filter").value = terms  # type: ignore[attr-defined]
            await pilot.press("enter")
            found = await until(
                app,
                lambda text, seen=seen: {x for x in ("aaa", "bbb", "ccc") if x in text} == seen,  # type: ignore[misc]
            )
            assert found
            await pilot.press("escape")
            await until(app, lambda text: all(one in text for one in ("aaa", "bbb", "ccc")))


async def test_pause_is_loud_and_holds_the_screen_still() -> None:
    """p stops the picture and says so; p again shows what came meanwhile."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=1), changes(change(1)))
        await until(app, lambda text: "row-1" in text)
        await pilot.press("p")
        await until(app, lambda text: "PAUSED" in text)
        admin.say(changes(change(2)))
        await asyncio.sleep(0.4)
        assert "row-2" not in shown(app)
        await pilot.press("p")
        await until(app, lambda text: "row-2" in text and "PAUSED" not in text)


async def test_details_show_both_images() -> None:
    """Enter opens the change with before and after; esc goes back; y copies."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/log/1"] = {
            **change(1, kind="update"), "before": {"body": "old"}, "after": {"body": "new"}
        }  # fmt: skip
        admin.say(status(), changes(change(1)))
        await until(app, lambda text: "row-1" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: '"before"' in text)
        assert '"body": "old"' in text
        assert '"body": "new"' in text
        await pilot.press("y")
        assert '"new"' in app.clipboard
        await pilot.press("escape")
        await until(app, lambda text: '"before"' not in text)


async def test_hostile_text_is_text() -> None:
    """Markup is shown, control bytes and direction tricks are made visible (I99)."""
    nasty = "[red]x[/red] \x1b[31m\x07\u202eevil\x9b2J"
    async with opened((160, 24)) as (app, admin, pilot):
        admin.say(
            status(app="a\x1b]0;title\x07"), changes(change(1, row_id=nasty, user=nasty)),
            {"type": "clients", "clients": [client("x", email=nasty, client_id=nasty)]},
            {"type": "calls", "calls": [call(1, name=nasty, outcome="failed", code=nasty)]},
            {"type": "mail", "mails": [mail(1, subject=nasty, to=nasty)]},
            {"type": "logs", "lines": [{"level": "info", "message": nasty}]},
        )  # fmt: skip
        for key in ("2", "4", "5", "m", ""):
            if key:
                await pilot.press(key)
            else:
                app.action_pane("runtime")
            text = await until(app, lambda text: "[red]x" in text)
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, key
        await pilot.press("m", "enter")
        assert "\x1b" not in shown(app)


async def test_the_code_of_a_mail_is_copied() -> None:
    """On the Mail pane y copies the code and nothing else."""
    async with opened() as (app, admin, pilot):
        admin.say(status(), {"type": "mail", "mails": [mail(1), mail(2, code="SECOND22")]})
        await pilot.press("m")
        await until(app, lambda text: "SECOND22" in text)
        await pilot.press("y")
        assert app.clipboard == "SECOND22"


async def test_what_is_wrong_stands_in_the_header_and_is_one_key_away() -> None:
    """A reload that failed: the header says so, n shows file, line and caret."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        app.take_reload(
            ok=False, note="app.py: not loaded", plan="",
            mistakes=("app.py:3:9: no field bdy\n    bdy\n    ^\n  hint: did you mean body?",),
        )  # fmt: skip
        await until(app, lambda text: "reload failed" in text)
        await pilot.press("n")
        text = await until(app, lambda text: "app.py:3:9" in text)
        assert "did you mean body?" in text
        assert "old version serves on" in text
        app.take_reload(ok=True, note="generation 2", plan="", mistakes=())
        await until(app, lambda text: "reload failed" not in text.splitlines()[0])


async def test_no_notice_lies_on_the_mistakes() -> None:
    """The Health screen shows what a save led to; from elsewhere a notice leads there."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        take = app.reloading.take
        take(ok=False, note="app.py: first", mistakes=("app.py:3:9: no",), plan="")
        await until(app, lambda text: "app.py: first" in text and "n shows" in text)
        await pilot.press("n")
        take(ok=False, note="app.py: second", mistakes=("app.py:4:9: no",), plan="")
        await until(app, lambda text: "app.py:4:9" in text and "n shows" not in text)


async def test_a_migration_waits_for_consent() -> None:
    """M shows the plan of now, and not that of the save before; y consents to it, by its hash."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        app.take_reload(ok=False, note="app.py", plan="drop Thing.size: 3 rows", mistakes=("no",))
        admin.answers["admin/schema"] = waiting("drop Thing.colour: 4 rows", "h4")
        await pilot.press("M")
        text = await until(app, lambda text: "Apply this migration?" in text)
        assert "4 rows" in text
        admin.answers["admin/reload"] = {
            "ok": True, "generation": 2, "ms": 5.0, "mistakes": [], "plan": ""
        }  # fmt: skip
        await pilot.press("y")
        await until(app, lambda text: "Apply this migration?" not in text)
        agreed = {"consent": True, "plan": "h4"}
        await until(app, lambda _: ("admin/reload", agreed) in admin.asked)


@pytest.mark.alone  # within three seconds
async def test_a_runtime_that_says_nothing_is_shown_as_gone() -> None:
    """No news for two seconds is said within three (I100)."""
    async with opened() as (app, admin, _):
        admin.repeats = False
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        await until(app, lambda text: "does not answer" in text, seconds=3.0)


async def test_help_lists_every_key_and_the_palette_every_action() -> None:
    """What can be pressed is written down, from the bindings themselves."""
    async with opened((100, 80)) as (app, admin, pilot):
        admin.say(status())
        await pilot.press("question_mark")
        text = await until(app, lambda text: "Screens" in text)
        for word in ("Filter", "Pause", "Copy", "Open in browser", "Reload the app",
                     "Restart the runtime", "Quit", "Next problem"):  # fmt: skip
            assert word in text
        await pilot.press("escape")
        await pilot.press("colon")
        await until(app, lambda text: "Reload the app" in text or "Search" in text)


async def test_leaving_an_attached_dashboard_stops_nothing() -> None:
    """q leaves at once: the runtime was started elsewhere."""
    async with opened() as (app, admin, pilot):
        admin.say(status(clients=3))
        await until(app, lambda text: "3 clients" in text)
        await pilot.press("q")
        await until(app, lambda _: app.return_value == 0)
        assert admin.asked == []


async def test_without_colour_every_state_has_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the screen says the same in words and glyphs."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened((120, 24)) as (app, admin, pilot):
        admin.say(
            status(), {"type": "clients", "clients": [client("a"), client("b", state="offline")]},
            {"type": "calls", "calls": [call(1), call(2, outcome="rejected", code="CONFLICT")]},
        )  # fmt: skip
        await pilot.press("4")
        text = await until(app, lambda text: "offline" in text)
        assert "● live" in text
        assert "○ offline" in text
        await pilot.press("5")
        text = await until(app, lambda text: "CONFLICT" in text)
        assert "✓ done" in text
        assert "✗ rejected" in text


async def test_production_looks_different() -> None:
    """The header says PROD."""
    async with opened() as (app, admin, _):
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text.splitlines()[0])


async def test_a_reload_leaves_the_stream_alone() -> None:
    """After R, and after consent, the numbers on the screen go on moving."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/reload"] = {
            "ok": True, "generation": 2, "ms": 5.0, "mistakes": [], "plan": ""
        }  # fmt: skip
        admin.say(status(head=1))
        await until(app, lambda text: "head 1" in text)

        async def reload_now() -> None:
            app.take_reload(ok=True, note="generation 2 live", plan="", mistakes=())

        app.reloading.now = reload_now
        await pilot.press("R")
        await until(app, lambda text: "generation 2 live" in text)
        admin.say(status(head=2))
        await until(app, lambda text: "head 2" in text)
        app.take_reload(ok=False, note="app.py", plan="drop Thing.size: 3 rows", mistakes=("no",))
        admin.answers["admin/schema"] = waiting("drop Thing.size: 3 rows", "h3")
        await pilot.press("M")
        await until(app, lambda text: "Apply this migration?" in text)
        await pilot.press("y")
        await until(app, lambda text: "generation 2 in 5.0 ms" in text)
        admin.say(status(head=3))
        await until(app, lambda text: "head 3" in text)


async def test_the_stack_shows_while_one_looks_and_stays_in_the_log() -> None:
    """Who already looks at the Health screen sees the stack come, and later that it was there."""
    async with opened((100, 40)) as (app, admin, pilot):
        admin.say(status())
        await pilot.press("0")
        await until(app, lambda text: "SQLite" in text)
        tell = app.take_event
        hung = SupervisorEvent("state", "hung: its loop does not answer", ProcessState.HUNG)
        stack = SupervisorEvent("stack", 'File "app.py", line 7 in stuck', ProcessState.HUNG)
        # Told until it is seen: a status of the scripted runtime may say otherwise meanwhile.
        await until(app, lambda text: "hung: its loop" in text or bool(tell(hung)))
        await until(
            app,
            lambda text: (
                ("It hangs here" in text and "line 7 in stuck" in text) or bool(tell(stack))
            ),
        )
        tell(SupervisorEvent("state", "running", ProcessState.RUNNING))
        await until(app, lambda text: "It hangs here" not in text)
        app.action_pane("runtime")
        await until(app, lambda text: "line 7 in stuck" in text)


async def test_a_list_that_was_filled_unseen_shows_its_end() -> None:
    """Calls that came while another screen was shown: the newest is on the screen at once."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=7), {"type": "calls", "calls": [call(n) for n in range(1, 81)]},
                  {"type": "calls", "calls": [call(81, name="newest")]})  # fmt: skip
        await until(app, lambda text: "head 7" in text)
        await pilot.press("5")
        await until(app, lambda text: "newest" in text)
        await pilot.resize_terminal(70, 12)
        await until(app, lambda text: "newest" in text and len(text.splitlines()) == 12)


async def test_wide_characters_keep_the_columns_straight() -> None:
    """A name of wide characters takes the cells that it takes, and the next column stands still."""
    async with opened((120, 24)) as (app, admin, pilot):
        admin.say(
            status(),
            {"type": "clients", "clients": [
                client("a", email="漢字漢字漢字漢字漢字漢字@example.com", lag_changes=5),
                client("b", email="b@example.com", lag_changes=5),
            ]},
        )  # fmt: skip
        await pilot.press("4")
        text = await until(app, lambda text: "漢字" in text)
        lines = [line for line in text.splitlines() if "live" in line]
        places = {cell_len(line[: line.index("client-")]) for line in lines}
        assert len(places) == 1
        assert all(cell_len(line) <= 120 for line in text.splitlines())


async def test_a_list_says_where_one_is() -> None:
    """The head of a list tells the line, how many there are, and how many pass the filter."""
    async with opened() as (app, admin, pilot):
        admin.say(status(), changes(*(change(n) for n in range(1, 41)), change(41, entity="Other")))
        await until(app, lambda text: "41/41" in text)
        await pilot.press("g", "j")
        await until(app, lambda text: "2/41" in text)
        await pilot.press("slash", *"entity:other", "enter")
        await until(app, lambda text: "1/1 of 41" in text)


async def test_the_mark_of_a_trouble_can_be_read_without_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With NO_COLOR what is wrong is not darker than what is well."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened((120, 24)) as (app, _, _pilot):
        app.state.is_attached = False
        app.take_event(SupervisorEvent("state", "failed: no disk", ProcessState.FAILED))
        await until(app, lambda text: "failed: no disk" in text)
        segments = list(app.screen._compositor.render_strips()[0])
        told = next(one for one in segments if "failed" in one.text)
        assert told.style is not None
        colour, ground = told.style.color, told.style.bgcolor
        assert colour is not None
        assert colour.triplet is not None
        assert ground is not None
        assert ground.triplet is not None
        assert abs(colour.triplet.red - ground.triplet.red) > 90


async def test_changed_fields_stand_first_in_the_details() -> None:
    """Details of an update say what was and what is, field by field; j and k scroll."""
    async with opened((100, 14)) as (app, admin, pilot):
        row = {"id": "r", "body": "old", "mood": None}
        admin.answers["admin/log/1"] = {
            **change(1, kind="update"), "before": row, "after": {**row, "body": "new"},
        }  # fmt: skip
        admin.say(status(), changes(change(1, kind="update")))
        await until(app, lambda text: "row-1" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: "- body" in text)
        assert '- body  "old"' in text
        assert '+ body  "new"' in text
        assert "- mood" not in text
        await pilot.press("G")
        await until(app, lambda text: "- body" not in text)
        await pilot.press("g")
        await until(app, lambda text: "- body" in text)


async def test_the_mouse_moves_chooses_and_scrolls() -> None:
    """The wheel leaves the end of a log that follows; a click chooses the line under the cursor."""
    async with opened() as (app, admin, pilot):
        admin.say(status(), changes(*(change(n) for n in range(1, 101))))
        await until(app, lambda text: "100/100" in text)
        rows = app.pane.list
        assert rows is not None
        rows.post_message(MouseScrollUp(rows, 5, 5, 0, 0, 0, shift=False, meta=False, ctrl=False))
        await until(app, lambda text: "97/100" in text)
        admin.say(changes(change(101)))
        await until(app, lambda text: "97/101" in text)
        admin.answers["admin/log/90"] = {**change(90), "before": None, "after": {"body": "clicked"}}
        row = next(y for y, line in enumerate(grid(app)) if "row-90" in line)
        await pilot.click(offset=(20, row))
        await until(app, lambda text: "90/101" in text)
        await pilot.click(offset=(20, row))
        await until(app, lambda text: "clicked" in text)


async def test_the_theme_chosen_is_kept() -> None:
    """A theme that was chosen is there the next time; an unknown one harms nothing."""
    async with opened() as (app, _, pilot):
        app.theme = "gruvbox"
        await pilot.pause()
    async with opened() as (app, _, pilot):
        assert app.theme == "gruvbox"
    paths.write_private(paths.preferences_file(), b'{"theme":"gone"}')
    async with opened() as (app, _, pilot):
        assert app.theme != "gone"


async def test_a_page_is_opened_with_the_users_browser(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """o runs what BROWSER names and says where; without a browser it says the address."""
    note = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nsleep 0.2\necho "$1" > {note}\n')
    script.chmod(0o755)
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setenv("BROWSER", str(script))
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await pilot.press("o")
        await until(app, lambda text: "http://127.0.0.1:4321" in text)
        assert note.read_text() == "http://127.0.0.1:4321\n"
        monkeypatch.delenv("BROWSER")
        monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
        await pilot.press("o")
        await until(app, lambda text: "no browser here" in text)


async def test_details_of_a_mail_are_readable() -> None:
    """A mail's text stands as it was written, below its facts."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status(), {"type": "mail", "mails": [mail(1, text="Hello,\nyour code: ABC")]})
        await pilot.press("m")
        await until(app, lambda text: "GVSMX5Y5" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: "Hello," in text)
        assert "\\n" not in text
        assert "your code: ABC" in text


async def test_what_is_wrong_is_copied_and_scrolled() -> None:
    """On the Health screen y offers the mistakes; n goes into them."""
    async with opened((100, 24)) as (app, admin, pilot):
        admin.say(status())
        app.state.add_line("info", "a line")
        mistakes = tuple(f"app.py:{n}:1: mistake {n}" for n in range(1, 40))
        app.take_reload(ok=False, note="app.py: not loaded", plan="", mistakes=mistakes)
        await pilot.press("n")
        await until(app, lambda text: "mistake 1" in text)
        await pilot.press("y")
        await until(app, lambda text: "what is wrong" in text)
        await pilot.press("down", "enter")
        assert "app.py:39:1" in app.clipboard
        await pilot.press("n", "end")
        await until(app, lambda text: "mistake 39" in text)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "nord"])
async def test_what_is_quiet_steps_back_in_every_theme(theme: str) -> None:
    """Times stand out less from the ground than names, and can still be read."""
    async with opened() as (app, admin, pilot):
        app.theme = theme
        admin.say(status(head=3), changes(change(1), change(2), change(3)))
        await until(app, lambda text: "row-1" in text)
        await pilot.pause()
        line = next(strip for strip in app.screen._compositor.render_strips()
                    if "row-1" in "".join(one.text for one in strip))  # fmt: skip

        def contrast(words: str) -> float:
            found = next(one for one in line if words in one.text)
            assert found.style is not None
            colour, ground = found.style.color, found.style.bgcolor
            assert colour is not None
            assert ground is not None
            return abs(
                Color.from_rich_color(colour).brightness - Color.from_rich_color(ground).brightness
            )

        assert 0.2 < contrast("12:00:00") < contrast("ada@example.com")
        assert contrast("12:00:00") < contrast("Message")


async def test_what_is_not_understood_is_left_out() -> None:
    """A message of another version is named in the log, and the stream goes on."""
    async with opened() as (app, admin, _):
        admin.say(
            {"type": "changes", "lines": 5}, {"type": "calls"}, {"type": "news"}, status(head=6)
        )
        await until(app, lambda text: "head 6" in text)
        app.action_pane("runtime")
        await until(app, lambda text: "calls was not understood" in text)


async def test_a_slash_and_words_in_one_go_are_a_filter() -> None:
    """Typed faster than anything is drawn: no key of it reaches the list behind."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status(head=2, clients=1), changes(change(1), change(2)))
        await until(app, lambda text: "head 2" in text and "2/2" in text)
        for key, character in (("slash", "/"), ("f", "f"), ("0", "0"), ("slash", "/"), ("q", "q")):
            app.post_message(events.Key(key, character))
        await until(app, lambda text: "f0/q" in text)
        line = app.query_one("#filter", Input)
        assert line.value == "f0/q"
        assert str(app.pane.id) == "log"
        await pilot.press("escape")
        await until(app, lambda text: "2/2" in text)
        assert not line.display
