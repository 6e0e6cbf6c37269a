"""What a change of the schema means for code that names what it changes.

Pure. Nothing is claimed of code that names nothing of it: it may still build names as it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pylon.app.handlers import Piece
from pylon.app.mentions import Mention, Use
from pylon.schema.diff import SchemaStep, StepKind, is_same_wire
from pylon.schema.model import Entity, Field, Schema

#: Uses that ask for rows by a field, which an index answers.
_ASKING = (Use.FILTERS, Use.ORDERS)
_SURE = (Use.READS, Use.WRITES, *_ASKING)


class Verdict(StrEnum):
    """How sure it is that code stops working."""

    BREAKS = "breaks"
    #: The name is the same; of what it is there is not known.
    MAY_BREAK = "may break"
    #: It goes on with values of another kind.
    CHECK = "look at"
    SLOWER = "slower"


_ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Affected:
    """One piece of code, and what a step of the migration does to it."""

    name: str
    kind: str
    verdict: Verdict
    #: What it does that it no longer can: "filters by Note.title".
    what: str
    #: The step that takes it.
    step: str
    #: `file:line`; None where only running it has shown it.
    place: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as the admin surface shows it."""
        return {
            "name": self.name, "kind": self.kind, "verdict": self.verdict.value,
            "what": self.what, "step": self.step, "place": self.place, "words": self.words,
        }  # fmt: skip

    @property
    def words(self) -> str:
        """Return it as a line of the plan."""
        what = {"query": "", "mutation": "", "action": ""}.get(self.kind, f"{self.kind} ")
        place = f" ({self.place})" if self.place else ""
        return f"{self.verdict.upper()}: {what}{self.name}{place} {self.what}"


def affected(steps: Sequence[SchemaStep], pieces: Iterable[Piece], new: Schema) -> list[Affected]:
    """Return what the steps do to the pieces, those that surely break first.

    A piece is named once for each thing that it does, at the first place.
    """
    found: dict[tuple[str, str, str], Affected] = {}
    for piece in pieces:
        for step in steps:
            for verdict, mention, what in _hit(step, piece.mentions, new):
                at = mention.position
                one = Affected(piece.name, piece.kind, verdict, what, step.description,
                               f"{at.file}:{at.line}")  # fmt: skip
                key = (piece.kind, piece.name, what)
                if key not in found or at.line < _line(found[key]):
                    found[key] = one
    return sorted(found.values(), key=lambda one: (_ORDER.index(one.verdict), one.name))


def _line(one: Affected) -> int:
    return int((one.place or ":0").rpartition(":")[2])


_Hit = tuple[Verdict, Mention, str]


def _hit(step: SchemaStep, mentions: Sequence[Mention], new: Schema) -> Iterator[_Hit]:
    of_it = [one for one in mentions if one.entity == step.entity]
    if not of_it:
        return
    match step.kind:
        case StepKind.DROP_TABLE:
            yield from ((Verdict.BREAKS, one, f"names {step.entity}") for one in of_it)
        case StepKind.DROP_FIELD | StepKind.RENAME_FIELD:
            assert step.old is not None
            yield from _gone(step.entity, step.old.name, of_it, mentions)
        case StepKind.ADD_FIELD:
            assert step.new is not None
            if step.new.is_required:
                yield from _missing(step.entity, step.new, of_it)
        case StepKind.CHANGE_FIELD:
            yield from _changed(step, of_it)
        case StepKind.CHANGE_RULE:
            yield from _unchosen(step, of_it)
        case StepKind.DROP_INDEX:
            yield from _unindexed(step, of_it, new.entities[step.entity])
        case _:
            return


def _said(one: Mention, entity: str, field: str) -> str:
    return f"{one.use.value} {entity}.{field}"


def _gone(
    entity: str, field: str, of_it: Sequence[Mention], mentions: Sequence[Mention]
) -> Iterator[_Hit]:
    sure = [one for one in of_it if one.field == field and one.use in _SURE]
    if sure:
        yield from ((Verdict.BREAKS, one, _said(one, entity, field)) for one in sure)
        return
    for one in mentions:
        if one.entity is None and one.field == field:
            yield Verdict.MAY_BREAK, one, f"reads a {field}, maybe of {entity}"


def _missing(entity: str, field: Field, of_it: Sequence[Mention]) -> Iterator[_Hit]:
    """Yield inserts that do not give a field which there must be."""
    for one in of_it:
        if one.use is Use.INSERTS and one.given is not None and field.name not in one.given:
            yield Verdict.BREAKS, one, f"inserts {entity} without {field.name}"


def _changed(step: SchemaStep, of_it: Sequence[Mention]) -> Iterator[_Hit]:
    old, new, entity = step.old, step.new, step.entity
    assert old is not None
    assert new is not None
    if old.nullable and not new.nullable:
        if new.is_required:
            yield from _missing(entity, new, of_it)
        for one in of_it:
            if one.field == new.name and one.use is Use.WRITES and one.value is None:
                yield Verdict.BREAKS, one, f"writes null to {entity}.{new.name}"
    named = [one for one in of_it if one.field == new.name and one.use in _SURE]
    if new.private and not old.private:
        for one in named:
            if one.use in _ASKING:  # no question may name what is private
                yield Verdict.BREAKS, one, _said(one, entity, new.name)
    if not is_same_wire(old, new):
        yield from ((Verdict.CHECK, one, _said(one, entity, new.name)) for one in named)


def _unchosen(step: SchemaStep, of_it: Sequence[Mention]) -> Iterator[_Hit]:
    """Yield what writes, or asks for, a choice that there is no more."""
    if step.old is None or step.new is None:
        return
    lost = set(step.old.choices) - set(step.new.choices)
    for one in of_it:
        if one.field == step.new.name and isinstance(one.value, str) and one.value in lost:
            yield Verdict.BREAKS, one, f"{_said(one, step.entity, step.new.name)} '{one.value}'"


def _unindexed(step: SchemaStep, of_it: Sequence[Mention], after: Entity) -> Iterator[_Hit]:
    """Yield what asks for rows by the first field of an index that no other one begins with."""
    assert step.index is not None
    first = step.index.fields[0]
    if any(one.fields[0] == first for one in after.indexes):
        return
    field = after.by_name.get(first)
    if field is None or field.unique or field.ref is not None:
        return
    for one in of_it:
        if one.field == first and one.use in _ASKING:
            yield Verdict.SLOWER, one, f"{_said(one, step.entity, first)}, with no index from then"
