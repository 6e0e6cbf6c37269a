"""A problem in one file: nothing of anybody in it, and the same changes on another machine."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from pylon.server.storage.backup import verify_file
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.test_past_commands import Pylon

#: Each is planted in one place, and must not stand in the report in any form.
CANARIES = {
    name: f"zqx{number}vuln{name}wopper"
    for number, name in enumerate(
        ("mailurl", "webhook", "environ", "dotenv", "code", "name", "text", "hidden", "jsontext",
         "jsonkey", "bytes", "mailto", "mailsubject", "mailtext", "filename", "filebytes", "jobarg",
         "secretarg", "refused", "thrown", "logged", "kept", "password", "tokenname", "local",
         "ids", "boss", "chief"), 11,
    )
}  # fmt: skip
APP = f"""
from __future__ import annotations

from datetime import datetime
from typing import Literal

import os

import parts.words
from pylon import App, Entity, File, Ref, Refused, actor, field, index, now

app = App("shop", version="2")
PAYMENT_KEY = "k"
api_token = "{CANARIES["code"]}"


@app.entity(read="true", insert="true", update="true", delete="true")
class Shelf(Entity):
    name: str
    byId: Ref["User"] | None = field(default=actor)


@app.entity(read="true", insert="true", update="true", delete="true")
class Item(Entity):
    shelfId: Ref[Shelf] = field(on_delete="cascade")
    text: str = field(min_length=1, search=True)
    mail: str | None = field(unique=True)
    colour: str | None = field(pattern="#[0-9a-f]{{6}}")
    state: Literal["new", "sold"] = "new"
    rank: int = 0
    cost: int | None = field(private=True, min=0, max=99_999)
    hush: str | None = field(private=True)
    made: datetime = field(default=now)
    data: dict | None = None
    raw: bytes | None = None
    picture: File | None = None
    kept: str | None = None
    by_shelf = index("shelfId", "rank")


@app.entity(read="auth.email == '" + os.environ.get("BOSS", "") + "@example.com'",
            insert="auth.email == '{CANARIES["chief"]}@corp.example'")
class Memo(Entity):
    text: str


@app.mutation
def sell(ctx, itemId: str, why: str, secretToken: str, mail: list[str]) -> None:
    item = ctx.db.get("Item", itemId)
    ctx.log.warning("selling %s to \\x1b[31m%s", item.text, why)
    ctx.db.update("Item", itemId, state="sold", text=item.text + " sold")
    ctx.mail.send(*mail)
    ctx.jobs.enqueue(deliver, why=why, secretToken=secretToken)


@app.mutation
def refuse(ctx, why: str) -> None:
    raise Refused("TOO_LATE", f"it is too late for {{why}}", why=why)


@app.job(retries=0)
def deliver(ctx, why: str, secretToken: str) -> None:
    raise ValueError(f"cannot deliver {{why}} ({{secretToken}})")
"""
TOML = f"""
[mail]
url = "smtp://{CANARIES["local"]}:{CANARIES["mailurl"]}@mail.example:587"

[alerts]
webhook = "env:HOOK"

[auth]
methods = ["magic", "password"]

[log]
retain_days = 11
"""


async def _ada_works(served: ServedProject) -> tuple[Caller, dict[str, str]]:
    can = CANARIES
    ada = await served.login(f"{can['name']}@example.com")
    shelf = await ada.insert("Shelf", id=can["ids"], name=can["name"])
    uploaded = await ada.ask(
        "POST", "/api/files", data=can["filebytes"].encode(),
        headers={"Content-Type": "text/plain", "X-Filename": f"{can['filename']}.txt"},
    )  # fmt: skip
    assert uploaded.status == 201, uploaded
    item = await ada.insert(
        "Item", shelfId=shelf["id"], text=f"{can['text']} twice {can['text']}",
        mail=f"{can['text']}@example.com", colour="#00ff7a", cost=4711, hush=can["hidden"],
        data={"state": can["jsontext"], can["jsonkey"]: [1, can["jsontext"]]},
        raw=base64.b64encode(can["bytes"].encode()).decode(), kept=can["kept"],
        picture=uploaded.body,
    )  # fmt: skip
    other = await ada.insert("Item", shelfId=shelf["id"], text="second", mail="x@example.com")
    done = await ada.call(
        "sell", itemId=item["id"], why=can["jobarg"], secretToken=can["secretarg"],
        mail=[f"{can['mailto']}@example.com", can["mailsubject"], can["mailtext"]],
    )  # fmt: skip
    assert done.status == 200, done
    assert (await ada.call("refuse", why=can["refused"])).status == 422
    assert (
        await ada.call("sell", itemId="nobody", why=can["thrown"], secretToken="x", mail=[])
    ).status == 500
    gone = await ada.ask("DELETE", f"/api/entities/Item/{other['id']}")
    assert gone.status in (200, 204), gone
    return ada, {"shelf": shelf["id"], "item": item["id"]}


def _unpacked(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def _stored_secrets(database: Path) -> list[str]:
    """Return what signs people in, as it is stored."""
    found: list[bytes | str] = []
    connection = sqlite3.connect(database)
    try:
        for table, column in (("_pylon_sessions", "hash"), ("_pylon_codes", "hash"),
                              ("_pylon_passwords", "hash"), ("_pylon_sessions", "id")):  # fmt: skip
            found += [one for (one,) in connection.execute(f"SELECT {column} FROM {table}")]
    finally:
        connection.close()
    made = []
    for one in found:
        raw = one.encode() if isinstance(one, str) else one
        made += [raw.hex(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
        made += [one] if isinstance(one, str) else []
    return made


async def test_nothing_of_anybody_leaves_and_the_changes_come_back(
    serve: Serve, tmp_path: Path
) -> None:
    """Secrets stand everywhere and none is in the report; replayed elsewhere, all is the same."""
    can = CANARIES
    served = await serve(
        APP, toml=TOML, is_started=False,
        environment={"HOOK": f"https://{can['webhook']}.example/", "MY_SECRET": can["environ"],
                     "BOSS": can["boss"]},
    )  # fmt: skip
    (served.project / "parts").mkdir()
    (served.project / "parts" / "words.py").write_text("WORDS = ['second']\n")
    (served.project / ".env").write_text(f"STRIPE={can['dotenv']}\n")
    await served.start()
    ada, ids = await _ada_works(served)
    pylon = Pylon(served)
    registered = await served.anonymous().post(
        "/api/auth/password/register",
        {"email": "eve@example.com", "password": f"{can['password']} x"},
    )
    assert registered.status < 300, registered
    token = await pylon("token", f"{can['name']}@example.com", "--name", can["tokenname"])
    jobs: list[Any] = []
    async with asyncio.timeout(60):
        while not jobs:
            jobs = json.loads(await pylon("jobs", "--state", "dead", "--json"))["jobs"]
    # The runtime's lines as its keeper would have stored them.
    log = next((served.state / "run").iterdir()) / "runtime.log"
    log.write_text(
        served.output + f"\n{can['logged']} Ada said \x1b[31m{can['logged']}\nmy {can['dotenv']}\n"
    )

    target = tmp_path / "report.zip"
    told = json.loads(await pylon("bug", "--out", str(target), "--json"))
    parts = _unpacked(target)
    whole = "\n".join([*parts, *parts.values()])
    folded = whole.casefold()
    for name, canary in can.items():
        for form in (canary, canary[::-1], canary.encode().hex(),
                     base64.b64encode(canary.encode()).decode()):  # fmt: skip
            assert form.casefold() not in folded, name
    for one in [
        *token.split(),
        ada.token or "",
        *_stored_secrets(served.project / ".pylon/app.db"),
    ]:
        assert len(one) < 12 or one not in whole, one
    assert str(tmp_path) not in whole
    assert "\x1b" not in whole
    assert target.stat().st_mode & 0o777 == 0o600

    # What is there can be read: code, versions, settings without secrets, what went wrong.
    assert {"code/app.py", "code/parts/words.py", "schema.json", "policies.json"} <= parts.keys()
    assert "retain_days = 11" in parts["pylon.toml"]
    assert told["bytes"] == target.stat().st_size
    assert told["accounts"] == 2  # who wrote, and who came in the stretch
    assert "pylon.toml: mail.url" in told["left_out"]
    assert told["kept_fields"]["Item"][:2] == ["shelfId", "state"]
    failures = json.loads(parts["failures.json"])
    (dead,) = failures["jobs"]
    assert dead["name"] == "deliver"
    assert dead["error"].startswith("ValueError: cannot deliver ")
    assert 'raise ValueError(f"cannot deliver' in dead["traceback"]
    assert "TOO_LATE" in {one["code"] for one in failures["functions"]}
    assert "job.dead deliver" in parts["runtime.log"]

    # Equal values stay equal, and references intact.
    changes = [json.loads(line) for line in parts["changes.jsonl"].splitlines()]
    by = {(one["entity"], one["kind"]): one for one in changes}
    shelf, sold = by["Shelf", "insert"], by["Item", "update"]
    item = next(one for one in changes if one["id"] == ids["item"] and one["kind"] == "insert")
    assert item["values"]["shelfId"] == shelf["id"] != ids["shelf"]
    assert len(item["values"]["text"]) == len(f"{can['text']} twice {can['text']}")
    assert (item["values"]["state"], sold["values"]["state"]) == ("new", "sold")
    assert "second" in {one["values"]["text"] for one in changes if one["values"]
                        and "text" in one["values"]}  # fmt: skip
    assert dead["args"]["why"] in whole

    kept = tmp_path / "kept.zip"
    await pylon("bug", "--out", str(kept), "--keep", "Item.kept", "--no-code")
    parts = _unpacked(kept)
    assert can["kept"] in parts["changes.jsonl"]
    assert not [name for name in parts if name.startswith("code/")]
    assert can["kept"] not in parts["README.txt"] + parts["failures.json"]
    made = json.loads(await pylon("branch", "create", "shown", "--masked", "--json"))
    assert made["is_masked"]
    await served.stop()

    await pylon("branch", "create", "again", "--masked", "--keep", "Item.kept")
    await _masked(served, pylon, can)
    await _replayed(target, tmp_path, changes)


async def _masked(served: ServedProject, pylon: Pylon, can: dict[str, str]) -> None:
    """Neither masked branch holds a canary anywhere in its file, and the app runs on it."""
    branches = served.project / ".pylon" / "branches"
    for name, kept in (("shown", ""), ("again", "kept")):
        assert sorted(one.name for one in (branches / name).iterdir()) == ["about.json", "app.db"]
        data = (branches / name / "app.db").read_bytes()
        found = [one for one, canary in can.items() if canary.encode() in data]
        assert found == ([kept] if kept else []), name
        await verify_file(branches / name / "app.db", is_live=False)
        # The log begins anew; a first start may add what its policies mean, as slices.
        with closing(sqlite3.connect(branches / name / "app.db")) as database:
            assert database.execute("SELECT count(*) FROM _pylon_log").fetchone() == (0,)
    await pylon("branch", "switch", "again")
    await served.start()
    try:
        (item,) = json.loads(await pylon("query", "Item", "--json"))["rows"]
        (shelf,) = json.loads(await pylon("query", "Shelf", "--json"))["rows"]
        assert (item["state"], item["kept"]) == ("sold", can["kept"])
        assert item["shelfId"] == shelf["id"] != can["ids"]
        users = json.loads(await pylon("users", "--json"))
        assert {one["email"].rpartition(".")[2] for one in users} == {"invalid"}
        assert shelf["byId"] in {one["id"] for one in users}
        await pylon("files", "verify")
        read = await served.anonymous().get(item["picture"]["url"])
        assert (read.status, read.body, item["picture"]["size"]) == (200, "", 0)
        await pylon("rows", "edit", "Item", item["id"], "--set", '{"rank": 3}')
    finally:
        await served.stop()


async def _replayed(report: Path, tmp_path: Path, changes: list[dict[str, Any]]) -> None:
    folder = tmp_path / "elsewhere"
    there = ServedProject(folder, tmp_path / "other-state")
    pylon = Pylon(there)

    async def replay(*arguments: str, code: int = 0) -> str:
        return await pylon.plain("bug", "replay", str(report), *arguments, code=code)

    assert "holds code of whoever made it" in await replay("--into", str(folder), code=1)
    assert not folder.exists()
    told = json.loads(await replay("--into", str(folder), "--yes", "--json"))
    assert (told["same"], told["changes"], told["jobs"]) == (True, len(changes), 1)
    assert "is there already" in await replay("--into", str(folder), "--yes", code=1)
    try:
        await there.start()
        rows = json.loads(await pylon("query", "Item", "--json"))["rows"]
        assert [one["state"] for one in rows] == ["sold"]
        point = json.loads(await pylon("log", "--at", str(changes[-1]["seq"]), "--json"))
        assert point["change"]["row_id"] == changes[-1]["id"]
        # What failed there fails here, by the same code.
        (job,) = json.loads(await pylon("jobs", "--state", "dead", "--json"))["jobs"]
        await pylon("jobs", "retry", job["id"])
        async with asyncio.timeout(60):
            found = job
            while found["state"] != "dead" or found["ended_at"] == job["ended_at"]:
                found = json.loads(await pylon("jobs", "show", job["id"], "--json"))
        assert found["error"] == job["error"]
    finally:
        await there.close()
