"""One picture in another width: a program of its own, that has nothing but two open files.

Run by its path, isolated (`python -I`), and importing nothing of ours: reads a picture from its
standard input and writes the smaller one to its standard output. The exit code says why not.
"""

from __future__ import annotations

import sys
from typing import Any, Final

TOO_LARGE: Final = 3
NO_IMAGE: Final = 4
_FORMATS: Final = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
#: The only decoders that are asked: others have long lists of faults behind them.
_READ: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def main(arguments: list[str]) -> int:
    """Make the picture; arguments are width, type, and most pixels, bytes and seconds."""
    width, kind = int(arguments[0]), arguments[1]
    pixels, memory, seconds = (int(one) for one in arguments[2:5])
    try:
        from PIL import Image, ImageOps

        _bound(memory, seconds)  # what is loaded already is within it
        Image.MAX_IMAGE_PIXELS = None  # judged here, before anything is decoded
        with Image.open(sys.stdin.buffer, formats=_READ) as image:
            if image.width * image.height > pixels:
                return TOO_LARGE
            image.draft("RGB", (width * 2, width * 2 * image.height // max(1, image.width) + 1))
            turned = ImageOps.exif_transpose(image)
            _save(turned, width, kind)
    except MemoryError:
        return TOO_LARGE
    except Exception:  # noqa: BLE001 -- whatever a decoder makes of a stranger's bytes
        return NO_IMAGE
    return 0


def _save(image: Any, width: int, kind: str) -> None:
    from PIL import Image

    target = _FORMATS[kind]
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    image = image.convert("RGBA" if has_alpha and target != "JPEG" else "RGB")
    if image.width > width:
        height = max(1, round(image.height * width / image.width))
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    options: dict[str, Any] = {"quality": 82} if target != "PNG" else {}
    image.save(sys.stdout.buffer, target, **options)  # no EXIF: it says where a picture was taken
    sys.stdout.buffer.flush()


def _bound(memory: int, seconds: int) -> None:
    """Take memory, time and the right to open anything from this process."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of who started us is what is left
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
