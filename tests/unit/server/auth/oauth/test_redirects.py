"""Where a sign-in ends: on a page of the app (THREATS 42)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.server.auth.oauth.redirects import safe_next

FORMS = json.loads((Path(__file__).parents[4] / "vectors" / "redirects.json").read_text())
BASE = "https://chat.example"


@pytest.mark.parametrize("text", FORMS["evil"], ids=range(len(FORMS["evil"])))
def test_threat_42_what_could_lead_elsewhere_leads_to_the_first_page(text: str) -> None:
    """Each form that a browser, a proxy or a router reads as more than a page of the app."""
    assert safe_next(text) == "/"


@pytest.mark.parametrize(("text", "path"), FORMS["good"])
def test_a_page_of_the_app_is_kept(text: str, path: str) -> None:
    """With its query and its fragment, escaped where a header needs it."""
    assert safe_next(text) == path
    assert safe_next(path) == path


@pytest.mark.parametrize("thing", [None, 7, True, ["/"], {"a": 1}, b"/x"])
def test_no_text_is_no_page(thing: object) -> None:
    """Only a text names a page."""
    assert safe_next(thing) == "/"


@given(st.text(alphabet="/\\.%25fFcC:@?#ax\t\n\r\x00é", max_size=12).map("/".__add__))
def test_nothing_leaves_the_origin(text: str) -> None:
    """Whatever it is made of, a browser that follows it stays, and no header is broken."""
    found = safe_next(text)
    assert found.isascii()
    assert found.isprintable()
    assert "\\" not in found
    target = urlsplit(urljoin(BASE, found))
    assert f"{target.scheme}://{target.netloc}" == BASE
    assert not found.startswith("//")
