"""A class with annotations to an entity of the schema, with every mistake noted.

What does not live here: checks that need the other entities (`definition`).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from typing import Any

from pylon.app.annotations import AnnotationMistake, FieldShape, shape_of
from pylon.app.fields import MISSING, FieldKeywords, FieldSpec, Filled, IndexSpec
from pylon.app.source import ClassSource
from pylon.errors import InvalidArgument, Mistake
from pylon.policy.mistakes import nearest
from pylon.schema import model
from pylon.schema.fieldtypes import from_app
from pylon.schema.model import Access, Default, DefaultKind, FieldKind, Index, OnDelete, Position

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z", re.ASCII)
_RESERVED = frozenset({"id", "_seq", "_wire", "rowid", "oid", "_rowid_", "and", "or", "not"})
_KEYWORDS = tuple(one.name for one in dataclass_fields(FieldSpec))
_TEXTS = (FieldKind.STR, FieldKind.TEXT)
_NUMBERS = (FieldKind.INT, FieldKind.FLOAT, FieldKind.BIGINT, FieldKind.DECIMAL)


class _Body(dict[str, Any]):
    """The namespace of an entity's body, which notices a name that is assigned twice."""

    def __init__(self) -> None:
        super().__init__()
        self.twice: list[str] = []

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self and not name.startswith("__"):
            self.twice.append(name)
        super().__setitem__(name, value)


class EntityMeta(type):
    """Keeps what an entity's body assigned, double assignments included."""

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **keywords: Any) -> _Body:
        """Return the namespace that notices double assignment."""
        return _Body()

    def __new__(
        cls, name: str, bases: tuple[type, ...], body: Mapping[str, Any], **keywords: Any
    ) -> EntityMeta:
        """Make the class and keep its body's double assignments."""
        made = super().__new__(cls, name, bases, dict(body), **keywords)
        made._twice = tuple(getattr(body, "twice", ()))  # type: ignore[attr-defined]
        return made


class Entity(metaclass=EntityMeta):
    """Base of an app's entities; declare fields by annotations."""

    def __getattr__(self, name: str) -> Any:
        """Exist for type checkers: rows of an entity have its fields as attributes."""
        raise AttributeError(name)


class EntityBuilder:
    """Builds one entity from its class, noting mistakes."""

    def __init__(
        self, cls: type, source: ClassSource | None, names: dict[str, Any], mistakes: list[Mistake]
    ) -> None:
        self._cls = cls
        self._source = source
        self._names = names
        self._mistakes = mistakes
        self._annotations = inspect.get_annotations(cls)

    def build(self, policies: Mapping[str, Any], *, sync: bool) -> model.Entity:
        """Return the entity; what can't be made sense of is left out and noted."""
        self._check_names()
        fields = [one for name in self._annotations if (one := self._field(name)) is not None]
        return model.Entity(
            name=self._cls.__name__,
            fields=tuple(fields),
            indexes=self._indexes(fields),
            policies=self._policies(policies),
            policy_positions={
                Access(name): position
                for name, position in (self._source.keywords if self._source else {}).items()
                if name in set(Access)
            },
            sync=sync,
            doc=(self._cls.__doc__ or None),
            position=self._source.position if self._source else None,
        )

    # --- names

    def _check_names(self) -> None:
        name = self._cls.__name__
        if not _NAME.match(name) or name.startswith("pylon"):
            self._note(f"{name} can't be an entity's name", None)
        for twice in getattr(self._cls, "_twice", ()):
            self._note(f"{name}.{twice} is assigned twice; the first is lost", twice)
        by_case: dict[str, str] = {}
        for one in self._annotations:
            other = by_case.setdefault(one.casefold(), one)
            if other != one:
                self._note(f"{name}.{one} and {other} differ by case only", one)

    def _name_is_usable(self, name: str) -> bool:
        if name in _RESERVED or name.casefold() in _RESERVED:
            self._note(f"{self._cls.__name__}.{name}: the name {name} is reserved", name)
            return False
        if not _NAME.match(name):
            self._note(
                f"{self._cls.__name__}.{name}: a field's name has letters, digits and _, and"
                " begins with a letter",
                name,
            )
            return False
        return True

    # --- fields

    def _field(self, name: str) -> model.Field | None:
        if not self._name_is_usable(name):
            return None
        shape = self._shape(name)
        spec = self._spec(name)
        if shape is None or spec is None:
            return None
        where = f"{self._cls.__name__}.{name}"
        bare = model.Field(
            name=name, kind=shape.kind, nullable=shape.nullable, unique=spec.unique,
            index=spec.index, immutable=spec.immutable, private=spec.private, min=spec.min,
            max=spec.max, min_length=spec.min_length, max_length=spec.max_length,
            pattern=spec.pattern, read=spec.read, renamed_from=spec.renamed_from,
            search=spec.search, doc=spec.doc, choices=shape.choices, enum_class=shape.enum_class,
            ref=shape.ref, on_delete=self._on_delete(name, spec, shape), scale=spec.scale,
            item=shape.item, position=self._at(name),
        )  # fmt: skip
        self._check_constraints(where, bare)
        default = self._default(where, bare, spec)
        return bare if default is None else model.Field(**{**vars(bare), "default": default})

    def _shape(self, name: str) -> FieldShape | None:
        node = self._source.annotations.get(name) if self._source else None
        if node is None:
            text = self._annotations[name]
            node = ast.parse(text if isinstance(text, str) else text.__name__, mode="eval").body
        try:
            return shape_of(node, self._names)
        except AnnotationMistake as mistake:
            self._note(f"{self._cls.__name__}.{name}: {mistake.message}", name, mistake.hint)
            return None

    def _spec(self, name: str) -> FieldSpec | None:
        given = self._cls.__dict__.get(name, MISSING)
        if given is MISSING:
            return FieldSpec()
        if not isinstance(given, FieldKeywords):
            return FieldSpec(default=given)
        unknown = [one for one in given.given if one not in _KEYWORDS]
        for one in unknown:
            self._note(
                f"{self._cls.__name__}.{name}: field() has no {one}", name, nearest(one, _KEYWORDS)
            )
        return None if unknown else FieldSpec(**given.given)

    def _on_delete(self, name: str, spec: FieldSpec, shape: FieldShape) -> OnDelete:
        where = f"{self._cls.__name__}.{name}"
        try:
            rule = OnDelete(spec.on_delete)
        except ValueError:
            self._note(
                f"{where}: on_delete is restrict, cascade or set_null", name,
                nearest(str(spec.on_delete), list(OnDelete)),
            )  # fmt: skip
            return OnDelete.RESTRICT
        if rule is OnDelete.SET_NULL and not shape.nullable:
            self._note(f"{where}: set_null needs a field that can be null", name, "add | None")
        if rule is not OnDelete.RESTRICT and shape.ref is None:
            self._note(f"{where}: on_delete is for Ref fields", name)
        return rule

    def _check_constraints(self, where: str, field: model.Field) -> None:
        if (field.min is not None or field.max is not None) and field.kind not in _NUMBERS:
            self._note(f"{where}: min and max are for numbers", field.name)
        has_length = field.min_length is not None or field.max_length is not None
        if has_length and field.kind not in (*_TEXTS, FieldKind.BYTES, FieldKind.LIST):
            self._note(f"{where}: lengths are for texts, bytes and lists", field.name)
        if field.pattern is not None:
            self._check_pattern(where, field)
        if field.scale and field.kind is not FieldKind.DECIMAL:
            self._note(f"{where}: scale is for Decimal", field.name)
        if not isinstance(field.scale, int) or not 0 <= field.scale <= 18:
            self._note(f"{where}: scale is 0 to 18", field.name)

    def _check_pattern(self, where: str, field: model.Field) -> None:
        if field.kind not in _TEXTS:
            self._note(f"{where}: pattern is for texts", field.name)
        try:
            re.compile(field.pattern or "")
        except re.error as error:
            self._note(f"{where}: the pattern is no regular expression: {error}", field.name)

    def _default(self, where: str, field: model.Field, spec: FieldSpec) -> Default | None:
        if spec.default_factory is not None:
            if spec.default is not MISSING:
                self._note(f"{where} has both default and default_factory", field.name)
            return Default(DefaultKind.FACTORY, spec.default_factory)
        given = spec.default
        if given is MISSING:
            return None
        if isinstance(given, Filled):
            return self._filled(where, field, given)
        if given is None:
            if not field.nullable:
                self._note(f"{where}: the default is None and the field is not | None", field.name)
            return Default(DefaultKind.LITERAL, None)
        try:
            return Default(DefaultKind.LITERAL, from_app(field, given))
        except InvalidArgument as error:
            self._note(f"{where}: bad default {given!r}: {error.message}", field.name)
            return None

    def _filled(self, where: str, field: model.Field, given: Filled) -> Default | None:
        if given.name == "now" and field.kind is not FieldKind.DATETIME:
            self._note(f"{where}: default=now is for datetime", field.name)
            return None
        if given.name == "actor" and field.kind not in (FieldKind.REF, FieldKind.STR):
            self._note(f'{where}: default=actor is for Ref["User"] or str', field.name)
            return None
        return Default(DefaultKind.NOW if given.name == "now" else DefaultKind.ACTOR)

    # --- indexes and policies

    def _indexes(self, fields: list[model.Field]) -> tuple[Index, ...]:
        known = {one.name for one in fields}
        found: list[Index] = []
        for name, value in self._cls.__dict__.items():
            if not isinstance(value, IndexSpec):
                continue
            for one in value.fields:
                if one not in known and one != "id":
                    self._note(
                        f"{self._cls.__name__}.{name}: there is no field {one}", name,
                        nearest(one, known),
                    )  # fmt: skip
            if not value.fields:
                self._note(f"{self._cls.__name__}.{name}: an index needs a field", name)
            fit = tuple(one for one in value.fields if one in known)
            if fit:
                found.append(
                    Index(name=name, fields=fit, unique=value.unique, position=self._at(name))
                )
        alone = [
            Index(name=one.name, fields=(one.name,), unique=one.unique)
            for one in fields
            if one.unique or one.index
        ]
        return (*found, *alone)

    def _policies(self, given: Mapping[str, Any]) -> dict[Access, str]:
        policies: dict[Access, str] = {}
        for name, text in given.items():
            if name not in set(Access):
                self._note(f"@app.entity has no {name}", None, nearest(name, [*Access, "sync"]))
            elif not isinstance(text, str):
                self._note(f"{self._cls.__name__}.{name}: a policy is a text", None)
            else:
                policies[Access(name)] = text
        return policies

    # --- mistakes

    def _at(self, name: str | None) -> Position | None:
        if self._source is None:
            return None
        return self._source.fields.get(name, self._source.position) if name else (
            self._source.position
        )  # fmt: skip

    def _note(self, message: str, name: str | None, hint: str | None = None) -> None:
        at = self._at(name)
        self._mistakes.append(
            Mistake(
                message, file=at.file if at else None, line=at.line if at else None,
                column=at.column if at else None, hint=hint,
            )
        )  # fmt: skip
