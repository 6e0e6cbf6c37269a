"""freeze(): the declarations of an app, checked as a whole, become one immutable definition.

Every mistake is reported at once, with file, line and the nearest known name. After this nothing
asks the app's modules for names.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pylon import jsonvalue, limits
from pylon.app.app import App, DeclaredEntity, DeclaredFunction
from pylon.app.builder import EntityBuilder
from pylon.app.entities import entity_classes
from pylon.app.functions import Function
from pylon.app.manifest import build_manifest
from pylon.app.mistakes import Mistakes
from pylon.app.signatures import FunctionBuilder
from pylon.app.source import ClassSource, FunctionSource
from pylon.app.webhooks import Webhook, build_webhooks
from pylon.errors import LoadFailed, Mistake
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, PolicySet, compile_policy
from pylon.policy.fields import FieldPolicies
from pylon.policy.mistakes import nearest
from pylon.policy.slices import SliceRule, by_looked_at, meaning_text, rules_of
from pylon.policy.timing import Timing, joined, timing_of
from pylon.protocol.manifest import Manifest
from pylon.schema.model import Access, Entity, Field, FieldKind, Position, Schema

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
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    on_start: tuple[Callable[..., Any], ...] = ()
    on_stop: tuple[Callable[..., Any], ...] = ()
    #: Advice from the checks that does not stop the load.
    warnings: tuple[str, ...] = ()

    @cached_property
    def slice_rules(self) -> Mapping[str, tuple[SliceRule, ...]]:
        """Return, by entity looked at, what of others its changes can show or hide."""
        return by_looked_at(
            rule
            for entity in self.schema.entities.values()
            if entity.sync
            for one in self.policies.reads(entity.name)
            for rule in rules_of(entity, one.condition)
        )

    @cached_property
    def timing(self) -> Timing:
        """Return when read policies change their mind as time passes."""
        return joined(
            timing_of(entity, one.condition)
            for entity in self.schema.entities.values()
            if entity.sync
            for one in self.policies.reads(entity.name)
            if one.uses_now
        )

    @cached_property
    def read_meanings(self) -> Mapping[str, str]:
        """Return, by entity, a text that changes with what is seen of it and by whom."""
        return {
            name: jsonvalue.stable_hash(
                [meaning_text(one.condition) for one in self.policies.reads(name)]
            )
            if entity.sync
            else "not followed"
            for name, entity in self.schema.entities.items()
        }

    @property
    def hash(self) -> str:
        """Return the hash of the manifest, which clients compare."""
        return self.manifest.hash


@dataclass(slots=True)
class _Freezer:
    app: App
    mistakes: Mistakes
    warnings: list[str] = field(default_factory=list)
    #: Entities and names of fields that could not be made sense of.
    broken: set[tuple[str, str]] = field(default_factory=set)
    #: Entities declared once more under a name that is taken: looked at for their mistakes.
    doubles: list[Entity] = field(default_factory=list)
    #: How many classes of a name were met in a module: tells their sources apart.
    _met: dict[tuple[str, str], int] = field(default_factory=dict)

    # --- where things stand

    def class_source(self, cls: type) -> ClassSource | None:
        source = self.mistakes.source(_path_of(cls))
        if source is None:
            return None
        found = source.classes.get(cls.__name__, [])
        place = self._met.get((source.file, cls.__name__), 0)
        self._met[source.file, cls.__name__] = place + 1
        return found[min(place, len(found) - 1)] if found else None

    def function_source(self, handler: Any) -> FunctionSource | None:
        source = self.mistakes.source(_path_of(handler))
        code = getattr(inspect.unwrap(handler), "__code__", None)
        if source is None or code is None:
            return None
        return source.function(handler.__name__, code.co_firstlineno)

    def _place(self, declared: Any) -> Position | None:
        source = self.function_source(declared) if inspect.isfunction(declared) else None
        return source.position if source else None

    # --- the app itself

    def check_app(self) -> None:
        name: Any = self.app.name
        version: Any = self.app.version
        if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable():
            message = "the name of App is a text of 1 to 64 printable characters"
            self.mistakes.note_at_line(message, *self.app.made_at)
        if not isinstance(version, str) or not version.isprintable():
            message = "the version of App is a printable text"
            self.mistakes.note_at_line(message, *self.app.made_at, 'write version="1"')
        least: Any = self.app.min_client
        if type(least) is not int or not 0 <= least <= limits.SAFE_INTEGER_MAX:
            message = "min_client of App is the least build of a page that may go on, an integer"
            self.mistakes.note_at_line(message, *self.app.made_at, "write min_client=2")
        for one in self.app.misused:
            self.mistakes.note_at_line(one.message, one.path, one.line, one.hint)

    # --- entities

    def schema(self) -> Schema:
        entities: dict[str, Entity] = {}
        by_case: dict[str, str] = {"user": "User"}
        for declared in self.app.entities:
            entity = self._entity(declared)
            if entity is None:
                continue
            other = by_case.setdefault(entity.name.casefold(), entity.name)
            if entity.name in entities:
                self.mistakes.note(f"{entity.name} is declared twice", entity.position)
                self.doubles.append(entity)
                continue
            if other != entity.name:
                self.mistakes.note(
                    f"{entity.name} and {other} differ by case only", entity.position
                )
            entities[entity.name] = entity
        if "User" in entities:
            self._check_user(entities["User"])
        entities.setdefault("User", USER_ENTITY)
        return Schema(entities=entities)

    def _entity(self, declared: DeclaredEntity) -> Entity | None:
        if not isinstance(declared.cls, type):
            name = getattr(declared.cls, "__name__", str(declared.cls))
            self.mistakes.note(
                f"@app.entity is for classes, and {name} is none", self._place(declared.cls)
            )
            return None
        source = self.class_source(declared.cls)
        builder = EntityBuilder(declared, source, _names_of(declared.cls), self.mistakes)
        entity = builder.build()
        self.broken |= {(entity.name, name) for name in builder.broken}
        return entity

    def _check_user(self, user: Entity) -> None:
        for one in user.fields:
            if one.is_required:
                self.mistakes.note(
                    f"User.{one.name}: a User is made at sign-in, so this needs a default",
                    one.position, "add | None, or a default",
                )  # fmt: skip

    def check_undeclared(self, root: Path) -> None:
        """Note entities of the project that lack their decorator: they would not be stored."""
        declared = {one.cls for one in self.app.entities}
        bases = {base for one in declared if isinstance(one, type) for base in one.__mro__[1:]}
        for cls in entity_classes():
            module = sys.modules.get(cls.__module__)
            is_current = module is not None and getattr(module, cls.__name__, None) is cls
            path = _path_of(cls)
            is_own = path is not None and Path(path).is_relative_to(root)
            if cls in declared or cls in bases or not (is_current and is_own):
                continue
            if cls.__module__.partition(".")[0] != "pylon":
                source = self.class_source(cls)
                self.mistakes.note(
                    f"{cls.__name__} lacks @app.entity, so it would not be stored",
                    source.position if source else None,
                )

    def check_references(self, schema: Schema) -> None:
        for entity in (*schema.entities.values(), *self.doubles):
            for one in entity.fields:
                if one.ref is not None and one.ref not in schema.entities:
                    self.mistakes.note(
                        f"{entity.name}.{one.name} refers to {one.ref}, which is no entity",
                        one.position, nearest(one.ref, schema.entities),
                    )  # fmt: skip

    def _follows(self, mistake: Mistake) -> bool:
        """Tell whether a policy's mistake only follows from a field's own, noted already."""
        return any(
            mistake.message.endswith(f"{entity} has no field {name}")
            or (mistake.message.startswith(f"{entity}.") and "isOwner()" in mistake.message)
            for entity, name in self.broken
        )

    def policies(self, schema: Schema) -> PolicySet:
        compiled: dict[tuple[str, Access], CompiledPolicy] = {}
        of_fields: dict[str, FieldPolicies] = {}
        for entity in (*schema.entities.values(), *self.doubles):
            for access, text in entity.policies.items():
                at = entity.policy_positions.get(access, entity.position)
                policy = self._policy(text, entity, access, schema, at)
                if policy is not None:
                    compiled[entity.name, access] = policy
            found: dict[str, CompiledPolicy] = {}
            for one in entity.fields:
                if one.read is not None:
                    at = one.read_position or one.position
                    policy = self._policy(one.read, entity, Access.READ, schema, at, one.name)
                    if policy is not None:
                        found[one.name] = policy
            if found:
                of_fields[entity.name] = FieldPolicies(found)
        return PolicySet(compiled, of_fields)

    def _policy(
        self, text: str, entity: Entity, access: Access, schema: Schema, at: Position | None,
        field_name: str | None = None,
    ) -> CompiledPolicy | None:  # fmt: skip
        try:
            policy = compile_policy(
                text, entity=entity, access=access, schema=schema, position=at,
                field_name=field_name,
            )  # fmt: skip
        except PolicyMistakes as found:
            self.mistakes.add(one for one in found.mistakes if not self._follows(one))
            return None
        self.warnings += policy.warnings
        return policy

    # --- functions

    def functions(self, schema: Schema) -> dict[str, Function]:
        functions: dict[str, Function] = {}
        by_case: dict[str, str] = {}
        for declared in self.app.functions:
            made, at = self._function(declared, schema)
            if made is None:
                continue
            if made.name in functions:
                self.mistakes.note(f"the function {made.name} is declared twice", at)
            other = by_case.setdefault(made.name.casefold(), made.name)
            if other != made.name:
                self.mistakes.note(f"{made.name} and {other} differ by case only", at)
            functions[made.name] = made
        return functions

    def _function(
        self, declared: DeclaredFunction, schema: Schema
    ) -> tuple[Function | None, Position | None]:
        if not inspect.isfunction(declared.handler):
            name = getattr(declared.handler, "__name__", str(declared.handler))
            self.mistakes.note_at_line(
                f"@app.{declared.kind} is for functions, and {name} is none", *declared.made_at
            )
            return None, None
        entities = {
            one.cls.__name__: one.cls for one in self.app.entities if isinstance(one.cls, type)
        }
        source = self.function_source(declared.handler)
        builder = FunctionBuilder(
            declared, source, {**entities, **_names_of(declared.handler)}, schema, self.mistakes
        )
        return builder.build(), builder.position

    def check_hooks(self) -> None:
        for hook in (*self.app.start_hooks, *self.app.stop_hooks):
            if not inspect.iscoroutinefunction(hook):
                name = getattr(hook, "__name__", str(hook))
                self.mistakes.note(f"{name}: a hook is async def", self._place(hook))
            elif not _takes_ctx_alone(hook):
                self.mistakes.note(
                    f"{hook.__name__}: a hook takes ctx and nothing else", self._place(hook),
                    f"write {hook.__name__}(ctx)",
                )  # fmt: skip


def _takes_ctx_alone(hook: Callable[..., Any]) -> bool:
    """Tell whether a hook can be called: with `ctx`, or with nothing where it asks for nothing."""
    parameters = list(inspect.signature(hook).parameters.values())
    required = [one for one in parameters if one.default is inspect.Parameter.empty]
    return len(required) <= 1 and (not parameters or parameters[0].name == "ctx")


def _path_of(declared: Any) -> str | None:
    module = sys.modules.get(getattr(declared, "__module__", None) or "")
    return getattr(module, "__file__", None)


def _names_of(declared: Any) -> dict[str, Any]:
    module = sys.modules.get(declared.__module__)
    return vars(module) if module is not None else {}


def freeze(
    app: App, root: Path, generation: int, mistakes: Mistakes | None = None
) -> AppDefinition:
    """Return the definition of an app; raises LoadFailed with every mistake.

    Args:
        app: what the app's module declared.
        root: the project's folder.
        generation: the number of this load.
        mistakes: what was found while importing; the load fails with it.
    """
    freezer = _Freezer(app, Mistakes(root) if mistakes is None else mistakes)
    freezer.check_app()
    schema = freezer.schema()
    freezer.check_undeclared(root)
    freezer.check_references(schema)
    policies = freezer.policies(schema)
    functions = freezer.functions(schema)
    webhooks = build_webhooks(app.webhooks, freezer.function_source, freezer.mistakes)
    freezer.check_hooks()
    if freezer.mistakes.found:
        raise LoadFailed(freezer.mistakes.sorted())
    return AppDefinition(
        name=app.name,
        version=app.version,
        generation=generation,
        schema=schema,
        policies=policies,
        functions=functions,
        manifest=build_manifest(app, schema, functions, jsonvalue.stable_hash),
        root=root,
        webhooks=webhooks,
        on_start=tuple(app.start_hooks),
        on_stop=tuple(app.stop_hooks),
        warnings=tuple(freezer.warnings),
    )
