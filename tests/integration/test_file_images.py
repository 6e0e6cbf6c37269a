"""Pictures in other widths: by the same policy, decoded elsewhere, bombs refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.files_app import Front, files_front

Image: Any = pytest.importorskip("PIL.Image")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app") as started:
        yield started


def _picture(kind: str, size: tuple[int, int] = (600, 300), **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, kind, **options)
    return stream.getvalue()


def _bomb() -> bytes:
    """Return a small PNG that says it has 10 billion pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        summed = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + summed

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


async def test_widths_are_made_once_and_are_as_private(front: Front) -> None:
    """Each kind narrower and as what it is, kept, not shown to others, gone with the file."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x010F] = "a camera"
    made = await ann.upload(_picture("JPEG", exif=turned), "a.jpg", "image/jpeg")
    got = await ann.ask("GET", f"{made['url']}?w=64")
    assert (got.status, got.headers["Content-Type"]) == (200, "image/jpeg")
    assert b"a camera" not in got.data
    assert Image.open(io.BytesIO(got.data)).size == (64, 128), "turned, then made narrower"
    head = await ann.ask("HEAD", f"{made['url']}?w=64")
    assert head.headers["Content-Length"] == str(len(got.data))
    assert head.headers["Content-Security-Policy"] == got.headers["Content-Security-Policy"]
    again = await ann.ask("GET", f"{made['url']}?w=64", If_None_Match=got.headers["ETag"])
    assert again.status == 304
    part = await ann.ask("GET", f"{made['url']}?w=64", Range="bytes=0-9")
    assert (part.status, part.data) == (206, got.data[:10])
    assert (await bob.ask("GET", f"{made['url']}?w=64")).status == 404
    assert len(list((front.folder / "images").iterdir())) == 1
    for kind, shown in (("PNG", "PNG"), ("WEBP", "WEBP"), ("GIF", "PNG"), ("BMP", "PNG")):
        other = await ann.upload(_picture(kind), "x", f"image/{kind.lower()}")
        got = await ann.ask("GET", f"{other['url']}?w=128")
        image = Image.open(io.BytesIO(got.data))
        assert (image.format, image.size) == (shown, (128, 64))
        await ann.ask("DELETE", other["url"])
    await ann.ask("DELETE", made["url"])
    assert (await ann.ask("GET", f"{made['url']}?w=64")).status == 404
    await front.sweep(601)
    assert list((front.folder / "images").iterdir()) == []
    assert front.leftovers() == []


async def test_what_is_no_picture_is_refused(front: Front) -> None:
    """Other widths and types, damaged files, and bombs before they are decoded."""
    ann = await front.person("ann@example.com")
    text = await ann.upload(b"text")
    assert (await ann.ask("GET", f"{text['url']}?w=64")).status == 415
    for data in (b"", b"no picture", _picture("PNG")[:60], _bomb(), b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        made = await ann.upload(data, "x.png", "image/png")
        got = await ann.ask("GET", f"{made['url']}?w=64")
        assert got.status == 415, data[:20]
        assert (await ann.ask("GET", made["url"])).status == 200
    for width in ("63", "0", "-1", "", "64.0", "99999", "x"):
        assert (await ann.ask("GET", f"{made['url']}?w={width}")).status == 400
    assert front.leftovers() == []
