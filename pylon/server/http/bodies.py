"""Bodies that are files: read as they come, a bounded piece at a time (PROTOCOL "Files")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiohttp import BodyPartReader, ClientPayloadError, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from pylon import limits, limits_files
from pylon.errors import BadRequest, InvalidArgument, RequestTimeout, UnsupportedMedia
from pylon.server.files.names import clean_type, form_name, header_name
from pylon.server.http.exchange import Exchange

_PARTS_MAX = 20
#: What reading a form raises that is none.
_BROKEN = (ValueError, AssertionError, RuntimeError, HttpProcessingError)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that is being sent: what it says of itself, and its bytes."""

    name: str
    type: str
    #: How many bytes there will be; None where nobody said so.
    length: int | None
    chunks: AsyncGenerator[bytes, None]


async def incoming(exchange: Exchange) -> Incoming:
    """Return the file of a request, raw or the first of a form; nothing of it is read yet.

    Raises UnsupportedMedia, InvalidArgument and BadRequest.
    """
    headers = exchange.request.headers
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("files are sent as they are, not compressed")
    await invite(exchange.request)
    if headers.get("Content-Type", "").lower().startswith("multipart/"):
        return await _of_form(exchange.request)
    return Incoming(
        header_name(headers.get("X-Filename")), clean_type(headers.get("Content-Type")),
        exchange.request.content_length, raw_chunks(exchange.request),
    )  # fmt: skip


async def invite(request: web.BaseRequest) -> None:
    """Say that the body may come, to a client that waits for that."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer itself nothing was sent yet


async def raw_chunks(request: web.BaseRequest) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes; raises RequestTimeout where nothing comes for too long."""
    content = request.content
    while True:
        try:
            async with asyncio.timeout(limits_files.FILE_IDLE_SECONDS):
                chunk = await content.readany()
        except TimeoutError:
            raise RequestTimeout("the rest of the file did not come") from None
        except ClientPayloadError as error:
            raise ConnectionResetError("the file was cut off") from error
        if not chunk:
            return
        yield chunk


async def _of_form(request: web.BaseRequest) -> Incoming:
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia("a form with a file is multipart/form-data")
    try:
        reader = MultipartReader(request.headers, request.content)
        for _ in range(_PARTS_MAX):
            async with asyncio.timeout(limits_files.FILE_IDLE_SECONDS):
                part = await reader.next()
            if part is None:
                break
            if isinstance(part, BodyPartReader) and part.filename is not None:
                return _of_part(part, reader)
            if isinstance(part, BodyPartReader):
                await _skip(part)
    except TimeoutError:
        raise RequestTimeout("the rest of the form did not come") from None
    except _BROKEN as error:
        raise BadRequest("the body is no well-formed multipart/form-data") from error
    raise InvalidArgument("the form has no file: a part with a filename", field="file")


async def _skip(part: BodyPartReader) -> None:
    """Read over a field of the form that is no file; raises InvalidArgument for a long one."""
    seen = 0
    while chunk := await part.read_chunk():
        seen += len(chunk)
        if seen > limits.BODY_BYTES_MAX:
            raise InvalidArgument("the file comes first in the form", field="file")


def _of_part(part: BodyPartReader, reader: MultipartReader) -> Incoming:
    if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit"):
        raise UnsupportedMedia("files are sent as they are, not encoded")
    return Incoming(
        form_name(part.filename), clean_type(part.headers.get("Content-Type")), None,
        _part_chunks(part, reader),
    )  # fmt: skip


async def _part_chunks(
    part: BodyPartReader, reader: MultipartReader
) -> AsyncGenerator[bytes, None]:
    """Yield the file of a form, and read its end, so that the next request begins behind it."""
    try:
        while True:
            async with asyncio.timeout(limits_files.FILE_IDLE_SECONDS):
                chunk = await part.read_chunk(limits_files.FILE_CHUNK_BYTES // 4)
            if not chunk:
                break
            yield chunk
        for _ in range(_PARTS_MAX):
            async with asyncio.timeout(limits_files.FILE_IDLE_SECONDS):
                rest = await reader.next()
            if rest is None:
                return
            if isinstance(rest, BodyPartReader):
                await _skip(rest)
    except TimeoutError:
        raise RequestTimeout("the rest of the file did not come") from None
    except ClientPayloadError as error:
        raise ConnectionResetError("the file was cut off") from error
    except _BROKEN as error:
        raise BadRequest("the body is no well-formed multipart/form-data") from error
    raise BadRequest("the form has too many parts behind the file")
