"""OpenAPI 3.1 of the app, made from the manifest; and the manifest itself."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from pylon.app.definition import AppDefinition
from pylon.protocol.manifest import EntityManifest, FieldManifest
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.openapi_auth import identity_paths
from pylon.server.http.openapi_files import file_paths
from pylon.server.http.openapi_sync import sync_paths

_KINDS: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"}, "float": {"type": "number"}, "bool": {"type": "boolean"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "list": {"type": "array"}, "object": {"type": "object"}, "json": {},
}  # fmt: skip
#: The parameters of a list that a search has too.
_SEARCH = frozenset({"where", "limit", "include"})
_ERROR = {"$ref": "#/components/responses/Error"}


async def schema(exchange: Exchange) -> web.StreamResponse:
    """GET /api/schema: the manifest."""
    return json_value(msgspec.to_builtins(exchange.services.definitions.current.manifest))


async def openapi(exchange: Exchange) -> web.StreamResponse:
    """GET /api/openapi.json."""
    return json_value(describe(exchange.services.definitions.current))


def describe(definition: AppDefinition) -> dict[str, Any]:
    """Return the OpenAPI document of an app."""
    manifest = definition.manifest
    paths: dict[str, Any] = {**sync_paths(_ERROR), **identity_paths(_ERROR), **file_paths(_ERROR)}
    schemas: dict[str, Any] = {}
    for entity in manifest.entities:
        schemas[entity.name] = _row_schema(entity, is_input=False)
        schemas[f"{entity.name}Input"] = _row_schema(entity, is_input=True)
        paths |= _entity_paths(entity)
    for function in manifest.functions:
        paths[f"/api/fn/{function.name}"] = {
            "post": {
                "operationId": function.name,
                "summary": (function.doc or function.name).splitlines()[0],
                "requestBody": _body({"type": "object"}),
                "responses": {"200": _answer({"type": "object"}), "default": _ERROR},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": manifest.app, "version": manifest.version},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Error": {
                    "description": "A failed call",
                    "content": {"application/json": {"schema": {
                        "type": "object", "required": ["error"],
                        "properties": {"error": {
                            "type": "object", "required": ["code", "message"],
                            "properties": {
                                "code": {"type": "string"}, "message": {"type": "string"},
                                "hint": {"type": "string"}, "details": {"type": "object"},
                            },
                        }},
                    }}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }  # fmt: skip


def _field_schema(field: FieldManifest) -> dict[str, Any]:
    kind = dict(_KINDS.get(field.kind, {"type": "string"}))
    if field.choices:
        kind["enum"] = list(field.choices)
    if field.nullable and kind:
        return {"anyOf": [kind, {"type": "null"}]}
    return kind


def _row_schema(entity: EntityManifest, *, is_input: bool) -> dict[str, Any]:
    fields = {one.name: _field_schema(one) for one in entity.fields}
    if is_input:
        required = [one.name for one in entity.fields if one.required]
        properties = {"id": {"type": "string"}, **fields}
    else:
        required = ["id", *(one.name for one in entity.fields if not one.guarded), "_seq"]
        properties = {"id": {"type": "string"}, **fields, "_seq": {"type": "integer"}}
    return {"type": "object", "properties": properties, "required": required}


def _body(schema_: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema_}}}


def _answer(schema_: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Done", "content": {"application/json": {"schema": schema_}}}


def _entity_paths(entity: EntityManifest) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/{entity.name}"}
    given = {"$ref": f"#/components/schemas/{entity.name}Input"}
    page = {
        "type": "object", "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": row},
            "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }  # fmt: skip
    parameters = [
        {"name": name, "in": "query", "schema": {"type": kind}}
        for name, kind in (
            ("where", "string"), ("order", "string"), ("limit", "integer"), ("after", "string"),
            ("include", "string"),
        )
    ]  # fmt: skip
    row_id = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        f"/api/entities/{entity.name}": {
            "get": {"operationId": f"list{entity.name}", "parameters": parameters,
                    "responses": {"200": _answer(page), "default": _ERROR}},
            "post": {"operationId": f"insert{entity.name}", "requestBody": _body(given),
                     "responses": {"201": _answer(row), "default": _ERROR}},
        },
        f"/api/entities/{entity.name}/{{id}}": {
            "get": {"operationId": f"get{entity.name}", "parameters": [*row_id, parameters[-1]],
                    "responses": {"200": _answer(row), "default": _ERROR}},
            "patch": {"operationId": f"update{entity.name}", "parameters": row_id,
                      "requestBody": _body({"type": "object"}),
                      "responses": {"200": _answer(row), "default": _ERROR}},
            "delete": {"operationId": f"delete{entity.name}", "parameters": row_id,
                       "responses": {"204": {"description": "Done"}, "default": _ERROR}},
        },
        **_question_paths(entity.name, page, parameters),
    }  # fmt: skip


def _question_paths(
    name: str, page: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the paths that ask about many rows of an entity by a body."""
    names = {"type": "array", "items": {"type": "string"}}
    query = {"where": {"type": "object"}, "order": names, "limit": {"type": "integer"},
             "after": {"type": "string"}, "include": names}  # fmt: skip
    one = {
        "type": "object", "minProperties": 1, "maxProperties": 1,
        "properties": {
            function: {"type": "string"} for function in ("count", "sum", "min", "max", "avg")
        },
    }  # fmt: skip
    asked = {
        "type": "object", "required": ["aggregates"],
        "properties": {
            "where": {"type": "object"}, "group": names,
            "aggregates": {"type": "object", "additionalProperties": one},
        },
    }  # fmt: skip
    groups = {
        "type": "object", "required": ["rows"],
        "properties": {"rows": {"type": "array", "items": {"type": "object"}}},
    }  # fmt: skip
    text = {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}}
    rows = {**page, "required": ["rows"], "properties": {"rows": page["properties"]["rows"]}}
    searched = {
        f"/api/search/{name}": {
            "get": {"operationId": f"search{name}",
                    "parameters": [text, *(one for one in parameters if one["name"] in _SEARCH)],
                    "responses": {"200": _answer(rows), "default": _ERROR}},
        },
    }  # fmt: skip
    return {
        **searched,
        f"/api/query/{name}": {
            "post": {"operationId": f"query{name}",
                     "requestBody": _body({"type": "object", "properties": query}),
                     "responses": {"200": _answer(page), "default": _ERROR}},
        },
        f"/api/aggregate/{name}": {
            "post": {"operationId": f"aggregate{name}", "requestBody": _body(asked),
                     "responses": {"200": _answer(groups), "default": _ERROR}},
        },
    }  # fmt: skip
