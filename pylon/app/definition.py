"""freeze(): the declarations of an app, checked as a whole, become one immutable definition.

Every mistake is reported at once, with file, line and the nearest known name. After this nothing
asks the app's modules for names.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylon import jsonvalue
from pylon.app.app import App, DeclaredFunction
from pylon.app.entities import Entity as EntityBase
from pylon.app.entities import EntityBuilder
from pylon.app.functions import ArgSpec, ArgumentSpec, Function, FunctionKind
from pylon.app.manifest import build_manifest
from pylon.app.source import ModuleSource, read_module
from pylon.errors import LoadFailed, Mistake
from pylon.policy.compiled import (
    CompiledPolicy,
    PolicyMistakes,
    PolicySet,
    compile_allow,
    compile_policy,
)  # fmt: skip
from pylon.policy.mistakes import nearest
from pylon.protocol.manifest import Manifest
from pylon.schema.model import Access, Entity, Field, FieldKind, Position, Schema

_FUNCTION_KEYWORDS = ("allow", "internal", "timeout")
_RESERVED_ARGUMENTS = frozenset({"key", "delay", "at", "priority"})

#: The public face of an account, where the app declares none of its own.
USER_ENTITY = Entity(
    name="User",
    fields=(
        Field(name="name", kind=FieldKind.STR, nullable=True, max_length=200),
        Field(name="avatar", kind=FieldKind.STR, nullable=True, max_length=2_000),
    ),
    policies={Access.READ: "auth.userId != null", Access.UPDATE: "auth.userId == data.id"},
    doc="The public face of an account.",
)


@dataclass(frozen=True, kw_only=True)
class AppDefinition:
    """A frozen app: what a generation of the runtime runs. Never changed, only replaced."""

    name: str
    version: str
    generation: int
    schema: Schema
    policies: PolicySet
    functions: Mapping[str, Function]
    manifest: Manifest
    root: Path
    on_start: tuple[Callable[..., Any], ...] = ()
    on_stop: tuple[Callable[..., Any], ...] = ()
    #: Advice from the checks that does not stop the load.
    warnings: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Return the hash of the manifest, which clients compare."""
        return self.manifest.hash


@dataclass(slots=True)
class _Freezer:
    app: App
    root: Path
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def source_of(self, declared: Any) -> ModuleSource | None:
        module = sys.modules.get(getattr(declared, "__module__", ""))
        path = getattr(module, "__file__", None)
        return read_module(Path(path), self.root) if path else None

    def schema(self) -> Schema:
        entities: dict[str, Entity] = {}
        by_case: dict[str, str] = {}
        for declared in self.app.entities:
            source = self.source_of(declared.cls)
            names = vars(sys.modules[declared.cls.__module__])
            class_source = source.classes.get(declared.cls.__name__) if source else None
            builder = EntityBuilder(declared.cls, class_source, names, self.mistakes)
            if not issubclass(declared.cls, EntityBase):
                self.note(
                    f"{declared.cls.__name__} is no Entity",
                    class_source.position if class_source else None,
                    f"write class {declared.cls.__name__}(Entity)",
                )
            entity = builder.build(declared.policies, sync=declared.sync)
            other = by_case.setdefault(entity.name.casefold(), entity.name)
            if entity.name in entities:
                self.note(f"{entity.name} is declared twice", entity.position)
            elif other != entity.name:
                self.note(f"{entity.name} and {other} differ by case only", entity.position)
            entities[entity.name] = entity
        entities.setdefault("User", USER_ENTITY)
        return Schema(entities=entities)

    def check_references(self, schema: Schema) -> None:
        for entity in schema.entities.values():
            for one in entity.fields:
                if one.ref is not None and one.ref not in schema.entities:
                    self.note(
                        f"{entity.name}.{one.name} refers to {one.ref}, which is no entity",
                        one.position, nearest(one.ref, schema.entities),
                    )  # fmt: skip
                if one.renamed_from is not None and one.renamed_from in entity.by_name:
                    self.note(
                        f"{entity.name}.{one.name} is renamed from {one.renamed_from},"
                        " which still exists", one.position,
                    )  # fmt: skip

    def policies(self, schema: Schema) -> PolicySet:
        compiled: dict[tuple[str, Access], CompiledPolicy] = {}
        for entity in schema.entities.values():
            for access, text in entity.policies.items():
                try:
                    policy = compile_policy(
                        text, entity=entity, access=access, schema=schema,
                        position=entity.policy_positions.get(access, entity.position),
                    )  # fmt: skip
                except PolicyMistakes as found:
                    self.mistakes += found.mistakes
                    continue
                compiled[entity.name, access] = policy
                self.warnings += policy.warnings
        return PolicySet(compiled)

    def functions(self, schema: Schema) -> dict[str, Function]:
        functions: dict[str, Function] = {}
        for declared in self.app.functions:
            made = self._function(declared, schema)
            if made is None:
                continue
            if made.name in functions:
                self.note(f"the function {made.name} is declared twice", self._at(declared))
            functions[made.name] = made
        return functions

    def _function(self, declared: DeclaredFunction, schema: Schema) -> Function | None:
        name, at = declared.handler.__name__, self._at(declared)
        kind = FunctionKind(declared.kind)
        for keyword in declared.keywords:
            if keyword not in _FUNCTION_KEYWORDS:
                self.note(f"@app.{kind} has no {keyword}", at, nearest(keyword, _FUNCTION_KEYWORDS))
        self._check_colour(declared, kind, at)
        arguments = self._arguments(declared, at)
        if arguments is None:
            return None
        return Function(
            name=name,
            kind=kind,
            handler=declared.handler,
            arguments=arguments,
            allow=self._allow(declared, arguments, schema, at),
            is_internal=name.startswith("_") or bool(declared.keywords.get("internal")),
            timeout_s=_seconds(declared.keywords.get("timeout")),
            doc=inspect.getdoc(declared.handler),
        )

    def _check_colour(
        self, declared: DeclaredFunction, kind: FunctionKind, at: Position | None
    ) -> None:
        is_async = inspect.iscoroutinefunction(declared.handler) or inspect.isasyncgenfunction(
            declared.handler
        )
        name = declared.handler.__name__
        if kind is FunctionKind.ACTION and not is_async:
            self.note(f"the action {name} must be async def", at)
        if kind is not FunctionKind.ACTION and is_async:
            self.note(
                f"the {kind} {name} must be def: it runs whole inside one transaction", at,
                "make it an @app.action if it does I/O",
            )  # fmt: skip

    def _arguments(self, declared: DeclaredFunction, at: Position | None) -> ArgSpec | None:
        parameters = list(inspect.signature(declared.handler).parameters.values())
        name = declared.handler.__name__
        if not parameters or parameters[0].name != "ctx":
            self.note(f"the first parameter of {name} is ctx", at)
            return None
        names = vars(sys.modules[declared.handler.__module__])
        arguments = []
        for one in parameters[1:]:
            if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                self.note(f"{name}: *args and **kwargs have no place in a call", at)
                continue
            if one.name in _RESERVED_ARGUMENTS:
                self.note(f"{name}: an argument can't be called {one.name}", at)
            kind = self._annotation(name, one.name, one.annotation, names, at)
            arguments.append(ArgumentSpec(name=one.name, type=kind, default=one.default))
        returns = inspect.signature(declared.handler).return_annotation
        return ArgSpec(
            arguments=tuple(arguments),
            returns=self._annotation(name, "return", returns, names, at),
        )

    def _annotation(
        self, function: str, argument: str, given: Any, names: dict[str, Any], at: Position | None
    ) -> Any:
        if given is inspect.Parameter.empty:
            return Any
        if not isinstance(given, str):
            return given
        try:
            return eval(given, names)  # noqa: S307 -- the app's own source
        except Exception as error:  # noqa: BLE001 -- whatever the app's annotation does
            self.note(f"{function}: the annotation of {argument} is wrong: {error}", at)
            return Any

    def _allow(
        self, declared: DeclaredFunction, arguments: ArgSpec, schema: Schema, at: Position | None
    ) -> CompiledPolicy | None:
        text = declared.keywords.get("allow")
        if text is None:
            return None
        try:
            return compile_allow(
                text, arguments=arguments.policy_kinds(), schema=schema,
                where=f"{declared.handler.__name__}.allow", position=at,
            )  # fmt: skip
        except PolicyMistakes as found:
            self.mistakes += found.mistakes
            return None

    def hooks(self) -> None:
        for hook in (*self.app.start_hooks, *self.app.stop_hooks):
            if not inspect.iscoroutinefunction(hook):
                self.note(f"{hook.__name__} must be async def", None)

    def _at(self, declared: DeclaredFunction) -> Position | None:
        source = self.source_of(declared.handler)
        node = source.functions.get(declared.handler.__name__) if source else None
        return source.at(node) if source and node else None

    def note(self, message: str, at: Position | None, hint: str | None = None) -> None:
        self.mistakes.append(
            Mistake(
                message, file=at.file if at else None, line=at.line if at else None,
                column=at.column if at else None, hint=hint,
            )
        )  # fmt: skip


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    return float(seconds)


def freeze(app: App, root: Path, generation: int) -> AppDefinition:
    """Return the definition of an app; raises LoadFailed with every mistake."""
    freezer = _Freezer(app, root, list(app.mistakes))
    schema = freezer.schema()
    freezer.check_references(schema)
    policies = freezer.policies(schema)
    functions = freezer.functions(schema)
    freezer.hooks()
    if freezer.mistakes:
        raise LoadFailed(tuple(freezer.mistakes))
    return AppDefinition(
        name=app.name,
        version=app.version,
        generation=generation,
        schema=schema,
        policies=policies,
        functions=functions,
        manifest=build_manifest(app.name, app.version, schema, functions, jsonvalue.stable_hash),
        root=root,
        on_start=tuple(app.start_hooks),
        on_stop=tuple(app.stop_hooks),
        warnings=tuple(freezer.warnings),
    )
