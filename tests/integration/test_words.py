"""What commands say of what is not there, and how they say sizes and counts."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Serve
from tests.shell import Shell

APP = """
from pylon import App, Entity

app = App("words")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
"""
_SIZE = re.compile(r"\d+(\.\d)? (B|KiB|MiB)\b")


async def test_errors_say_what_to_do_and_sizes_are_read_by_people(
    serve: Serve, tmp_path: Path
) -> None:
    """A question about what is not there names where to look; no raw bytes, no `1 rows`."""
    served = await serve(APP)
    pylon = Shell(served)
    user = await served.login("ada@example.com")
    await user.insert("Note", text="a")
    for arguments, wanted in (
        (("query", "Zebra"), "`pylon rows` lists the entities"),
        (("query", "Note", "zebra == 1"), "`pylon schema Note` lists the fields"),
        (("query", "Note", "text =="), "`pylon query --help` has an example"),
        (("sql", "SELECT * FROM Zebra"), "`pylon schema` lists them"),
        (("sql", "SELECT zebra FROM Note"), "lists the fields"),
        (("sql", "SELEC 1"), "such as: SELECT count(*) FROM User"),
        (("sql", " "), "such as: SELECT count(*) FROM User"),
    ):
        said = await pylon(*arguments, code=1)
        assert wanted in said, (arguments, said)

    target = tmp_path / "notes.jsonl"
    assert _SIZE.search(await pylon("rows", "export", "Note", str(target)))
    assert _SIZE.search(await pylon("branch", "create", "try"))
    assert _SIZE.search(await pylon("branch", "list"))
    assert _SIZE.search(await pylon("rows"))
    said = await pylon("backup", str(tmp_path / "copy.db"))
    assert _SIZE.search(said)
    assert " bytes" not in said
    assert "1 row inserted" in await pylon("import", str(_one_row(tmp_path)))


def _one_row(folder: Path) -> Path:
    file = folder / "one.jsonl"
    file.write_text('{"_entity": "Note", "text": "b"}\n')
    return file
