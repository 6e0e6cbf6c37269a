"""What can be done to accounts: asked about first, done, and said with its line for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from pylon.client.erased_text import erased_words
from pylon.printable import clean
from pylon.tui.acting import GROUP, Acting, Done
from pylon.tui.browser import open_page
from pylon.tui.dialogs import Details, Prompt
from pylon.tui.export import OwnFile, typed_path
from pylon.tui.saying import say
from pylon.tui.screens.ghost import GhostScreen
from pylon.tui.users import known_roles
from pylon.tui.users_tables import command, id_of, label_of
from pylon.tui.verbs import Verb

_NAMES_SHOWN: Final = 5
#: What can be done to an account, in the list and on its own screen.
USER_VERBS: Final = (
    Verb("plus", "user('grant')", "Grant a role", key_display="+", brief="Grant",
         id="users.grant", cli="roles grant"),
    Verb("minus", "user('revoke_role')", "Take a role back", key_display="-", brief="Take back",
         id="users.take-role", cli="roles revoke"),
    Verb("d", "user('disable')", "Disable it, or enable it again", brief="Disable",
         id="users.disable", cli="users disable"),
    Verb("X", "user('revoke_all')", "End all its sessions and tokens", brief="End all",
         id="users.end-all", cli="users revoke"),
    Verb("F", "user('reset_factor')", "Take its second factor away",
         id="users.reset-factor", cli="users reset-factor"),
    Verb("e", "user('export')", "Export what it has to a file",
         id="users.export", cli="users export"),
    Verb("D", "user('delete')", "Delete it", id="users.delete", cli="users delete"),
    Verb("E", "user('erase')", "Erase it: delete it, and all that is left of it anywhere",
         id="users.erase", cli="users erase"),
    Verb("v", "user('ghost')", "Ghost: watch as it", id="users.ghost", cli="ghost"),
    Verb("s", "sign_in_as", "Sign in as it, in a browser (development)", id="users.sign-in-as",
         cli="login-link"),
)  # fmt: skip
User = dict[str, Any]


class UserActions(Acting):
    """The owner's hand on the accounts of one dashboard's app."""

    part = "users"

    def do(self, name: str, user: User, done: Done) -> None:
        """Do what a key is for to an account; `done` is called when the account is another."""
        steps: dict[str, Callable[[User, Done], None]] = {
            "grant": self._grant, "revoke_role": self._revoke_role, "disable": self._disable,
            "revoke_all": self._revoke_all, "reset_factor": self._reset_factor,
            "export": self._export, "delete": self._delete, "erase": self._erase,
            "ghost": self._ghost, "sign_in_as": self._sign_in_as,
        }  # fmt: skip
        steps[name](user, done)

    # --- how each of them goes

    async def _post(
        self, user: User, verb: str, body: dict[str, Any], *, is_patient: bool = False
    ) -> dict[str, Any]:
        path = f"admin/users/{self._admin.quoted(id_of(user))}/{verb}"
        if is_patient:
            return await self._admin.post(path, body, is_patient=True)
        return await self._admin.post(path, body)

    # --- roles

    def _grant(self, user: User, done: Done) -> None:
        self._choose(user, done, grant=True)

    def _revoke_role(self, user: User, done: Done) -> None:
        if not user["roles"]:
            say(self._app, f"{label_of(user)} has no role")
            return
        self._choose(user, done, grant=False)

    def _choose(self, user: User, done: Done, *, grant: bool) -> None:
        self._app.ahead.open(
            "the roles", lambda: self._choose_role(user, done, grant=grant), group="choose"
        )

    async def _choose_role(self, user: User, done: Done, *, grant: bool) -> None:
        known = await known_roles(self._admin)
        has = list(user["roles"])
        offered = [one for one in known if one not in has] if grant else has
        title = f"{'Grant to' if grant else 'Take back from'} {label_of(user)}"
        role = await self._app.push_screen_wait(
            Prompt(title, _some("role: ", offered), _wrong_role(has, grant=grant), offered)
        )
        if role is None:
            return
        verb = "grant" if grant else "revoke"

        async def step() -> str:
            body = {"user": id_of(user), "role": role, "grant": grant}
            changed = await self._admin.post("admin/roles", body)
            return f"{_effect(role, known, changed)}\n$ {command(f'roles {verb}', user, role)}"

        self.run(f"{verb} {role}: {label_of(user)}", step, done)

    # --- let in, lock out

    def invite(self, done: Done) -> None:
        """Ask whom to invite, with which roles, and do it."""
        self._app.run_worker(self._invite(done), group=GROUP)

    async def _invite(self, done: Done) -> None:
        email = await self._app.push_screen_wait(
            Prompt("Invite", "an e-mail address", lambda text: "" if "@" in text else "no address")
        )
        if email is None:
            return
        known = await known_roles(self._admin)
        line = await self._app.push_screen_wait(
            Prompt(f"Roles of {email}", _some("none, or: ", list(known)), suggestions=list(known),
                   takes_nothing=True)
        )  # fmt: skip
        if line is None:
            return
        roles = line.replace(",", " ").split()

        async def step() -> str:
            made = await self._admin.post("admin/invite", {"email": email, "roles": roles})
            words = invited_words(made, is_dev=self.is_dev)
            self._app.push_screen(
                Details(f"Invited: {made['email']}", words, copied=str(made["url"]))
            )
            self._app.command_log.note_said(f"invite {email}", words)
            return ""

        self.run(f"invite {email}", step, done)

    def _disable(self, user: User, done: Done) -> None:
        name = label_of(user)
        verb = "enable" if user["disabled"] else "disable"

        async def step() -> str:
            await self._post(user, verb, {})
            words = "its sessions work again" if user["disabled"] else "its connections are closed"
            return f"{words}\n$ {command(f'users {verb}', user)}"

        text = f"Enable {name}? Its sessions and tokens work again."
        if not user["disabled"]:
            text = (f"Disable {name}? It is signed out everywhere, at once, and cannot sign in"
                    " until it is enabled.")  # fmt: skip
        self.ask(text, lambda: self.run(f"{verb} {name}", step, done))

    def _revoke_all(self, user: User, done: Done) -> None:
        self._end(user, None, "all its sessions and tokens", done)

    def revoke_one(self, user: User, session: dict[str, Any], done: Done) -> None:
        """End one session or token, after a question that says which."""
        called = session["name"] or session["device"] or session["id"]
        self._end(user, str(session["id"]), f"the {session['kind']} {clean(called)[:60]}", done)

    def _end(self, user: User, session: str | None, what: str, done: Done) -> None:
        async def step() -> str:
            ended = (await self._post(user, "revoke", {"session": session}))["ended"]
            more = [] if session is None else ["--session", session]
            return f"{ended} ended\n$ {command('users revoke', user, *more)}"

        name = label_of(user)
        after = "it stays disabled" if user["disabled"] else "it can sign in again"
        self.ask(f"End {what} of {name}? Connections close at once; {after}.",
                  lambda: self.run(f"revoke: {name}", step, done))  # fmt: skip

    def _reset_factor(self, user: User, done: Done) -> None:
        async def step() -> str:
            is_gone = (await self._post(user, "reset-factor", {}))["removed"]
            words = "it has no second factor any more" if is_gone else "it had no second factor"
            return f"{words}\n$ {command('users reset-factor', user)}"

        name = label_of(user)
        self.ask(f"Take the second factor of {name} away? It signs in without one until it sets up"
                  " another.", lambda: self.run(f"reset factor: {name}", step, done))  # fmt: skip

    def _delete(self, user: User, done: Done) -> None:
        async def step() -> str:
            await self._post(user, "delete", {})
            return f"it is gone\n$ {command('users delete', user)}"

        self._by_name(user, "Delete", "its sessions, and what its references say", step, done)

    def _erase(self, user: User, done: Done) -> None:
        async def step() -> str:
            words = erased_words(await self._post(user, "erase", {}, is_patient=True))
            return "\n".join([*words, f"$ {command('users erase', user)}"])

        self._by_name(
            user, "Erase", "its rows, and all that log, answers, jobs, mails and files have of it,"
            " for good", step, done,
        )  # fmt: skip

    def _by_name(
        self, user: User, verb: str, what: str, step: Callable[[], Awaitable[str]], done: Done
    ) -> None:
        """Do something that cannot be taken back once its name was typed."""
        name = label_of(user)

        def typed(text: str | None) -> None:
            if text is not None:
                self.run(f"{verb.lower()} {name}", step, done)

        place = "" if self.is_dev else "PRODUCTION: "
        self._app.push_screen(
            Prompt(f"{place}{verb} {name}, {what}",
                   f"type {name}", lambda text: "" if text == name else f"that is not {name}"),
            typed,
        )  # fmt: skip

    # --- looking through its eyes

    def _ghost(self, user: User, done: Done) -> None:
        self._app.push_screen(GhostScreen(self._app, id_of(user), None))

    def _sign_in_as(self, user: User, done: Done) -> None:
        if not self.is_dev:
            return

        async def step() -> str:
            url = str((await self._post(user, "sign-in-as", {}))["url"])
            line = f"$ {command('login-link', user)}"
            if await open_page(url):
                said = "the page that opens signs in, once; a private window keeps your own session"
                return f"{said}\n{line}"
            words = f"No browser opens from here. This works once, within ten minutes:\n\n{url}"
            self._app.push_screen(Details(f"Sign in as {label_of(user)}", words, copied=url))
            return line

        self.run(f"sign in as {label_of(user)}", step, done)

    def _export(self, user: User, done: Done) -> None:
        name = label_of(user)
        proposed = Path.cwd() / f"{''.join(_plain(one) for one in name)[:80]}.json"

        def typed(text: str | None) -> None:
            if text is None:
                return

            async def step() -> str:
                file = OwnFile(typed_path(text))
                path = f"admin/users/{self._admin.quoted(id_of(user))}/export"
                count = await file.write(lambda target: self._admin.download(path, target))
                return f"{count:,} bytes in {file.path}\n$ {command('users export', user)} > FILE"

            self.run(f"export {name}", step, done)

        self._app.push_screen(
            Prompt(f"Export {name} to", "a file that is not there yet", OwnFile.objection,
                   value=str(proposed)),
            typed,
        )  # fmt: skip


def invited_words(made: dict[str, Any], *, is_dev: bool) -> str:
    """Return what an invitation did, where its mail went, and the link."""
    mail = made.get("mail") or {}
    way = f"stays on this machine, in {mail.get('folder', 'the outbox')}"
    way += ", and on m, the Mail screen" if is_dev else ": no mail server is set"
    if mail.get("way") == "smtp":
        way = f"goes to {made['email']} by {mail['host']}"
    roles = ", ".join(made["roles"]) or "none"
    options = [word for one in made["roles"] for word in ("--role", str(one))]
    line = shlex.join(["pylon", "users", "invite", str(made["email"]), *options])
    return (f"roles   {roles}\nmail    {way}\nworks   once, within a week\n\n"
            f"{made['url']}\n\n$ {line}")  # fmt: skip


def _plain(character: str) -> str:
    is_plain = character.isascii() and (character.isalnum() or character in "@.+-_")
    return character if is_plain else "_"


def _some(lead: str, names: list[str]) -> str:
    """Return a hint with the first of the names that can be given."""
    if not names:
        return f"{lead}any short name"
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return f"{lead}{', '.join(names[:_NAMES_SHOWN])}{more} (→ completes)"


def _wrong_role(has: list[str], *, grant: bool) -> Callable[[str], str]:
    def objection(role: str) -> str:
        if grant:
            return f"it has {role} already" if role in has else ""
        return "" if role in has else f"it has only {', '.join(has)}"

    return objection


def _effect(role: str, known: dict[str, list[str]], changed: dict[str, Any]) -> str:
    """Return what a change of a role does: which policies ask for it, who is judged anew."""
    where = known.get(role, [])
    if role == "admin":
        asked = "admin makes auth.isAdmin true"
    elif where:
        more = f" and {len(where) - _NAMES_SHOWN} more" if len(where) > _NAMES_SHOWN else ""
        asked = f"asked for by {', '.join(where[:_NAMES_SHOWN])}{more}"
    else:
        asked = "no policy asks for it"
    count = changed.get("connections", 0)
    live = (
        f"{count} connection{'' if count == 1 else 's'} judged anew" if count else "not connected"
    )
    return f"{asked}; {live}; has now: {', '.join(changed['roles']) or 'no role'}"
