"""Read policies of single fields: which fields of a row that he may read a caller does not get.

A field policy is asked for each row, like an entity's; a caller who fails it gets the row without
the field. A field whose answer depends on the row can't be named in a filter or an order at all,
because which rows are found, and where they stand, would tell its value.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Row

if TYPE_CHECKING:
    from pylon.policy.compiled import CompiledPolicy, ExistsLookup

#: The answers to the slots of each field policy, in the order of declaration.
FieldFacts = tuple[tuple[Hashable, ...], ...]
NOTHING: frozenset[str] = frozenset()
#: A path that no row has: removing it changes nothing.
_NOWHERE = "$._"


class FieldPolicies:
    """The field policies of one entity; false where it has none."""

    def __init__(self, policies: Mapping[str, CompiledPolicy]) -> None:
        #: By field, in the order of declaration.
        self.policies = policies

    def __bool__(self) -> bool:
        """Tell whether any field has a policy of its own."""
        return bool(self.policies)

    @cached_property
    def exists(self) -> tuple[ir.ExistsNode, ...]:
        """Return every `exists` of the policies."""
        return tuple(dict.fromkeys(one for each in self.policies.values() for one in each.exists))

    @cached_property
    def uses_now(self) -> bool:
        """Tell whether an answer can change as time passes."""
        return any(one.uses_now for one in self.policies.values())

    def facts(self, identity: Identity) -> FieldFacts:
        """Return what the policies ask of a caller: equal for those who get the same fields."""
        return tuple([one.facts(identity) for one in self.policies.values()])

    def hidden(self, facts: FieldFacts, row: Row, now: str, lookup: ExistsLookup) -> frozenset[str]:
        """Return the fields of a row that callers of these facts do not get."""
        return frozenset([
            name
            for (name, policy), answers in zip(self.policies.items(), facts, strict=True)
            if policy.judge(answers, row, None, None, now, None, lookup) is not True
        ])  # fmt: skip

    def hidden_from(
        self, identity: Identity, row: Row, now: str, lookup: ExistsLookup
    ) -> frozenset[str]:
        """Return the fields of a row that a caller does not get."""
        if identity.is_system or not self.policies:
            return NOTHING
        return self.hidden(self.facts(identity), row, now, lookup)

    def unusable(self, identity: Identity) -> frozenset[str]:
        """Return the fields that a caller can't name in filters, orders, groups and searches.

        He can name a field only where his right to it depends on nothing but who he is.
        """
        if identity.is_system or not self.policies:
            return NOTHING
        return frozenset([
            name for name, policy in self.policies.items() if not _holds_always(policy, identity)
        ])  # fmt: skip

    def wire(self, identity: Identity, *, alias: str, now: str) -> SqlClause:
        """Return the SQL of a row's wire text as a caller gets it, over the columns of `alias`."""
        paths: list[str] = []
        params: list[object] = []
        for name, policy in () if identity.is_system else self.policies.items():
            path = f"""'$."{name}"'"""
            if not policy.is_about_callers:
                clause = policy.clause(identity, alias=alias, now=now)
                paths.append(f"CASE WHEN {clause.text} THEN '{_NOWHERE}' ELSE {path} END")
                params += clause.params
            elif not _holds_always(policy, identity):
                paths.append(path)
        if not paths:
            return SqlClause(f'{alias}."_wire"', ())
        return SqlClause(f'json_remove({alias}."_wire", {", ".join(paths)})', tuple(params))


def _holds_always(policy: CompiledPolicy, identity: Identity) -> bool:
    return policy.is_about_callers and policy.allows(identity, None, now="")


NO_FIELD_POLICIES = FieldPolicies({})
