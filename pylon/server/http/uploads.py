"""Uploads in pieces over HTTP: begun, continued after a lost connection, given up."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

from aiohttp import web

from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, PolicyDenied, UnsupportedMedia
from pylon.server.files.names import clean_type, header_name
from pylon.server.http.bodies import invite, raw_chunks
from pylon.server.http.exchange import Exchange, json_value, no_content
from pylon.server.storage.files import Upload

_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


def demand_writes(exchange: Exchange) -> None:
    """Raise PolicyDenied for a token whose scope only reads."""
    scope = exchange.identity.scope
    if scope is not None and scope.is_read_only:
        raise PolicyDenied("this token only reads")


async def begin(exchange: Exchange) -> web.StreamResponse:
    """POST /api/files?resumable=1, for who may upload."""
    headers = exchange.request.headers
    length = _number(exchange, "Upload-Length")
    upload = await exchange.services.files.pieces.begin(
        exchange.identity.principal, header_name(headers.get("X-Filename")),
        clean_type(headers.get("Content-Type")), length,
    )  # fmt: skip
    answer = json_value({"upload": upload.id, **_shown(exchange, upload)}, 201)
    answer.headers["Location"] = _url(upload)
    return answer


def _url(upload: Upload) -> str:
    return f"/api/files/uploads/{upload.id}"


def _shown(exchange: Exchange, upload: Upload) -> dict[str, Any]:
    shown = {
        "url": _url(upload), "offset": exchange.services.files.pieces.offset(upload),
        "length": upload.length, "expires_at": iso_ms(upload.expires_at),
    }  # fmt: skip
    return shown if upload.file is None else {**shown, "file": upload.file}


def _found(exchange: Exchange) -> Upload:
    principal = exchange.identity.principal
    return exchange.services.files.pieces.find(principal, exchange.parts[0])


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET and HEAD /api/files/uploads/{id}: how far it has come."""
    upload = _found(exchange)
    shown = _shown(exchange, upload)
    answer = json_value(shown)
    answer.headers["Upload-Offset"] = str(shown["offset"])
    answer.headers["Upload-Length"] = str(upload.length)
    return answer


async def drop(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/files/uploads/{id}."""
    demand_writes(exchange)
    await exchange.services.files.pieces.drop(_found(exchange))
    return no_content()


async def go_on(exchange: Exchange) -> web.StreamResponse:
    """PATCH /api/files/uploads/{id}: the bytes from Upload-Offset on."""
    demand_writes(exchange)
    upload, request = _found(exchange), exchange.request
    offset = _number(exchange, "Upload-Offset")
    if request.content_type != "application/octet-stream":
        raise UnsupportedMedia("a piece is application/octet-stream")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("files are sent as they are, not compressed")
    if upload.file is not None:
        return await _again(exchange, upload, offset)
    service = exchange.services.files
    async with service.pieces.piece(upload, offset) as piece:
        length = request.content_length
        if length is not None and offset + length > upload.length:
            raise InvalidArgument(
                f"the piece ends behind the {upload.length} bytes of Upload-Length",
                field="Upload-Offset",
            )  # fmt: skip
        await invite(request)
        async with aclosing(raw_chunks(request)) as chunks:
            received = await service.pieces.receive(piece, chunks)
        if received is None:
            return json_value({"offset": piece.offset})
        saved = await service.save(
            exchange.identity, received, name=upload.name, kind=upload.type, cause="http",
            upload_id=upload.id,
        )  # fmt: skip
    return json_value(saved, 201)


async def _again(exchange: Exchange, upload: Upload, offset: int) -> web.StreamResponse:
    """Answer the last piece of an upload once more, for who did not hear that it is complete."""
    await invite(exchange.request)
    reached = offset
    async with aclosing(raw_chunks(exchange.request)) as chunks:
        async for chunk in chunks:
            reached += len(chunk)
            if reached > upload.length:
                break
    if reached != upload.length:
        raise Conflict("the upload is complete", offset=upload.length)
    return json_value(upload.file, 201)


def _number(exchange: Exchange, name: str) -> int:
    text = exchange.request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise InvalidArgument(f"the header {name} is a number of bytes", field=name)
    return int(text)
