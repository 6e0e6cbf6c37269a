"""The job `pylon.mail`: one mail, to the mail server or to the outbox, told to the dashboard."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any, Protocol

from pylon.clock import Clock, iso_ms
from pylon.errors import Refused
from pylon.server.mail.message import Sender, build_message, mail_of
from pylon.server.observe import Observer


class Transport(Protocol):
    """A way out."""

    async def deliver(self, message: EmailMessage, to: str) -> None:
        """Deliver one message; raises Refused for good, Unavailable for now."""
        ...


class Delivery:
    """Runs the mail jobs; one per runtime."""

    def __init__(
        self, transport: Transport, sender: Sender, clock: Clock, observer: Observer
    ) -> None:
        self._transport = transport
        self._sender = sender
        self._clock = clock
        self._observer = observer

    async def __call__(self, job_id: str, args: dict[str, Any]) -> None:
        """Deliver the mail of a job."""
        now = self._clock.now_ms()
        until, is_secret = args.get("until_ms"), "until_ms" in args
        if until is not None and now >= until:
            raise Refused("MAIL_EXPIRED", "what the mail says was of no use any more")
        mail = mail_of(args)
        await self._transport.deliver(build_message(mail, self._sender, job_id, now), mail.to)
        code = args.get("code")
        is_shown = code is not None or not is_secret or bool(args.get("shown"))
        self._observer.note_mail(
            {
                "id": job_id, "to": mail.to, "at": iso_ms(now), "code": code,
                "subject": mail.subject if is_shown else "(a sign-in mail)",
                "text": mail.text if is_shown else "",
            }
        )  # fmt: skip
