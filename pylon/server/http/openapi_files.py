"""The routes of files in the OpenAPI document: the same for every app."""

from __future__ import annotations

from typing import Any, Final

from pylon.schema.files import FILE_SCHEMA

_TEXT: Final = {"type": "string"}
_INT: Final = {"type": "integer"}
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object", "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}  # fmt: skip
_UPLOAD: Final = {
    "type": "object", "required": ["url", "offset", "length", "expires_at"],
    "properties": {
        "upload": _TEXT, "url": _TEXT, "offset": _INT, "length": _INT,
        "expires_at": {"type": "string", "format": "date-time"}, "file": FILE_SCHEMA,
    },
}  # fmt: skip


def _parameter(name: str, where: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": name, "in": where, "required": where == "path", "schema": schema or dict(_TEXT)
    }  # fmt: skip


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def file_paths(error: dict[str, Any]) -> dict[str, Any]:
    """Return their `paths`; `error` is what every failed call answers."""
    an_id = _parameter("id", "path")
    whole = {"description": "The file", "content": {"application/octet-stream": _BYTES}}
    gone = {"description": "Gone"}
    return {
        "/api/files": {"post": {
            "summary": "Upload a file, or begin an upload in pieces",
            "parameters": [
                _parameter("resumable", "query"), _parameter("X-Filename", "header"),
                _parameter("Upload-Length", "header", _INT),
                _parameter("Idempotency-Key", "header"),
            ],
            "requestBody": {"content": {
                "application/octet-stream": _BYTES, "multipart/form-data": _FORM,
            }},
            "responses": {
                "201": _json("The file object, or the upload", {"oneOf": [FILE_SCHEMA, _UPLOAD]}),
                "default": error,
            },
        }},
        "/api/files/{id}": {
            "get": {
                "summary": "Read a file",
                "parameters": [
                    an_id, _parameter("w", "query", _INT), _parameter("download", "query"),
                    _parameter("Range", "header"), _parameter("If-Range", "header"),
                    _parameter("If-None-Match", "header"),
                ],
                "responses": {
                    "200": whole, "206": whole, "304": {"description": "It is as it was"},
                    "default": error,
                },
            },
            "delete": {
                "summary": "Empty the fields that hold a file", "parameters": [an_id],
                "responses": {"204": gone, "default": error},
            },
        },
        "/api/files/uploads/{id}": {
            "get": {
                "summary": "How far an upload has come", "parameters": [an_id],
                "responses": {"200": _json("The upload", _UPLOAD), "default": error},
            },
            "patch": {
                "summary": "Go on with an upload",
                "parameters": [an_id, _parameter("Upload-Offset", "header", _INT)],
                "requestBody": {"content": {"application/octet-stream": _BYTES}},
                "responses": {
                    "200": _json("There is more to come", {
                        "type": "object", "required": ["offset"], "properties": {"offset": _INT},
                    }),
                    "201": _json("The file object", FILE_SCHEMA), "default": error,
                },
            },
            "delete": {
                "summary": "Give an upload up", "parameters": [an_id],
                "responses": {"204": gone, "default": error},
            },
        },
    }  # fmt: skip
