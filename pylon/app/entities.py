"""The base class of an app's entities; its metaclass notices what Python would lose silently.

What does not live here: what a class means (`builder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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


def entity_classes(base: type = Entity) -> list[type]:
    """Return every class that derives from Entity, near or far."""
    found: list[type] = []
    one: type
    for one in type.__subclasses__(base):
        found += [one, *entity_classes(one)]
    return found
