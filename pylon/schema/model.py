"""The one model of an app's data: fields, indexes, entities, schema.

Words: a *row* in memory is a dict from field name to *value*; `fieldtypes` has the table that
turns a value into what SQLite stores, what the wire carries and what the app's code sees.
What does not live here: validation of values (`validate`), comparison of schemas (`diff`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

#: A value in memory: bool for bool, int for int, BigInt and Decimal (smallest unit), canonical
#: ISO text for datetime and date, text for Ref and enum, bytes for bytes, list/dict for JSON,
#: the file object for File.
Value = Any
Row = dict[str, Value]


class FieldKind(StrEnum):
    """What a field holds. One row of `fieldtypes.FIELD_TYPES` each."""

    STR = "str"
    TEXT = "text"
    INT = "int"
    BIGINT = "bigint"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOL = "bool"
    DATETIME = "datetime"
    DATE = "date"
    ENUM = "enum"
    REF = "ref"
    LIST = "list"
    OBJECT = "object"
    JSON = "json"
    BYTES = "bytes"
    FILE = "file"


class OnDelete(StrEnum):
    """What happens to a row when the row that it refers to is deleted."""

    RESTRICT = "restrict"
    CASCADE = "cascade"
    SET_NULL = "set_null"


class Access(StrEnum):
    """What a policy allows."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"

    # As a text hashes, which it equals: a policy is looked up for each row written.
    __hash__ = str.__hash__


class DefaultKind(StrEnum):
    """Where a field's default comes from."""

    #: `Default.value` itself, a row value.
    LITERAL = "literal"
    #: The time of the operation.
    NOW = "now"
    #: The caller's user id.
    ACTOR = "actor"
    #: A call of `Default.value` for each insert.
    FACTORY = "factory"


@dataclass(frozen=True, slots=True)
class Default:
    """A field's default."""

    kind: DefaultKind
    value: Any = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the app's source; line and column are 1-based."""

    file: str
    line: int
    column: int = 1
    #: For a text: (offset in its value, line, column) wherever the next character of the value is
    #: not simply the next one of the source, such as behind an escape or in a joined literal.
    breaks: tuple[tuple[int, int, int], ...] = ()
    #: The value is put together, not written there: all of it stands at this one place.
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """One declared field of an entity (never `id` or `_seq`, which every entity has)."""

    name: str
    kind: FieldKind
    nullable: bool = False
    default: Default | None = None
    unique: bool = False
    index: bool = False
    immutable: bool = False
    private: bool = False
    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    #: Policy text for reading this field; None: the entity's own.
    read: str | None = None
    #: Where that text stands, for messages.
    read_position: Position | None = field(default=None, compare=False)
    renamed_from: str | None = None
    #: Found by full-text search.
    search: bool = False
    doc: str | None = None
    #: ENUM: the allowed texts, in order of declaration.
    choices: tuple[str, ...] = ()
    #: ENUM declared by an enum.Enum: the class, for the app's code; never leaves the process.
    enum_class: type | None = field(default=None, compare=False)
    #: REF: the entity referred to.
    ref: str | None = None
    on_delete: OnDelete = OnDelete.RESTRICT
    #: DECIMAL: digits behind the point.
    scale: int = 0
    #: LIST: kind of the items (a scalar kind or JSON).
    item: FieldKind | None = None
    position: Position | None = field(default=None, compare=False)

    @property
    def is_required(self) -> bool:
        """Tell whether an insert must give this field."""
        return self.default is None and not self.nullable


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A named index over fields of one entity."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One kind of row: fields in order of declaration, indexes, policy texts by access.

    `indexes` holds the declared ones and those of `field(index=True)` and `field(unique=True)`,
    which are named by their field.
    """

    name: str
    fields: tuple[Field, ...]
    indexes: tuple[Index, ...] = ()
    policies: Mapping[Access, str] = field(default_factory=dict)
    #: Source of each policy text, for messages.
    policy_positions: Mapping[Access, Position] = field(default_factory=dict, compare=False)
    sync: bool = True
    doc: str | None = None
    position: Position | None = field(default=None, compare=False)

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Return the fields by name."""
        return {one.name: one for one in self.fields}

    @cached_property
    def public_fields(self) -> tuple[Field, ...]:
        """Return the fields that may leave the server."""
        return tuple(one for one in self.fields if not one.private)

    @cached_property
    def searched_fields(self) -> tuple[Field, ...]:
        """Return the fields that full-text search looks at."""
        return tuple(one for one in self.fields if one.search and not one.private)

    @cached_property
    def owner_field(self) -> Field | None:
        """Return the only field with `default=actor`, which `isOwner()` means; None otherwise."""
        owners = [
            one
            for one in self.fields
            if one.default is not None and one.default.kind is DefaultKind.ACTOR
        ]
        return owners[0] if len(owners) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All entities of an app, by name, `User` included."""

    entities: Mapping[str, Entity]

    @cached_property
    def referrers(self) -> Mapping[str, tuple[tuple[Entity, Field], ...]]:
        """Return, by entity name, the (entity, field) pairs that refer to it."""
        found: dict[str, list[tuple[Entity, Field]]] = {name: [] for name in self.entities}
        for entity in self.entities.values():
            for one in entity.fields:
                if one.ref is not None:
                    found.setdefault(one.ref, []).append((entity, one))
        return {name: tuple(pairs) for name, pairs in found.items()}
