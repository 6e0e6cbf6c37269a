"""Files whose names and bytes are canaries, and an upload that is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from pylon.identity import SYSTEM
from pylon.server.storage import files
from pylon.server.storage.files import Upload
from tests.canary.crowd import OPERATOR
from tests.canary.rows import HOLDERS, LETTERS

if TYPE_CHECKING:
    from tests.canary.test_canary_matrix import Matrix

_LENGTH: Final = 1_000


async def store_files(at: Matrix) -> dict[tuple[str, str], str]:
    """Store a file for each field of each letter; its text stands in its name and its bytes."""
    service, found = at.services.files, {}
    for key in ((letter, field) for letter in LETTERS for field in HOLDERS):
        text = at.mint.text()

        async def chunks(text: str = text) -> AsyncIterator[bytes]:
            yield f"{text} {text}".encode()

        async with service.store.receive("system", chunks(), None) as received:
            saved = await service.save(
                SYSTEM, received, name=f"{text}.txt", kind="text/plain", cause="test"
            )
        found[key] = saved["id"]
    return found


async def begin_upload(at: Matrix) -> str:
    """Have the owner's upload be under way, and at its beginning; returns its id."""
    pieces, owner = at.services.files.pieces, at.ids["owner"]
    if at.upload is None:
        at.upload = at.services.files.store.new_id()
        at.upload_name = at.mint.text()[6:]
        at.crowd.keep(at.upload_name, "owner", "scoped", OPERATOR)
    raw = at.services.database.readers.inline.raw
    before = files.find_upload(raw, at.upload)
    if before is not None:
        await pieces.drop(before)
    expires_at = at.services.clock.now_ms() + 86_400_000
    upload = Upload(at.upload, owner, at.upload_name, "text/plain", _LENGTH, 0, expires_at, None)
    await at.services.database.writer.submit(lambda one: files.begin_upload(one, upload))
    path = at.services.files.store.incoming / at.upload
    path.touch(mode=0o600)
    return at.upload


def is_there(found: Any, value: Any) -> bool:
    """Tell whether a field holds a value; a file is named by its id."""
    if isinstance(found, dict) and isinstance(value, str):
        return bool(found["id"] == value)
    return bool(found == value)
