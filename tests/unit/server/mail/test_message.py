"""Mails: what is refused before it is stored, and that no value bends the message."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.errors import InvalidArgument, PayloadTooLarge
from pylon.server.mail.message import (
    Sender,
    build_message,
    checked_mail,
    is_address,
    parse_sender,
)

SENDER = Sender("Chat", "hi@chat.example")


@pytest.mark.parametrize(
    "address",
    [
        "", "a", "a@", "@b", "a b@c.example", "a@b@c", "a@b.example\nBcc: x@y.example", "a@b\r\n",
        "A <a@b.example>", "a@b.example, c@d.example", "a@-b.example", "a..b@c.example", ".a@b.c",
        "a@b..c", f"{'a' * 65}@b.example", f"a@{'b' * 250}.example", "a@b.example\x00",
        "ä@b.example", '"a b"@c.example', "a@[127.0.0.1]",
    ],
)  # fmt: skip
def test_what_is_no_single_address_is_refused(address: str) -> None:
    """Names, lists, quotes and line breaks have no place in it."""
    assert not is_address(address)
    with pytest.raises(InvalidArgument):
        checked_mail(address, "s", "t")


@pytest.mark.parametrize("address", ["a@b", "o'neil+tag@mail.example", "a.b-c_d@x-y.example"])
def test_usual_addresses_are_taken(address: str) -> None:
    """Tags, dots and apostrophes among them."""
    assert is_address(address)


@pytest.mark.parametrize(
    "bad", ["\n", "\r", "\r\nBcc: x@y.example", "\x00", "\x1b", "\x85", "\u2028"]
)
def test_a_subject_is_one_line(bad: str) -> None:
    """No control character begins a header of the caller's choosing."""
    with pytest.raises(InvalidArgument) as refused:
        checked_mail("a@b.example", f"hello{bad}", "t")
    assert refused.value.details["field"] == "subject"


def test_a_mail_has_a_text_and_a_bound() -> None:
    """HTML alone is no mail; NUL and lone surrogates are no text."""
    for text, html in (("", "<p>x</p>"), ("a\x00b", None), ("a\ud800", None), ("t", "\x00")):
        with pytest.raises(InvalidArgument):
            checked_mail("a@b.example", "s", text, html)
    with pytest.raises(PayloadTooLarge):
        checked_mail("a@b.example", "s", "x" * (limits.MAIL_BYTES_MAX + 1))
    with pytest.raises(InvalidArgument):
        checked_mail("a@b.example", "s" * (limits.MAIL_SUBJECT_CHARACTERS_MAX + 1), "t")


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120), _TEXTS, _TEXTS)
def test_what_is_accepted_arrives_with_the_headers_that_we_gave(
    subject: str, text: str, html: str
) -> None:
    """Subject, text and HTML come out of the parsed message, and no header that we did not set."""
    try:
        mail = checked_mail("a@b.example", subject, text, html)
    except InvalidArgument:
        return
    raw = build_message(mail, SENDER, "0190", 1_767_225_600_000).as_bytes()
    found = message_from_bytes(raw, policy=default)
    assert set(found.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
        "Content-Type",
    }  # fmt: skip
    assert found["To"] == "a@b.example"
    assert found["Message-ID"] == "<0190@chat.example>"
    assert "".join(str(found["Subject"]).split()) == "".join(subject.split())
    body = found.get_body(("plain",))
    assert body is not None
    assert body.get_content().split() == text.split()


def test_the_sender_of_the_setting_is_read() -> None:
    """With a name or without; what is none is told."""
    assert parse_sender("Chat <hi@chat.example>") == SENDER
    assert parse_sender("hi@chat.example") == Sender("", "hi@chat.example")
    for text in ("", "Chat", "Chat <>", "Chat <hi@chat.example>\nBcc: x@y.example"):
        with pytest.raises(ValueError, match="sender"):
            parse_sender(text)
