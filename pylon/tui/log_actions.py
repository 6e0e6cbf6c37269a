"""What can be done from the log: marks, differences, time travel, the lens, a saved stretch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.client.log_pytest import pytest_file
from pylon.printable import changes_in, counted, shell_line
from pylon.tui.acting import Acting
from pylon.tui.branch_actions import free_name, make_branch
from pylon.tui.dialogs import Menu, Prompt
from pylon.tui.export import typed_path
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What can be done on the Log.
LOG_VERBS: Final = (
    Verb("t", "travel", "Time travel: a slider over the log, from the change under the cursor",
         id="log.travel", cli="log", also="scrub"),
    Verb("L", "lens", "Row lens: the row of the change side by side, and its history",
         id="log.lens", cli="lens"),
    Verb("space,v", "mark", "Mark a change: the first and the last of a range", id="log.mark"),
    Verb("d", "diff", "What differs: between the marks, or from before this change to now",
         id="log.diff", cli="diff"),
    Verb("S", "save", "Save the marked range as a test", id="log.save", cli="log save",
         also="pytest"),
    Verb("P", "replay", "Replay the marked range into a branch", id="log.replay",
         cli="log replay"),
)  # fmt: skip


class LogActions(Acting):
    """The owner's hand on the log of one dashboard's app."""

    part = "changes"

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        #: The marked changes, in the order they were marked; two at most.
        self.marks: list[int] = []

    def _forget_numbers(self) -> None:
        self.marks.clear()

    def mark(self, seq: int) -> None:
        """Mark a change, or take its mark away; of three the first is let go."""
        if seq in self.marks:
            self.marks.remove(seq)
        else:
            self.marks = [*self.marks, seq][-2:]
        self._app.state.touch(self.part)

    def range_of(self, seq: int | None) -> tuple[int, int] | None:
        """Return the first and the last change that are meant; None where nothing is."""
        ends = [*self.marks, *([seq] if seq is not None and len(self.marks) < 2 else [])]
        return (min(ends), max(ends)) if ends else None

    def save(self, first: int, last: int) -> None:
        """Ask where to, and save changes as a test."""
        project = Path(str(self._app.state.status.get("project", ".")))
        folder = project if project.is_dir() else Path.cwd()

        def named(text: str | None) -> None:
            if text:
                target = typed_path(text)
                self.run(
                    f"save {first} to {last}",
                    lambda: self._save(target, project.name, first, last), lambda: None,
                )  # fmt: skip

        name = folder / "tests" / f"test_changes_{first}_to_{last}.py"
        self._app.push_screen(
            Prompt(f"Save changes {first} to {last} as a test in", "a file", value=str(name)), named
        )

    async def _save(self, target: Path, project: str, first: int, last: int) -> str:
        found = await self._admin.get("admin/log-range", **{"from": first, "to": last})
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(pytest_file(found, project))
        self.marks.clear()
        changes, rows = len(found["changes"]), len(found["before"])
        words = ["log", "save", str(first), str(last), "--as-pytest", str(target.absolute())]
        return (
            f"{counted(changes, 'change')} with {counted(rows, 'row')}"
            f" · {shell_line('test', target)}\n$ {shell_line(*words)}"
        )

    def replay(self, first: int, last: int) -> None:
        """Choose a branch, or have one made, and make changes once more there."""

        async def choose() -> None:
            try:
                found = await self._admin.get("admin/branches")
            except AdminError as error:
                say(self._app, error.message, is_bad=True)
                return
            names = [str(one["name"]) for one in found["branches"]]
            others = [one for one in names if one != found["current"]]
            if not others:
                self._replay_into_new(first, last, str(found["current"]), names)
                return
            into = await self._app.push_screen_wait(
                Menu(f"Replay changes {first} to {last} into", [(one, one) for one in others])
            )
            if into is not None:
                self.run(
                    f"replay {first} to {last}", lambda: self._replay(first, last, into),
                    lambda: None,
                )  # fmt: skip

        self._app.ahead.open("the branches", choose, group="choose")

    def _replay_into_new(self, first: int, last: int, current: str, names: list[str]) -> None:
        """Ask for the name of a branch, make it, and replay into it."""
        free = free_name(names)

        def named(text: str | None) -> None:
            if text is None:
                return
            name, what = text or free, f"replay {first} to {last}"

            self.run(what, lambda: self._copy_and_replay(first, last, name), lambda: None)

        title = f"Into a new branch, a copy of {current}: its name (enter: {free})"
        self._app.push_screen(Prompt(title, free, takes_nothing=True), named)

    async def _copy_and_replay(self, first: int, last: int, name: str) -> str:
        """Make a branch and replay into it; one into which nothing went is not left behind."""
        # A range that can't be had is refused before anything is copied.
        await self._admin.get("admin/log-range", **{"from": first, "to": last})
        await make_branch(self._admin, name)
        self._app.command_log.note(f"create {name}", f"pylon branch create {name}")
        done = await self._made_again(first, last, name)
        if done["refused"] is None:
            return self._replayed(first, last, done)
        hint = f"{name} is a copy of now: it has had these changes already"
        if not done["changes"]:
            hint = f"a copy of now has had these changes already; {await self._let_go(name)}"
        raise AdminError(_refusal(done), answer={"hint": hint})

    async def _let_go(self, name: str) -> str:
        """Remove the branch that was made for nothing; returns what became of it."""
        path = f"admin/branches/{self._admin.quoted(name)}/drop"
        try:
            await self._admin.post(path, {"confirm": name})
        except AdminError as error:
            return f"{name} is left: {error.message}"
        self._app.command_log.note(f"drop {name}", f"pylon branch drop {name}")
        return f"{name} was removed again"

    async def _replay(self, first: int, last: int, into: str) -> str:
        done = await self._made_again(first, last, into)
        if done["refused"] is not None:
            raise AdminError(_refusal(done))
        return self._replayed(first, last, done)

    async def _made_again(self, first: int, last: int, into: str) -> dict[str, Any]:
        return await self._admin.post("admin/log-replay", {"from": first, "to": last, "into": into})

    def _replayed(self, first: int, last: int, done: dict[str, Any]) -> str:
        self.marks.clear()
        into = done["into"]
        return (
            f"{_made(done)} · pylon branch diff {into}"
            f"\n$ pylon log replay {first} {last} --into {into}"
        )

    def nothing_meant(self) -> None:
        """Say how a range is marked."""
        say(self._app, "space marks the first and the last change of a range")


def _made(done: dict[str, Any]) -> str:
    return f"{changes_in(done['changes'], done['transactions'])} on {done['into']}"


def _refusal(done: dict[str, Any]) -> str:
    refused = done["refused"]
    return f"{_made(done)}; change {refused['seq']} was refused: {refused['error']['message']}"
