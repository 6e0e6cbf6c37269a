"""An app with every kind of field and function: what `pylon codegen` is tried on."""

from __future__ import annotations

ALL_KINDS = '''
from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NotRequired, TypedDict

from pylon import App, BigInt, Entity, Json, Ref, Text, actor, field, now

app = App("kinds", version="1")


class Color(Enum):
    RED = "red"
    ODD = 'a "b" */'


class Point(TypedDict):
    x: int
    label: NotRequired[str]


@app.entity(read="true")
class Thing(Entity):
    """What there is. */ And more."""

    title: str
    body: Text | None = None
    count: int = 0
    big: BigInt = 0
    ratio: float | None = None
    price: Decimal = field(scale=2, default=Decimal("0.00"))
    isOpen: bool = False
    at: datetime = field(default=now)
    day: date | None = None
    state: Literal["draft", "sent"] = "draft"
    color: Color = Color.RED
    ownerId: Ref["User"] = field(default=actor, immutable=True, doc="Who made it.")
    parentId: Ref["Thing"] | None = None
    tags: list[str] = field(default_factory=list)
    colors: list[Color] = field(default_factory=list)
    extra: dict | None = None
    json: Json | None = None
    raw: bytes = b""
    secret: str = field(private=True)


@app.entity(read="true")
class Date(Entity):
    """Named like something that TypeScript has."""


@app.entity(read="true")
class Date_(Entity):
    """Named as that one is called in TypeScript."""


@app.entity(read="true")
class RefusalCode(Entity):
    """Named like something that the generated file has."""


@app.query
def things(
    ctx, state: Literal["draft", "sent"] = "draft", since: datetime | None = None
) -> list[Thing]:
    """All things of a state."""
    return ctx.db.list("Thing")


@app.mutation
def move(ctx, id: Ref["Thing"], to: Point, colors: list[Color] = []) -> Thing | None: ...


@app.query
def dates(ctx) -> dict[str, Date]: ...


@app.query
def nothing(ctx) -> None: ...


@app.action
async def stream(ctx, n: int) -> AsyncIterator[int]:
    yield n


@app.action
async def anything(ctx, value=None): ...


@app.mutation
def _hidden(ctx) -> None: ...
'''
