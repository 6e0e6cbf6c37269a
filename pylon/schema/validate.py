"""What comes in, as rows: every problem of an insert or a patch at once, or a checked row.

What does not live here: single values (`fieldtypes`), and anything that needs the database
(uniqueness, references).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pylon.errors import InvalidArgument
from pylon.ids import is_id
from pylon.schema.constraints import constraint_of
from pylon.schema.fieldtypes import FIELD_TYPES, from_app
from pylon.schema.model import Default, DefaultKind, Entity, Field, Row, Value
from pylon.schema.quick_insert import QuickInsert, quick_insert

Converter = Callable[[Field, Any], Value]
Problems = list[dict[str, str]]


class InsertPlan:
    """The converters of one entity's fields, worked out once."""

    __slots__ = ("fields", "names", "quick")

    def __init__(self, entity: Entity) -> None:
        self.names = frozenset(entity.by_name)
        self.fields = tuple(
            (
                one,
                one.name,
                FIELD_TYPES[one.kind].parse,
                FIELD_TYPES[one.kind].from_app,
                constraint_of(one),
            )
            for one in entity.fields
        )
        self.quick = quick_insert(entity)


def _plan(entity: Entity) -> InsertPlan:
    # An entity is made once per definition and never changes, so its plan is kept on it.
    plan: InsertPlan | None = entity.__dict__.get("_insert_plan")
    if plan is None:
        plan = entity.__dict__["_insert_plan"] = InsertPlan(entity)
    return plan


def quick_of(entity: Entity) -> QuickInsert:
    """Return the check of the entity's plain inserts."""
    return _plan(entity).quick


def validate_insert(
    entity: Entity,
    values: Mapping[str, Any],
    *,
    now: str,
    actor: str | None,
    new_id: Callable[[], str],
    row_id: str | None = None,
    is_app: bool = False,
) -> Row:
    """Return the whole row of an insert: given values checked, defaults filled.

    Args:
        entity: what is inserted.
        values: JSON values by field name, or app values where `is_app`; `id` may be among them.
        now: canonical text of the operation's time.
        actor: the caller's user id, for `default=actor`.
        new_id: mints an id where none is given.
        row_id: the id given beside the values.
        is_app: the values come from the app's code.

    Raises:
        InvalidArgument: details name the first field and list every problem.
    """
    plan = _plan(entity)
    problems: Problems = []
    given = _id_of(values, row_id, new_id, problems)
    if not is_app and not problems:
        plain = plan.quick(values, given, now, actor)
        if plain is not None:
            return plain
    row = _checked(plan, values, now, actor, problems, is_app=is_app)
    if values.keys() - plan.names - {"id"}:
        _note_unknown(entity, values, problems, id_allowed=True)
    if problems:
        raise _refusal(problems)
    return {"id": given, **row}


def _id_of(
    values: Mapping[str, Any], row_id: str | None, new_id: Callable[[], str], problems: Problems
) -> str:
    given = values.get("id")
    if row_id is not None:
        if given is not None and given != row_id:
            problems.append({"field": "id", "message": "id is given twice, and differs"})
        given = row_id
    if given is None:
        return new_id()
    if not is_id(given):
        problems.append({"field": "id", "message": "id must be 1-64 of A-Za-z0-9_-"})
    return given  # type: ignore[no-any-return]


def _checked(
    plan: InsertPlan, values: Mapping[str, Any], now: str, actor: str | None, problems: Problems,
    *, is_app: bool,
) -> Row:  # fmt: skip
    """Return the declared fields of an insert; what is wrong with them goes to the problems."""
    row: Row = {}
    for field, name, parse, parse_app, check in plan.fields:
        if name in values:
            value = values[name]
            if value is None and field.nullable:
                row[name] = None
                continue
            try:
                converted = (parse_app if is_app else parse)(field, value)
                if check is not None and value is not None:
                    check(converted)
                row[name] = converted
            except ValueError as error:
                problems.append(_problem(name, value, error))
        elif field.default is not None:
            row[name] = _fill(field, field.default, now, actor, problems)
        elif field.nullable:
            row[name] = None
        else:
            problems.append({"field": name, "message": f"{name} is required"})
    return row


def validate_patch(
    entity: Entity, values: Mapping[str, Any], *, is_app: bool = False, is_insert: bool = False
) -> Row:
    """Return the checked values of an update; raises InvalidArgument listing every problem.

    With `is_insert` they are for a row that is yet to be inserted: immutable fields may be set.
    """
    plan = _plan(entity)
    problems: Problems = []
    patch: Row = {}
    for field, name, parse, parse_app, check in plan.fields:
        if name not in values:
            continue
        value = values[name]
        if field.immutable and not is_insert:
            problems.append({"field": name, "message": f"{name} is set on insert only"})
            continue
        if value is None and field.nullable:
            patch[name] = None
            continue
        try:
            converted = (parse_app if is_app else parse)(field, value)
            if check is not None and value is not None:
                check(converted)
            patch[name] = converted
        except ValueError as error:
            problems.append(_problem(name, value, error))
    if len(patch) + len(problems) != len(values):
        _note_unknown(entity, values, problems, id_allowed=False)
    if problems:
        raise _refusal(problems)
    return patch


def _fill(field: Field, default: Default, now: str, actor: str | None, problems: Problems) -> Value:
    match default.kind:
        case DefaultKind.LITERAL:
            return default.value
        case DefaultKind.NOW:
            return now
        case DefaultKind.ACTOR:
            if actor is None and not field.nullable:
                problems.append(
                    {"field": field.name, "message": f"{field.name} needs a signed-in caller"}
                )
            return actor
        case DefaultKind.FACTORY:
            try:
                return from_app(field, default.value())
            except InvalidArgument as error:
                # The app's own mistake, not the caller's: it must not read as a 400.
                raise TypeError(f"default_factory of {error.message}") from error


def _problem(name: str, value: Any, error: ValueError) -> dict[str, str]:
    message = "must not be null" if value is None else str(error)
    return {"field": name, "message": f"{name} {message}"}


def _note_unknown(
    entity: Entity, values: Mapping[str, Any], problems: Problems, *, id_allowed: bool
) -> None:
    known = _plan(entity).names
    for name in values:
        if name in known or (name == "id" and id_allowed):
            continue
        match name:
            case "id":
                message = "id is set on insert only"
            case "_seq":
                message = "_seq is set by the server"
            case _:
                message = f"{entity.name} has no field {name!s:.64}"
        problems.append({"field": name, "message": message})


def _refusal(problems: Problems) -> InvalidArgument:
    message = "; ".join(problem["message"] for problem in problems[:5])
    if len(problems) > 5:
        message += f"; and {len(problems) - 5} more"
    return InvalidArgument(message, field=problems[0]["field"], problems=problems)
