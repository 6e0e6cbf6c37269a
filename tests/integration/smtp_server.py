"""A mail server for tests: SMTP as far as a client needs it, with answers of the test's choice."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass
class SmtpServer:
    """What it answers and what it was told."""

    #: What is answered to RCPT TO of an address, instead of 250.
    answers: dict[str, str] = field(default_factory=dict)
    #: What is answered to the end of DATA; taken from the front, then 250.
    data_answers: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    accepts: tuple[str, str] | None = None
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    #: Every line that came before TLS, and the ones after it.
    plain: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_tls = False
        sender, receivers = "", []

        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 test ESMTP")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            (self.lines if is_tls else self.plain).append(line)
            word, _, rest = line.partition(" ")
            match word.upper():
                case "EHLO":
                    offers = ["test"]
                    if self.tls is not None and not is_tls:
                        offers.append("STARTTLS")
                    if self.accepts is not None:
                        offers.append("AUTH PLAIN")
                    for place, one in enumerate(offers):
                        say(f"250{' ' if place == len(offers) - 1 else '-'}{one}")
                case "STARTTLS":
                    say("220 go")
                    assert self.tls is not None
                    await writer.drain()
                    await writer.start_tls(self.tls)
                    is_tls = True
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    say("235 yes" if (user, password) == self.accepts else "535 5.7.8 no")
                case "MAIL":
                    sender, receivers = rest, []
                    say("250 ok")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    answer = self.answers.get(address, "250 ok")
                    if answer.startswith("2"):
                        receivers.append(address)
                    say(answer)
                case "DATA":
                    say("354 go on")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    answer = self.data_answers.pop(0) if self.data_answers else "250 ok"
                    if answer.startswith("2"):
                        body = text[:-5].replace(b"\r\n..", b"\r\n.")
                        found = message_from_bytes(body, policy=default)
                        assert isinstance(found, EmailMessage)
                        self.mails.append(found)
                        self.envelopes.append((sender, receivers))
                    say(answer)
                case _:
                    say("221 bye" if word == "QUIT" else "250 ok")
            await writer.drain()
        writer.close()

    async def received(self, count: int) -> list[EmailMessage]:
        """Return the mails once there are so many."""
        async with asyncio.timeout(60):
            while len(self.mails) < count:
                await asyncio.sleep(0.01)
        return self.mails


@asynccontextmanager
async def smtp_server(
    *, answers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None,
    accepts: tuple[str, str] | None = None, is_tls_at_once: bool = False,
) -> AsyncIterator[SmtpServer]:  # fmt: skip
    """Serve on a port of this machine until the block ends."""
    made = SmtpServer(dict(answers or {}), tls=tls, accepts=accepts)
    listening = await asyncio.start_server(
        made.serve, "127.0.0.1", 0, ssl=tls if is_tls_at_once else None
    )
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
