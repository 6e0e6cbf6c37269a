"""Rows with pseudonyms in the place of what people wrote: the one rule of what may be shown on.

Numbers, booleans, times, choices and references stay, so that rows still mean what they meant to
the app; texts, JSON and bytes are replaced. Of fields that are private, or called like a secret,
everything is. Pure. What does not live here: how a value is replaced (`pseudonyms`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from pylon.clock import MILLISECONDS_PER_DAY, iso_ms
from pylon.errors import InvalidArgument, NotFound
from pylon.schema.constraints import bound_value, constraint_of
from pylon.schema.model import Entity, Field, FieldKind, Row, Schema
from pylon.schema.pseudonyms import Pseudonyms
from pylon.schema.times import datetime_ms, parse_datetime

#: The hash of no bytes: what a file holds whose bytes are not shown.
NO_BYTES: Final = sha256(b"").hexdigest()
_SECRET: Final = re.compile(
    r"secret|token|passw|passphrase|credential|api_?key|private_?key|iban|ssn|cvv|otp",
    re.IGNORECASE,
)
_TEXTS: Final = frozenset({FieldKind.STR, FieldKind.TEXT})
_NUMBERS: Final = frozenset({FieldKind.INT, FieldKind.BIGINT, FieldKind.DECIMAL})
_JSON: Final = frozenset({FieldKind.LIST, FieldKind.OBJECT, FieldKind.JSON})
#: Private times go back by up to so many days, all by the same.
_DAYS: Final = 3_000


def is_secret_name(name: str) -> bool:
    """Tell whether something of this name is a secret, whatever its declaration says."""
    return _SECRET.search(name) is not None


def is_hidden(field: Field) -> bool:
    """Tell whether nothing of a field's values may stay."""
    return field.private or is_secret_name(field.name)


class Masking:
    """What rows of one schema become."""

    def __init__(self, schema: Schema, pseudonyms: Pseudonyms, keep: Iterable[str] = ()) -> None:
        """Make it.

        Args:
            schema: whose rows.
            pseudonyms: what values become.
            keep: fields that stay as they are, as `Entity.field`; raises NotFound for others.
        """
        self._pseudonyms = pseudonyms
        self._keep = frozenset(keep)
        known = {f"{one.name}.{field.name}" for one in schema.entities.values()
                 for field in one.fields}  # fmt: skip
        for name in sorted(self._keep - known):
            raise NotFound(f"there is no field {name:.80}", hint="such as Message.body")

    def row(self, entity: Entity, row: Row) -> Row:
        """Return a row as it may be shown on; raises InvalidArgument where no value would do."""
        made = {**row, "id": self._pseudonyms.id(row["id"])}
        for field in entity.fields:
            value = row[field.name]
            if value is not None and f"{entity.name}.{field.name}" not in self._keep:
                made[field.name] = self._value(entity, field, value)
        return made

    def kept(self, entity: Entity) -> list[str]:
        """Return the fields of which values stay as they are."""
        return [one.name for one in entity.fields
                if f"{entity.name}.{one.name}" in self._keep or not self._moves(one)]  # fmt: skip

    @staticmethod
    def _moves(field: Field) -> bool:
        if field.kind is FieldKind.REF:
            return False
        return is_hidden(field) or field.kind in (*_TEXTS, *_JSON, FieldKind.BYTES, FieldKind.FILE)

    def _value(self, entity: Entity, field: Field, value: Any) -> Any:
        pseudonyms, tweak = self._pseudonyms, f"{entity.name}.{field.name}"
        hidden = is_hidden(field)
        if field.kind is FieldKind.REF:
            return pseudonyms.id(value)
        if field.kind in _TEXTS:
            return self._text(entity, field, value, keeps=not hidden)
        if field.kind in _JSON:
            return pseudonyms.json(value, keeps=not hidden, tweak=tweak)
        if field.kind is FieldKind.BYTES:
            return pseudonyms.octets(value)
        if field.kind is FieldKind.FILE:
            # Its id stays: rows that hold the same file still do. Its bytes are none.
            name = pseudonyms.text(value["name"], keeps=False)
            return {**value, "name": name, "size": 0, "sha256": NO_BYTES}
        return _hidden_value(pseudonyms, field, value, tweak) if hidden else value

    def _text(self, entity: Entity, field: Field, value: str, *, keeps: bool) -> str:
        check = constraint_of(field)
        made = self._pseudonyms.text(value, keeps=keeps)
        if check is None:
            return made
        # A pattern may ask for what a text begins with: as much of that stays as it takes.
        tries = [made, self._pseudonyms.scrambled(value)]
        tries += [
            value[:length] + self._pseudonyms.scrambled(value[length:])
            for length in range(1, len(value) // 2 + 1)
        ]
        for one in tries:
            try:
                check(one)
            except ValueError:
                continue
            return one
        raise InvalidArgument(
            f"no other text fits the bounds of {entity.name}.{field.name}",
            field=field.name, hint=f"if it may be shown: --keep {entity.name}.{field.name}",
        )  # fmt: skip


def _hidden_value(pseudonyms: Pseudonyms, field: Field, value: Any, tweak: str) -> Any:
    match field.kind:
        case FieldKind.BOOL:
            return bool(pseudonyms.number(int(value), 2, tweak))
        case FieldKind.ENUM:
            places = len(field.choices)
            return field.choices[pseudonyms.number(field.choices.index(value), places, tweak)]
        case FieldKind.DATETIME | FieldKind.DATE:
            return _earlier(pseudonyms, field, value, tweak)
        case FieldKind.FLOAT:
            return _nearer(field, value, pseudonyms.fraction(tweak))
        case _:
            assert field.kind in _NUMBERS, field.kind
            low, high = (None if one is None else bound_value(field, one)
                         for one in (field.min, field.max))  # fmt: skip
            return pseudonyms.between(value, low, high, tweak)


def _earlier(pseudonyms: Pseudonyms, field: Field, value: str, tweak: str) -> str:
    is_date = field.kind is FieldKind.DATE
    ms = datetime_ms(parse_datetime(f"{value}T00:00:00Z" if is_date else value))
    days = 1 + pseudonyms.number(1, _DAYS, tweak)
    made = iso_ms(ms - days * MILLISECONDS_PER_DAY)
    return made[:10] if is_date else made


def _nearer(field: Field, value: float, fraction: float) -> float:
    """Return a number between a bound, or zero, and the value."""
    rest = field.min if field.min is not None else field.max
    base = 0.0 if rest is None else float(rest)
    return base + (value - base) * fraction
