"""Mail over SMTP: the server that `[mail] url` names, spoken to once per mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPConnectResponseError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)

from pylon import limits
from pylon.errors import Refused, Unavailable
from pylon.server.hosts import is_this_machine
from pylon.server.mail.message import Sender

_HINT = "smtp://user:password@host:587, or smtps:// for TLS from the first byte"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail goes; its password is shown nowhere."""

    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None = field(repr=False)

    @property
    def demands_starttls(self) -> bool:
        """Tell whether the connection must be raised to TLS: anywhere but on this machine."""
        return not self.is_tls and not is_this_machine(self.host)


def parse_url(url: str) -> SmtpServer:
    """Return the server of a URL; raises ValueError, which never repeats the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"it is {_HINT}") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError(f"it is {_HINT}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("it ends with the port; a / or # in a password is written %2F, %23")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("it has both a user and a password, or neither")
    is_tls = parts.scheme == "smtps"
    host = parts.hostname
    default = 465 if is_tls else 25 if is_this_machine(host) else 587
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return SmtpServer(host, port or default, is_tls, user, password)


class SmtpTransport:
    """Delivers messages to one server."""

    def __init__(self, server: SmtpServer, sender: Sender) -> None:
        self._server = server
        self._sender = sender

    async def deliver(self, message: EmailMessage, to: str) -> None:
        """Deliver one message.

        Raises Refused where the server says for good that it will not (5xx about the sender, the
        receiver or the text), and Unavailable for all that may be different later.
        """
        server = self._server
        try:
            await aiosmtplib.send(
                message, sender=self._sender.address, recipients=[to],
                hostname=server.host, port=server.port, username=server.user,
                password=server.password, use_tls=server.is_tls,
                start_tls=server.demands_starttls, local_hostname=self._sender.domain,
                timeout=limits.MAIL_SECONDS,
            )  # fmt: skip
        except (SMTPException, OSError, TimeoutError) as error:
            said = self._without_password(str(error) or type(error).__name__)
            where = f"the mail server {server.host}:{server.port}"
            if _is_final(error):
                raise Refused("MAIL_REFUSED", f"{where} refused the mail: {said}") from None
            raise Unavailable(f"{where}: {said}", reason="mail") from None

    def _without_password(self, text: str) -> str:
        password = self._server.password
        return text.replace(password, "…") if password else text


def _is_final(error: BaseException) -> bool:
    """Tell whether the server said no to this mail: 5xx, and not about connection or sign-in."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(_is_final(one) for one in error.recipients)
    if isinstance(error, SMTPConnectResponseError):
        return False
    is_about_mail = isinstance(error, SMTPDataError | SMTPSenderRefused | SMTPRecipientRefused)
    return is_about_mail and 500 <= getattr(error, "code", 0) < 600
