"""What names mean in one expression: paths to fields, facts about the caller, arguments.

What does not live here: operators and calls (`typecheck`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylon.errors import Mistake
from pylon.policy import ast, ir
from pylon.policy.ir import Slot, SlotKind, TypeKind, ValueType
from pylon.policy.mistakes import mistake_at, nearest
from pylon.policy.types import BOOL, DATETIME, TEXT, type_of_field, type_of_literal
from pylon.schema.model import Access, Entity, Field, FieldKind, Position, Schema

_FACTS = {"userId": SlotKind.USER_ID, "email": SlotKind.EMAIL}
_AUTH_NAMES = ("userId", "roles", "isAdmin", "email", "claims")
_FUNCTIONS = {
    "hasRole": 1, "hasAnyRole": None, "isOwner": 0, "startsWith": 2, "contains": 2,
    "lower": 1, "len": 1,
}  # fmt: skip


class Stop(Exception):
    """A mistake was noted; the part around it has no meaning."""


@dataclass(slots=True, kw_only=True)
class Scope:
    """What names mean in one expression."""

    schema: Schema
    #: What `data` is; None where there is no row (`allow`, `join`).
    entity: Entity | None
    access: Access | None = None
    #: Arguments by name with their kinds (None: any); None where there are no arguments.
    arguments: Mapping[str, FieldKind | None] | None = None
    #: Arguments that are known already and stand for themselves.
    given: Mapping[str, Any] | None = None
    #: By entity, fields that must not be used, answered as if they did not exist.
    hidden: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Private fields, of any entity, are answered as if they did not exist.
    hides_private: bool = False
    where: str = "policy"
    position: Position | None = None


@dataclass(slots=True)
class Names:
    """Resolves the names of one text, noting every mistake."""

    text: str
    scope: Scope
    mistakes: list[Mistake] = field(default_factory=list)

    def path(self, node: ast.Path) -> ir.Value:
        """Return what a path means."""
        root, *rest = node.names
        resolve: dict[str, Callable[[ast.Path, list[str]], ir.Value]] = {
            "auth": self._auth, "data": self._image, "old": self._image, "new": self._image,
            "args": self._argument,
        }  # fmt: skip
        if root == "now":
            if rest:
                raise self.stop(node.at, "now has no parts")
            return ir.Now(0, DATETIME)
        if root not in resolve:
            hint = nearest(root, [*resolve, "now"])
            if self.scope.entity is not None and root in self.scope.entity.by_name:
                hint = f"write data.{root}"
            elif root in _FUNCTIONS:
                hint = f"write {root}()" if _FUNCTIONS[root] == 0 else f"write {root}(…)"
            raise self.stop(node.at, f"there is nothing called {root}", hint)
        if not rest:
            raise self.stop(node.at, f"{root} alone is no value; write {root}.name")
        return resolve[root](node, rest)

    def column(self, entity: Entity, name: str, image: str, at: int) -> ir.Column:
        """Return the field of an entity."""
        if name == "id":
            return ir.Column(image, "id", TEXT, nullable=False, field_kind=FieldKind.STR)
        found = entity.by_name.get(name)
        if found is None or self._is_hidden(entity, found):
            known = [one.name for one in entity.fields if not self._is_hidden(entity, one)]
            raise self.stop(
                at, f"{entity.name} has no field {name}", nearest(name, [*known, "id"])
            )  # fmt: skip
        return ir.Column(image, name, type_of_field(found), nullable=True, field_kind=found.kind)

    def _is_hidden(self, entity: Entity, found: Field) -> bool:
        if found.private and self.scope.hides_private:
            return True
        return found.name in self.scope.hidden.get(entity.name, ())

    def _auth(self, node: ast.Path, rest: list[str]) -> ir.Value:
        name = rest[0]
        if name == "claims" and len(rest) > 1:
            slot = Slot(SlotKind.CLAIM, tuple(rest[1:]))
            return ir.Fact(slot, ValueType(TypeKind.CLAIM))
        if len(rest) > 1 or name not in _AUTH_NAMES or name == "claims":
            hint = (
                "name one: auth.claims.NAME" if rest == ["claims"] else nearest(name, _AUTH_NAMES)
            )
            raise self.stop(node.at, f"auth has no {'.'.join(rest)}", hint)
        if name == "isAdmin":
            return ir.Judged(ir.FactHolds(Slot(SlotKind.HAS_ANY_ROLE, ("admin",))), BOOL)
        if name == "roles":
            roles = ValueType(TypeKind.LIST, item=TypeKind.TEXT)
            return ir.Fact(Slot(SlotKind.ROLES), roles, nullable=False)
        return ir.Fact(Slot(_FACTS[name]), TEXT)

    def _image(self, node: ast.Path, rest: list[str]) -> ir.Value:
        image, entity = node.names[0], self.scope.entity
        if entity is None:
            raise self.stop(node.at, f"there is no {image} here, only auth, args and now")
        if image != "data" and self.scope.access is not Access.UPDATE:
            raise self.stop(node.at, f"{image} exists in update policies only; write data")
        if len(rest) > 1:
            raise self.stop(node.at, f"{rest[0]} has no parts that a policy can look at")
        return self.column(entity, rest[0], image, node.at)

    def _argument(self, node: ast.Path, rest: list[str]) -> ir.Value:
        given, arguments = self.scope.given, self.scope.arguments
        known = given if given is not None else arguments
        if known is None:
            raise self.stop(node.at, "there are no arguments here")
        name = rest[0]
        if len(rest) > 1 or name not in known:
            raise self.stop(
                node.at, f"there is no argument {'.'.join(rest)}", nearest(name, known)
            )  # fmt: skip
        kind: FieldKind | None = None
        if given is not None:
            value = given[name]
            if value is None:
                return ir.Const(None, TEXT)  # absent, whatever it stands beside
            if isinstance(value, bool | int | float | str):
                return ir.Const(value, type_of_literal(value))
        elif arguments is not None:
            kind = arguments[name]
        if kind is None:
            raise self.stop(node.at, f"the argument {name} has no type that a policy can compare")
        return ir.Argument(name, type_of_field(Field(name=name, kind=kind)))

    def listed(self, node: ast.Node) -> tuple[ast.Node, ...] | None:
        """Return the items of a list as written or as given in an argument; None otherwise."""
        if isinstance(node, ast.ListNode):
            return node.items
        if isinstance(node, ast.Path) and node.names[0] == "args" and len(node.names) == 2:
            value = (self.scope.given or {}).get(node.names[1])
            if isinstance(value, list | tuple):
                return tuple(self._listed_literal(item, node) for item in value)
        return None

    def _listed_literal(self, value: Any, node: ast.Path) -> ast.Literal:
        if value is not None and not isinstance(value, bool | int | float | str):
            raise self.stop(node.at, f"{'.'.join(node.names)} holds more than plain values")
        return ast.Literal(value, node.at)

    # --- functions

    def roles(self, node: ast.Call) -> tuple[str, ...]:
        """Return the roles that a call names."""
        names = []
        for argument in node.arguments:
            if not isinstance(argument, ast.Literal) or not isinstance(argument.value, str):
                raise self.stop(argument.at, f"{node.name} takes role names in quotes")
            names.append(argument.value)
        return tuple(sorted(set(names)))

    def check_call(self, node: ast.Call) -> None:
        """Stop at a function that does not exist or takes other arguments."""
        if node.name not in _FUNCTIONS:
            raise self.stop(
                node.at, f"there is no function {node.name}", nearest(node.name, _FUNCTIONS)
            )
        wanted, given = _FUNCTIONS[node.name], len(node.arguments)
        if wanted is not None and given != wanted:
            plural = "" if wanted == 1 else "s"
            raise self.stop(
                node.at, f"{node.name} takes {wanted or 'no'} argument{plural}, not {given}"
            )
        if wanted is None and given == 0:
            raise self.stop(node.at, f"{node.name} takes at least one argument")

    # --- mistakes

    def note(self, at: int, message: str, hint: str | None = None) -> None:
        """Note a mistake at an offset of the text."""
        self.mistakes.append(
            mistake_at(
                self.text, at, message, where=self.scope.where, position=self.scope.position,
                hint=hint,
            )
        )  # fmt: skip

    def stop(self, at: int, message: str, hint: str | None = None) -> Stop:
        """Note a mistake and return what ends the part around it."""
        self.note(at, message, hint)
        return Stop()
