"""One mail: checked before anything is stored, and made into a message that no value can bend.

A line break in an address or a subject would begin a header of the caller's choosing, so every
control character is refused there. What does not live here: queueing (`mailer`), templates
(`templates`), and the ways out (`smtp`, `outbox`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Any, Final

from pylon import limits
from pylon.errors import InvalidArgument, PayloadTooLarge

_ADDRESS: Final = re.compile(
    r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)\Z",
    re.ASCII,
)
_ADDRESS_CHARACTERS_MAX: Final = 254
_LOCAL_CHARACTERS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A checked mail; make it with `checked_mail`."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails come from."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """Return what stands behind the @."""
        return self.address.rpartition("@")[2]


def is_address(text: object) -> bool:
    """Tell whether this is one mail address, and nothing beside it."""
    if not isinstance(text, str) or len(text) > _ADDRESS_CHARACTERS_MAX:
        return False
    found = _ADDRESS.match(text)
    return found is not None and len(found[1]) <= _LOCAL_CHARACTERS_MAX


def parse_sender(text: str) -> Sender:
    """Return the sender of `Chat <hi@chat.example>` or of a bare address; raises ValueError."""
    name, address = parseaddr(text)
    if not is_address(address) or _has_control(text):
        raise ValueError('the sender is an address, or a name and one: "Chat <hi@chat.example>"')
    return Sender(name, address)


def checked_mail(to: object, subject: object, text: object, html: object = None) -> Mail:
    """Return a mail; raises InvalidArgument and PayloadTooLarge, naming what is wrong."""
    if not isinstance(to, str) or not is_address(to):
        raise InvalidArgument("to is one e-mail address, without a name", field="to")
    if not isinstance(subject, str) or not subject.strip():
        raise InvalidArgument("a mail has a subject", field="subject")
    if _has_control(subject):
        raise InvalidArgument("a subject is one line without control characters", field="subject")
    if len(subject) > limits.MAIL_SUBJECT_CHARACTERS_MAX:
        most = limits.MAIL_SUBJECT_CHARACTERS_MAX
        raise InvalidArgument(f"a subject has at most {most} characters", field="subject")
    if html is not None and not isinstance(html, str):
        raise InvalidArgument("html is a text", field="html")
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgument("a mail has a text, also where it has HTML", field="text")
    for name, part in (("subject", subject), ("text", text), ("html", html or "")):
        _check_text(name, part)
    if len(text.encode()) + len((html or "").encode()) > limits.MAIL_BYTES_MAX:
        raise PayloadTooLarge(f"a mail has at most {limits.MAIL_BYTES_MAX} bytes")
    return Mail(to=to, subject=subject, text=text, html=html)


def _has_control(text: str) -> bool:
    return any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 or one in "\u2028\u2029" for one in text)


def _check_text(name: str, text: str) -> None:
    if "\x00" in text:
        raise InvalidArgument(f"NUL in the {name}", field=name)
    try:
        text.encode("utf-8", "strict")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"lone surrogate in the {name}", field=name) from error


def build_message(mail: Mail, sender: Sender, mail_id: str, unix_ms: int) -> EmailMessage:
    """Return the message; a second try has the same id, so that receivers can tell."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(display_name=sender.name, addr_spec=sender.address)
    message["To"] = Address(addr_spec=mail.to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate(unix_ms / 1000)
    message["Message-ID"] = f"<{mail_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def mail_of(args: dict[str, Any]) -> Mail:
    """Return the mail that a job carries."""
    return Mail(to=args["to"], subject=args["subject"], text=args["text"], html=args["html"])
