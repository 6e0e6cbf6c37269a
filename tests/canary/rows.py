"""An app with every way to hide something, and the rows that hide it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: The text that a policy compares with: rules are names to callers, never their values.
POLICY_TEXT: Final = "cnry00000000p01ic"
#: What a function says where it breaks: for the log, and for nobody else.
BREAK_TEXT: Final = "cnry0000000b7ea4"

APP: Final = f'''
from __future__ import annotations
from datetime import datetime
from pylon import App, Entity, File, Json, Ref, Refused, Text, actor, field, index, now

app = App("canary")
SIGNED_IN = "auth.userId != null"
OF_TEAM = "exists Seat(teamId == data.teamId, userId == auth.userId)"


@app.entity(read="isOwner() || " + "exists Seat(teamId == data.id, userId == auth.userId)",
            insert=SIGNED_IN, update="isOwner()", delete="isOwner()")
class Team(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    name: Text = ""


@app.entity(read="isOwner() || auth.userId == data.userId", insert="isOwner()", delete="isOwner()")
class Seat(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: Ref["Team"] = field(on_delete="cascade")
    userId: Ref["User"] = field(on_delete="cascade", index=True)
    note: str = ""


@app.entity(read="hasRole('admin')", insert="hasRole('admin')", delete="hasRole('admin')")
class Ban(Entity):
    teamId: str = field(index=True)
    userId: Ref["User"] = field(on_delete="cascade")
    reason: str = ""


@app.entity(read="isOwner() || " + OF_TEAM + " || data.title == '{POLICY_TEXT}'",
            insert=SIGNED_IN, update="isOwner()", delete="isOwner() || hasRole('admin')")
class Paper(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: Ref["Team"] | None = field(default=None, on_delete="set_null")
    title: Text = ""
    tag: str | None = field(default=None, search=True)
    pay: int = field(default=0, read="isOwner() || hasRole('admin')")
    review: Text | None = field(default=None, read="hasRole('admin')")
    judgeId: Ref["User"] | None = field(default=None, on_delete="set_null", read="hasRole('admin')")
    inner: str | None = field(default=None, search=True, read=OF_TEAM)
    extra: Json | None = None
    scar: str | None = field(default=None, private=True)
    code: str | None = field(default=None, unique=True, private=True)


@app.entity(read=SIGNED_IN + " && !exists Ban(teamId == data.teamId, userId == auth.userId)",
            insert=SIGNED_IN, update=SIGNED_IN, delete="isOwner()")
class Notice(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: str = field(default="", index=True)
    text: Text = ""


@app.entity(read="data.open == true || hasRole('admin') || isOwner() || "
            "exists Seat(teamId == data.teamId, userId == auth.userId)",
            insert=SIGNED_IN, update="isOwner()", delete="isOwner()")
class Comment(Entity):
    paperId: Ref["Paper"] = field(on_delete="cascade")
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: str | None = None
    open: bool = False
    text: Text = ""


@app.entity(read="isOwner() || " + OF_TEAM, insert=SIGNED_IN, update="isOwner()",
            delete="isOwner()")
class Letter(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: str | None = None
    scan: File | None = None
    draft: File | None = field(default=None, read="hasRole('admin')")
    shut: File | None = field(default=None, private=True)
    text: Text = ""


@app.entity(read="data.at <= now || isOwner()", insert=SIGNED_IN)
class Later(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    at: datetime = field(default=now)
    text: Text = ""


@app.entity
class Vault(Entity):
    text: Text = ""
    userId: Ref["User"] | None = field(default=None, on_delete="set_null")


@app.entity(read="true", insert="true", sync=False)
class Board(Entity):
    text: Text = ""
    hidden: str | None = field(default=None, read="hasRole('admin')")


@app.query(allow="true")
def found(ctx, entity: str, id: str) -> dict | None:
    row = ctx.db.get(entity, id)
    return row and {{"row": row, "repr": repr(row), "pay": getattr(row, "pay", None)}}


@app.query(allow="true")
def listed(ctx, entity: str):
    return ctx.db.list(entity)


@app.query(allow="true")
def counted(ctx, entity: str, where: str) -> int:
    return ctx.db.count(entity, where=where)


@app.mutation
def tried(ctx, entity: str, id: str, values: dict) -> dict:
    return {{"row": ctx.db.update(entity, id, **values)}}


@app.mutation
def dropped(ctx, entity: str, id: str) -> None:
    ctx.db.delete(entity, id)


@app.mutation(allow="true")
def broken(ctx) -> None:
    ctx.db.insert("Paper", title="never")
    raise RuntimeError("{BREAK_TEXT}")


@app.job
def noted(ctx, id: str, text: str) -> str:
    try:
        ctx.db.update("Paper", id, title=text)
    except Exception as error:
        return type(error).__name__
    return "written"


@app.mutation
def later(ctx, id: str, text: str) -> str:
    return ctx.jobs.enqueue(noted, id=id, text=text)


@app.mutation
def mailed(ctx, text: str) -> str:
    return ctx.mail.send(to="somebody@x.example", subject="hello", text=text)


@app.action
async def relayed(ctx, entity: str, id: str) -> dict | None:
    return await ctx.run(found, entity=entity, id=id)


@app.action(allow="true")
async def streamed(ctx, entity: str):
    for row in await ctx.run(listed, entity=entity):
        yield row


@app.query(allow="true")
def filed(ctx, id: str) -> dict | None:
    file = ctx.files.get(id)
    return file and {{"name": file.name, "repr": repr(file)}}


@app.action(allow="true")
async def opened(ctx, id: str) -> str:
    return (await ctx.files.read(id)).decode()


@app.webhook("hook", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def hook(ctx, request):
    return [await ctx.run(listed, entity=name) for name in ("Paper", "Letter")]


@app.workflow
async def waiting(ctx, text: str) -> str:
    await ctx.wait_for("go", timeout=3600)
    raise Refused("NO", "the end")


@app.mutation
def begun(ctx, text: str) -> str:
    return ctx.workflows.start(waiting, text=text)


@app.mutation(internal=True)
def inside(ctx):
    with ctx.as_system():
        return ctx.db.list("Vault")
'''
SETTINGS: Final = """
[auth]
methods = ["magic", "link", "password", "guest", "oauth"]
[auth.oauth.github]
client_id = "canary"
client_secret = "env:OAUTH_SECRET"
"""
#: Read and not used by `pylon dev`, which keeps mail here.
MAIL_SETTINGS: Final = """
[mail]
url = "env:MAIL_URL"
"""


@dataclass(slots=True)
class Mint:
    """Makes canaries: texts and numbers that stand nowhere else."""

    chance: random.Random = field(default_factory=random.Random)

    def text(self) -> str:
        """Return a text; `alpha` is a word to search for."""
        return f"alpha cnry{self.chance.getrandbits(48):012x}"

    def number(self) -> int:
        """Return a number that JSON carries exactly."""
        return 7_000_000_000_000_000 + self.chance.getrandbits(49)


#: Fields that hold files.
HOLDERS: Final = ("scan", "draft", "shut")
LETTERS: Final = ("mine", "ours", "theirs")


def planted(
    mint: Mint, ids: Mapping[str, str], files: Mapping[tuple[str, str], str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the rows that the matrix is about, by id, those first that others refer to.

    Args:
        mint: makes canaries.
        ids: the users' by name.
        files: by letter and field.
    """
    owner, member, text = ids["owner"], ids["member"], mint.text
    rows: dict[str, tuple[str, dict[str, Any]]] = {
        "team": ("Team", {"ownerId": owner, "name": text()}),
        "else": ("Team", {"ownerId": None, "name": text()}),
        "seat-member": ("Seat", {"ownerId": owner, "teamId": "team", "userId": member,
                                 "note": text()}),
        "seat-other": ("Seat", {"ownerId": None, "teamId": "else", "userId": ids["other"],
                                "note": text()}),
        "ban-other": ("Ban", {"teamId": "else", "userId": ids["other"], "reason": text()}),
        "ban-member": ("Ban", {"teamId": "else", "userId": member, "reason": text()}),
        "vault": ("Vault", {"text": text(), "userId": owner}),
        "board": ("Board", {"text": text(), "hidden": text()}),
        "soon": ("Later", {"ownerId": owner, "at": "2026-01-01T12:00:00.000Z", "text": text()}),
        "far": ("Later", {"ownerId": member, "at": "2999-01-01T00:00:00.000Z", "text": text()}),
    }  # fmt: skip
    for name, team, by in (("mine", None, owner), ("ours", "team", owner), ("theirs", "else", None),
                           ("his", None, member), ("nobodys", None, None)):  # fmt: skip
        rows[f"paper-{name}"] = ("Paper", {
            "ownerId": by, "teamId": team, "title": text(), "tag": text(), "pay": mint.number(),
            "review": text(), "judgeId": ids["admin"], "inner": text(), "extra": {"in": [text()]},
            "scar": text(), "code": text(),
        })  # fmt: skip
        rows[f"notice-{name}"] = ("Notice", {"ownerId": by, "teamId": team or "",
                                             "text": text()})  # fmt: skip
        rows[f"comment-{name}"] = ("Comment", {
            "ownerId": by, "paperId": f"paper-{name}", "teamId": team, "open": name == "mine",
            "text": text(),
        })  # fmt: skip
        if name in LETTERS:
            held = {one: files[name, one] for one in HOLDERS}
            rows[f"letter-{name}"] = ("Letter", {"ownerId": by, "teamId": team, **held,
                                                 "text": text()})  # fmt: skip
    return rows
