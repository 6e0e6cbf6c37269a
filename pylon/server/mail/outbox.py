"""Mail that does not leave the machine: files in `.pylon/outbox/`, owner-only, the oldest removed.

In development, and in serve where no `[mail] url` is set.
"""

from __future__ import annotations

import asyncio
import errno
import os
from email.message import EmailMessage
from pathlib import Path

from pylon import limits
from pylon.errors import Unavailable


class Outbox:
    """Writes messages to files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, message: EmailMessage, to: str) -> None:
        """Put one message into the outbox; raises Unavailable where the disk does not take it.

        A second try of the same mail replaces the first.
        """
        mail_id = str(message["Message-ID"]).strip("<>").partition("@")[0]
        # A slow disk holds its own thread, not the loop.
        await asyncio.to_thread(self._write, self._folder / f"{mail_id}.eml", message)

    def _write(self, path: Path, message: EmailMessage) -> None:
        beside = path.with_suffix(".part")  # who looks finds whole mails only
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(message.as_bytes())
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise Unavailable(
                "the mail could not be written", reason="disk_full" if is_full else "outbox"
            ) from error
        mails = sorted(self._folder.glob("*.eml"))
        for old in mails[: -limits.OUTBOX_MAILS_MAX]:
            old.unlink(missing_ok=True)
