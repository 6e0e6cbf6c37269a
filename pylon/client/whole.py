"""Answers that are read whole: so many bytes and no more, however many are sent."""

from __future__ import annotations

import aiohttp

from pylon import limits_data
from pylon.errors import PayloadTooLarge

_MIB = 1024 * 1024
TOO_LONG = f"longer than {limits_data.ANSWER_BYTES_MAX // _MIB} MiB"


async def whole(answer: aiohttp.ClientResponse) -> bytes:
    """Return an answer's body; raises PayloadTooLarge where it is longer than any honest one."""
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > limits_data.ANSWER_BYTES_MAX:
            answer.close()  # what is still to come is not waited for
            raise PayloadTooLarge(f"the answer is {TOO_LONG}")
    return bytes(data)
