"""Sending mail: a job in the transaction that wants it sent, so that both happen or neither.

`ctx.mail` and the sign-in code come here. What leaves the process is `delivery`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.errors import InvalidArgument
from pylon.identity import SYSTEM, Identity
from pylon.server.mail.message import Mail, checked_mail
from pylon.server.mail.templates import MailTemplates, TemplateMistake
from pylon.server.storage import jobs
from pylon.server.storage.jobs import NewJob
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.mail")
MAIL_JOB: Final = "pylon.mail"
MAIL_QUEUE: Final = "mail"


class Mailer:
    """Enqueues mails; one per runtime."""

    def __init__(self, templates: MailTemplates, new_id: Callable[[], str]) -> None:
        self.templates = templates
        self._new_id = new_id

    def compose(
        self, to: object, subject: object = None, text: object = None, html: object = None, *,
        template: object = None, data: Mapping[str, Any] | None = None,
    ) -> Mail:  # fmt: skip
        """Return a checked mail, given whole or by a template of the project and plain values.

        Raises InvalidArgument, PayloadTooLarge and TemplateMistake.
        """
        if template is None:
            return checked_mail(to, subject, text, html)
        if not isinstance(template, str) or not (text is None and html is None):
            raise InvalidArgument("a mail has its text and HTML, or a template's name")
        made = self.templates.render(template, data or {})
        return checked_mail(to, made.subject if subject is None else subject, made.text, made.html)

    def send(
        self, transaction: Transaction, mail: Mail, *, identity: Identity = SYSTEM,
        mail_id: str | None = None,
    ) -> str:  # fmt: skip
        """Enqueue a mail in a transaction; returns the id of its job."""
        return self._enqueue(transaction, mail, identity, mail_id or self._new_id())

    def send_secret(
        self, transaction: Transaction, to: str, template: str, data: Mapping[str, Any], *,
        until_ms: int, code: str | None = None, is_shown: bool = False,
    ) -> str:  # fmt: skip
        """Enqueue a mail that signs somebody in; returns the id of its job.

        Nobody is shown what it says, it is not kept once it was sent, and not sent any more when
        it is of no use. A template of the project that fails is told, and ours takes its place:
        signing in must not hang on it.

        Args:
            transaction: the one that stores the code.
            to: the address.
            template: the name of one of ours, which the project may have its own of.
            data: what it is made of.
            until_ms: when the code expires, Unix ms.
            code: shown in the dashboard's Mail screen; given in development only.
            is_shown: show there what it says, also without a code; in development only.
        """
        try:
            mail = self.compose(to, template=template, data=data)
        except (TemplateMistake, InvalidArgument) as error:
            _log.error("mail.template_failed %s; ours is sent instead", error.message)
            ours = self.templates.render_ours(template, data)
            mail = checked_mail(to, ours.subject, ours.text, ours.html)
        return self._enqueue(
            transaction, mail, SYSTEM, self._new_id(), is_secret=True,
            more={"until_ms": until_ms, "code": code, "shown": is_shown},
        )  # fmt: skip

    def _enqueue(
        self, transaction: Transaction, mail: Mail, identity: Identity, mail_id: str, *,
        is_secret: bool = False, more: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        args = {
            "to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html,
            **(more or {}),
        }  # fmt: skip
        return jobs.enqueue(
            transaction,
            NewJob(
                id=mail_id, name=MAIL_JOB, queue=MAIL_QUEUE, args=jsonvalue.encode_text(args),
                identity=identity, retries=limits.JOB_RETRIES, is_secret=is_secret,
            ),
        )  # fmt: skip
