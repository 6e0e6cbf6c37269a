"""Every window above the screens, and every list and line in them: the way there, and its keys.

By id of the binding: what comes of it. All keys of a binding are pressed.
"""

from __future__ import annotations

from typing import Any, Final

from textual.containers import VerticalScroll

from pylon.testing.grid import shown
from pylon.tui.registry import SCREENS
from tests.screens.pressing import Comes, Expected, Fingers, Window

_SCROLLS: Final[dict[str, Expected]] = {
    f"move.{one}": Comes.SCROLLED for one in ("down", "up", "page-down", "page-up", "first", "last")
}
#: What every screen above the panes has.
_ABOVE: Final[dict[str, Expected]] = {
    "close": Comes.CLOSED, "help": "/ search · esc", "filter": Comes.TAKEN, "pause": "PAUSED",
    "palette": "Search for commands",
}  # fmt: skip
_DIALOG: Final[dict[str, Expected]] = {"close": Comes.CLOSED, "copy": "copied", **_SCROLLS}
#: Keys of the screens that mean nothing beside a form.
_TAKEN: Final = ("filter", "pause", "why", "problem", "problem-back", "quit")
#: What can be done to a user on a screen of its own.
_USER: Final[dict[str, Expected]] = {
    "users.grant": "Grant to", "users.take-role": "Take back from", "users.disable": "Disable ada@",
    "users.end-all": "End all its sessions", "users.reset-factor": "Take the second factor",
    "users.export": "Export ada@", "users.delete": "Delete ada@",
    "users.erase": "Erase ada@", "users.ghost": "reads only",
    "users.sign-in-as": "This works once", "users.end": "End the session",
}  # fmt: skip

#: Screens that may have no row.
_EMPTY: Final = ("data", "commands")


def _pane(name: str) -> Any:
    async def step(on: Fingers) -> None:
        on.app.action_pane(name)  # type: ignore[attr-defined]
        await on.pilot.pause()
        pane: Any = on.app.pane  # type: ignore[attr-defined]
        # A key on a list that is not there yet would open nothing.
        if name not in _EMPTY and pane.list is not None:
            assert await on.until(lambda: bool(pane.list.rows)), shown(on.app)

    return step


def _row(name: str, value: str, list_id: str = "") -> Any:
    """Put the cursor of the list in focus, or of one of an id, on the row that has a value."""

    async def step(on: Fingers) -> None:
        pane: Any = on.app.pane  # type: ignore[attr-defined]
        found: Any = pane.query_one(list_id) if list_id else pane.list
        found.focus()

        def place() -> int | None:
            rows = enumerate(found.rows)
            return next((at for at, one in rows if str(one[name]) == value), None)

        assert await on.until(lambda: place() is not None), shown(on.app)
        found._go(place())

    return step


def _at_end(key: str, which: str) -> Any:
    """Go to an end of the log, and be there."""

    async def step(on: Fingers) -> None:
        screen: Any = on.app.screen
        await on.press(key)
        assert await on.until(lambda: screen.found["seq"] == screen.found["retained"][which])

    return step


def _lines(*texts: str) -> tuple[tuple[str, str], ...]:
    """Return keys after which the screen shows something, one pair after the other."""
    return tuple(zip(texts[::2], texts[1::2], strict=True))


async def _rows_of_things(on: Fingers) -> None:
    """Be on Data at the rows of Thing, and at none that one came from."""
    await _pane("data")(on)
    pane: Any = on.app.panes["data"]  # type: ignore[attr-defined]
    while pane.state.data.place is not None:
        pane.action_return()
    await _row("name", "Thing", "#entities")(on)
    await on.press("enter")
    await on.see("coffee")


async def _rows_that_others_changed_since(on: Fingers) -> None:
    """Change all rows of an entity by hand, and have each of them changed by somebody else."""
    admin: Any = on.app._admin  # type: ignore[attr-defined]
    await _pane("data")(on)
    pane: Any = on.app.panes["data"]  # type: ignore[attr-defined]
    while pane.state.data.place is not None:
        pane.action_return()
    await _row("name", "Note", "#entities")(on)
    for keys, words in (
        ("enter", "thingId"), ("V G", "marked"), ("e", "what they all get"), ("=same", "same"),
        ("ctrl+s", "? "), ("y", "u undoes it"),
    ):  # fmt: skip
        await on.press(keys)
        await on.see(words)
    for one in (await admin.post("admin/query", {"entity": "Note", "limit": 100}))["rows"]:
        path = f"admin/data/Note/{one['id']}/update"
        await admin.post(path, {"values": {"text": "other"}, "if_seq": one["_seq"]})


async def _on_a_long_note(on: Fingers) -> None:
    """Be on a row that has a text too long for a form."""
    admin: Any = on.app._admin  # type: ignore[attr-defined]
    await admin.post("admin/data/Note", {"values": {"text": "long words " * 2_000}})
    await _pane("data")(on)
    pane: Any = on.app.panes["data"]  # type: ignore[attr-defined]
    while pane.state.data.place is not None:
        pane.action_return()
    await _row("name", "Note", "#entities")(on)
    await on.press("enter")
    await on.see("thingId")
    await on.press("G")
    await on.see("long words")


async def _until_it_is_dead(on: Fingers) -> None:
    """Wait until a job that was retried has ended again, and is seen so."""
    screen: Any = on.app.screen
    assert await on.until(lambda: screen.found["state"] == "dead"), shown(on.app)


async def _into_the_text(on: Fingers) -> None:
    """Have the focus on what is read, and not on a list beside it or in a line."""
    on.app.screen.query(VerticalScroll).last().focus()
    await on.pilot.pause()


async def _low_terminal(on: Fingers) -> None:
    """Have so few lines that what is short can be scrolled, too."""
    await on.pilot.resize_terminal(80, 9)


async def _open_the_form_anew(on: Fingers) -> None:
    """Be at a form that nothing was called by yet."""
    await on.press("escape")
    await on.see("FUNCTION")
    await on.press("t")
    await on.see("f5 or enter")


WINDOWS: Final[dict[str, Window]] = {
    "ClientScreen": Window(
        (_pane("clients"), *_lines("enter", "unseen")),
        {**_ABOVE, "clients.disconnect": "Disconnect ada@", "clients.resync": "drop its rows",
         "clients.network": "Network of", "clients.ghost": "Watch as", "why": "Why may ada@",
         "copy": "pylon cursors"},
    ),
    "ColumnsScreen": Window(
        (_rows_of_things, *_lines("c", "Columns")),
        {"close": Comes.CLOSED, "form.take": Comes.CLOSED},
    ),
    "DependsScreen": Window(
        (_rows_that_others_changed_since, *_lines("u", "something depends")),
        {"close": Comes.CLOSED, **_SCROLLS},
    ),
    "Details": Window(
        (_pane("workflows"), _row("name", "fails"), *_lines("enter", "breaks", "v", "Journal of")),
        {**_DIALOG, "text.page": "PAGER is no"},
    ),
    "DiffScreen": Window(
        (_pane("log"), *_lines("g d", "entities")),
        {**_ABOVE, "diff.lens": "last changed by", "diff.more": "no more rows",
         "copy": "pylon diff"},
        {"diff.lens": ("enter", "all of it"), "diff.more": ("enter", "all of it")},
        frozenset({"diff.lens", "diff.more"}),
    ),
    "FilterLine": Window(
        (_rows_of_things, *_lines("slash", "filter:"), ("=we", "weight")),
        {"complete": Comes.ANOTHER, "offer.next": Comes.ANOTHER, "offer.before": Comes.ANOTHER,
         "help": "/ search · esc"},
    ),
    "FunctionScreen": Window(
        (_pane("functions"), _row("name", "breaks"), *_lines("enter", "last error")),
        {**_ABOVE, **_SCROLLS, "functions.try": "f5 or enter", "copy": "signature"},
    ),
    "GhostScreen": Window(
        (_pane("users"), _row("email", "ada@example.com"), *_lines("v", "reads only · live")),
        {**_ABOVE, "other-list": Comes.ANOTHER, "copy": "copied"},
    ),
    "HelpScreen": Window(
        (_pane("log"), *_lines("question_mark", "/ search · esc")),
        {**_DIALOG, "filter": "words of the line"},
        anew=frozenset({"filter"}),
    ),
    "JobScreen": Window(
        (_pane("jobs"), _row("state", "dead"), *_lines("enter", "traceback")),
        {**_ABOVE, **_SCROLLS, "jobs.retry": "it is", "jobs.cancel": "it has ended",
         "copy": "pylon jobs"},
        {"jobs.cancel": _until_it_is_dead},
    ),
    "JumpScreen": Window(
        (_pane("log"), *_lines("ctrl+o", "a letter goes there")), {"close": Comes.CLOSED}
    ),
    "LensScreen": Window(
        (_rows_of_things, *_lines("L", "last changed by")),
        {**_ABOVE, "lens.as": "As a user reads it", "lens.client": "As this client",
         "lens.blame": Comes.ANOTHER, "lens.restore": "choose a change", "lens.why": "As whom",
         "lens.other-list": Comes.ANOTHER, "lens.more": "no older change",
         "copy": "history as JSON"},
    ),
    "LineList": Window(
        (_pane("log"), *_lines("g", "insert")), {**_SCROLLS, "move.choose": '"entity"'}
    ),
    "MailPreviewScreen": Window(
        (_pane("mail"), *_lines("v", "Templates of", "enter", "Subject: hello")),
        {**_DIALOG, "mail.data": "the sample file", "open": "no browser here"},
    ),
    "CopyMenu": Window(
        (_pane("log"), *_lines("y", "change as JSON")),
        {"close": Comes.CLOSED, "text.page": "PAGER is no"},
    ),
    "LongText": Window(
        (_on_a_long_note, *_lines("e", "opens your editor")), {"form.editor": "no editor"}
    ),
    "Menu": Window((_pane("mail"), *_lines("v", "Templates of")), {"close": Comes.CLOSED}),
    "Prompt": Window((_rows_of_things, *_lines("v", "Look as")), {"dialog.leave": Comes.CLOSED}),
    "Question": Window(
        (_pane("clients"), *_lines("enter", "unseen", "S", "drop its rows")),
        {"dialog.yes": "it starts over", "dialog.no": Comes.CLOSED},
    ),
    "RowForm": Window(
        (_rows_of_things, *_lines("e", "ctrl+s save")),
        {"form.leave": Comes.CLOSED, "form.save": Comes.CLOSED},
    ),
    "RowGrid": Window(
        (_rows_of_things,),
        {**_SCROLLS, "move.choose": "ownerId", "move.left": Comes.ANOTHER,
         "move.right": Comes.ANOTHER},
        {"move.left": ("right", "")},
    ),
    "RunScreen": Window(
        (_pane("workflows"), _row("name", "fails"), *_lines("enter", "breaks")),
        {**_ABOVE, **_SCROLLS, "runs.back": Comes.CLOSED, "runs.signal": "it has ended",
         "runs.cancel": "it has ended", "runs.retry": "Retry fails", "runs.rerun": "Rerun fails",
         "runs.values": "Journal of", "copy": "pylon workflows", "other-list": Comes.ANOTHER,
         "runs.parent": "no run waits for it"},
        dict.fromkeys(_SCROLLS, _into_the_text),
    ),
    "ScrubScreen": Window(
        (_pane("log"), *_lines("t", "left right: transactions")),
        {**_ABOVE, "scrub.before": Comes.ANOTHER, "scrub.after": Comes.ANOTHER,
         "scrub.back": Comes.ANOTHER, "scrub.on": Comes.ANOTHER, "scrub.oldest": Comes.ANOTHER,
         "scrub.newest": Comes.ANOTHER, "scrub.rows": Comes.CLOSED, "scrub.jump": "Go to",
         "scrub.diff": "entities", "copy": "pylon log --at"},
        {**dict.fromkeys(("scrub.after", "scrub.on", "scrub.newest"), _at_end("g", "floor")),
         **dict.fromkeys(("scrub.before", "scrub.back", "scrub.oldest"), _at_end("G", "head"))},
    ),
    "SqlScreen": Window(
        (_rows_of_things, *_lines("Q", "SELECT …"), ("=SELECT * FROM Thing", "SELECT *"),
         *_lines("enter", "plan", "tab", "coffee")),
        {"sql.leave": Comes.CLOSED, "copy": "copied", "move.left": Comes.ANOTHER,
         "move.right": Comes.ANOTHER},
        {"move.left": ("right", "")},
    ),
    "TryScreen": Window(
        (_pane("functions"), _row("name", "things"), *_lines("t", "f5 or enter", "f5", "done")),
        {**_SCROLLS, "form.run": "done in", "form.leave": Comes.CLOSED,
         "form.next": Comes.ANOTHER, "copy": "curl", "help": "/ search · esc",
         **dict.fromkeys(_TAKEN, Comes.TAKEN)},
        {**dict.fromkeys((*_SCROLLS, *_TAKEN, "copy"), _into_the_text),
         "form.run": _open_the_form_anew},
        frozenset({"form.run"}),
    ),
    "UserScreen": Window(
        (_pane("users"), _row("email", "ada@example.com"), *_lines("enter", "keeper")),
        {**_ABOVE, **_USER, "why": "entity and row", "copy": "pylon users show"},
    ),
    "WhyScreen": Window(
        (_pane("log"), *_lines("g w", "As whom"), ("=ada@example.com", "ada@"),
         *_lines("enter", "read it"), _low_terminal, *_lines("enter", "next access")),
        {**_DIALOG, "ask.access": Comes.ANOTHER, "ask.user": "As whom"},
    ),
}  # fmt: skip

#: The keys of the launcher, and of the list in it; on the line of a project whose folder is gone.
SHELF: Final[dict[str, Window]] = {
    "Launcher": Window(
        (),
        {"projects.open": "nothing answers there", "projects.create": "Start from",
         "quit": "would have left"},
    ),
    "Shelf": Window(
        (),
        {"projects.start": "its folder is gone", "projects.stop": "its folder is gone",
         "projects.sleep": "its folder is gone", "projects.restart": "its folder is gone",
         "projects.about": "folder  ",
         "projects.forget": "Forget gone?"},
    ),
}  # fmt: skip

#: The keys of the dashboard above its screens, as far as a window there has no other use for them.
BELOW: Final[dict[str, Expected]] = {
    **{one.pane_id: Comes.CLOSED for one in SCREENS if one.key},
    "why": "w asks about", "open": "no browser here",
    "reload": "reloaded", "restart": "elsewhere", "problem": Comes.CLOSED,
    "problem-back": Comes.CLOSED, "warp": "Clock: ",
    "unlock": "this is development", "migrate": "no migration waits",
    "zoom": "that is for the", "unzoom": "that is for the", "jump": "that is for the",
    "turn": Comes.ANOTHER, "quit-now": "have left", "interrupt": "Quit?",
    "palette-whole": "Search for commands",
    "palette": "Search for commands", "help": "/ search · esc",
}  # fmt: skip
