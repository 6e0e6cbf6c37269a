"""Names and types of files: whatever is sent, they are shown as text and run as nothing (I79)."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.server.files.names import (
    INLINE,
    clean_name,
    clean_type,
    disposition,
    form_name,
    header_name,
    sent_headers,
)

SPELLINGS = ["../../etc/passwd", "..\\..\\x", "/etc/passwd", "C:\\x", "a/../b", "x\0y", "\r\nA: b",
             "...", ".", "", "/", "a/", "\u202egpj.exe", "\ud800", "x" * 1000]  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_name_is_one_plain_word_of_text(name: str) -> None:
    """No slash, no control character, no direction mark, never empty, never long."""
    for cleaned in (clean_name(name), header_name(name), form_name(name)):
        assert cleaned.isprintable()
        assert not set(cleaned) & set("/\\")
        assert 1 <= len(cleaned) <= 255
        assert cleaned.strip(".")


@given(st.text())
def test_a_disposition_is_one_header_line(name: str) -> None:
    """Whatever the name: ASCII, quoted, and the whole name comes back from the extended form."""
    cleaned = clean_name(name)
    text = disposition("attachment", cleaned)
    assert re.fullmatch(
        r'attachment; filename="[ !#$&-\[\]-~]*"(; filename\*=UTF-8\'\'[!-~]+)?', text
    )
    if "*=" in text:
        assert unquote(text.partition("''")[2]) == cleaned
    else:
        assert f'"{cleaned}"' in text


ACTIVE = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml",
          "text/javascript", "application/javascript", "module/x", "text/css", "text/vtt",
          "application/wasm", "multipart/x-mixed-replace", "message/rfc822", "text/xsl",
          "application/x-shockwave-flash", "application/mathml+xml", "text/cache-manifest",
          "application/manifest+json", "application/rss+xml", "application/hta"]  # fmt: skip


@pytest.mark.parametrize("kind", ACTIVE)
def test_what_a_browser_may_run_is_saved_as_bytes(kind: str) -> None:
    """It is neither shown nor usable as a part of another page."""
    headers = sent_headers(kind, "x.html")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("kind", [*sorted(INLINE), "application/pdf", *ACTIVE])
def test_every_file_is_sent_without_a_say(kind: str) -> None:
    """nosniff, a sandbox without scripts, kept by this browser only, whatever it is."""
    headers = sent_headers(kind, "x")
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox"} <= set(policy)
    assert headers["Cache-Control"].startswith("private")
    assert headers["Content-Disposition"].startswith("inline") is (kind in INLINE)
    assert sent_headers(kind, "x", is_download=True)["Content-Disposition"][:6] == "attach"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Image/PNG", "image/png"), ("text/plain; charset=x", "text/plain"),
        (None, "application/octet-stream"), ("", "application/octet-stream"),
        ("text", "application/octet-stream"), ("a/b/c", "application/octet-stream"),
        ("text/html\r\nX: y", "application/octet-stream"), ("*/*", "application/octet-stream"),
        ("ä/b", "application/octet-stream"),
    ],
)  # fmt: skip
def test_types_are_two_words_or_unknown(given: str | None, kind: str) -> None:
    """Parameters go, and what is no type is bytes."""
    assert clean_type(given) == kind
