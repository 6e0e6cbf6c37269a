"""A row as scripts see it: the wire's JSON object, with its fields as attributes too."""

from __future__ import annotations

from typing import Any


class ClientRow(dict[str, Any]):
    """One row, a copy: `row["body"]` and `row.body` are the same.

    A field wins over a method of dict with the same name, so that every field is an attribute.
    """

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name in self:
            return self[name]
        try:
            return super().__getattribute__(name)
        except AttributeError:
            raise AttributeError(f"the row has no field {name}") from None
