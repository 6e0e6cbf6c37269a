"""The past from the command line: a point, a row's history, differences, and a saved stretch."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pylon.cli.main import cli
from pylon.errors import PylonError
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, actor, field

app = App("past")


@app.entity(read="true", insert="true", update="true", delete="true")
class Board(Entity):
    name: str
    parentId: Ref["Board"] | None = None
    byId: Ref["User"] | None = field(default=actor)
    code: str = field(default="hush", private=True)


@app.entity(read="true", insert="true", update="true", delete="true")
class Card(Entity):
    boardId: Ref[Board] = field(on_delete="cascade")
    text: str = field(min_length=1)


@app.mutation
def shout(ctx, cardId: str) -> None:
    card = ctx.db.get("Card", cardId)
    ctx.db.update("Card", cardId, text=card.text.upper())
"""


async def _ada_works(served: ServedProject) -> tuple[Caller, dict[str, Any]]:
    ada = await served.login("ada@example.com")
    top = await ada.insert("Board", name="top")
    board = await ada.insert("Board", name="plans", parentId=top["id"])
    card = await ada.insert("Card", boardId=board["id"], text="walk")
    await ada.call("shout", cardId=card["id"])
    return ada, {"top": top, "board": board, "card": card}


class Pylon:
    """Runs commands in this process, beside a served project."""

    def __init__(self, served: ServedProject) -> None:
        self._served = served

    async def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return what a command about the project printed, or why it failed."""
        return await self.plain(*arguments, "--project", str(self._served.project), code=code)

    async def plain(self, *arguments: str, code: int = 0) -> str:
        """Return what a command printed, or why it failed."""
        state = str(self._served.state)
        done = await asyncio.to_thread(
            CliRunner(env={"PYLON_STATE_DIR": state}).invoke, cli, [*arguments]
        )
        error = done.exception
        text = error.message if isinstance(error, PylonError) else done.output
        assert done.exit_code == code, (arguments, done.output, error)
        return str(text)


async def _ask(pylon: Pylon, *arguments: str) -> Any:
    return json.loads(await pylon(*arguments, "--json"))


async def test_what_a_row_was_and_what_differs(serve: Serve) -> None:
    """Each command in lines and in JSON, and what it says to wrong questions."""
    served = await serve(APP)
    _, made = await _ada_works(served)
    pylon = Pylon(served)
    card = f"Card/{made['card']['id']}"
    born = made["card"]["_seq"]

    found = await _ask(pylon, "history", card)
    assert [one["fields"] for one in found["changes"]] == [["text"], ["boardId", "text"]]
    assert [one["name"] for one in found["blame"]["text"]["chain"]] == ["shout", "http"]
    lines = await pylon("history", card)
    assert 'text: "walk" → "WALK"' in lines
    assert "function shout ← request by http" in lines
    blamed = await pylon("history", card, "--blame")
    assert "ada@example.com" in blamed

    past = await _ask(pylon, "query", "Card", "--at", str(born))
    assert [one["text"] for one in past["rows"]] == ["walk"]
    file = served.state / "then.csv"
    await pylon("rows", "export", "Card", str(file), "--fields=text", "--at", str(born))
    assert file.read_text().splitlines() == ["id,text", f"{made['card']['id']},walk"]
    point = await _ask(pylon, "log", "--at", str(born - 1))
    assert (point["rows"]["Board"], point["rows"]["Card"]) == (2, 0)
    assert "ROWS" in await pylon("log", "--at", str(born))

    differ = await _ask(pylon, "diff", str(born))
    assert [(one["entity"], one["updated"]) for one in differ["entities"]] == [("Card", 1)]
    assert '"walk" → "WALK"' in await pylon("diff", str(born), "--entity", "Card")

    await pylon("restore-row", card, "--to", str(born))
    now = await _ask(pylon, "query", "Card")
    assert [one["text"] for one in now["rows"]] == ["walk"]
    seen = await _ask(pylon, "lens", card, "--as", "ada@example.com")
    assert seen["user"]["row"]["text"] == "walk"
    board = await pylon("lens", f"Board/{made['board']['id']}", "--as", "ada@example.com")
    assert "not given" in board  # private

    newest = await _ask(pylon, "log")
    assert [one["seq"] for one in newest] == list(range(1, newest[-1]["seq"] + 1))
    assert (newest[-1]["kind"], newest[-1]["cause"]) == ("update", "studio")
    assert "Card" in (await pylon("log")).splitlines()[-2]
    assert "there is no change 9999" in await pylon("log", "--at", "9999", code=1)
    assert "Entity/id" in await pylon("history", "Card", code=2)
    assert "no entity Crad" in await pylon("history", "Crad/x", code=1)
    assert "time:" in await pylon("diff", "yesterday", code=1)


async def test_a_saved_stretch_is_a_test_that_passes_and_can_fail(
    serve: Serve, tmp_path: Path
) -> None:
    """pytest runs the file against the app; against another app it says what is different."""
    served = await serve(APP)
    ada, made = await _ada_works(served)
    await ada.ask("DELETE", f"/api/entities/Board/{made['board']['id']}")
    pylon, project = Pylon(served), served.project
    first, last = made["card"]["_seq"], made["card"]["_seq"] + 2
    file = project / "tests" / "test_kept.py"
    file.parent.mkdir(exist_ok=True)
    done = await _ask(pylon, "log", "save", str(first), str(last), "--as-pytest", str(file))
    assert done["changes"] == 4  # the card, its text, and both go with the board
    assert done["rows"] == 3  # ada, the board, and the one that it refers to
    assert "http:shout" in file.read_text()
    again = await pylon("log", "save", str(first), str(last), "--as-pytest", str(file), code=1)
    assert "is there already" in again
    assert "1 passed" in await _pytest(project, file)

    app = project / "app.py"
    app.write_text(APP.replace("min_length=1", "min_length=1, max_length=3"))
    process = await _pytest(project, file)
    assert "1 failed" in process
    assert "text" in process


async def test_a_stretch_is_made_once_more_on_a_branch(serve: Serve) -> None:
    """As writes into its own log, by whom they were; the first that it refuses ends it."""
    served = await serve(APP)
    ada, made = await _ada_works(served)
    pylon = Pylon(served)
    await pylon("branch", "create", "lab")
    first = (await ada.insert("Card", boardId=made["board"]["id"], text="run"))["_seq"]
    await ada.call("shout", cardId=made["card"]["id"])
    await ada.ask("DELETE", f"/api/entities/Card/{made['card']['id']}")
    last = first + 2

    done = await _ask(pylon, "log", "replay", str(first), str(last), "--into", "lab")
    assert (done["changes"], done["transactions"], done["refused"]) == (3, 3, None)
    differ = await _ask(pylon, "branch", "diff", "lab")
    cards = next(one for one in differ["entities"] if one["entity"] == "Card")
    assert {name: cards[name] for name in ("added", "removed", "changed")} == {
        "added": 0, "removed": 0, "changed": 0,
    }  # fmt: skip
    again = await pylon("log", "replay", str(first), str(last), "--into", "lab", code=1)
    assert f"change {first} was refused there: this id is taken" in again
    assert "no branch" in await pylon("log", "replay", "1", "2", "--into", "nowhere", code=1)


async def test_a_branch_that_was_in_use_takes_a_stretch_too(serve: Serve) -> None:
    """Switched to and left again it is one like any other, and whoever comes back is signed in."""
    served = await serve(APP)
    ada, made = await _ada_works(served)
    pylon = Pylon(served)
    await pylon("branch", "create", "lab")
    await pylon("branch", "switch", "lab")
    await pylon("branch", "switch", "main")
    one = (await ada.insert("Card", boardId=made["board"]["id"], text="run"))["_seq"]
    two = (await ada.insert("Card", boardId=made["board"]["id"], text="on"))["_seq"]
    for seq in (one, two):
        done = await _ask(pylon, "log", "replay", str(seq), str(seq), "--into", "lab")
        assert (done["changes"], done["refused"]) == (1, None)
    await pylon("branch", "switch", "lab")
    found = await ada.ask("GET", "/api/entities/Card")
    assert {"run", "on"} <= {card["text"] for card in found.body["rows"]}


async def _pytest(project: Path, file: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto",
        str(file), cwd=project, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()
