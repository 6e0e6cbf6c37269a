"""What can be done with backups: create, verify, send, and with consent restore and drop."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any, Final

from pylon.client.admin import AdminError
from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Prompt
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

BACKUP_VERBS: Final = (
    Verb("c", "backup('create')", "Create one, and prove it", id="backups.create",
         cli="backups create"),
    Verb("v", "backup('verify')", "Verify it: restore it apart and compare", id="backups.verify",
         cli="backups verify"),
    Verb("R", "backup('restore')", "Restore it, in the place of the database",
         id="backups.restore", cli="backups restore"),
    Verb("s", "backup('send')", "Send a copy off this machine", id="backups.send",
         cli="backups send"),
    Verb("D", "backup('drop')", "Drop it for good", id="backups.drop", cli="backups drop"),
)  # fmt: skip
Backup = dict[str, Any]
_LOOK_SECONDS: Final = 0.3
_BACK_SECONDS: Final = 60.0


class BackupActions(Acting):
    """The owner's hand on the backups of one dashboard's app."""

    part = "backups"

    def __init__(self, app: Any, admin: Any) -> None:
        super().__init__(app, admin)
        self._to = ""

    def take(self, answer: dict[str, Any]) -> None:
        """Take how backups stand."""
        self._to = str(answer.get("to", ""))

    @property
    def is_read_only(self) -> bool:
        """Tell whether nothing may be restored or dropped: production, until it is unlocked."""
        return bool(self._app.production.is_locked)

    def _may(self) -> bool:
        if self.is_read_only:
            say(self._app, "PRODUCTION is read-only here: W unlocks it", is_bad=True)
        return not self.is_read_only

    def create(self, done: Done) -> None:
        """Make a backup and prove it; it takes nothing away, so nothing is asked."""
        self._work("backup", "admin/backups", {}, "pylon backups create", done)

    def verify(self, one: Backup, done: Done) -> None:
        """Prove a backup anew."""
        name = str(one["name"])
        self._work(f"verify {name}", f"{_path(one)}/verify", {}, f"pylon backups verify {name}",
                   done)  # fmt: skip

    def send(self, one: Backup, done: Done) -> None:
        """Copy a backup elsewhere, after asking where to."""
        name = str(one["name"])

        def sent(to: str | None) -> None:
            if to:
                line = shlex.join(["pylon", "backups", "send", name, "--to", to])
                self._work(f"send {name}", f"{_path(one)}/send", {"to": to}, line, done)

        self._app.push_screen(
            Prompt(f"Send {name} to", "file:///mnt/disk or s3://bucket/prefix", value=self._to),
            sent,
        )

    def restore(self, one: Backup, done: Done) -> None:
        """Put a backup in the place of the database, once its name was typed."""
        name = str(one["name"])
        if not self._may():
            return

        async def step() -> str:
            before = (await self._admin.get("admin/status"))["epoch"]
            await self._admin.post(f"{_path(one)}/restore", {"confirm": name})
            return await self._until_back(before, name)

        self._with_name(
            f"Restore {name}?", "everybody signs in again, and the present is kept", name,
            lambda: self.run(f"restore {name}", step, done),
        )  # fmt: skip

    async def _until_back(self, before: str, name: str) -> str:
        """Return once the app goes on in a new epoch; raises AdminError where it does not."""
        clock = self._app.clock
        end = clock.monotonic() + _BACK_SECONDS
        while clock.monotonic() < end:
            try:
                status = await self._admin.get("admin/status")
                found = await self._admin.get("admin/backups")
            except AdminError:  # it stops, and starts
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            if status["epoch"] != before:
                return f"the app is as {name} was\n$ pylon backups restore {name}"
            if found.get("restore_failed") is not None:
                raise AdminError(f"nothing was changed: {found['restore_failed']['why']}")
            await asyncio.sleep(_LOOK_SECONDS)
        raise AdminError("the app does not come back: look at its log")

    def drop(self, one: Backup, done: Done) -> None:
        """Remove a backup, once its name was typed."""
        name = str(one["name"])
        if not self._may():
            return

        async def step() -> str:
            await self._admin.post(f"{_path(one)}/drop", {"confirm": name})
            return f"{name} is gone\n$ pylon backups drop {name}"

        self._with_name(
            f"Drop {name} for good?", "nothing brings it back", name,
            lambda: self.run("drop", step, done),
        )  # fmt: skip

    def _with_name(self, question: str, so: str, name: str, then: Callable[[], None]) -> None:
        """Go on once somebody typed the name of what is at stake; `so` says what comes of it."""
        place = "" if self.is_dev else "PRODUCTION: "

        def typed(text: str | None) -> None:
            if text == name:
                then()

        self._app.push_screen(
            Prompt(f"{place}{question}", f"type its name: {so}",
                   lambda text: "" if text == name else f"that is not {clean(name)}"), typed,
        )  # fmt: skip

    def _work(self, what: str, path: str, body: dict[str, Any], said: str, done: Done) -> None:
        """Begin something long; what came of it is told when it is over."""

        async def step() -> str:
            begun = await self._admin.post(path, body)
            name = str(begun["name"])
            while True:
                now = await self._admin.get(f"admin/backups/{self._admin.quoted(name)}")
                if now["state"] != "doing":
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            bad = [one["why"] for one in now["away"] if one["state"] == "failed"]
            if now["state"] == "failed" or bad:
                raise AdminError(f"{name}: {now['why'] or bad[-1]}")
            return f"{name} is {now['state']}\n$ {said}"

        self.run(what, step, done)


def _path(one: Backup) -> str:
    return f"admin/backups/{one['name']}"
