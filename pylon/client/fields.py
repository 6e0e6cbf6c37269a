"""What a client knows of the app's fields, from the manifest: kinds, defaults, scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylon.protocol.manifest import FieldManifest, Manifest


class Fields:
    """An index of the manifest; without one every field is what its JSON is."""

    def __init__(self, manifest: Manifest | None = None) -> None:
        self.manifest = manifest
        entities = manifest.entities if manifest is not None else []
        self._entities = {one.name: {field.name: field for field in one.fields} for one in entities}
        functions = manifest.functions if manifest is not None else []
        self._functions = {one.name: one.kind for one in functions}

    @property
    def hash(self) -> str | None:
        """Return the hash of the manifest, None before there is one."""
        return None if self.manifest is None else self.manifest.hash

    def function_kind(self, name: str) -> str | None:
        """Return `query`, `mutation` or `action`; None for a function that nobody knows."""
        return self._functions.get(name)

    def field(self, entity: str, name: str) -> FieldManifest | None:
        """Return a field's description, None where it is not known."""
        return self._entities.get(entity, {}).get(name)

    def complete(self, entity: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row with the fields that an older version of the app did not send."""
        missing = {
            name: _literal_default(field)
            for name, field in self._entities.get(entity, {}).items()
            if name not in row and not field.guarded
        }
        return {**row, **missing} if missing else row

    def with_defaults(
        self, entity: str, values: Mapping[str, Any], now: str, user_id: str | None
    ) -> dict[str, Any]:
        """Return the values of an optimistic insert, with what the server will fill in itself."""
        filled: dict[str, Any] = {}
        for name, field in self._entities.get(entity, {}).items():
            default = field.default or {}
            if default.get("now") is True:
                filled[name] = now[:10] if field.kind == "date" else now
            elif default.get("actor") is True:
                filled[name] = user_id
            else:
                filled[name] = _literal_default(field)
        return {**filled, **values}


def _literal_default(field: FieldManifest) -> Any:
    return (field.default or {}).get("value")
