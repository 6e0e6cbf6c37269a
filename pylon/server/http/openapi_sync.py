"""The routes of sync, health and description in the OpenAPI document: the same for every app."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_INT: Final = {"type": "integer"}
_CHANGES: Final = {"type": "array", "items": {"type": "object"}}
_BATCH: Final = {"after": _TEXT, "through": _TEXT, "changes": _CHANGES, "more": {"type": "boolean"}}
_PAGE: Final = {"rows": _CHANGES, "at": _TEXT, "next": {"type": ["string", "null"]}}
_OPERATION: Final = {
    "type": "object", "required": ["op_id", "fn", "args"],
    "properties": {"op_id": _TEXT, "fn": _TEXT, "args": {"type": "object"}},
}  # fmt: skip
_PUSH: Final = {
    "client_id": _TEXT, "operations": {"type": "array", "items": _OPERATION},
    "atomic": {"type": "boolean"},
}  # fmt: skip
#: path, what it does, parameters, members of the answer.
Line = tuple[str, str, dict[str, Any], dict[str, Any]]
GETS: Final[tuple[Line, ...]] = (
    ("/api/health", "How the runtime is", {"full": _TEXT},
     {"status": _TEXT, "app": _TEXT, "version": _TEXT, "head": _TEXT, "schema": _TEXT}),
    ("/api/schema", "The manifest", {}, {}),
    ("/api/openapi.json", "This document", {}, {}),
    ("/api/sync/pull", "What changed after a cursor",
     {"cursor": _TEXT, "limit": _INT, "subscriptions": _TEXT}, _BATCH),
    ("/api/sync/snapshot", "A page of current rows",
     {"entity": _TEXT, "where": _TEXT, "after": _TEXT}, _PAGE),
)  # fmt: skip
_REQUIRED: Final = frozenset({"entity"})


def sync_paths(error: dict[str, Any]) -> dict[str, Any]:
    """Return their `paths`; `error` is what every failed call answers."""
    paths: dict[str, Any] = {}
    for path, summary, parameters, members in GETS:
        paths[path] = {"get": {
            "summary": summary,
            "parameters": [
                {"name": name, "in": "query", "required": name in _REQUIRED, "schema": schema}
                for name, schema in parameters.items()
            ],
            "responses": {"200": _answer(summary, members), "default": error},
        }}  # fmt: skip
    pushed = {"results": _CHANGES, "head": _TEXT}
    body = {"type": "object", "required": ["operations"], "properties": _PUSH}
    paths["/api/sync/push"] = {"post": {
        "summary": "Send operations",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer("A result for each", pushed), "default": error},
    }}  # fmt: skip
    return paths


def _answer(summary: str, members: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(members), "properties": members}
    return {"description": summary, "content": {"application/json": {"schema": schema}}}
