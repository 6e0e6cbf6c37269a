"""When a policy over `now` changes its mind without a write, and about which rows.

Derived once, at load. A comparison of `now` with a time of the row, or of a row that an `exists`
looks at, turns at that time: such turns are slices like those of a write. What else is done with
`now` turns at times that nobody can tell. What does not live here: the timer
(`server.sync.passing`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pylon.clock import iso_ms
from pylon.policy import ir
from pylon.policy.ir import TypeKind
from pylon.policy.slices import Named, SliceRule, Where, is_told, rule_of
from pylon.policy.slots import walk
from pylon.policy.sqlclause import moved
from pylon.schema.model import Entity, Row

#: Turns are in the log, as slices, within this of their time.
TURN_SLACK_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class TimeRule:
    """A time that is compared with `now`: a field of the entity, or of a looked-at row."""

    #: Whose rows turn.
    entity: str
    #: Where the time stands.
    looks_at: str
    field: str
    #: It is compared with so many milliseconds after now.
    ms: int
    #: The exists that looks; None where the time is the row's own.
    rule: SliceRule | None
    #: Clients have the field, so that its value says which rows are meant.
    is_told: bool

    def between(self, since: str, until: str) -> tuple[str, str]:
        """Return the times, both included, at which answers may differ between two moments."""
        return moved(since, self.ms), moved(until, self.ms)

    def key(self, row: Row) -> tuple[Where, Named] | None:
        """Return which rows turn with a row, and for whom; None where it decides nothing."""
        if self.rule is not None:
            return self.rule.key(row)
        return (((self.field, row[self.field]),) if self.is_told else ()), ()


@dataclass(frozen=True, slots=True)
class Timing:
    """All that turns by itself in the read policies of an app."""

    rules: tuple[TimeRule, ...] = ()
    #: (entity, time): a literal that is compared with now; all rows of the entity turn then.
    moments: tuple[tuple[str, str], ...] = ()
    #: Entities whose policies do something else with `now`.
    unforeseen: frozenset[str] = field(default_factory=frozenset)

    @property
    def looks_at(self) -> frozenset[str]:
        """Return the entities in whose rows times stand."""
        return frozenset(one.looks_at for one in self.rules)

    @property
    def entities(self) -> frozenset[str]:
        """Return the entities whose rows turn."""
        named = {one.entity for one in self.rules} | {entity for entity, _ in self.moments}
        return self.unforeseen | named

    def __bool__(self) -> bool:
        """Tell whether anything turns."""
        return bool(self.rules or self.moments or self.unforeseen)


def has_gone_by(times: tuple[tuple[str, int], ...], row: Row, at_ms: int, now: str) -> bool:
    """Tell whether one of a row's times went by between a change of it and now, or shortly before.

    Args:
        times: fields that are compared with so many milliseconds after now.
        row: as it was before the change.
        at_ms: when it changed (Unix ms).
        now: the time that is asked at.
    """
    since = iso_ms(at_ms - TURN_SLACK_MS)
    return any(
        isinstance(value := row[name], str) and moved(since, ms) <= value <= moved(now, ms)
        for name, ms in times
    )


def joined(parts: Iterable[Timing]) -> Timing:
    """Return several timings as one."""
    parts = tuple(parts)
    return Timing(
        tuple(dict.fromkeys(one for part in parts for one in part.rules)),
        tuple(dict.fromkeys(one for part in parts for one in part.moments)),
        frozenset(one for part in parts for one in part.unforeseen),
    )


def timing_of(entity: Entity, condition: ir.Condition) -> Timing:
    """Return when an expression that decides what is seen of an entity changes its mind."""
    rules: list[TimeRule] = []
    moments: list[tuple[str, str]] = []
    foreseen = 0
    for node in walk(condition):
        match node:
            case ir.Cmp(_, ir.Column("data", name) as column, ir.Now(ms)) | ir.Cmp(
                _, ir.Now(ms), ir.Column("data", name) as column
            ) if column.type.kind is TypeKind.DATETIME:
                foreseen += 1
                rules.append(
                    TimeRule(entity.name, entity.name, name, ms, None, is_told(entity, name))
                )
            case ir.Cmp(_, ir.Const(str(moment)), ir.Now(ms)) | ir.Cmp(
                _, ir.Now(ms), ir.Const(str(moment))
            ):
                foreseen += 1
                moments.append((entity.name, moved(moment, -ms)))
            case ir.ExistsNode(looks_at, filters):
                for one in filters:
                    if isinstance(one.value, ir.Now):
                        foreseen += 1
                        rule = rule_of(entity, node)
                        rules.append(
                            TimeRule(
                                entity.name, looks_at, one.field, one.value.ms, rule, is_told=True
                            )
                        )
            case _:
                pass
    uses = sum(isinstance(node, ir.Now) for node in walk(condition))
    unforeseen = frozenset({entity.name} if uses > foreseen else ())
    return Timing(tuple(dict.fromkeys(rules)), tuple(dict.fromkeys(moments)), unforeseen)
