"""Files over HTTP: stored whole in one request, read (whole, a part, the head), deleted (§9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

from aiohttp import web

from pylon import limits_files
from pylon.errors import NotFound, PylonError, Unauthenticated
from pylon.identity import IdentityKind
from pylon.server.files.backends import Chunks
from pylon.server.files.images import SHOWN_AS, width_of
from pylon.server.files.names import sent_headers
from pylon.server.files.ranges import Part, is_known, part_of, range_holds
from pylon.server.http import uploads
from pylon.server.http.bodies import incoming
from pylon.server.http.exchange import Exchange, flag, json_value, no_content
from pylon.server.storage.files import StoredFile

_log = logging.getLogger("pylon.files")


def demand_uploader(exchange: Exchange) -> None:
    """Raise Unauthenticated or PolicyDenied for a caller who may bring no file."""
    identity = exchange.identity
    may_be_anonymous = exchange.services.config["files.anonymous"]
    if identity.kind is IdentityKind.ANONYMOUS and not may_be_anonymous:
        raise Unauthenticated()
    uploads.demand_writes(exchange)


async def upload(exchange: Exchange) -> web.StreamResponse:
    """POST /api/files: a raw body, or the first file of a form."""
    demand_uploader(exchange)
    if flag(exchange.query(("resumable",)).get("resumable")):
        return await uploads.begin(exchange)
    service, op_id = exchange.services.files, exchange.operation_id
    given = await incoming(exchange)
    async with aclosing(given.chunks), service.store.receive(
        exchange.identity.principal, given.chunks, given.length
    ) as received:  # fmt: skip
        saved = await service.save(
            exchange.identity, received, name=given.name, kind=given.type, cause="http",
            op_id=op_id,
        )  # fmt: skip
    return json_value(saved, 201)


async def delete(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/files/{id}."""
    identity = exchange.identity
    if identity.kind is IdentityKind.ANONYMOUS:
        raise Unauthenticated()
    await exchange.services.files.delete(identity, exchange.parts[0], cause="http")
    return no_content()


async def download(exchange: Exchange) -> web.StreamResponse:
    """GET and HEAD /api/files/{id}."""
    identity = exchange.identity
    stored = exchange.services.files.readable(identity, exchange.parts[0])
    query = exchange.query(("download", "w"))
    is_download, store = flag(query.get("download")), exchange.services.files.store
    if "w" not in query:
        headers = sent_headers(stored.type, stored.name, is_download=is_download)
        content = Content(stored.sha256, stored.size, lambda: store.backend.open(stored.sha256))
        return await send(exchange, stored, content, headers)
    width = width_of(query["w"])
    path = await exchange.services.files.images.made(stored, width, identity.asker or "")
    headers = sent_headers(SHOWN_AS[stored.type], stored.name, is_download=is_download)
    size = (await store.run(path.stat)).st_size
    content = Content(f"{stored.sha256}-{width}", size, lambda: store.opened(path))
    return await send(exchange, stored, content, headers)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to be sent: what they are called by, how many, and how to get them."""

    tag: str
    size: int
    open: Callable[[], AbstractAsyncContextManager[Chunks]]


async def send(
    exchange: Exchange, stored: StoredFile, content: Content, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer with a content, or with what of it was asked for."""
    request, size = exchange.request, content.size
    etag = f'"{content.tag}"'
    headers["ETag"] = etag
    if is_known(etag, request.headers.get("If-None-Match")):
        return web.Response(status=304, headers=headers)
    asked = request.headers.get("Range")
    if not range_holds(etag, request.headers.get("If-Range")):
        asked = None
    part = part_of(asked, size)
    if part is None:
        headers |= {"Content-Range": f"bytes */{size}", "Content-Type": "application/json"}
        headers["Content-Disposition"] = "inline"
        return web.Response(status=416, headers=headers, body=_UNSATISFIABLE)
    answer = web.StreamResponse(status=206 if part.is_asked else 200, headers=headers)
    if part.is_asked:
        answer.headers["Content-Range"] = part.content_range
    answer.content_length = part.end - part.start
    answer.headers["Server"] = "Pylon"
    async with content.open() as chunks:
        await answer.prepare(request)
        if exchange.method != "HEAD":
            async with aclosing(chunks(part.start, part.end)) as stream:
                await _send_chunks(exchange, answer, stored, part, stream)
    return answer


_UNSATISFIABLE = (
    b'{"error":{"code":"INVALID_ARGUMENT","message":"no byte of the file is in this range",'
    b'"details":{"field":"Range"}}}'
)


async def _send_chunks(
    exchange: Exchange, answer: web.StreamResponse, stored: StoredFile, part: Part,
    chunks: AsyncIterator[bytes],
) -> None:  # fmt: skip
    """Send a part; it ends early where the caller may not read the file any more (I78)."""
    clock = exchange.services.clock
    checked = clock.monotonic()
    try:
        async for chunk in chunks:
            if clock.monotonic() - checked > limits_files.FILE_RECHECK_SECONDS:
                checked = clock.monotonic()
                _demand_still(exchange, stored)
            async with asyncio.timeout(limits_files.FILE_STALL_SECONDS):
                await answer.write(chunk)
    except (PylonError, TimeoutError) as error:
        # The head is out: what is left is to end the connection, so that nobody takes it as whole.
        _log.info("files.cut_off %s at %d of %d: %s", stored.id, part.start, part.size,
                  type(error).__name__)  # fmt: skip
        transport = exchange.request.transport
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("the download was cut off") from error


def _demand_still(exchange: Exchange, stored: StoredFile) -> None:
    exchange.demand_same_caller()
    if exchange.services.files.readable(exchange.identity, stored.id) != stored:
        raise NotFound()
