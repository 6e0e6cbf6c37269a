"""The rows of inserts that are plainly right, from code generated for their entity.

It takes what needs no message: whatever it is not sure of it leaves to `validate`, which judges
the whole insert again and finds the words. Generated code holds names and numbers of our own and
values handed in beside it; no text from outside becomes code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pylon import limits
from pylon.ids import is_id
from pylon.schema.constraints import constraint_of
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.jsontree import check_text
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Row

#: (values, id, now, actor) -> the row, or None where `validate` must look.
QuickInsert = Callable[[Mapping[str, Any], str, str, str | None], Row | None]

_TEXTS: Final = (FieldKind.STR, FieldKind.TEXT)


def _is_clean(text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return True


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {
            "MISSING": object(), "is_clean": _is_clean, "is_id": is_id, "INFINITE": float("inf"),
        }  # fmt: skip

    def constant(self, value: Any) -> str:
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def refuse_unless(self, depth: int, condition: str) -> None:
        self.lines.append(f"{' ' * depth}if not ({condition}): return None")

    def field(self, name: str, field: Field) -> None:
        """Write what leaves the field's value in the variable `name`."""
        self.lines += [f" {name} = get({field.name!r}, MISSING)", f" if {name} is MISSING:"]
        self._default(name, field)
        self.lines.append(" else:")
        self.lines.append("  seen += 1")
        depth = 2
        if field.nullable:
            self.lines.append(f"  if {name} is not None:")
            depth = 3
        self._check(name, field, depth)

    def _default(self, name: str, field: Field) -> None:
        default = field.default
        match None if default is None else default.kind:
            case DefaultKind.LITERAL:
                assert default is not None
                self.lines.append(f"  {name} = {self.constant(default.value)}")
            case DefaultKind.NOW:
                self.lines.append(f"  {name} = now")
            case DefaultKind.ACTOR:
                if not field.nullable:
                    self.refuse_unless(2, "actor is not None")
                self.lines.append(f"  {name} = actor")
            case None if field.nullable:
                self.lines.append(f"  {name} = None")
            case _:
                self.lines.append("  return None")

    def _check(self, name: str, field: Field, depth: int) -> None:
        kind = field.kind
        if field.pattern is None and kind in _TEXTS:
            self.refuse_unless(
                depth,
                f"type({name}) is str and '\\0' not in {name}"
                f" and ({name}.isascii() or is_clean({name}))",
            )
            self._bounds(f"len({name})", field.min_length, field.max_length, depth)
        elif kind is FieldKind.INT:
            most = limits.SAFE_INTEGER_MAX
            self.refuse_unless(depth, f"type({name}) is int and -{most} <= {name} <= {most}")
            self._bounds(name, field.min, field.max, depth)
        elif kind is FieldKind.FLOAT:
            self.refuse_unless(depth, f"type({name}) is float and -INFINITE < {name} < INFINITE")
            self.lines.append(f"{' ' * depth}{name} += 0.0")
            self._bounds(name, field.min, field.max, depth)
        elif kind is FieldKind.BOOL:
            self.refuse_unless(depth, f"type({name}) is bool")
        elif kind is FieldKind.REF:
            self.refuse_unless(depth, f"is_id({name})")
        elif kind is FieldKind.ENUM:
            choices = self.constant(frozenset(field.choices))
            self.refuse_unless(depth, f"type({name}) is str and {name} in {choices}")
        else:
            self._parse(name, field, depth)

    def _bounds(self, what: str, low: Any, high: Any, depth: int) -> None:
        if low is not None:
            self.refuse_unless(depth, f"{what} >= {self.constant(low)}")
        if high is not None:
            self.refuse_unless(depth, f"{what} <= {self.constant(high)}")

    def _parse(self, name: str, field: Field, depth: int) -> None:
        parse = self.constant(FIELD_TYPES[field.kind].parse)
        indent = " " * depth
        self.lines.append(f"{indent}try:")
        self.lines.append(f"{indent} {name} = {parse}({self.constant(field)}, {name})")
        check = constraint_of(field)
        if check is not None:
            self.lines.append(f"{indent} {self.constant(check)}({name})")
        self.lines.append(f"{indent}except ValueError: return None")


def quick_insert(entity: Entity) -> QuickInsert:
    """Return the function of an entity; made once (`validate.InsertPlan`)."""
    writer = _Writer()
    variables = [(f"v{place}", one) for place, one in enumerate(entity.fields)]
    for name, field in variables:
        writer.field(name, field)
    members = "".join(f", {field.name!r}: {name}" for name, field in variables)
    source = "\n".join(
        [
            "def quick(values, row_id, now, actor):",
            " get = values.get",
            " seen = 1 if 'id' in values else 0",
            *writer.lines,
            " if seen != len(values): return None",
            f" return {{'id': row_id{members}}}",
        ]
    )
    namespace = dict(writer.constants)
    exec(compile(source, "<insert>", "exec"), namespace)  # noqa: S102 -- our own generated code
    return namespace["quick"]  # type: ignore[no-any-return]
