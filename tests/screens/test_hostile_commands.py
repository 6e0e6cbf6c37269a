"""I99 without a screen: the verbs of every screen as commands, over a runtime of hostile texts.

Each is run with text and with JSON, in this process and as if a terminal took what it prints:
where none does, the library of the command line hides what it was given.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Final

import pexpect
import pytest
from click.testing import CliRunner

from pylon.cli.main import main
from pylon.printable import STEERING
from pylon.testing.warm import WarmProject
from pylon.tui.registry import SCREENS
from tests.museum import HOSTILE, fill_museum, make_museum

pytestmark = pytest.mark.timeout(300)

#: Commands of each screen; `@` is the project's folder, {names} are ids of what the runtime holds.
_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "projects": ("projects list", "status @"),
    "log": ("log --project @ --at 20", "log stats --project @", "history Thing/{thing} --project @",
            "diff 1 60 --entity Thing --project @", "lens Thing/{thing} --project @"),
    "data": ("rows list Thing --project @", "rows get Thing {thing} --project @",
             "sql SELECT*FROM(Thing) --project @", "query Thing --project @"),
    "clients": ("clients list --project @", "clients show {client} --project @"),
    "functions": ("functions --project @", "call things {{}} --as ada@example.com --project @",
                  "call refuse {word} --project @", "call breaks {word} --project @"),
    "jobs": ("jobs list --project @", "jobs show {job} --project @"),
    "workflows": ("workflows list --project @", "workflows show {run} --project @"),
    "policies": ("policies @", "explain Thing {thing} --as ada@example.com --project @"),
    "users": ("users --project @", "users show ada@example.com --project @"),
    "mail": ("mail list --project @", "mail show {mail} --project @",
             "mail preview hello --project @"),
    "files": ("files list --project @", "files show {file} --project @"),
    "backups": ("backups list --project @",),
    "health": ("health --project @",),
    "doctor": ("doctor --app @",),
    "schema": ("schema --project @",),
    "branches": ("branch list --project @", "branch diff main spare --project @"),
    "settings": ("settings list --project @",),
    "runtime": ("check @",),  # with mistakes in the app, which quote it
    "commands": ("keys",),
}  # fmt: skip
#: A file or a pipe gets what these say as it is; a terminal does not.
_EXPORTS: Final = ("rows export Thing - --project @", "export --project @ -")
#: Has mistakes that quote what it says.
_MISTAKEN: Final = """
from pylon import App, Entity
app = App("mistaken")


@app.entity(read={policy!r})
class Thing(Entity):
    title: str
"""


async def test_no_command_prints_what_steers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text has marks for it, JSON escapes: also where a command fails, or exports to a terminal."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "m [red]x[/]", HOSTILE), tmp_path / "state")
    mistaken = tmp_path / "mistaken"
    mistaken.mkdir()
    (mistaken / "app.py").write_text(_MISTAKEN.format(policy=f"data.{HOSTILE[0]} == {HOSTILE[4]}"))
    try:
        await served.start()
        sockets = await fill_museum(served, HOSTILE)
        folder = str(served.project)
        assert set(_COMMANDS) == {one.name for one in SCREENS}
        names = await asyncio.to_thread(_names, folder)
        for screen, lines in _COMMANDS.items():
            at = str(mistaken) if screen == "runtime" else folder
            for line in lines:
                words = [
                    one.format_map(names).replace("@", at, one == "@") for one in line.split(" ")
                ]
                await asyncio.to_thread(_is_harmless, words)
        for line in _EXPORTS:
            words = [folder if one == "@" else one for one in line.split(" ")]
            shown = await asyncio.to_thread(
                pexpect.run, shlex.join([sys.executable, "-m", "pylon", *words]), 60
            )
            assert b"PWNED" in shown
            assert not _steering(shown.decode().replace("\r\n", "\n")), line
        for one in sockets:
            await one.close()
    finally:
        await served.close()


def _run(words: list[str]) -> tuple[int, str]:
    """Return the exit code of a command, and all that it prints."""
    with (
        CliRunner().isolation(color=True) as (_, _, output),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["pylon", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return code if isinstance(code, int) else 1, output.getvalue().decode()


def _ids(folder: str, *words: str) -> Any:
    code, said = _run([*words, "--project", folder, "--json"])
    assert code == 0, said
    return json.loads(said)


def _names(folder: str) -> dict[str, str]:
    def first(*words: str, name: str = "id") -> str:
        found = _ids(folder, *words)
        rows = found if isinstance(found, list) else next(
            one for one in found.values() if isinstance(one, list) and one and name in one[0]
        )  # fmt: skip
        return str(rows[0][name])

    return {
        "thing": first("rows", "list", "Thing"),
        "client": first("clients", "list", name="client_id"),
        "job": first("jobs", "list", "--state", "dead"),
        "run": first("workflows", "list"),
        "mail": first("mail", "list"),
        "file": first("files", "list"),
        "word": json.dumps({"text": " ".join(HOSTILE)}),
    }


def _is_harmless(words: list[str]) -> None:
    for line in (words, [*words, "--json"]):
        code, said = _run(line)
        assert said, line
        assert code in (0, 1), (line, said)
        assert not _steering(said), (line, said)


def _steering(said: str) -> set[str]:
    # The colours of `pylon explain`, and how a line of progress is wiped out.
    plain = re.sub("\x1b\\[[0-9]*m|\r\x1b\\[K", "", said)
    return {one for one in plain if ord(one) in STEERING} - {"\n"}
