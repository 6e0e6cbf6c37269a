"""What can be done to branches: create, switch, compare, drop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from itertools import count
from typing import Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Details, Menu, Prompt
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

BRANCH_VERBS: Final = (
    Verb("c", "branch('create')", "Create: copy what is in use", id="branches.create",
         cli="branch create"),
    Verb("x", "branch('switch')", "Switch: go on with it", id="branches.switch",
         cli="branch switch"),
    Verb("d", "branch('diff')", "Diff: what the one in use has otherwise", id="branches.diff",
         cli="branch diff"),
    Verb("D", "branch('drop')", "Drop it", id="branches.drop", cli="branch drop"),
)  # fmt: skip
Branch = dict[str, Any]
_ROWS: Final = 100
_POLL_SECONDS: Final = 0.3
_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}


def _free_names() -> Iterator[str]:
    """Yield names for a branch that needs none in particular."""
    yield "try"
    yield from (f"try-{number}" for number in count(2))


def free_name(names: Collection[str]) -> str:
    """Return a name for a branch that none of these is."""
    return next(one for one in _free_names() if one not in names)


async def make_branch(admin: AdminClient, name: str) -> None:
    """Copy the branch in use into a new one, and wait until it is whole; raises AdminError."""
    answer = await admin.post("admin/branches", {"name": name})
    while "making" in answer:
        await asyncio.sleep(_POLL_SECONDS)
        found = await admin.get("admin/branches")
        if found["failure"] is not None:
            failure = found["failure"]
            raise AdminError(failure["message"], answer=failure)
        if found["making"] is None:
            answer = {}


class BranchActions(Acting):
    """The owner's hand on the branches of one dashboard's app."""

    part = "branches"

    def create(self, names: Collection[str], done: Done) -> None:
        """Copy the branch in use into one whose name is asked for; `names` are taken."""
        free = free_name(names)

        def named(text: str | None) -> None:
            if text is None:
                return
            name = text or free

            async def step() -> str:
                await make_branch(self._admin, name)
                return f"x goes on with it\n$ pylon branch create {name}"

            self.run(f"create {clean(name)}", step, done)

        title = f"Create a branch: its name (enter: {free})"
        self._app.push_screen(Prompt(title, free, takes_nothing=True), named)

    def switch(self, one: Branch, done: Done) -> None:
        """Go on with a branch, after a question; in production its name is to be typed."""
        name = str(one["name"])
        if one["is_current"]:
            say(self._app, f"{name} is in use")
            return

        async def step() -> str:
            path = f"admin/branches/{self._admin.quoted(name)}/switch"
            await self._admin.post(path, {"consent": not self.is_dev})
            option = "" if self.is_dev else " --consent"
            return f"clients follow under a new epoch\n$ pylon branch switch {name}{option}"

        def go() -> None:
            self.run(f"switch to {clean(name)}", step, done)

        if self.is_dev:
            self.ask(f"Go on with {clean(name)}? Open pages load anew.", go)
        else:
            self._typed(
                f"PRODUCTION: everybody sees {clean(name)} at once. Type its name", name, go
            )

    def drop(self, one: Branch, done: Done) -> None:
        """Remove a branch whose name is typed."""
        name = str(one["name"])
        if one["is_current"]:
            say(self._app, f"{name} is in use: x switches to another first")
            return

        async def step() -> str:
            path = f"admin/branches/{self._admin.quoted(name)}/drop"
            await self._admin.post(path, {"confirm": name})
            return f"$ pylon branch drop {name}"

        def go() -> None:
            self.run(f"drop {clean(name)}", step, done)

        place = "" if self.is_dev else "PRODUCTION: "
        self._typed(f"{place}Drop {clean(name)} and its rows? Type its name", name, go)

    def _typed(self, title: str, name: str, then: Done) -> None:
        def objection(text: str) -> str:
            return "" if text == name else f"that is not {name}"

        def answered(text: str | None) -> None:
            if text == name:
                then()

        self._app.push_screen(Prompt(title, name, objection), answered)

    def diff(self, one: Branch, current: str) -> None:
        """Show what the branch in use has otherwise than this one: counts, then rows."""
        name = str(one["name"])

        async def step() -> str:
            found = await self._admin.get("admin/branches-diff", old=name, new=current)
            moved = [
                each for each in found["entities"]
                if each["added"] or each["removed"] or each["changed"]
            ]  # fmt: skip
            if not moved:
                return f"{name} and {current} hold the same rows"
            options = [
                (each["entity"], f"{each['entity']}: +{each['added']} -{each['removed']} "
                                 f"~{each['changed']}")
                for each in moved
            ]  # fmt: skip

            def chosen(entity: str | None) -> None:
                if entity is not None:
                    self._rows(name, current, entity)

            self._app.push_screen(Menu(f"{name} → {current}: rows of", options), chosen)
            return ""

        self.run(f"compare with {clean(name)}", step, lambda: None, opens=True)

    def _rows(self, old: str, new: str, entity: str) -> None:
        async def step() -> str:
            found = await self._admin.get(
                "admin/branches-diff", old=old, new=new, entity=entity, limit=_ROWS
            )
            lines = []
            for row in found["rows"]:
                lines.append(f"{_SIGNS[row['kind']]} {entity}/{row['id']}")
                lines += [
                    f"    {field}: {row['before'][field]} → {row['after'][field]}"
                    for field in row["fields"]
                ]
            if found["next"] is not None:
                command = f"pylon branch diff {old} {new} --entity {entity} --after {found['next']}"
                lines.append(f"\nThere are more: {command}")
            self._app.push_screen(Details(f"{entity}: {old} → {new}", "\n".join(lines)))
            return ""

        self.run(f"rows of {clean(entity)}", step, lambda: None, opens=True)
