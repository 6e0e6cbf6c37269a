"""The user's editor: which one is opened, and how it is told the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pylon.tui import editing
from pylon.tui.editing import NoEditor, edit, editor_command

FILE = Path("/a project/pylon.toml")


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({"EDITOR": "nano"}, ["nano", "+3", str(FILE)]),
        ({"EDITOR": "nano", "VISUAL": "/bin/nvim -p"}, ["/bin/nvim", "-p", "+3", str(FILE)]),
        ({"EDITOR": "code --wait"}, ["code", "--wait", "--goto", f"{FILE}:3"]),
        ({"EDITOR": "hx"}, ["hx", f"{FILE}:3"]),
        ({"EDITOR": "ed"}, ["ed", str(FILE)]),
        ({}, ["vi", "+3", str(FILE)]),
    ],
)  # fmt: skip
def test_the_editor_is_told_the_line_as_it_wants_it(
    environment: dict[str, str], command: list[str]
) -> None:
    """VISUAL before EDITOR before what is there; one that is not known gets the file alone."""
    found = editor_command(FILE, 3, environment, lambda name: name if name == "vi" else None)
    assert found == command
    assert editor_command(FILE, None, {"EDITOR": "nano"}) == ["nano", str(FILE)]


@pytest.mark.parametrize(
    ("environment", "said"), [({}, "set EDITOR"), ({"EDITOR": "'open"}, "no command")]
)
def test_without_an_editor_it_says_what_to_do(environment: dict[str, str], said: str) -> None:
    """Neither one named, nor one that is usual; or a name that is no command line."""
    with pytest.raises(NoEditor, match=said):
        editor_command(FILE, 3, environment, lambda _: None)


async def test_an_editor_that_fails_is_said_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever left it by an error has not edited; one that ended well says nothing."""
    codes, commands = iter([3, 0]), []

    async def lend(app: object, command: list[str]) -> int:
        commands.append(command)
        return next(codes)

    monkeypatch.setattr(editing, "lend", lend)
    app = cast(Any, None)
    with pytest.raises(NoEditor, match="nano ended with 3"):
        await edit(app, FILE, 3, {"EDITOR": "nano"})
    await edit(app, FILE, None, {"EDITOR": "code -n"}, is_awaited=True)
    assert commands == [["nano", "+3", str(FILE)], ["code", "--wait", "-n", str(FILE)]]
