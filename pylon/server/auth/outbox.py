"""Mail in development: files in `.pylon/outbox/`, owner-only, the oldest removed."""

from __future__ import annotations

import errno
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from pylon import limits
from pylon.clock import Clock, iso_ms
from pylon.errors import Unavailable
from pylon.ids import IdSource
from pylon.server.observe import Observer


class Outbox:
    """Writes mails to files and tells the dashboard."""

    def __init__(
        self, folder: Path, sender: str, clock: Clock, ids: IdSource, observer: Observer
    ) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock
        self._ids = ids
        self._observer = observer

    def send(self, to: str, subject: str, text: str, *, code: str | None = None) -> None:
        """Put one mail into the outbox; raises Unavailable where the disk does not take it."""
        mail_id = self._ids.uuid7()
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message.set_content(text)
        path = self._folder / f"{mail_id}.eml"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(message.as_bytes())
        except OSError as error:
            path.unlink(missing_ok=True)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise Unavailable(
                "the mail could not be written", reason="disk_full" if is_full else "outbox"
            ) from error
        mails = sorted(self._folder.glob("*.eml"))
        for old in mails[: -limits.OUTBOX_MAILS_MAX]:
            old.unlink(missing_ok=True)
        mail: dict[str, Any] = {
            "id": mail_id, "to": to, "subject": subject, "text": text, "code": code,
            "at": iso_ms(self._clock.now_ms()),
        }  # fmt: skip
        self._observer.note_mail(mail)
