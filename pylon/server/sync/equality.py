"""Which value a row must have for a filter to select it: what filters are found by. Pure."""

from __future__ import annotations

from typing import Any

from pylon.policy import ir
from pylon.policy.compiled import CompiledFilter


def equality_term(one: CompiledFilter) -> tuple[str, tuple[Any, ...]] | None:
    """Return (field, values) such that a row can match only where the field has one of them.

    Of several terms the one with the fewest values; of those, one over a field that is not true
    or false, which would tell too little apart. None where no equality has to hold.
    """
    condition = one.condition
    items = condition.items if isinstance(condition, ir.Conjunction) else (condition,)
    terms = [term for term in map(_term, items) if term is not None]
    return min(terms, key=lambda term: (isinstance(term[1][0], bool), len(term[1])), default=None)


def _term(condition: ir.Condition) -> tuple[str, tuple[Any, ...]] | None:
    match condition:
        case ir.Conjunction(items):
            return next((term for term in map(_term, items) if term is not None), None)
        case ir.Cmp("==", ir.Column("data", name), ir.Const(value)) if value is not None:
            return name, (value,)
        case ir.Member(ir.Column("data", name), items):
            values = tuple(item.value for item in items if isinstance(item, ir.Const))
            return (name, values) if values and len(values) == len(items) else None
        case ir.Disjunction(items):
            terms = [_term(item) for item in items]
            present = [term for term in terms if term is not None]
            if len(present) < len(terms) or len({name for name, _ in present}) != 1:
                return None
            return present[0][0], tuple(value for _, values in present for value in values)
        case _:
            return None
