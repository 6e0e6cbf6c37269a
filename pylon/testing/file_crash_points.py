"""The points on a file's way at which a test build kills itself (`crash_points`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from pylon.server.files import disk, images
from pylon.server.files.backends import DiskBackend
from pylon.server.files.disk import Writing
from pylon.server.files.pieces import Pieces
from pylon.server.files.s3 import S3Backend
from pylon.server.files.store import FileStore, Received
from pylon.server.files.sweeper import Sweeper

#: Passed by every upload, in about this order; `append` once for each chunk.
UPLOADING: Final = (
    "file.opened", "file.append.before", "file.append.during", "file.append.after",
    "file.sync.before", "file.sync.after", "file.publish.before", "file.publish.during",
    "file.publish.after", "file.save.before", "file.save.after", "file.discard.before",
    "file.discard.after",
)  # fmt: skip
#: Passed by uploads in pieces: begun, read again after a restart, kept between two pieces.
RESUMING: Final = (
    "file.begun", "file.resume.before", "file.resume.during", "file.resume.after",
    "file.keep.before", "file.keep.after",
)  # fmt: skip
#: Passed by a sweep that has something to do.
SWEEPING: Final = (
    "sweep.files", "sweep.remove.before", "sweep.remove.after", "sweep.uploads",
    "sweep.unlink.before", "sweep.unlink.after",
)  # fmt: skip
#: Passed where a picture of another width is made.
IMAGING: Final = ("image.fetched", "image.run.during", "image.made", "image.placed")
FILING: Final = (*UPLOADING, *RESUMING, *SWEEPING, *IMAGING)

Reach = Callable[[str], None]


def wrap_files(reach: Reach) -> None:
    """Have the way of files pass its points."""
    _wrap_writing(reach)
    _wrap_backends(reach)
    _wrap_uploads(reach)
    _wrap_sweeps(reach)
    _wrap_images(reach)


def _around(reach: Reach, owner: Any, name: str, label: str, *, during: bool = False) -> None:
    """Have a call pass a point before and one after it."""
    real: Callable[..., Any] = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        reach(f"{label}.before")
        if during:
            reach(f"{label}.during")
        found = real(*given, **named)
        reach(f"{label}.after")
        return found

    setattr(owner, name, wrapped)


def _around_awaited(
    reach: Reach, owner: Any, name: str, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    real: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*given: Any, **named: Any) -> Any:
        for one in before:
            reach(one)
        found = await real(*given, **named)
        for one in after:
            reach(one)
        return found

    setattr(owner, name, wrapped)


def _wrap_writing(reach: Reach) -> None:
    made = Writing.__init__

    def opened(self: Writing, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        reach("file.opened")

    Writing.__init__ = opened  # type: ignore[method-assign]
    _around(reach, Writing, "append", "file.append", during=True)
    _around(reach, Writing, "sync", "file.sync")
    _around(reach, Writing, "resume", "file.resume", during=True)
    _around(reach, Writing, "discard", "file.discard")


def _wrap_backends(reach: Reach) -> None:
    for backend in (DiskBackend, S3Backend):
        _around_awaited(
            reach, backend, "publish", ("file.publish.before", "file.publish.during"),
            ("file.publish.after",),
        )  # fmt: skip
        _around_awaited(reach, backend, "remove", ("sweep.remove.before",), ("sweep.remove.after",))


def _wrap_uploads(reach: Reach) -> None:
    real = FileStore.published

    @asynccontextmanager
    async def published(store: FileStore, received: Received) -> AsyncIterator[None]:
        async with real(store, received):
            reach("file.save.before")
            yield
            reach("file.save.after")

    FileStore.published = published  # type: ignore[assignment, method-assign]
    _around_awaited(reach, Pieces, "begin", (), ("file.begun",))
    _around_awaited(reach, Pieces, "_keep", ("file.keep.before",), ("file.keep.after",))


def _wrap_sweeps(reach: Reach) -> None:
    _around_awaited(reach, Sweeper, "_files", ("sweep.files",), ())
    _around_awaited(reach, Sweeper, "_uploads", ("sweep.uploads",), ())
    _around(reach, disk, "unlink", "sweep.unlink")


def _wrap_images(reach: Reach) -> None:
    _around_awaited(reach, images.Images, "_fetch", (), ("image.fetched",))
    _around_awaited(reach, images, "_run", ("image.run.during",), ("image.made",))
    _around_awaited(reach, images.Images, "_worked", (), ("image.placed",))
