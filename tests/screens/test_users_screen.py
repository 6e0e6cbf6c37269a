"""The Users screen: accounts found, opened, and what every key does to them."""

from __future__ import annotations

import asyncio
import shlex
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import (
    ScriptedAdmin,
    ScriptedGhost,
    about_user,
    login,
    mail,
    status,
    user,
    users,
)
from tests.screens.test_dashboard import opened, until

SIZES = [(80, 24), (200, 50)]
POLICIES = {
    "roles": {"editor": ["Note.update", "Note.delete"]},
    "roles_without_policy": ["ghostly"],
}
ADA = user("ada", roles=["editor"])
BOB = user("bob", state="disabled", disabled=True, roles=["admin", "editor"], last_seen=None)
PATH = "admin/users/id-ada"
PHONE = "Mozilla/5.0 (iPhone) Version/17.1 Safari/604.1"
NASTY = "[red]x[/red] \x1b[31m\x07\u202eevil\x9b2J 漢字"


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], *found: dict[str, Any], **more: Any
) -> None:
    """Open the screen with these accounts."""
    rows = found or (ADA, BOB)
    admin.answers.setdefault("admin/users", users(*rows))
    admin.answers.setdefault("admin/policies", POLICIES)
    admin.say(status(**more))
    await until(app, lambda text: "head 0" in text)
    await pilot.press("U")
    # A key pressed before the rows are there is about none of them.
    await until(app, lambda text: f"1/{len(rows)}" in text and "STATE" in text)


async def _seen(app: Dashboard, *words: str) -> str:
    """Return the screen once it shows these words, also across the lines of a box."""

    def holds(text: str) -> bool:
        plain = " ".join(text.replace("▌", " ").replace("│", " ").split())
        return all(one in plain for one in words)

    for _ in range(1_000):  # a look costs as much as a frame: fewer of them than `until` takes
        if holds(text := shown(app)):
            return text
        await asyncio.sleep(0.06)
    raise AssertionError(f"{words} were never shown:\n{text}")


async def _type(app: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Put a text into the line of the dialog on top, and send it."""
    app.screen.query_one(Input).value = text
    await pilot.press("enter")


@pytest.mark.parametrize("size", SIZES)
async def test_accounts_are_listed_and_searched(size: tuple[int, int]) -> None:
    """Columns fit; the runtime searches while one types; esc clears; ? has the keys first."""
    states = [user(one, state=one) for one in ("active", "guest", "invited", "unproven")]
    async with opened(size) as (app, admin, pilot):
        admin.answers["admin/users"] = lambda given: (
            users(BOB) if given["search"] == "role:adm" else users(BOB, *states)
        )
        await _open(app, admin, pilot, BOB, *states)
        text = await _seen(app, "1/5", "✗ disabled", "● active", "◌ guest", "✉ invited",
                           "? unproven", "admin, edit", "2026-11-24 12:00")  # fmt: skip
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert "Users" in lines[0]
        assert ("id-bob" in text) is (size[0] >= 200)
        await pilot.press("slash", *"role:adm")
        await _seen(app, "1/1", "bob@example.com")
        await pilot.press("enter", "escape")
        await _seen(app, "1/5")
        await pilot.press("question_mark")
        text = await _seen(app, "On Users", "Grant a role")
        assert text.index("On Users") < text.index("Take a role back")
        await pilot.press("escape", "2")
        await _seen(app, "Log")


async def test_ten_thousand_are_read_a_page_at_a_time() -> None:
    """Two hundred at first, more as the cursor comes near the end, all the way with G."""
    everybody = [user(f"u{n:05d}") for n in range(10_000)]
    keys = [one["key"] for one in everybody]

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        start = keys.index(given["after"]) + 1 if given["after"] else 0
        found = everybody[start : start + given["limit"]]
        following = found[-1]["key"] if start + given["limit"] < len(keys) else None
        return users(*found, following=following, total=len(keys))

    async with opened() as (app, admin, pilot):
        admin.answers["admin/users"] = answer
        await _open(app, admin, pilot, *everybody)
        await _seen(app, "1/10000", "u00000@")
        assert max(given["limit"] for path, given in admin.asked if path == "admin/users") == 200
        await pilot.press("G")
        await _seen(app, "10000/10000", "u09999@")
        await pilot.press("g")
        await _seen(app, "1/10000", "u00000@")


@pytest.mark.parametrize("size", SIZES)
async def test_roles_are_granted_and_taken_back(size: tuple[int, int]) -> None:
    """Known roles complete; what it does is said: policies, connections, the line for the shell."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot, user("ada"), BOB)
        admin.answers["admin/roles"] = {"roles": ["editor"], "connections": 2}
        await pilot.press("plus")
        await _seen(app, "Grant to ada@example.com", "editor, ghostly")
        await pilot.press("e", "d")
        await until(app, lambda text: "editor" in text.split("Grant to")[1])
        await pilot.press("right", "enter")
        await _seen(app, "asked for by", "Note.update", "2 connections", "$ pylon roles grant")
        given = {"user": "id-ada", "role": "editor", "grant": True}
        assert ("admin/roles", given) in admin.asked
        admin.answers["admin/roles"] = {"roles": ["editor"], "connections": 0}
        await pilot.press("down", "minus")
        await _seen(app, "Take back from bob@example.com")
        await _type(app, pilot, "nobody")
        await _seen(app, "it has only admin, editor")
        await _type(app, pilot, "admin")
        await _seen(app, "auth.isAdmin", "not connected", "$ pylon roles revoke")
        assert ("admin/roles", {**given, "user": "id-bob", "role": "admin", "grant": False}) in (
            admin.asked
        )


@pytest.mark.parametrize("size", SIZES)
async def test_accounts_are_locked_out_and_let_in(size: tuple[int, int]) -> None:
    """d, X and F ask first by name; no leaves it alone; each says what came of it."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        for key, path, answer, question, said in (
            ("d", f"{PATH}/disable", {}, "Disable ada@example.com?", "$ pylon users disable"),
            ("X", f"{PATH}/revoke", {"ended": 3}, "all its sessions", "3 ended"),
            ("F", f"{PATH}/reset-factor", {"removed": True}, "second factor of", "no second"),
        ):
            admin.answers[path] = answer
            await pilot.press(key)
            await _seen(app, question, "ada@example.com", "y yes")
            await pilot.press("n", key)
            assert path not in [one for one, _ in admin.asked]
            await pilot.press("y")
            await _seen(app, said)
            assert path in [one for one, _ in admin.asked]
        admin.answers["admin/users/id-bob/enable"] = {}
        await pilot.press("down", "d")
        await _seen(app, "Enable bob@example.com?")
        await pilot.press("y")
        await _seen(app, "$ pylon users enable")


@pytest.mark.parametrize("size", SIZES)
async def test_invite_delete_and_export(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """i shows the link and where its mail went; D wants the name typed; e writes a new file."""
    monkeypatch.chdir(tmp_path)
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.answers["admin/invite"] = {
            "email": "new@example.com", "roles": ["editor"], "url": "http://h/auth/link#t=S",
            "mail": {"way": "outbox", "folder": ".pylon/outbox"},
        }  # fmt: skip
        await pilot.press("i")
        await _seen(app, "Invite", "an e-mail address")
        await _type(app, pilot, "new@example.com")
        await _seen(app, "Roles of new@example.com", "editor, ghostly")
        await _type(app, pilot, "editor")
        await _seen(app, "in .pylon/outbox, and on m", "http://h/auth/link#t=S", "--role editor")
        given = {"email": "new@example.com", "roles": ["editor"]}
        assert ("admin/invite", given) in admin.asked
        await pilot.press("y")
        assert app.clipboard == "http://h/auth/link#t=S"
        await pilot.press("escape", "D")
        await _seen(app, "Delete ada@example.com", "type ada@example.com")
        await _type(app, pilot, "ada")
        await _seen(app, "that is not ada@example.com")
        admin.answers[f"{PATH}/delete"] = {}
        await _type(app, pilot, "ada@example.com")
        await _seen(app, "it is gone", "$ pylon users delete")
        admin.answers[f"{PATH}/export"] = {"data": b'{"a":1}'}
        await pilot.press("e")
        await _seen(app, "Export ada@example.com to")
        await pilot.press("enter")
        await _seen(app, "7 bytes in")
        file = tmp_path / "ada@example.com.json"
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b'{"a":1}', 0o600)
        await pilot.press("e")
        await _seen(app, "Export ada@example.com to")
        await pilot.press("enter")
        await _seen(app, "nothing is overwritten")


async def test_an_address_with_signs_of_a_shell_is_invited_by_a_line_that_quotes_it() -> None:
    """An apostrophe is a letter of an address; in the line for a shell it is no more than that."""
    hard = "o'brien&`id`$x@example.com"
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.answers["admin/invite"] = {
            "email": hard, "roles": ["editor"], "url": "http://h/auth/link#t=S", "mail": {},
        }  # fmt: skip
        app.command_log.project = Path("/srv/chat")
        await pilot.press("i")
        await _seen(app, "an e-mail address")
        await _type(app, pilot, hard)
        await _seen(app, "Roles of")
        await _type(app, pilot, "editor")
        await _seen(app, "Invited:")
        (done,) = app.command_log.done
        words = ["pylon", "users", "invite", hard, "--role", "editor", "--project", "/srv/chat"]
        assert shlex.split(done.line) == words


@pytest.mark.parametrize("size", SIZES)
async def test_through_its_eyes(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """s opens a link in the browser, v is a ghost, w asks why, y copies."""
    pages: list[str] = []
    browser = webbrowser.BackgroundBrowser("none")
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    monkeypatch.setattr(browser, "open", lambda url: not pages.append(url))
    async with opened(size) as (app, admin, pilot):
        ghosts: list[str] = []

        def make(name: str, on_frame: Any) -> ScriptedGhost:
            ghosts.append(name)
            return ScriptedGhost(on_frame)

        app.make_ghost = make  # type: ignore[method-assign,assignment]
        await _open(app, admin, pilot)
        admin.answers[f"{PATH}/sign-in-as"] = {"url": "http://h/auth/link#t=S"}
        await pilot.press("s")
        await _seen(app, "sign in as ada@example.com", "private window")
        assert pages == ["http://h/auth/link#t=S"]
        assert [one.line for one in app.command_log.done] == ["pylon login-link ada@example.com"]
        await pilot.press("v")
        await _seen(app, "as id-ada")
        assert ghosts == ["id-ada"]
        await pilot.press("escape", "w")
        await _seen(app, "Why may ada@example.com")
        await pilot.press("escape", "y")
        await _seen(app, "address: ada@example.com", "pylon users show ada@example.com")
        await pilot.press("enter")
        await until(app, lambda _: app.clipboard == "ada@example.com")


@pytest.mark.parametrize("size", SIZES)
async def test_one_account_is_shown_whole(size: tuple[int, int]) -> None:
    """What signs it in, sessions and tokens with device and times; x ends the one chosen."""
    sessions = [
        login("phone", device=PHONE),
        login("tool", kind="token", name="importer", scope={"read_only": True}, last_seen=None),
    ]
    found = about_user(
        "ada", *sessions, roles=["editor"], totp=True, recovery_left=9, password=True,
        identities=[{"issuer": "github", "subject": "1", "email": "a@b.example"}], connections=1,
    )  # fmt: skip
    async with opened(size) as (app, admin, pilot):
        admin.answers[PATH] = found
        await _open(app, admin, pilot)
        await pilot.press("enter")
        await _seen(
            app, "id-ada", "● active · connected", "codes, password, github (a@b.example)",
            "9 recovery codes", "● session", "Safari 17 · iPhone", "⚿ token", "importer",
            "2027-01-01", "1/2",
        )  # fmt: skip
        assert len(grid(app)) == size[1]
        assert all(word in grid(app)[-1] for word in ("Grant", "Take back", "End all", "Disable"))
        await pilot.press("enter")
        await _seen(app, PHONE)
        await pilot.press("escape", "down", "x")
        await _seen(app, "End the token importer of ada@example.com?")
        admin.answers[f"{PATH}/revoke"] = {"ended": 1}
        admin.answers[PATH] = {**found, "sessions": sessions[:1]}
        await pilot.press("y")
        await _seen(app, "1 ended", "1/1")
        assert (f"{PATH}/revoke", {"session": "s-tool"}) in admin.asked
        for key, words in (
            ("X", "all its sessions"), ("d", "Disable ada@example.com?"), ("F", "second factor of"),
            ("D", "type ada@example.com"), ("plus", "Grant to ada"), ("minus", "Take back from"),
            ("e", "Export ada@example.com to"), ("w", "Why may ada@example.com"),
            ("y", "session id: s-phone"), ("question_mark", "On Users"),
        ):  # fmt: skip
            await pilot.press(key)
            await _seen(app, words)
            await pilot.press("escape")
            assert words not in shown(app)
        await pilot.press("escape")
        await _seen(app, "Users", "bob@example.com")


async def test_hostile_names_are_text() -> None:
    """Markup is shown, control bytes are not, in lists, questions, hints and notices (I99)."""
    nasty = user("ada", email=NASTY, roles=[NASTY])
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers[PATH] = about_user("ada", login("x", device=NASTY), email=NASTY)
        admin.answers[f"{PATH}/disable"] = {}
        admin.answers["admin/policies"] = {"roles": {NASTY: [NASTY]}}
        await _open(app, admin, pilot, nasty)
        for keys in (["d"], ["y"], ["D"], ["escape", "minus"], ["escape", "e"],
                     ["escape", "enter"], ["enter"]):  # fmt: skip
            await pilot.press(*keys)
            text = await until(app, lambda text: "[red]x[/red]" in text or "_red_x" in text)
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys


async def test_the_palette_has_what_the_keys_do() -> None:
    """On Users it offers each of them by name, for the account under the cursor."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        await pilot.press("colon")
        await pilot.press(*"user: disable")
        await _seen(app, "User: Disable it")
        await pilot.press("down", "enter")
        await _seen(app, "Disable ada@example.com?")


async def test_production_is_said_and_has_no_sign_in_as() -> None:
    """Questions name it; s does nothing there."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, environment="production")
        app.state.is_unlocked = True
        await pilot.press("s", "d")
        await _seen(app, "This is PRODUCTION.", "Disable ada@example.com?")
        await pilot.press("n", "D")
        await _seen(app, "PRODUCTION: Delete ada@example.com")
        assert not [path for path, _ in admin.asked if path.startswith(PATH)]


async def test_what_fails_and_what_is_old_is_said() -> None:
    """A refusal with what to do about it; numbers that are not read any more are called stale."""
    async with opened() as (app, admin, pilot):
        admin.answers[PATH] = about_user("ada")
        await _open(app, admin, pilot)
        admin.answers[f"{PATH}/delete"] = AdminError(
            "Invoice.owner refers to it", answer={"hint": "delete those first"}
        )
        await pilot.press("D")
        await _seen(app, "type ada@example.com")
        await _type(app, pilot, "ada@example.com")
        await _seen(app, "✗ delete ada@example.com: failed", "Invoice.owner refers to it",
                    "delete those first")  # fmt: skip
        admin.answers["admin/users"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: not read for", "does not answer")
        assert "ada@example.com" in shown(app)
        await pilot.press("enter")
        await _seen(app, "id-ada")
        admin.answers[PATH] = AdminError("there is no account", answer={"code": "NOT_FOUND"})
        await _seen(app, "STALE", "it is deleted")


async def test_the_link_of_a_mail_is_copied_and_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """y offers code and link, o opens the link into the app; a mail without one says so."""
    pages: list[str] = []
    browser = webbrowser.BackgroundBrowser("none")
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    monkeypatch.setattr(browser, "open", lambda url: not pages.append(url))
    link = "http://127.0.0.1:4321/auth/link#t=SECRET"
    text = f"See https://elsewhere.example/ad and {link}.\nThank you."
    async with opened() as (app, admin, pilot):
        admin.say(status(), {"type": "mail", "mails": [mail(1, subject="plain"),
                                                       mail(2, text=text)]})  # fmt: skip
        await pilot.press("m")
        await _seen(app, "GVSMX5Y5")
        await pilot.press("y")
        await _seen(app, "code: GVSMX5Y5", f"link: {link}")
        await pilot.press("down", "enter")
        await until(app, lambda _: app.clipboard == link)
        await pilot.press("o")
        await until(app, lambda _: pages == [link])
        await pilot.press("up", "o")
        await _seen(app, "there is no link in this mail")
        await pilot.press("down", "enter")
        await _seen(app, "Thank you.")
