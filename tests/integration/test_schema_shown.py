"""`pylon schema`: fields and indexes, uses that are counted, and consent to one plan only."""

from __future__ import annotations

import re
from typing import Any

from pylon import jsonvalue
from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, Ref, field, index, now

app = App("shown")


@app.entity(read="true", insert="auth.userId != null")
class Note(Entity):
    text: str
    title: str = "t"
    other: int = 0
    parentId: Ref["Note"] | None = None
    at: datetime = field(default=now)
    long: str = "x" * 5_000

    by_text = index("text")
    by_other = index("other")
"""
TOKEN = "the-owner"


async def test_uses_plans_and_consent(serve: Serve) -> None:
    """A list by an index counts for it and for no other; a plan that moved is not agreed to."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN})
    owner, ada = Caller(served, TOKEN, None), await served.login("ada@example.com")
    await ada.insert("Note", text="a")

    async def shown() -> dict[str, Any]:
        found: dict[str, Any] = (await owner.get("/api/admin/schema")).body
        return found

    async def uses() -> dict[str, int]:
        (note,) = [one for one in (await shown())["entities"] if one["name"] == "Note"]
        return {one["name"]: one["uses"] for one in note["indexes"]}

    before = await uses()
    assert before["by_other"] == 0
    for _ in range(7):
        assert (await ada.post("/api/query/Note", {"where": {"text": "a"}})).status == 200
    (note,) = [one for one in (await shown())["entities"] if one["name"] == "Note"]
    assert {one["name"]: one["default"] for one in note["fields"]} == {
        "text": None, "title": '"t"', "other": "0", "parentId": None, "at": "now",
        "long": f'"{"x" * 199}…',
    }  # fmt: skip
    after = await uses()
    assert after["by_text"] >= before["by_text"] + 7
    assert after["by_other"] == 0
    assert "_ref_parentId" in after
    assert (await shown())["plan"] is None

    path = served.project / "app.py"
    path.write_text(re.sub(r'    title: str = "t"\n', "", APP))
    assert not (await owner.post("/api/admin/reload", {})).body["ok"]
    plan = (await shown())["plan"]
    assert "1 row has a value" in plan["text"]
    assert "before-migration" in plan["text"]
    await ada.insert("Note", text="b")
    given = {"consent": True, "plan": plan["hash"]}
    answer = (await owner.post("/api/admin/reload", given)).body
    assert "have changed since that plan" in str(answer["mistakes"])
    plan = (await shown())["plan"]
    assert "2 rows have a value" in plan["text"]
    assert (await owner.post("/api/admin/reload", {**given, "plan": plan["hash"]})).body["ok"]
    assert (await shown())["plan"] is None

    pylon = Shell(served)
    said = await pylon("schema", "Note")
    assert "has no entity Nothing" in await pylon("schema", "Nothing", code=1)
    assert "index by_other (other): UNUSED" in said
    await served.stop()
    stopped = jsonvalue.parse((await pylon("schema", "Note", "--json")).encode())
    assert [one["uses"] for one in stopped["entities"][0]["indexes"]] == [None, None, None]
