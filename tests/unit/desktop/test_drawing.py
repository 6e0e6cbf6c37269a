"""The icon: pictures that others can read, and that look alike."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from pylon.desktop import drawing


@pytest.mark.parametrize("size", [16, 48, 128])
def test_a_picture_has_its_size_its_colours_and_round_corners(size: int) -> None:
    """Corners are clear, the plate is dark, the lamp is green."""
    with Image.open(io.BytesIO(drawing.png(size))) as picture:
        assert (picture.size, picture.mode) == ((size, size), "RGBA")
        at = {
            name: picture.getpixel((int(x * size / 64), int(y * size / 64)))
            for name, (x, y) in {"corner": (0, 0), "plate": (55, 16), "lamp": (51, 50)}.items()
        }
    assert at["corner"][3] == 0  # type: ignore[index]
    assert at["plate"] == (24, 32, 58, 255)
    assert at["lamp"] == (94, 214, 148, 255)


def test_the_vector_has_every_shape() -> None:
    """It is well-formed, and has as many elements as the drawing."""
    root = ElementTree.fromstring(drawing.svg())
    assert root.attrib["viewBox"] == "0 0 64 64"
    assert len(root) == len(drawing.SHAPES)


@pytest.mark.parametrize(("box", "format_", "side"), [
    (drawing.ico, "ICO", 256), (drawing.icns, "ICNS", 256),
])  # fmt: skip
def test_boxes_of_other_systems_hold_the_same_picture(box: object, format_: str, side: int) -> None:
    """Each opens as what it is, its largest picture pixel by pixel the PNG."""
    with Image.open(io.BytesIO(box())) as found:  # type: ignore[operator]
        assert found.format == format_
        assert max(size[0] for size in found.info["sizes"]) == side
        with Image.open(io.BytesIO(drawing.png(side))) as alone:
            assert found.convert("RGBA").tobytes() == alone.tobytes()
