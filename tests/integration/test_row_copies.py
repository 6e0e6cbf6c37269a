"""A row copied as code: the pytest runs and finds the row, the TypeScript says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.client.admin import AdminClient
from pylon.testing import running
from pylon.testing.inprocess import URL
from pylon.tui.data_copies import as_pytest, needs, typescript
from tests.integration import test_admin_data as data

World = data.World


async def described(world: World, *wanted: tuple[str, str]) -> list[tuple[Any, Any]]:
    """Return (entity, row) of rows, as the dashboard has them."""
    entities = {one["name"]: one for one in (await world.admin.get("admin/data"))["entities"]}
    return [
        (entities[name], (await world.admin.get(f"admin/data/{name}/{row_id}"))["row"])
        for name, row_id in wanted
    ]


async def texts(project: Path) -> tuple[str, list[tuple[str, str]]]:
    """Return a remark with all that it needs as a test, and as TypeScript; texts are nasty."""
    project.mkdir()
    (project / "app.py").write_text(data.APP)
    nasty = 'it\'s "quoted"\n\x1b[31m \\ {x} \u00fcn\u00ef'
    async with running(project) as harness:
        admin = AdminClient(URL, token=harness.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=harness.network.connector("owner"))
        ada = await harness.user("ada@example.com")
        assert ada.user_id is not None
        world = World(harness, admin, ada.user_id)
        for row_id in ("t1", "t2"):
            await world.insert("Task", row_id, title=row_id, ownerId=world.ada, rank=3)
        await world.insert("Remark", "r1", taskId="t1", seenId="t2", text=nasty)
        user, one, other, remark = await described(
            world, ("User", world.ada), ("Task", "t1"), ("Task", "t2"), ("Remark", "r1")
        )
        await admin.close()
    assert needs(*remark) == [("Task", "t1"), ("Task", "t2")]
    assert needs(*one) == [("User", world.ada)]
    return as_pytest([user, one, other, remark]), typescript(*remark)


async def test_a_copied_pytest_runs_and_a_wrong_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of the project, on a database of its own, with the rows that the row needs."""
    text, _ = await texts(tmp_path / "one")
    monkeypatch.chdir(tmp_path / "one")
    assert "hush-canary" not in text
    namespace: dict[str, Any] = {}
    exec(compile(text, "copied", "exec"), namespace)
    await namespace["test_remark_as_it_was"]()
    wrong = text.replace("assert row['text'] == ", "assert row['text'] == 'no' + ")
    assert wrong != text
    exec(compile(wrong, "copied", "exec"), namespace)
    with pytest.raises(AssertionError):
        await namespace["test_remark_as_it_was"]()


async def test_copied_typescript_names_entity_values_and_id(tmp_path: Path) -> None:
    """Keys as TypeScript writes them, texts as JSON; nothing steers a terminal."""
    _, ((_, insert), (_, query)) = await texts(tmp_path / "one")
    assert 'await db.insert("Remark", {\n  taskId: "t1",\n  seenId: "t2",\n  text: "it' in insert
    assert 'db.query("Remark", { where: { id: "r1" } })' in query
    assert "\x1b" not in insert


NAMED = """
from pylon import App, Entity

app = App("named")


@app.entity(read="true")
class Audit(Entity):
    entity: str
    self: str
    values: str = "v"
"""


async def test_fields_may_have_the_names_that_the_kit_has_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entity of a log of its own has a field `entity`: its row is copied, made and compared."""
    (tmp_path / "app.py").write_text(NAMED)
    monkeypatch.chdir(tmp_path)
    names = ("entity", "self", "values")
    fields = [{"name": one, "kind": "str", "private": False, "required": True, "ref": None}
              for one in names]  # fmt: skip
    row = {"id": "a1", "entity": "Task", "self": "me", "values": "w", "_seq": 1}
    namespace: dict[str, Any] = {}
    exec(
        compile(as_pytest([({"name": "Audit", "fields": fields}, row)]), "copied", "exec"),
        namespace,
    )
    await namespace["test_audit_as_it_was"]()
    values = {one: row[one] for one in names}
    async with running(tmp_path) as rt:
        await rt.replay([("Audit", "a1", values)], [])
        assert rt.stored("Audit", "a1") == values


PHOTO = """
from pylon import App, Entity, File

app = App("photo")


@app.entity(read="true")
class Photo(Entity):
    picture: File
    other: File | None = None
"""


async def test_a_row_that_needs_a_file_is_made_with_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes stay where they are; without any the row could not be made, and no test ran."""
    (tmp_path / "app.py").write_text(PHOTO)
    monkeypatch.chdir(tmp_path)
    fields = [{"name": name, "kind": "file", "private": False, "required": is_required, "ref": None}
              for name, is_required in (("picture", True), ("other", False))]  # fmt: skip
    file = {"id": "f1", "name": 'it\'s "a".txt', "type": "text/plain", "size": 9}
    entity = {"name": "Photo", "fields": fields}
    row = {"id": "p1", "picture": file, "other": file, "_seq": 1}
    namespace: dict[str, Any] = {}
    exec(compile(as_pytest([(entity, row)]), "copied", "exec"), namespace)
    await namespace["test_photo_as_it_was"]()
    ((_, insert), _) = typescript(entity, row)
    name = 'new File([], "it\'s \\"a\\".txt", { type: "text/plain" })'
    assert insert.endswith(f'db.insert("Photo", {{\n  picture: await db.upload({name})\n}});\n')
