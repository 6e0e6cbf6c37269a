"""A class with annotations to an entity of the schema, with every mistake noted.

What does not live here: checks that need the other entities (`definition`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any, Final

from pylon.app.annotations import AnnotationMistake, FieldShape, is_kind, parsed, shape_of
from pylon.app.app import DeclaredEntity
from pylon.app.entities import Entity
from pylon.app.fields import MISSING, FieldKeywords, FieldSpec, Filled, IndexSpec
from pylon.app.keywords import misfits, wrong_types
from pylon.app.mistakes import Mistakes
from pylon.app.source import ClassSource
from pylon.errors import InvalidArgument
from pylon.policy.mistakes import nearest
from pylon.schema import model
from pylon.schema.fieldtypes import from_app
from pylon.schema.model import Access, Default, DefaultKind, FieldKind, Index, OnDelete, Position

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z", re.ASCII)
_RESERVED = frozenset({"id", "_seq", "_wire", "rowid", "oid", "_rowid_", "and", "or", "not"})
_KEYWORDS = tuple(one.name for one in dataclass_fields(FieldSpec))
_ORDINARY = (str, int, float, bool, bytes, list, dict, tuple, type(None))


class EntityBuilder:
    """Builds one entity from its class, noting mistakes."""

    def __init__(
        self, declared: DeclaredEntity, source: ClassSource | None, names: dict[str, Any],
        mistakes: Mistakes,
    ) -> None:  # fmt: skip
        self._declared = declared
        self._cls: type = declared.cls
        self._source = source
        self._names = names
        self._mistakes = mistakes
        self._annotations = inspect.get_annotations(self._cls)
        #: Names of the fields that are left out, or stand without their default.
        self.broken: set[str] = set()

    def build(self) -> model.Entity:
        """Return the entity; what can't be made sense of is left out and noted."""
        self._check_class()
        self._check_names()
        fields = [one for name in self._annotations if (one := self._field(name)) is not None]
        self._check_renames(fields)
        source = self._source
        return model.Entity(
            name=self._cls.__name__,
            fields=tuple(fields),
            indexes=self._indexes(fields),
            policies=self._policies(),
            policy_positions={one: source.at_policy(one) for one in Access} if source else {},
            sync=self._declared.sync is not False,
            doc=inspect.cleandoc(self._cls.__doc__) if self._cls.__doc__ else None,
            position=source.position if source else None,
        )

    # --- the class and its names

    def _check_class(self) -> None:
        name = self._cls.__name__
        if not NAME.match(name):
            self._note("", "an entity's name has letters, digits and _, and begins with a letter")
        folded = name.casefold()
        if folded.startswith(("pylon", "sqlite_")) or name.endswith("__new"):
            self._note("", f"the name {name} is reserved")
        if not issubclass(self._cls, Entity):
            self._note("", f"{name} is no Entity", hint=f"write class {name}(Entity)")
        elif self._cls.__bases__ != (Entity,):
            self._note(
                "", "an entity derives from Entity alone; fields are not inherited",
                hint="write the fields in each entity",
            )  # fmt: skip
        if not isinstance(self._declared.sync, bool):
            self._note("", "sync is True or False", at=self._policy_at("sync"))

    def _check_names(self) -> None:
        twice = dict.fromkeys(getattr(self._cls, "_twice", ()))
        if self._source is not None:
            twice |= dict.fromkeys(self._source.twice)
        for name in twice:
            where = self._source.twice.get(name) if self._source else None
            at = self._source.module.at(where) if self._source and where else None
            self._note(name, "is given twice; only the last would count", at=at)
        by_case: dict[str, str] = {}
        for name in self._annotations:
            other = by_case.setdefault(name.casefold(), name)
            if other != name:
                self._note(name, f"differs from {other} by case only")
        for name, value in vars(self._cls).items():
            if isinstance(value, FieldKeywords | Filled) and name not in self._annotations:
                self._note(name, "has no annotation, so it is no field", hint=f"{name}: str = …")
            elif is_kind(value) and name not in self._annotations:
                kind = getattr(value, "__name__", str(value))
                self._note(
                    name, "is set to a type; a type stands behind a colon", hint=f"{name}: {kind}"
                )

    def _name_is_usable(self, name: str) -> bool:
        if name.casefold() in _RESERVED:
            self._note(name, f"the name {name} is reserved")
            return False
        if not NAME.match(name):
            self._note(
                name, "a field's name has letters, digits and _, and begins with a letter (64 at"
                " most)",
            )  # fmt: skip
            return False
        return True

    def _check_renames(self, fields: list[model.Field]) -> None:
        sources: dict[str, str] = {}
        declared = {one.name for one in fields}
        for one in fields:
            if one.renamed_from is None:
                continue
            at = self._keyword_at(one.name, "renamed_from")
            if one.renamed_from in declared:
                self._note(
                    one.name, f"is renamed from {one.renamed_from}, which still exists", at=at
                )
            other = sources.setdefault(one.renamed_from, one.name)
            if other != one.name:
                self._note(one.name, f"and {other} are renamed from one field", at=at)

    # --- fields

    def _field(self, name: str) -> model.Field | None:
        if not self._name_is_usable(name):
            return None
        if isinstance(self._cls.__dict__.get(name), IndexSpec):
            self._note(name, "is a field and an index", hint=f"name the index by_{name}")
            return None
        shape, spec = self._shape(name), self._spec(name)
        if shape is None or spec is None:
            return None
        bare = model.Field(
            name=name, kind=shape.kind, nullable=shape.nullable, unique=spec.unique,
            index=spec.index, immutable=spec.immutable, private=spec.private, min=spec.min,
            max=spec.max, min_length=spec.min_length, max_length=spec.max_length,
            pattern=spec.pattern, read=spec.read, read_position=self._read_position(name),
            renamed_from=spec.renamed_from, search=_is_searched(spec, shape), doc=spec.doc,
            choices=shape.choices, enum_class=shape.enum_class, ref=shape.ref,
            on_delete=self._on_delete(name, spec, shape), scale=spec.scale, item=shape.item,
            position=self._source.at(name) if self._source else None,
        )  # fmt: skip
        wrong = list(misfits(bare))
        for keyword, message in wrong:
            self._note(name, message, at=self._keyword_at(name, keyword))
        default = None if wrong else self._default(bare, spec)
        return bare if default is None else replace(bare, default=default)

    def _shape(self, name: str) -> FieldShape | None:
        at = self._source.at_annotation(name) if self._source else None
        try:
            node = self._source.annotations.get(name) if self._source else None
            if node is None:
                given = self._annotations[name]
                node = parsed(given if isinstance(given, str) else getattr(given, "__name__", "?"))
            return shape_of(node, self._names)
        except AnnotationMistake as mistake:
            self._note(name, mistake.message, at=at, hint=mistake.hint)
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
                name, f"field() has no {one}", at=self._keyword_at(name, one),
                hint=nearest(one, _KEYWORDS),
            )  # fmt: skip
        spec = FieldSpec(**{key: one for key, one in given.given.items() if key in _KEYWORDS})
        wrong = list(wrong_types(spec))
        for keyword, message in wrong:
            self._note(name, message, at=self._keyword_at(name, keyword))
        return None if wrong else spec

    def _on_delete(self, name: str, spec: FieldSpec, shape: FieldShape) -> OnDelete:
        at = self._keyword_at(name, "on_delete")
        try:
            rule = OnDelete(spec.on_delete)
        except ValueError:
            self._note(
                name, "on_delete is restrict, cascade or set_null", at=at,
                hint=nearest(str(spec.on_delete), list(OnDelete)),
            )  # fmt: skip
            return OnDelete.RESTRICT
        if rule is OnDelete.SET_NULL and not shape.nullable:
            self._note(name, "set_null needs a field that can be null", at=at, hint="add | None")
        if rule is not OnDelete.RESTRICT and shape.ref is None:
            self._note(name, "on_delete is for Ref fields", at=at)
        return rule

    # --- defaults

    def _default(self, field: model.Field, spec: FieldSpec) -> Default | None:
        has_value = spec.default is not MISSING and spec.default is not None
        if field.kind is FieldKind.FILE and (has_value or spec.default_factory is not None):
            word = "default" if has_value else "default_factory"
            self._note(field.name, "a file has no default", at=self._keyword_at(field.name, word))
            return None
        if spec.default_factory is not None:
            if spec.default is not MISSING:
                self._note(field.name, "has both default and default_factory")
            self._try_factory(field, spec.default_factory)
            return Default(DefaultKind.FACTORY, spec.default_factory)
        given = spec.default
        if given is MISSING:
            return None
        if isinstance(given, Filled):
            return self._filled(field, given)
        at = self._source.at_value(field.name) if self._source else None
        if self._source and isinstance(self._cls.__dict__.get(field.name), FieldKeywords):
            at = self._source.at_keyword(field.name, "default")
        if given is None:
            if not field.nullable:
                self._note(
                    field.name, "the default is None and the field can't be null", at=at,
                    hint="add | None",
                )  # fmt: skip
            return Default(DefaultKind.LITERAL, None)
        try:
            return Default(DefaultKind.LITERAL, from_app(field, given))
        except InvalidArgument as error:
            shown = repr(given) if isinstance(given, _ORDINARY) else f"a {type(given).__name__}"
            self._note(field.name, f"bad default {shown:.60}: {error.message}", at=at)
            return None

    def _try_factory(self, field: model.Field, factory: Callable[[], Any]) -> None:
        """Note a factory that fails or makes what the field can't hold, before a row needs it."""
        at = self._keyword_at(field.name, "default_factory")
        try:
            from_app(field, factory())
        except InvalidArgument as error:
            self._note(field.name, f"bad default: {error.message}", at=at)
        except Exception as error:  # noqa: BLE001 -- whatever the app's factory does
            shown = f"{type(error).__name__}: {error}"
            self._note(field.name, f"default_factory failed: {shown:.200}", at=at)

    def _filled(self, field: model.Field, given: Filled) -> Default | None:
        at = self._source.at_value(field.name) if self._source else None
        if given.name == "now" and field.kind is not FieldKind.DATETIME:
            self._note(field.name, "default=now is for datetime", at=at)
            return None
        if given.name == "actor" and field.kind not in (FieldKind.REF, FieldKind.STR):
            self._note(field.name, 'default=actor is for Ref["User"] or str', at=at)
            return None
        if given.name == "actor" and field.ref not in (None, "User"):
            self._note(field.name, f"default=actor is a User, not a {field.ref}", at=at)
            return None
        return Default(DefaultKind.NOW if given.name == "now" else DefaultKind.ACTOR)

    # --- indexes and policies

    def _indexes(self, fields: list[model.Field]) -> tuple[Index, ...]:
        by_name = {one.name: one for one in fields}
        found = [
            self._index(name, value, by_name)
            for name, value in vars(self._cls).items()
            if isinstance(value, IndexSpec) and name not in self._annotations
        ]
        alone = [
            Index(name=one.name, fields=(one.name,), unique=one.unique, position=one.position)
            for one in fields
            if one.unique or one.index
        ]
        by_case: dict[str, str] = {}
        for index in (*alone, *found):
            other = by_case.setdefault(index.name.casefold(), index.name)
            if other != index.name:
                self._note(index.name, f"the indexes {other} and {index.name} differ by case only")
        return (*(one for one in found if one.fields), *alone)

    def _index(self, name: str, spec: IndexSpec, known: Mapping[str, model.Field]) -> Index:
        if not NAME.match(name):
            self._note(name, "an index's name begins with a letter (64 letters, digits, _ at most)")
        if not spec.fields:
            self._note(name, "an index needs a field")
        fit = []
        given: tuple[Any, ...] = spec.fields
        for one in given:
            at = self._source.at_text(name, one) if self._source else None
            field = known.get(one) if isinstance(one, str) else None
            if field is None and one != "id":
                is_declared = isinstance(one, str) and one in self._annotations
                if not is_declared:  # a field with a mistake of its own is not unknown
                    hint = nearest(str(one), [*self._annotations, "id"])
                    self._note(name, f"there is no field {one!s:.60}", at=at, hint=hint)
                continue
            if field is not None and field.kind in (
                FieldKind.LIST, FieldKind.OBJECT, FieldKind.JSON, FieldKind.BYTES, FieldKind.FILE
            ):  # fmt: skip
                self._note(name, f"a {field.kind} field can't have an index", at=at)
            if one in fit:
                self._note(name, f"{one} is there twice", at=at)
            fit.append(one)
        position = self._source.at(name) if self._source else None
        return Index(name=name, fields=tuple(fit), unique=spec.unique, position=position)

    def _policies(self) -> dict[Access, str]:
        policies: dict[Access, str] = {}
        for name, text in self._declared.policies.items():
            if name not in set(Access):
                hint = nearest(name, [*Access, "sync"])
                self._note("", f"@app.entity has no {name}", at=self._policy_at(name), hint=hint)
            elif not isinstance(text, str):
                self._note("", f"the policy {name} is a text", at=self._policy_at(name))
            else:
                policies[Access(name)] = text
        return policies

    # --- mistakes

    def _policy_at(self, name: str) -> Position | None:
        return self._source.at_policy(name) if self._source else None

    def _keyword_at(self, name: str, keyword: str) -> Position | None:
        return self._source.at_keyword(name, keyword) if self._source else None

    def _read_position(self, name: str) -> Position | None:
        return self._source.at_keyword_text(name, "read") if self._source else None

    def _note(
        self, name: str, message: str, *, at: Position | None = None, hint: str | None = None
    ) -> None:
        where = f"{self._cls.__name__}.{name}" if name else self._cls.__name__
        if at is None and self._source is not None:
            at = self._source.at(name)
        if name in self._annotations:
            self.broken.add(name)
        joint = " " if message.startswith(("is ", "has ", "and ", "differs ")) else ": "
        self._mistakes.note(f"{where}{joint}{message}", at, hint)


def _is_searched(spec: FieldSpec, shape: FieldShape) -> bool:
    """Tell whether full-text search looks at a field: it does at a Text unless told otherwise."""
    if spec.search is not None:
        return spec.search
    return shape.kind is model.FieldKind.TEXT and not spec.private
