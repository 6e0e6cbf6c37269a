"""What an app writes in an entity's body: field(), index(), unique(), Ref, and the marker types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NewType

from pylon.schema.files import File as File  # noqa: PLC0414 -- apps find it here

Text = NewType("Text", str)
BigInt = NewType("BigInt", int)
Json = Any if TYPE_CHECKING else NewType("Json", object)


class _Missing:
    """The absence of a value, where None is one."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Filled:
    """A default that the server fills in: `now` or `actor`."""

    name: str

    def __repr__(self) -> str:
        return self.name


now: Final[Any] = Filled("now")
actor: Final[Any] = Filled("actor")


@dataclass(frozen=True, slots=True)
class Inc:
    """Add to a number instead of setting it; made by `inc(n)`."""

    amount: int | float


def inc(amount: int | float) -> Any:
    """Return a value for an update that adds `amount` to what is stored."""
    return Inc(amount)


if TYPE_CHECKING:

    class Ref(str):
        """A reference; the id of a row of the named entity."""

        def __class_getitem__(cls, name: str) -> type[str]: ...

else:

    class Ref:
        """A reference; the id of a row of the named entity."""

        def __class_getitem__(cls, name: str) -> type:
            """Return the class itself: which entity is meant is read from the source."""
            return cls


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """The keywords of one field(), as given."""

    default: Any = MISSING
    default_factory: Any = None
    unique: bool = False
    index: bool = False
    immutable: bool = False
    private: bool = False
    min: Any = None
    max: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    read: str | None = None
    renamed_from: str | None = None
    #: None: where the field is a Text that is not private.
    search: bool | None = None
    doc: str | None = None
    on_delete: str = "restrict"
    scale: int = 0


def field(**keywords: Any) -> Any:
    """Return the declaration of a field; see `FieldSpec` for the keywords.

    A keyword that does not exist is a mistake of the app, reported at load with the others.
    """
    return _Keywords(keywords)


@dataclass(frozen=True, slots=True)
class _Keywords:
    given: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """The declaration of an index; its name is the attribute's."""

    fields: tuple[str, ...]
    unique: bool


def index(*fields: str) -> IndexSpec:
    """Declare an index over fields, named by the attribute that it is assigned to."""
    return IndexSpec(fields, unique=False)


def unique(*fields: str) -> IndexSpec:
    """Declare a unique index; a conflict names it."""
    return IndexSpec(fields, unique=True)


FieldKeywords = _Keywords
