"""The compiled forms of one expression, and the set of an app's policies.

`compile_policy` runs the chain once, at load: text → nodes → meaning → predicate, SQL, sentence.
Whatever goes wrong while evaluating denies; missing means denied.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pylon.identity import Identity
from pylon.policy import grammar, ir
from pylon.policy.audience import Audience
from pylon.policy.fields import NO_FIELD_POLICIES, FieldPolicies
from pylon.policy.indexes import missing_for_slices, missing_for_time
from pylon.policy.mistakes import PolicyMistakes, mistake_at
from pylon.policy.names import Scope
from pylon.policy.predicate import Predicate, compile_predicate
from pylon.policy.sentence import sentence
from pylon.policy.slices import relaxed, rules_of, timeless
from pylon.policy.slots import answers, slots_of, walk
from pylon.policy.sqlclause import (
    NoImageForm,
    SqlClause,
    SqlTemplate,
    SqlWriter,
    column_in_image,
    column_of,
    inverse_sql,
    lookup_sql,
)  # fmt: skip
from pylon.policy.timing import TimeRule, timing_of
from pylon.policy.typecheck import check_text
from pylon.schema.model import Access, Entity, FieldKind, Position, Row, Schema, Value

ExistsLookup = Callable[[ir.ExistsNode, tuple[Value, ...]], bool]
ExistsNode = ir.ExistsNode
_log = logging.getLogger("pylon.policy")
_IDENTITIES_MAX = 4096


def no_lookup(node: ir.ExistsNode, values: tuple[Value, ...]) -> bool:
    """Answer an exists where there is no database: a programmer's mistake, and so a denial."""
    raise LookupError(f"no database to look {node.entity} up in")


class CompiledExpression:
    """One expression in all its readings; three-valued, and only True allows."""

    def __init__(self, text: str, condition: ir.Condition, where: str) -> None:
        self.text = text
        self.where = where
        self.condition = condition
        self.slots = slots_of(condition)
        self._asks_claims = any(slot.kind is ir.SlotKind.CLAIM for slot in self.slots)
        self._facts: dict[Identity, tuple[Hashable, ...]] = {}
        #: The caller asked for last, who mostly is the next one too.
        self._last_facts: tuple[Identity | None, tuple[Hashable, ...]] = (None, ())
        self._templates: dict[str, SqlTemplate | None] = {}
        #: Told of each question put to SQLite, while somebody counts (`coverage`).
        self._on_clause: Callable[[Identity, str], None] | None = None
        self._plain: CompiledExpression | None = None

    @cached_property
    def _predicate(self) -> Predicate:
        # Filters of lists never need it: SQLite answers those.
        return compile_predicate(self.condition)

    @cached_property
    def audience(self) -> Audience:
        """Return the expression as a question about all classes of callers at once."""
        return Audience(self.condition)

    def watch(
        self, judge: Predicate, audience: Audience, on_clause: Callable[[Identity, str], None]
    ) -> None:
        """Answer by these from now on: the same answers, counted."""
        self._plain = CompiledExpression(self.text, self.condition, self.where)
        self.__dict__.update(_predicate=judge, audience=audience)
        self._on_clause = on_clause

    @property
    def uncounted(self) -> CompiledExpression:
        """Return the expression for questions that are no caller's, such as explanations."""
        return self._plain or self

    # --- what it looks at

    @cached_property
    def exists(self) -> tuple[ir.ExistsNode, ...]:
        """Return every `exists` of the expression."""
        nodes = walk(self.condition)
        return tuple(dict.fromkeys(one.node for one in nodes if isinstance(one, ir.ExistsTest)))

    @cached_property
    def relaxed(self) -> CompiledExpression:
        """Return what is true wherever this could be, each exists free to be either."""
        return CompiledExpression("", relaxed(self.condition), self.where)

    @cached_property
    def timeless(self) -> CompiledExpression:
        """Return what is true wherever this could be at some time, rows being as they are."""
        return CompiledExpression("", timeless(self.condition), self.where)

    @cached_property
    def uses_now(self) -> bool:
        """Tell whether the answer can change as time passes."""
        return any(isinstance(node, ir.Now) for node in walk(self.condition))

    @cached_property
    def is_about_callers(self) -> bool:
        """Tell whether it asks of the caller alone: not of a row, the time, or other rows."""
        others = ir.Column | ir.ExistsTest | ir.Now | ir.Argument
        return not any(isinstance(node, others) for node in walk(self.condition))

    @cached_property
    def speaks_of_both_images(self) -> bool:
        """Tell whether it names old. or new. and is therefore evaluated once for an update."""
        columns = (node for node in walk(self.condition) if isinstance(node, ir.Column))
        return any(column.image != "data" for column in columns)

    @cached_property
    def sentence(self) -> str:
        """Return the expression in English."""
        return sentence(self.condition)

    # --- readings

    def facts(self, identity: Identity) -> tuple[Hashable, ...]:
        """Return what the expression asks of a caller."""
        last, found = self._last_facts
        if last is identity:
            return found
        # Two identities are equal where a claim of one is 1 and of the other true; what they are
        # answered is not, so claims are read anew.
        known = None if self._asks_claims else self._facts.get(identity)
        if known is None:
            known = answers(self.slots, identity)
            if len(self._facts) >= _IDENTITIES_MAX:
                self._facts.clear()
            self._facts[identity] = known
        self._last_facts = (identity, known)
        return known

    def class_key(self, identity: Identity) -> Hashable:
        """Return a key that is equal for callers who get equal answers for every row."""
        return self.facts(identity)

    def predicate(
        self, identity: Identity, data: Row | None, *, old: Row | None = None,
        new: Row | None = None, now: str, args: Mapping[str, Any] | None = None,
        lookup: ExistsLookup = no_lookup,
    ) -> bool | None:  # fmt: skip
        """Return True, False, or None for unknown; an exception is unknown, and logged."""
        return self.judge(self.facts(identity), data, old, new, now, args, lookup)

    def judge(
        self, facts: tuple[Hashable, ...], data: Row | None, old: Row | None, new: Row | None,
        now: str, args: Mapping[str, Any] | None, lookup: ExistsLookup,
    ) -> bool | None:  # fmt: skip
        """Return the answer for given facts: the form for many rows and one class of callers."""
        try:
            return self._predicate(facts, data, old, new, now, args, lookup)
        except Exception:  # noqa: BLE001 -- whatever goes wrong denies
            row_id = data.get("id") if data is not None else None
            _log.exception("policy.failed %s denied, row %s", self.where, row_id)
            return None

    def allows(
        self, identity: Identity, data: Row | None, *, old: Row | None = None,
        new: Row | None = None, now: str, args: Mapping[str, Any] | None = None,
        lookup: ExistsLookup = no_lookup,
    ) -> bool:  # fmt: skip
        """Tell whether the expression is true; unknown denies."""
        facts = self.facts(identity)
        return self.judge(facts, data, old, new, now, args, lookup) is True

    def holds(self, identity: Identity, row: Row, now: str, lookup: ExistsLookup) -> bool:
        """Tell whether it is true of one row for one caller: `allows` in its most frequent form."""
        last, facts = self._last_facts
        if last is not identity:
            facts = self.facts(identity)
        try:
            return self._predicate(facts, row, None, None, now, None, lookup) is True
        except Exception:  # noqa: BLE001 -- whatever goes wrong denies
            _log.exception("policy.failed %s denied, row %s", self.where, row.get("id"))
            return False

    def clause(
        self, identity: Identity, *, alias: str, now: str, args: Mapping[str, Any] | None = None
    ) -> SqlClause:
        """Return the SQL condition over the columns of `alias`."""
        assert not self.speaks_of_both_images, "a row in a table has one image"
        if self._on_clause is not None:
            self._on_clause(identity, now)
        key = f"column {alias}"
        if key not in self._templates:
            self._templates[key] = SqlWriter(column_of(alias)).write(self.condition)
        template = self._templates[key]
        assert template is not None
        return template.bind(identity, now, args)

    def image_clause(
        self, identity: Identity, *, column: str, now: str, args: Mapping[str, Any] | None = None
    ) -> SqlClause | None:
        """Return the SQL condition over a JSON image; None where only the predicate is exact."""
        assert not self.speaks_of_both_images, "a stored image is one"
        if self._on_clause is not None:
            self._on_clause(identity, now)
        key = f"image {column}"
        if key not in self._templates:
            try:
                self._templates[key] = SqlWriter(column_in_image(column)).write(self.condition)
            except NoImageForm:
                self._templates[key] = None
        template = self._templates[key]
        return None if template is None else template.bind(identity, now, args)


class CompiledPolicy(CompiledExpression):
    """The policy of one entity and access."""

    def __init__(
        self, text: str, condition: ir.Condition, where: str, warnings: tuple[str, ...] = (),
        times: tuple[tuple[str, int], ...] = (), looked_times: tuple[TimeRule, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(text, condition, where)
        #: Advice that does not stop the load.
        self.warnings = warnings
        #: The row's own times that are compared with now, so many milliseconds after it.
        self.times = times
        #: The times of rows that an exists looks at.
        self.looked_times = looked_times


class CompiledFilter(CompiledExpression):
    """A filter of a list or a subscription."""

    def matches(self, row: Row, now: str = "") -> bool:
        """Tell whether a row is selected; unknown is not."""
        return self.judge(self.facts(_NOBODY), row, None, None, now, self.args, no_lookup) is True

    #: Given arguments of a filter expression.
    args: Mapping[str, Any] | None = None


_NOBODY = Identity(kind="anonymous")  # type: ignore[arg-type]  # filters ask nothing of callers
_DENY = CompiledPolicy("", ir.Constant(value=False), "no policy")


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of an app by (entity, access), and those of fields by entity."""

    policies: Mapping[tuple[str, Access], CompiledPolicy]
    fields: Mapping[str, FieldPolicies] = field(default_factory=dict)

    def get(self, entity: str, access: Access) -> CompiledPolicy:
        """Return the policy, or one that denies everybody where there is none."""
        return self.policies.get((entity, access), _DENY)

    def fields_of(self, entity: str) -> FieldPolicies:
        """Return the read policies of an entity's fields; false where there are none."""
        return self.fields.get(entity, NO_FIELD_POLICIES)

    def reads(self, entity: str) -> tuple[CompiledExpression, ...]:
        """Return all expressions that decide what is seen of an entity."""
        return (self.get(entity, Access.READ), *self.fields_of(entity).policies.values())


def compile_policy(
    text: str, *, entity: Entity, access: Access, schema: Schema, position: Position | None = None,
    field_name: str | None = None,
) -> CompiledPolicy:  # fmt: skip
    """Return the compiled policy; raises PolicyMistakes with every mistake of the text.

    Args:
        text: the policy.
        entity: whose rows it judges.
        access: what it allows.
        schema: where the entities of `exists` are.
        position: where the text stands, for messages.
        field_name: the only field that it is about; None for the row.
    """
    place = access if field_name is None else f"{field_name}.{access}"
    where = f"{entity.name}.{place}"
    scope = Scope(schema=schema, entity=entity, access=access, where=where, position=position)
    condition = _compile(text, scope)
    advice: tuple[str, ...] = ()
    times: tuple[tuple[str, int], ...] = ()
    looked_times: tuple[TimeRule, ...] = ()
    if access is Access.READ and entity.sync:
        timing = timing_of(entity, condition)
        advice = (
            *missing_for_slices(entity, rules_of(entity, condition)),
            *missing_for_time(schema, timing),
        )
        times = tuple(dict.fromkeys((r.field, r.ms) for r in timing.rules if r.rule is None))
        looked_times = tuple(r for r in timing.rules if r.rule is not None)
    return CompiledPolicy(text, condition, where, advice, times, looked_times)


def compile_allow(
    text: str, *, arguments: Mapping[str, FieldKind | None], schema: Schema,
    where: str = "allow", position: Position | None = None,
) -> CompiledPolicy:  # fmt: skip
    """Return the compiled guard of a function; `data` does not exist in it."""
    scope = Scope(schema=schema, entity=None, arguments=arguments, where=where, position=position)
    return CompiledPolicy(text, _compile(text, scope), where)


def _compile(text: str, scope: Scope, *, bare_fields: bool = False) -> ir.Condition:
    try:
        node = grammar.parse(text, bare_fields=bare_fields)
    except grammar.GrammarError as error:
        mistake = mistake_at(
            text, error.at, error.message, where=scope.where, position=scope.position
        )
        raise PolicyMistakes((mistake,)) from error
    condition, mistakes = check_text(text, node, scope)
    if mistakes:
        raise PolicyMistakes(tuple(mistakes))
    return condition


def compile_expression(text: str, scope: Scope) -> ir.Condition:
    """Return the meaning of a filter expression, in which a bare name is a field."""
    return _compile(text, scope, bare_fields=True)


__all__ = [
    "CompiledExpression", "CompiledFilter", "CompiledPolicy", "ExistsLookup", "ExistsNode",
    "PolicyMistakes", "PolicySet", "SqlClause", "compile_allow", "compile_policy",
    "inverse_sql", "lookup_sql",
]  # fmt: skip
