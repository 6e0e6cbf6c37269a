"""A project in which every text that somebody may choose begins with what steers a terminal.

Each text has a word of its own behind that: by it a screen that shows the text is known, and what
does not show it. What is long is as long as the runtime lets it be.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pylon import paths
from pylon.client.admin import AdminClient
from pylon.supervisor.claim import Record
from pylon.testing.served import Caller, ServedProject, SyncSocket
from pylon.testing.warm import WarmProject
from tests.museum import all_ended

#: Every text that is planted, by its word, and where it stands.
PLACES: Final = {
    "ttl": "a field of a row, in the effect of its change and in where a call was made",
    "big": "a field of a row, of 300,000 characters",
    "fct": "a name inside of a JSON field",
    "def": "the default of a field",
    "pol": "a policy",
    "fnd": "what a function says of itself",
    "arg": "the default of an argument",
    "alw": "who may call a function",
    "src": "the name of the file that a function stands in",
    "err": "an error of a function, of a million characters",
    "cod": "the code of a refusal",
    "msg": "the message of a refusal",
    "fol": "an argument of a call that is followed",
    "lin": "a line that the app logs",
    "mil": "a line that the app logs, of a million characters",
    "jky": "the key of a job",
    "jrg": "an argument of a job",
    "jrs": "the result of a job",
    "jer": "the error of a job",
    "prg": "what a job says of its progress",
    "wky": "the key of a run",
    "wrg": "an argument of a run",
    "stp": "the name of a step",
    "sig": "the name of a signal",
    "wrs": "the result of a step",
    "wer": "the error of a run",
    "sub": "the subject of a mail",
    "bod": "the text of a mail",
    "fil": "the name of a file",
    "cli": "the id of a client",
    "dev": "the name that a browser gives itself",
    "tok": "the name of a token",
    "rol": "the name of a role",
    "bwy": "why a backup failed, in its record",
    "bkd": "what a backup was made before, in its record",
    "bto": "where a backup was copied to, in its record",
    "btb": "the name of a table, in the record of a backup",
    "brw": "why a branch was made, in its record",
    "bro": "what a branch was made of, in its record",
    "dir": "the folder of the project",
    "sup": "the last error of a runtime, as its supervisor wrote it down",
    "bfd": "the folder of the backups, in pylon.toml",
    "evn": "the name of a variable, in pylon.toml",
    "env": "the value of a variable",
    "set": "a setting that there is not, in pylon.toml",
    "evm": "a variable that is not set, in pylon.toml",
    "app": "a mistake of app.py, of a million characters",
}  # fmt: skip
#: What can't hold a control character: what stands before the word there instead.
_BEFORE: Final = {
    "sub": "\u202e[red]", "fil": "[@click=app.quit]", "dev": "\x9d0;", "evn": "\x9b2J",
    "bod": "\x1b]52;c;UFdORUQ=\x07", "fol": "\x9d",
}  # fmt: skip


def word(name: str) -> str:
    """Return what is seen of a planted text."""
    return f"PWNED-{name}"


def text(name: str) -> str:
    """Return a planted text: obeyed, its beginning would take the word away."""
    assert name in PLACES, name
    return f"{_BEFORE.get(name, chr(0x1B))}{word(name)}"


BIG: Final = 300_000
MILLION: Final = 1_000_000

_APP: Final = '''
"""An app of planted texts."""

from __future__ import annotations

import importlib

from pylon import App, Entity, Refused

app = App("planted", version="1")
T = {texts!r}


@app.entity(read={policy!r}, insert="auth.userId != null", update="true", delete="true")
class Thing(Entity):
    title: str = T["def"]
    facts: dict | None = None
    big: str = ""


@app.query
def things(ctx, w: str = {arg!r}) -> list[Thing]:
    {fnd!r}
    return ctx.db.list(Thing)


@app.mutation(allow={allow!r})
def refuse(ctx) -> None:
    raise Refused(T["cod"], T["msg"])


@app.mutation(allow="true")
def breaks(ctx, tail: str = "") -> None:
    raise ValueError(T["err"] + "e" * {million})


@app.mutation(allow="true")
def step(ctx, word: str) -> str:
    return T["wrs"]


@app.action(allow="true")
async def say(ctx) -> None:
    ctx.log.warning("%s", T["mil"] + "m" * {million})
    ctx.log.warning("%s", T["lin"])


@app.mutation(allow="true")
def fill(ctx) -> None:
    ctx.jobs.enqueue(done, key=T["jky"], word=T["jrg"])
    ctx.jobs.enqueue(bad)
    ctx.workflows.start(order, key=T["wky"], item=T["wrg"])
    ctx.workflows.start(fails)
    ctx.mail.send("ada@example.com", T["sub"], T["bod"], None)


@app.job
def done(ctx, word: str) -> str:
    ctx.progress(0.5, T["prg"])
    return T["jrs"]


@app.job(retries=0)
def bad(ctx) -> None:
    raise ValueError(T["jer"] + "j" * {million})


@app.workflow
async def order(ctx, item: str) -> str:
    await ctx.step(T["stp"], step, word=item)
    await ctx.wait_for(T["sig"], timeout=86_400)
    return item


@app.workflow
async def fails(ctx) -> str:
    raise ValueError(T["wer"])


app.mutation(allow="true")(importlib.import_module(T["src"]).elsewhere)
'''
_SETTINGS: Final = """
[backup]
folder = {folder}
[mail]
from = {variable}
"""
_MISTAKEN: Final = """
[mail]
{unknown} = 1
url = {variable}
"""


def plant(folder: Path, state: Path) -> WarmProject:
    """Write the project, and return it with the environment that it wants."""
    folder.mkdir(parents=True)
    texts = {name: text(name) for name in PLACES}
    (folder / "app.py").write_text(
        _APP.format(
            texts=texts, million=MILLION, fnd=text("fnd"), arg=text("arg"),
            policy=f"auth.userId != null || data.title == '{text('pol')}'",
            allow=f"auth.userId != null || auth.userId == '{text('alw')}'",
        )
    )  # fmt: skip
    (folder / f"{text('src')}.py").write_text("def elsewhere(ctx) -> None:\n    pass\n")
    (folder / "pylon.toml").write_text(
        _SETTINGS.format(folder=json.dumps(text("bfd")), variable=json.dumps(f"env:{text('evn')}"))
    )
    environment = {text("evn"): "a@example.com", "PYLON_WEB_PACKAGE": text("env")}
    return WarmProject(folder, state, environment=environment)


async def fill(served: ServedProject) -> asyncio.Task[None]:
    """Have every text come to stand where it belongs; returns a client that goes on following."""
    admin = AdminClient.local(served.project)
    try:
        agent = {"User-Agent": text("dev")}
        answer = await served.anonymous().ask(
            "POST", "/api/auth/dev/login", {"email": "ada@example.com"}, headers=agent
        )
        ada = Caller(served, answer.body["token"], answer.body["user_id"])
        await ada.insert(
            "Thing", title=text("ttl"), big=f"{text('big')}{'b' * BIG}", facts={text("fct"): 1}
        )
        for name, status in (("say", 200), ("fill", 200), ("refuse", 422), ("breaks", 500)):
            answer = await ada.call(name)
            assert answer.status == status, answer
        await ada.ask(
            "POST", "/api/files", data=b"1",
            headers={"X-Filename": quote(text("fil")), "Content-Type": "text/plain"},
        )  # fmt: skip
        await admin.post("admin/roles", {"user": "ada@example.com", "role": text("rol")})
        await admin.post("admin/token", {"user": "ada@example.com", "name": text("tok")})
        backup = await admin.post("admin/backups", {})
        await admin.post("admin/branches", {"name": "spare"})
        await all_ended(admin)
        while (await admin.get("admin/backups"))["doing"] is not None:
            await asyncio.sleep(0.05)
        while (await admin.get("admin/branches"))["making"] is not None:
            await asyncio.sleep(0.05)
        follows = {"id": "1", "fn": "things", "args": {"w": text("fol")}}
        client = await ada.sync(follows, client_id=text("cli"))
        following = asyncio.create_task(_follow(client))
        await asyncio.to_thread(_rewrite_records, served.project, backup["name"])
        return following
    finally:
        await admin.close()


async def _follow(client: SyncSocket) -> None:
    """Answer whether it is there still, until that is cancelled; the socket ends with the task."""
    try:
        await client.until("closed", timeout_s=300)
    finally:
        await client.close()


def _rewrite_records(project: Path, backup: str) -> None:
    """Put texts into the files that tell of backups, branches and the last supervisor."""
    record = project / text("bfd") / f"{backup}.json"
    away = {"to": text("bto"), "at_ms": 0, "state": "failed", "why": text("bwy")}
    told = json.loads(record.read_bytes())
    told |= {"state": "failed", "why": text("bwy"), "kind": text("bkd"), "away": [away]}
    told["contents"]["rows"][text("btb")] = 1
    record.write_text(json.dumps(told))
    about = project / ".pylon/branches/spare/about.json"
    about.write_text(
        json.dumps(json.loads(about.read_bytes()) | {"why": text("brw"), "of": text("bro")})
    )
    gone = Record(1, 0, "dev", "127.0.0.1", 0, error_at_ms=1, error=text("sup"))
    paths.supervisor_file(project).write_text(json.dumps(asdict(gone)))


def spoil(project: Path) -> None:
    """Have settings and code say what they can't: what runs already goes on, and tells of it."""
    (project / "pylon.toml").write_text(
        _MISTAKEN.format(unknown=json.dumps(text("set")), variable=json.dumps(f"env:{text('evm')}"))
    )
    (project / "app.py").write_text(f"raise ValueError({text('app')!r} + 'a' * {MILLION})\n")
