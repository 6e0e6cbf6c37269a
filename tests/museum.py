"""A project with something on every screen of the dashboard, plain or made to break terminals.

Whatever can hold a text holds one of `WORDS`: names of files, mails, arguments, errors, payloads,
lines of the log, names of clients, roles, policies, documentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pylon.client.admin import AdminClient
from pylon.testing.served import Caller, ServedProject

#: One word per way of steering a terminal or the library that draws. "PWNED" tells that it worked.
HOSTILE: Final = (
    "\x1b[2J\x1b[1;1HPWNED",  # CSI: clears the screen, goes to its corner
    "\x1b]0;PWNED\x07",  # OSC: title
    "\x1b]52;c;UFdORUQ=\x07",  # OSC 52: clipboard
    "\x1b]8;;http://evil.example/\x1b\\PWNED\x1b]8;;\x1b\\",  # OSC 8: link
    "\x1bP1$r0mPWNED\x1b\\\x1b_GPWNED\x1b\\\x1b^PWNED\x1b\\",  # DCS, APC, PM
    "\x9b2J\x9d0;PWNED\x9c\x90PWNED\x9c",  # the same as C1
    "\x1bc\x0e\x0f\x05\x7f\x08\x0b\x0c",  # reset, shift out, answerback, DEL, backspace
    "\u202egnorw\u202c \u2066iso\u2069 \u061c\u200f\u200e",  # turns text round
    "z\u200be\u200cr\u200do\ufeff\u2060\u00ad\u2028\u2029",  # no width, and lines of another kind
    "Z" + "\u0301\u0323\u0489" * 80,  # a tower of marks
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3ff\ufe0f\u6f22\uff37\u0e33" * 8,  # wide
    "[red]PWNED[/] [@click=app.quit]x[/] [link=http://evil.example]y[/] [/nothing] [b",  # markup
    "line\nline\r\n\ttab\x1a",
)  # fmt: skip
PLAIN: Final = ("tea", "coffee", "a cake of two layers")

#: What each screen shows once it has read what it shows.
SHOWN: Final = {
    "projects": "running", "log": "insert", "data": "Note", "clients": "ada@",
    "functions": "breaks", "jobs": "✗ dead", "workflows": "◔ parked", "policies": "insert",
    "users": "u1@", "mail": "ada@", "files": "● owned", "backups": "✓ proven",
    "health": "loop_lag_ms", "doctor": "notes", "schema": "papers", "branches": "spare",
    "settings": "SETTING", "runtime": "noted", "commands": "",
}  # fmt: skip

_APP: Final = '''
"""A museum of {doc}."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Literal

from pylon import App, Entity, File, Ref, Refused, actor, field

app = App("museum", version="1")
WORDS = {words!r}
WORD = {word!r}


@app.entity(
    read="auth.userId != null || data.title == {quoted}", insert="auth.userId != null",
    update="isOwner() || hasRole('keeper')", delete="hasRole('keeper')",
)
class Thing(Entity):
    """{doc}"""

    title: str = ""
    kind: Literal["plain", "odd"] = "plain"
    weight: float | None = None
    papers: dict | None = None
    ownerId: Ref["User"] = field(default=actor)
    file: File | None = None
    seen: datetime | None = None


@app.entity(read="true", insert="auth.userId != null", update="true", delete="true")
class Note(Entity):
    text: str
    thingId: Ref["Thing"] | None = field(default=None, on_delete="cascade")


@app.query
def things(ctx, word: str = {word!r}) -> list[Thing]:
    """{doc}"""
    return ctx.db.list(Thing)


@app.mutation(allow="true")
def note(ctx, text: str) -> str:
    ctx.log.info("noted %s", text)
    return ctx.db.insert("Note", text=text).text


@app.mutation(allow="true")
def refuse(ctx, text: str) -> None:
    raise Refused("NO", text, text=text)


@app.mutation(allow="true")
def breaks(ctx, text: str) -> None:
    raise ValueError(text)


@app.mutation(allow="true")
def fill(ctx) -> None:
    for at, word in enumerate(WORDS):
        print(f"printed {{at}} {{word}}", flush=True)
        ctx.log.warning("warned %s %s", at, word)
        ctx.jobs.enqueue(done, word=word)
        ctx.jobs.enqueue(bad, word=word)
        ctx.jobs.enqueue(later, word=word, delay=86_400)
        ctx.workflows.start(order, item=word)
        ctx.workflows.start(fails, item=word)
        subject = "".join(one for one in word if one.isprintable() or one in "\u202e\u2066\u200b")
        ctx.mail.send("ada@example.com", subject[:150] or "x",
                      word + " http://127.0.0.1/auth/link#t=abc", None)


@app.job
def done(ctx, word: str) -> str:
    ctx.progress(0.5, word)
    return word


@app.job(retries=0)
def bad(ctx, word: str) -> None:
    raise ValueError(word)


@app.job
def later(ctx, word: str) -> None:
    pass


@app.cron("0 3 * * *")
def nightly(ctx) -> None:
    """{doc}"""


@app.workflow
async def order(ctx, item: str) -> str:
    await ctx.step(item[:60] or "x", note, text=item)
    await ctx.wait_for("paid", timeout=86_400)
    return item


@app.workflow
async def fails(ctx, item: str) -> str:
    return await ctx.step("breaks", breaks, retries=0, text=item)
'''


def make_museum(folder: Path, words: Sequence[str]) -> Path:
    """Write the project into a folder."""
    folder.mkdir(parents=True)
    word = " ".join(words)
    one_line = word.translate(dict.fromkeys(map(ord, "\n\r")))  # what a declaration can hold
    literal = "'" + one_line.translate({ord("\\"): "\\\\", ord("'"): "\\'"}) + "'"
    source = _APP.format(
        words=tuple(words), word=one_line, doc=_inside(one_line), quoted=_inside(literal)
    )
    (folder / "app.py").write_text(source)
    (folder / "mail").mkdir()
    (folder / "mail/hello.txt").write_text(
        f"Subject: hello {{{{name}}}}\n\n{one_line} {{{{name}}}}\n"
    )
    return folder


def _inside(text: str) -> str:
    """Return a text as it stands between double quotes in Python."""
    return repr(text)[1:-1].replace('"', '\\"') if '"' not in text else repr(text)[1:-1]


async def fill_museum(served: ServedProject, words: Sequence[str]) -> list[Any]:
    """Have somebody of every kind put something of every kind into it; returns what stays open."""
    admin = AdminClient.local(served.project)
    try:
        ada = await served.login("ada@example.com")
        answer = await ada.call("fill")
        assert answer.status == 200, answer
        await all_ended(admin)
        for at, word in enumerate(words):
            await _one_of_each(ada, at, word)
        await admin.post("admin/roles", {"user": "ada@example.com", "role": "keeper"})
        await admin.post("admin/backups", {})
        await admin.post("admin/branches", {"name": "spare"})
        return [await _client(ada, at, word) for at, word in enumerate(words[:4])]
    finally:
        await admin.close()


async def all_ended(admin: AdminClient) -> None:
    """Wait until what was begun stands still: what comes after it comes after it everywhere."""
    while True:
        jobs = (await admin.get("admin/jobs"))["jobs"]
        runs = (await admin.get("admin/workflows"))["runs"]
        if not any(one["state"] in ("available", "running") for one in (*jobs, *runs)):
            return
        await asyncio.sleep(0.05)


async def _one_of_each(ada: Caller, at: int, word: str) -> None:
    """Put a word into a row, a file, calls that go well and badly, and somebody's device."""
    sendable = word.encode().translate(None, bytes({*range(0x20), 0x7F})).decode()
    file = await ada.ask(
        "POST", "/api/files", data=b"%d" % at,
        headers={"X-Filename": quote(word), "Content-Type": "text/plain", "User-Agent": sendable},
    )  # fmt: skip
    assert file.status == 201, file
    thing = await ada.insert(
        "Thing", title=word, kind=("plain", "odd")[at % 2], weight=at / 3,
        papers={word[:60]: [word]}, file=file.body["id"],
    )  # fmt: skip
    await ada.insert("Note", text=word, thingId=thing["id"])
    for name in ("note", "refuse", "breaks", "nosuch"):
        await ada.call(name, text=word)
    await ada.served.anonymous().ask(
        "POST", "/api/auth/dev/login", {"email": f"u{at}@example.com"},
        headers={"User-Agent": sendable},
    )  # fmt: skip


async def _client(ada: Caller, at: int, word: str) -> Any:
    sendable = word.encode().translate(None, bytes({*range(0x20), 0x7F})).decode()
    socket = await ada.served.session.ws_connect(
        ada.served.url + "/api/sync/ws", protocols=("pylon.v1",),
        headers={**ada.headers, "User-Agent": sendable},
    )  # fmt: skip
    await socket.send_json({
        "type": "hello", "protocol": 1, "client_id": f"c{at} {word}",
        "subscriptions": [{"id": "1", "entity": "Thing"}],
    })  # fmt: skip
    return socket
