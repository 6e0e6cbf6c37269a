"""The icon, drawn from a few shapes: as SVG, as PNG in any size, in the boxes of other systems."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: The side of the square that the shapes are drawn in.
_SIDE: Final = 64
#: Sizes of the pictures that are written beside the SVG, for who can't read that.
PNG_SIZES: Final = (48, 128)
_ICO_SIZES: Final = (32, 48, 256)
#: Apple's names of the sizes.
_ICNS_SIZES: Final = ((b"ic07", 128), (b"ic08", 256))

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line with round ends."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    colour: Colour

    def distance(self, x: float, y: float) -> float:
        """Return how far a point is outside (below 0: inside)."""
        along_x, along_y = self.x2 - self.x1, self.y2 - self.y1
        part = ((x - self.x1) * along_x + (y - self.y1) * along_y) / (along_x**2 + along_y**2)
        part = min(1.0, max(0.0, part))
        gap = ((x - self.x1 - part * along_x) ** 2 + (y - self.y1 - part * along_y) ** 2) ** 0.5
        return float(gap - self.width / 2)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        half = self.width / 2
        return (
            min(self.x1, self.x2) - half, min(self.y1, self.y2) - half,
            max(self.x1, self.x2) + half, max(self.y1, self.y2) + half,
        )  # fmt: skip

    def svg(self) -> str:
        """Return its element."""
        return (
            f'<path d="M{self.x1:g} {self.y1:g}L{self.x2:g} {self.y2:g}" stroke-linecap="round"'
            f' stroke="{_hex(self.colour)}" stroke-width="{self.width:g}"/>'
        )


@dataclass(frozen=True, slots=True)
class Plate:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    colour: Colour

    def distance(self, x: float, y: float) -> float:
        """Return how far a point is outside (below 0: inside)."""
        out_x = abs(x - self.x - self.width / 2) - self.width / 2 + self.radius
        out_y = abs(y - self.y - self.height / 2) - self.height / 2 + self.radius
        outside = (max(out_x, 0.0) ** 2 + max(out_y, 0.0) ** 2) ** 0.5
        return float(outside + min(max(out_x, out_y), 0.0) - self.radius)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def svg(self) -> str:
        """Return its element."""
        return (
            f'<rect x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="{self.height:g}"'
            f' rx="{self.radius:g}" fill="{_hex(self.colour)}"/>'
        )


_NIGHT: Final = (24, 32, 58)
_STEEL: Final = (226, 232, 248)
_LAMP: Final = (94, 214, 148)
#: A pylon that carries lines, and the cursor of a terminal at its foot.
SHAPES: Final[tuple[Stroke | Plate, ...]] = (
    Plate(2, 2, 60, 60, 14, _NIGHT),
    Stroke(15, 54, 28, 10, 4.5, _STEEL),
    Stroke(41, 54, 28, 10, 4.5, _STEEL),
    Stroke(11, 21, 45, 21, 4.5, _STEEL),
    Stroke(20.5, 37, 35.5, 37, 4, _STEEL),
    Stroke(20.5, 37, 41, 54, 3, _STEEL),
    Stroke(35.5, 37, 15, 54, 3, _STEEL),
    Plate(47, 43, 8, 13, 1.5, _LAMP),
)


def svg() -> bytes:
    """Return the icon as an SVG document."""
    body = "\n".join(f"  {shape.svg()}" for shape in SHAPES)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}"'
    return f'{head} width="{_SIDE}" height="{_SIDE}">\n{body}\n</svg>\n'.encode()


@lru_cache(maxsize=8)
def png(size: int) -> bytes:
    """Return the icon as a PNG of that many pixels a side, with transparency."""
    pixels = [[0.0, 0.0, 0.0, 0.0] for _ in range(size * size)]
    scale = _SIDE / size
    for shape in SHAPES:
        left, top, right, bottom = shape.bounds()
        for row in range(max(0, int(top / scale) - 1), min(size, int(bottom / scale) + 2)):
            for column in range(max(0, int(left / scale) - 1), min(size, int(right / scale) + 2)):
                gap = shape.distance((column + 0.5) * scale, (row + 0.5) * scale) / scale
                if gap < 0.5:
                    _lay(pixels[row * size + column], shape.colour, min(1.0, 0.5 - gap))
    lines = bytearray()
    for row in range(size):
        lines.append(0)  # no filter
        for red, green, blue, alpha in pixels[row * size : (row + 1) * size]:
            lines += bytes(round(one) for one in (red, green, blue, alpha * 255))
    return b"".join((
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(bytes(lines), 9)),
        _chunk(b"IEND", b""),
    ))  # fmt: skip


def ico() -> bytes:
    """Return the icon as Windows takes it: pictures in several sizes in one file."""
    pictures = [png(size) for size in _ICO_SIZES]
    head = struct.pack("<HHH", 0, 1, len(pictures))
    at = len(head) + 16 * len(pictures)
    for size, picture in zip(_ICO_SIZES, pictures, strict=True):
        side = size % 256  # 0 stands for 256
        head += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(picture), at)
        at += len(picture)
    return head + b"".join(pictures)


def icns() -> bytes:
    """Return the icon as macOS takes it."""
    parts = [
        name + struct.pack(">I", len(picture) + 8) + picture
        for name, picture in ((name, png(size)) for name, size in _ICNS_SIZES)
    ]
    body = b"".join(parts)
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def _lay(under: list[float], colour: Colour, cover: float) -> None:
    """Lay a colour over a pixel that it covers in part."""
    below = under[3] * (1 - cover)
    alpha = cover + below
    for place in range(3):
        under[place] = (colour[place] * cover + under[place] * below) / alpha
    under[3] = alpha


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
