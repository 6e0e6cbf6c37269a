"""`pylon import` that is stopped, killed, or loses its runtime: the same command goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import closing
from pathlib import Path

from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from pylon import App, Entity

app = App("tree")


@app.entity(read="true", insert="true")
class Twig(Entity):
    name: str
"""
#: So many that no machine stores them all before one looks.
ROWS = 30_000


def _stored(project: Path, suffix: str) -> list[str]:
    """Return the names of all rows of a file, in order."""
    file = project / ".pylon" / "app.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        found = database.execute(
            'SELECT name FROM "Twig" WHERE name GLOB ? ORDER BY name', (f"{suffix[1:]} *",)
        )
        return [name for (name,) in found]


async def _import(served: ServedProject, file: Path) -> Process:
    arguments = ["import", str(file), "--project", str(served.project), "--json"]
    if file.suffix == ".csv":
        arguments += ["--entity", "Twig"]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", *arguments, stdout=PIPE, stderr=PIPE,
        env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
    )  # fmt: skip


async def _stopped_amid(served: ServedProject, file: Path) -> Process:
    """Start an import and stop it (SIGSTOP) where there are more rows of its file than before."""
    before = len(_stored(served.project, file.suffix))
    command = await _import(served, file)
    while True:
        await asyncio.sleep(0.01)
        assert command.returncode is None, await command.communicate()
        command.send_signal(signal.SIGSTOP)
        if len(_stored(served.project, file.suffix)) > before:
            return command
        command.send_signal(signal.SIGCONT)


def _file(folder: Path, form: str) -> tuple[Path, list[str]]:
    """Return a file of rows without ids, which are minted, and their names."""
    file, names = folder / f"rows.{form}", [f"{form} {n:05d}" for n in range(ROWS)]
    if form == "csv":
        lines = ["name", *names]
    else:
        lines = [json.dumps({"_entity": "Twig", "name": one}) for one in names]
    file.write_text("".join(f"{one}\n" for one in lines))
    return file, names


async def _finish(served: ServedProject, file: Path, names: list[str]) -> None:
    """Run it to its end: what was there is left, and in the end each row is there once."""
    there = len(_stored(served.project, file.suffix))
    assert 0 < there < ROWS
    command = await _import(served, file)
    told, said = await command.communicate()
    assert command.returncode == 0, said
    done = json.loads(told)
    # What was on its way when the command was killed arrived, or did not.
    assert done["before"] >= there
    assert done["before"] + done["inserted"] == ROWS
    assert _stored(served.project, file.suffix) == names


async def test_a_cut_off_import_goes_on_and_nothing_comes_twice(
    serve: Serve, tmp_path: Path
) -> None:
    """Killed, stopped by ctrl+c, its runtime killed: in the end each row is there once."""
    served = await serve(APP)
    file, names = _file(tmp_path, "jsonl")
    command = await _stopped_amid(served, file)
    command.send_signal(signal.SIGINT)
    command.send_signal(signal.SIGCONT)
    _, said = await command.communicate()
    assert command.returncode == 130, said
    assert b" in; the same command goes on from there" in said

    command = await _stopped_amid(served, file)
    served.process.kill()
    command.send_signal(signal.SIGCONT)
    _, said = await command.communicate()
    assert command.returncode == 1, said
    await served.process.wait()
    await served.start()
    await _finish(served, file, names)

    file, names = _file(tmp_path, "csv")
    command = await _stopped_amid(served, file)
    command.kill()
    await command.communicate()
    await _finish(served, file, names)
