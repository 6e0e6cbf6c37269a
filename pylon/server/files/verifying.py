"""Are the bytes of files where they should be, and are they the same?"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pylon.server.files.backends import Backend

_FAULTS_MAX: Final = 100


async def verify_blobs(backend: Backend, known: dict[str, int], *, is_deep: bool) -> dict[str, Any]:
    """Compare what should lie in a place with what does.

    Args:
        backend: the place.
        known: the size by hash of what files have.
        is_deep: read and hash all of it, not only its size.

    Returns {"ok", "faults", "checked", "orphans"}; orphans are no fault, they are swept.
    """
    there = await backend.all()
    faults = []
    for sha256, size in sorted(known.items()):
        if sha256 not in there:
            faults.append(f"{sha256} is missing")
        elif there[sha256] != size:
            faults.append(f"{sha256} has {there[sha256]} bytes, and should have {size}")
        elif is_deep and await _hash_of(backend, sha256, size) != sha256:
            faults.append(f"{sha256} holds something else")
        if len(faults) >= _FAULTS_MAX:
            break
    return {
        "ok": not faults, "faults": faults, "checked": len(known),
        "orphans": len(there.keys() - known.keys()),
    }  # fmt: skip


async def _hash_of(backend: Backend, sha256: str, size: int) -> str:
    found = hashlib.sha256()
    async with backend.open(sha256) as chunks:
        async for chunk in chunks(0, size):
            found.update(chunk)
    return found.hexdigest()
