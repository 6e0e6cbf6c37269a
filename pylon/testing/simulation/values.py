"""Random values from a schema: what a user of the app could write, and now and then should not.

What is compared with the caller or with a row's id gets users and ids, so that policies are met
from both sides.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any, Final

from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.policy import ir
from pylon.policy.compiled import CompiledExpression
from pylon.policy.slots import walk
from pylon.schema.model import Access, DefaultKind, Entity, Field, FieldKind
from pylon.testing.simulation.visibility import looked_at

#: Begins every text of a private field: never to be seen outside of the server.
CANARY: Final = "canary-"
#: Begins texts of public fields, no two alike: seen by nobody who may not read their row.
MARK: Final = "mark-"
#: Values that decide about other rows are of few, so that they meet.
_TEAMS: Final = ("red", "blue", "green")
#: Seconds from now, for what a policy compares with the time; nothing flips back at once.
_SOON: Final = (-60, -5, 3, 10, 30, 90)
_IDS_EACH, _IDS_LOOKED_AT = 5, 3
_TEXTS = ("a", "b", "c", "ä", "two words", "0", "__proto__", "x" * 40)
_PATTERN_TRIES = ("a", "A", "a1", "abc", "ABC", "123", "#a1b2c3", "a@b.ch", "a-b", "https://a.ch")


class Values:
    """Draws ids, rows and arguments for one app."""

    def __init__(self, definition: AppDefinition, emails: list[str], chance: random.Random) -> None:
        self.definition = definition
        self.emails = emails
        self._chance = chance
        self._canaries = self._marks = 0
        #: By entity, the fields that its read policy looks at: changing them moves rows.
        self._judged: dict[str, set[str]] = {one: set() for one in definition.schema.entities}
        self._looked_at = set(looked_at(definition))
        #: Ids that may be there by now: what was inserted and not deleted.
        self._made: dict[str, list[str]] = {}
        #: (entity, field) → entity whose ids it holds.
        self._links: dict[tuple[str, str], str] = {}
        #: (entity, field) → texts that policies tell apart.
        self._pools: dict[tuple[str, str], set[str]] = {}
        #: (entity, field) that a policy compares with the time.
        self._timed: set[tuple[str, str]] = set()
        for entity in definition.schema.entities.values():
            read = definition.policies.get(entity.name, Access.READ)
            columns = (one for one in walk(read.condition) if isinstance(one, ir.Column))
            self._judged[entity.name] |= {one.name for one in columns}
            for access in Access:
                self._learn(entity, definition.policies.get(entity.name, access))
            for policy in definition.policies.reads(entity.name):
                self._learn(entity, policy)

    def _learn(self, entity: Entity, policy: CompiledExpression) -> None:
        for node in walk(policy.condition):
            if isinstance(node, ir.Cmp):
                for column, other in ((node.left, node.right), (node.right, node.left)):
                    if isinstance(column, ir.Column):
                        self._learn_comparison(entity.name, column.name, other)
            if isinstance(node, ir.ExistsTest):
                for one in node.node.filters:
                    self._learn_filter(entity.name, node.node.entity, one)

    def _learn_comparison(self, entity: str, field: str, other: ir.Value) -> None:
        if _is_user(other):
            self._links[entity, field] = "User"
        elif any(isinstance(one, ir.Now) for one in walk(other)):
            self._timed.add((entity, field))
        elif isinstance(other, ir.Const) and isinstance(other.value, str):
            self._pools.setdefault((entity, field), {"other"}).add(other.value)

    def _learn_filter(self, entity: str, other: str, one: ir.ExistsFilter) -> None:
        value = one.value
        self._judged[other].add(one.field)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, ir.Const) and isinstance(item.value, str):
                self._pools.setdefault((other, one.field), {"other"}).add(item.value)
        if _is_user(value):
            self._links[other, one.field] = "User"
        elif isinstance(value, ir.Column) and one.field == "id":
            self._links[entity, value.name] = other
        elif isinstance(value, ir.Column) and value.name == "id":
            self._links[other, one.field] = entity
        elif isinstance(value, ir.Column) and (link := self._ref(entity, value.name)):
            self._links[other, one.field] = link
        elif isinstance(value, ir.Column) and (link := self._ref(other, one.field)):
            self._links[entity, value.name] = link
        elif isinstance(value, ir.Column):
            for name, field in ((entity, value.name), (other, one.field)):
                self._pools.setdefault((name, field), set()).update(_TEAMS)

    def _ref(self, entity: str, field: str) -> str | None:
        found = self.definition.schema.entities[entity].by_name.get(field)
        return None if found is None else found.ref

    # --- what can be written

    def can_insert(self, entity: Entity) -> bool:
        """Tell whether this can make rows of an entity."""
        return entity.name != "User" and all(
            self._pattern_text(one) is not None for one in entity.fields if one.is_required
        )

    def row_id(self, entity: str) -> Any:
        """Return the id of a row that is mostly there."""
        if entity == "User":
            return {"$user": self._chance.choice(self.emails)}
        made = self._made.get(entity)
        return (
            self._chance.choice(made) if made and self._chance.random() < 0.9 else self._any(entity)
        )

    def made(self, entity: str) -> list[str]:
        """Return the ids of rows that are mostly there."""
        return self._made.get(entity, [])

    def new_id(self, entity: str) -> str:
        """Return an id for a new row: one of few, so that some come again after a delete."""
        row_id = self._any(entity)
        made = self._made.setdefault(entity, [])
        if row_id in made and self._chance.random() < 0.8:
            row_id = self._any(entity)
        if row_id not in made:
            made.append(row_id)
        return row_id

    def forget(self, entity: str, row_id: Any) -> None:
        """Note that a row is gone."""
        if row_id in self._made.get(entity, ()):
            self._made[entity].remove(row_id)

    def first_needed(self, entity: Entity) -> Entity:
        """Return the entity whose row must be there before one of this entity can be."""
        for one in entity.fields:
            other = self.definition.schema.entities.get(one.ref or "")
            if other is None or not one.is_required or other in (entity,):
                continue
            if self.can_insert(other) and not self._made.get(other.name):
                return other
        return entity

    def _any(self, entity: str) -> str:
        count = _IDS_LOOKED_AT if entity in self._looked_at else _IDS_EACH
        return f"{entity.lower()[:20]}{self._chance.randint(1, count)}"

    def insert(self, entity: Entity) -> dict[str, Any]:
        """Return values for a new row."""
        values: dict[str, Any] = {}
        for one in entity.fields:
            is_actor = one.default is not None and one.default.kind is DefaultKind.ACTOR
            share = 0.1 if is_actor else 0.85 if one.name in self._judged[entity.name] else 0.5
            is_given = one.is_required or self._chance.random() < share
            if is_given and self._pattern_text(one) is not None:
                values[one.name] = self.value(entity.name, one)
        return values

    def update(self, entity: Entity) -> dict[str, Any]:
        """Return values for a change of one or a few fields; empty where none can change."""
        fields = [
            one
            for one in entity.fields
            if self._pattern_text(one) is not None
            and (not one.immutable or self._chance.random() < 0.05)
        ]
        if not fields:
            return {}
        judged = [one for one in fields if one.name in self._judged[entity.name]]
        if judged and self._chance.random() < 0.6:
            fields = judged
        chosen = self._chance.sample(fields, min(len(fields), self._chance.choice((1, 1, 2))))
        return {one.name: self.value(entity.name, one) for one in chosen}

    def where(self, entity: Entity) -> dict[str, Any]:
        """Return a simple filter over a public field, or none."""
        kinds = (FieldKind.BOOL, FieldKind.INT, FieldKind.ENUM, FieldKind.STR)
        fields = [
            one
            for one in entity.public_fields
            if one.kind in kinds and not one.pattern and one.read is None
        ]
        if not fields or self._chance.random() < 0.5:
            return {}
        field = self._chance.choice(fields)
        value = self.value(entity.name, field)
        if isinstance(value, dict):
            return {}
        if field.kind is FieldKind.INT and value is not None and self._chance.random() < 0.5:
            return {field.name: {self._chance.choice(("<", ">=")): value}}
        return {field.name: value}

    def arguments(self, function: Function) -> dict[str, Any]:
        """Return arguments for a call."""
        return {
            one.name: self._from_schema(one.name, one.type.schema)
            for one in function.arguments.arguments
            if one.is_required or self._chance.random() < 0.5
        }

    # --- single values

    def value(self, entity: str, field: Field) -> Any:
        """Return a value of a field, as JSON."""
        if field.nullable and self._chance.random() < 0.2:
            return None
        link = field.ref or self._links.get((entity, field.name))
        if link is not None and field.kind in (FieldKind.REF, FieldKind.STR):
            return self.row_id(link)
        if (entity, field.name) in self._timed and field.kind is FieldKind.DATETIME:
            return {"$time": self._chance.choice(_SOON)}
        pool = self._pools.get((entity, field.name))
        if pool and field.kind in (FieldKind.STR, FieldKind.TEXT):
            return self._chance.choice(sorted(pool))
        return self._plain(field)

    def _plain(self, field: Field) -> Any:  # noqa: C901 -- one line for each kind
        chance = self._chance
        match field.kind:
            case FieldKind.STR | FieldKind.TEXT:
                return self._text(field)
            case FieldKind.INT:
                low = int(-3 if field.min is None else field.min)
                high = int(low + 9 if field.max is None else field.max)
                return chance.randint(low, min(high, low + 9))
            case FieldKind.BIGINT:
                return str(chance.randint(0, 3) * 2**55)
            case FieldKind.FLOAT:
                low_f = -1.0 if field.min is None else float(field.min)
                return low_f + chance.choice((0, 0.1, 0.5, 1, 1e-9))
            case FieldKind.DECIMAL:
                return f"{chance.randint(0, 30) / 10 ** min(field.scale, 1):.{field.scale}f}"
            case FieldKind.BOOL:
                return chance.random() < 0.5
            case FieldKind.DATETIME:
                return f"2026-01-0{chance.randint(1, 4)}T12:00:00.000Z"
            case FieldKind.DATE:
                return f"2026-01-0{chance.randint(1, 4)}"
            case FieldKind.ENUM:
                return chance.choice(field.choices)
            case FieldKind.REF:
                return self.row_id(field.ref or "User")
            case FieldKind.LIST:
                item = Field(name=field.name, kind=field.item or FieldKind.JSON)
                return [self._plain(item) for _ in range(chance.randint(0, 3))]
            case FieldKind.OBJECT:
                return {chance.choice(("a", "__proto__")): chance.randint(0, 2)}
            case FieldKind.JSON:
                return chance.choice([None, 0, "a", [1, {"a": None}], {"b": True}])
            case FieldKind.BYTES:
                return chance.choice(("", "AAEC", "/+8="))
            case FieldKind.FILE:
                return None  # the simulated server has no files

    def _text(self, field: Field) -> str:
        if field.pattern is not None:
            return self._pattern_text(field) or ""
        self._canaries += 1
        text = f"{CANARY}{self._canaries}" if field.private else self._public_text()
        text = text.ljust(field.min_length or 0, ".")
        return text if field.max_length is None else text[: field.max_length]

    def _public_text(self) -> str:
        if self._chance.random() < 0.5:
            return self._chance.choice(_TEXTS)
        self._marks += 1
        return f"{MARK}{self._marks};"

    def _pattern_text(self, field: Field) -> str | None:
        """Return a text that a field's pattern takes; None where no such is known."""
        if field.pattern is None or field.kind not in (FieldKind.STR, FieldKind.TEXT):
            return ""
        fitting = (one for one in _PATTERN_TRIES if re.search(field.pattern, one))
        return next(fitting, None)

    def _from_schema(self, name: str, schema: Mapping[str, Any]) -> Any:
        chance = self._chance
        if "enum" in schema:
            return chance.choice(list(schema["enum"]))
        if "const" in schema:
            return schema["const"]
        if schema.get("anyOf"):
            return self._from_schema(name, chance.choice(list(schema["anyOf"])))
        match schema.get("type"):
            case "string":
                return self._text_named(name, str(schema.get("format", "")))
            case "integer" | "number":
                return chance.randint(0, 5)
            case "boolean":
                return chance.random() < 0.5
            case "array":
                items = schema.get("items") or {}
                return [self._from_schema(name, items) for _ in range(chance.randint(0, 2))]
            case "object":
                wanted = schema.get("properties") or {}
                return {one: self._from_schema(one, inner) for one, inner in wanted.items()}
            case "null":
                return None
            case _:
                return chance.choice((0, "a"))

    def _text_named(self, name: str, form: str) -> Any:
        if form == "date-time":
            return "2026-01-02T12:00:00.000Z"
        if form == "date":
            return "2026-01-02"
        lower = name.lower()
        for entity in self.definition.schema.entities:
            if lower in (entity.lower(), f"{entity.lower()}id", f"{entity.lower()}_id"):
                return self.row_id(entity)
        if lower.endswith("id"):
            return self.row_id(self._chance.choice(list(self.definition.schema.entities)))
        return self._chance.choice(_TEXTS)


def _is_user(node: object) -> bool:
    return isinstance(node, ir.Fact) and node.slot.kind is ir.SlotKind.USER_ID


def roles_of(definition: AppDefinition) -> list[str]:
    """Return the roles that an app's policies speak of."""
    policies = [
        definition.policies.get(name, access)
        for name in definition.schema.entities
        for access in Access
    ]
    policies += [one.allow for one in definition.functions.values() if one.allow is not None]
    slots = [slot for policy in policies for slot in policy.slots]
    named = [one.names for one in slots if one.kind is ir.SlotKind.HAS_ANY_ROLE]
    return sorted({role for names in named for role in names})
