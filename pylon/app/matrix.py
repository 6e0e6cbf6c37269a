"""The matrix of an app's policies: who may do what, in words, and what there is to notice.

One row for each entity and access, each field with a policy of its own, and each function that can
be called from outside. What is flagged is proved; what could be neither proved nor disproved is
listed as not decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.app.webhooks import Webhook
from pylon.policy import ir
from pylon.policy.abstract import TRUE, Who
from pylon.policy.claims import Judge, Verdict, roles_named, with_image
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.worlds import NOT_TRUE
from pylon.schema.model import Access, Entity, Field, Position

OPEN = "open to the world"
OPEN_IN_PART = "open to the world in part"
SIGNED_IN = "open to every signed-in caller"
NEVER, ALWAYS = "never true", "always true"
UNUSED_ROLE = "unused role"
MISSING_INDEX = "missing index"
WIDER = "wider on update than on insert"
DIFFERS = "differs between update and delete"
USES_NOW = "uses now"
CLOSED = "closed"
#: What is no advice but a fact to know.
NOTES = frozenset({DIFFERS, USES_NOW, CLOSED})
_NOBODY = "nobody (no policy)"
_NO_ALLOW = "every signed-in caller (no allow=)"


@dataclass(frozen=True, slots=True)
class Flag:
    """Something to notice; `at` is an offset in the policy's text where there is a place for it."""

    name: str
    detail: str = ""
    at: int | None = None


@dataclass(slots=True)
class MatrixRow:
    """One policy, or the lack of one."""

    subject: str
    access: str
    policy: str | None
    in_words: str
    position: Position | None = None
    flags: list[Flag] = field(default_factory=list)
    #: Claims that could be neither proved nor disproved.
    not_decided: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return the name under which a policy is remembered, such as `Note.read`."""
        return f"{self.subject}.{self.access}"

    def to_json(self) -> dict[str, Any]:
        """Return the row for JSON."""
        at = self.position
        return {
            "entity": self.subject, "access": self.access, "policy": self.policy,
            "in_words": self.in_words,
            "file": at.file if at else None, "line": at.line if at else None,
            "flags": [
                {"name": one.name, "detail": one.detail, "at": one.at, "is_note": one.name in NOTES}
                for one in self.flags
            ],
            "not_decided": self.not_decided,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matrix:
    """All rows, and the roles that accounts have and no policy names."""

    rows: list[MatrixRow]
    #: None where no database was looked at.
    roles_without_policy: list[str] | None
    #: The policies that name each role.
    roles: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the matrix for JSON."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "roles_without_policy": self.roles_without_policy,
            "roles": self.roles,
        }


def field_policy(definition: AppDefinition, entity: Entity, one: Field) -> CompiledPolicy | None:
    """Return the compiled `field(read=…)`; None where the entity's own policy is all."""
    return definition.policies.fields_of(entity.name).policies.get(one.name)


def build_matrix(definition: AppDefinition, granted: Iterable[str] | None = None) -> Matrix:
    """Return the matrix.

    Args:
        definition: the app.
        granted: the roles that accounts have; None where that is not known.
    """
    builder = _Builder(definition, None if granted is None else frozenset(granted))
    rows = [row for entity in definition.schema.entities.values() for row in builder.entity(entity)]
    rows += [
        builder.function(name, one)
        for name, one in definition.functions.items()
        if not one.is_internal
    ]
    rows += [_webhook(one) for one in definition.webhooks.values()]
    unnamed = None if granted is None else sorted(frozenset(granted) - builder.named.keys())
    return Matrix(rows, unnamed, {role: builder.named[role] for role in sorted(builder.named)})


def _webhook(one: Webhook) -> MatrixRow:
    what = " ".join([*sorted(one.methods), one.name])
    flag = Flag(OPEN, "its own code must check who sent it (pylon.webhooks)")
    return MatrixRow(
        f"webhook {what}", "call", None, "anybody who knows the address", one.position, [flag]
    )


def _how_open(access: str) -> str:
    """Return how callers who are not signed in get there."""
    if access in (Access.INSERT, Access.UPDATE, Access.DELETE):
        return "a write needs a sign-in, but not one by a function that is open to the world"
    return "no sign-in is needed"


class _Builder:
    def __init__(self, definition: AppDefinition, granted: frozenset[str] | None) -> None:
        self._definition = definition
        self._granted = granted
        self.named: dict[str, list[str]] = {}

    def entity(self, entity: Entity) -> Iterable[MatrixRow]:
        judge = Judge(self._definition.schema, entity)
        policies = {
            access: self._definition.policies.policies[entity.name, access]
            for access in Access
            if (entity.name, access) in self._definition.policies.policies
        }
        for access in Access:
            policy = policies.get(access)
            if policy is None:
                yield MatrixRow(entity.name, access.value, None, _NOBODY, flags=[Flag(CLOSED)])
                continue
            row = MatrixRow(
                entity.name, access.value, policy.text, policy.sentence,
                entity.policy_positions.get(access, entity.position),
            )  # fmt: skip
            self._judge(row, policy, judge)
            self._compare(row, access, policies, judge)
            yield row
        for one in entity.fields:
            policy = field_policy(self._definition, entity, one)
            if policy is not None:
                subject, at = f"{entity.name}.{one.name}", one.read_position or one.position
                row = MatrixRow(subject, "read", policy.text, policy.sentence, at)
                self._judge(row, policy, judge)
                yield row

    def function(self, name: str, function: Function) -> MatrixRow:
        allow = function.allow
        if allow is None:
            return MatrixRow(f"{name}()", "call", None, _NO_ALLOW, flags=[Flag(SIGNED_IN)])
        row = MatrixRow(f"{name}()", "call", allow.text, allow.sentence)
        self._judge(row, allow, Judge(self._definition.schema, None))
        return row

    # --- one policy

    def _judge(self, row: MatrixRow, policy: CompiledPolicy, judge: Judge) -> None:
        condition = policy.condition
        never, always = judge.never(condition), judge.always(condition)
        self._claim(row, NEVER, never)
        if never is not Verdict.HOLDS:
            self._claim(row, ALWAYS, always)
            self._openness(row, condition, judge)
        row.flags += [Flag(MISSING_INDEX, one) for one in policy.warnings]
        if policy.uses_now:
            row.flags.append(Flag(USES_NOW, "it changes its mind without a write"))
        roles = roles_named(condition)
        for role in roles:
            self.named.setdefault(role, []).append(row.key)
        if self._granted is not None:
            for role in sorted(roles - self._granted):
                at = policy.text.find(role)
                row.flags.append(
                    Flag(UNUSED_ROLE, f"no account has the role {role}", at if at >= 0 else None)
                )

    @staticmethod
    def _openness(row: MatrixRow, condition: ir.Condition, judge: Judge) -> None:
        if judge.always(condition, Who.ANONYMOUS) is Verdict.HOLDS:
            row.flags.append(Flag(OPEN, _how_open(row.access)))
            return
        anonymous = judge.never(condition, Who.ANONYMOUS)
        if anonymous is Verdict.FAILS:
            row.flags.append(Flag(OPEN_IN_PART, _how_open(row.access)))
        elif anonymous is Verdict.NOT_DECIDED:
            row.not_decided.append(OPEN_IN_PART)
        if judge.always(condition, Who.SIGNED_IN) is Verdict.HOLDS:
            row.flags.append(Flag(SIGNED_IN))

    @staticmethod
    def _claim(row: MatrixRow, name: str, verdict: Verdict) -> None:
        if verdict is Verdict.HOLDS:
            row.flags.append(Flag(name))
        elif verdict is Verdict.NOT_DECIDED:
            row.not_decided.append(name)

    # --- one policy beside another

    @staticmethod
    def _compare(
        row: MatrixRow, access: Access, policies: Mapping[Access, CompiledPolicy], judge: Judge
    ) -> None:
        mine = policies[access]
        insert, update = policies.get(Access.INSERT), policies.get(Access.UPDATE)
        if access is Access.UPDATE and insert is not None:
            # Wider: a row that an update may lead to, and that its author could not have inserted.
            allowed = (
                with_image(insert.condition, "new") if mine.speaks_of_both_images
                else insert.condition
            )  # fmt: skip
            verdict = judge.within(mine.condition, allowed)
            if verdict is Verdict.FAILS:
                row.flags.append(Flag(WIDER))
            elif verdict is Verdict.NOT_DECIDED:
                row.not_decided.append(WIDER)
        if access is Access.DELETE and update is not None:
            _compare_delete(row, mine, update, judge)


def _compare_delete(
    row: MatrixRow, delete: CompiledPolicy, update: CompiledPolicy, judge: Judge
) -> None:
    """Flag a delete that is allowed for other rows, or to others, than an update."""
    if update.speaks_of_both_images:
        row.not_decided.append(DIFFERS)  # the one looks at two images, the other at one
        return
    one, other = delete.condition, update.condition
    sides = [
        judge.no_world([(mine, TRUE), (theirs, NOT_TRUE)])
        for mine, theirs in ((one, other), (other, one))
    ]
    if Verdict.FAILS in sides:
        row.flags.append(Flag(DIFFERS))
    elif Verdict.NOT_DECIDED in sides:
        row.not_decided.append(DIFFERS)
