"""The manifest: what clients may know of an app. Served at /api/schema; no policy texts in it."""

from __future__ import annotations

from typing import Any

import msgspec


class FieldManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One public field. `kind` is the schema's word; `type` the TypeScript type of its JSON."""

    name: str
    kind: str
    type: str
    nullable: bool = False
    required: bool = False
    immutable: bool = False
    #: Rows come without it to callers whom its own read policy does not let see it.
    guarded: bool = False
    ref: str | None = None
    choices: list[str] | None = None
    scale: int | None = None
    #: What a client can fill in by itself: {"value": …}, {"now": true} or {"actor": true}.
    default: dict[str, Any] | None = None
    doc: str | None = None


class RelationManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way from a row to its neighbours: the row that `field` names, or many that name it."""

    name: str
    entity: str
    field: str
    many: bool = False


class EntityManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entity with its public fields."""

    name: str
    fields: list[FieldManifest]
    relations: list[RelationManifest] = []
    sync: bool = True
    doc: str | None = None


class ArgumentManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One argument of a function."""

    name: str
    type: str
    required: bool = True


class FunctionManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One function that may be called from outside: query, mutation or action."""

    name: str
    kind: str
    arguments: list[ArgumentManifest]
    returns: str
    #: The type of what it yields, where it streams; `returns` is the list of them.
    part: str | None = None
    doc: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The serializable description of an app; `hash` is over all the rest but the version."""

    app: str
    version: str
    hash: str
    entities: list[EntityManifest]
    functions: list[FunctionManifest]
    #: Pages that connect as an older build are to be loaded again; 0 asks for nothing.
    min_client: int = 0
