"""The pages under /auth/: nothing foreign in them, and colours that can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.server.http.auth_pages import page_text
from tests.conftest import ROOT

CSS = (ROOT / "pylon/client/browser/src/elements/elements.css").read_text(encoding="utf-8")
COLOURS = {
    name: pair
    for name, *pair in re.findall(
        r"--_([a-z-]+): var\(--pylon-[a-z-]+, light-dark\(#(\w{6}), #(\w{6})\)\)", CSS
    )
}
#: Text on its ground, by WCAG 2.2 AA.
TEXTS = [
    (text, ground) for ground in ("paper", "panel") for text in ("ink", "quiet", "accent", "bad")
] + [("on-accent", "accent")]  # fmt: skip
#: Borders of inputs, and the focus.
SHAPES = [(shape, ground) for ground in ("paper", "panel") for shape in ("line", "accent", "bad")]


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_counted_as_wcag_counts_it() -> None:
    """Black on white is 21; the well-known grey #767676 on white is 4.54."""
    assert _contrast("000000", "ffffff") == pytest.approx(21)
    assert _contrast("767676", "ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_colours_can_be_read(scheme: int) -> None:
    """Every text has 4.5 on its ground, every border and the focus 3."""
    for pairs, least in ((TEXTS, 4.5), (SHAPES, 3.0)):
        for front, ground in pairs:
            found = _contrast(COLOURS[front][scheme], COLOURS[ground][scheme])
            assert found >= least, f"{front} on {ground}: {found:.2f}"


def test_all_colours_are_properties() -> None:
    """No rule names a colour of its own: what a theme sets holds everywhere."""
    rules = CSS.partition("--_radius")[2]
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl|light-dark", rules)
    assert len(COLOURS) == 8


def test_the_name_of_an_app_is_text(tmp_path: Path) -> None:
    """Whatever the app is called, no markup comes of it."""
    text = page_text('<script>"&', tmp_path, "Sign in to", "<pylon-sign-in></pylon-sign-in>")
    assert "<title>Sign in to &lt;script&gt;&quot;&amp;</title>" in text
    assert text.count("<script") == 1


def test_no_script_and_no_style_stands_in_a_page(tmp_path: Path) -> None:
    """The policy allows files of this origin alone, and the page names nothing else."""
    text = page_text("notes", tmp_path, "Sign in to", "<pylon-sign-in></pylon-sign-in>")
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == [
        "data:,", "/_pylon/elements.css", "/_pylon/elements.js",
    ]  # fmt: skip
    assert not re.search(r"style=|<style| on[a-z]+=|javascript:", text)
    assert re.search(r"<script[^>]*></script>", text)
    assert "<noscript>" in text


def test_a_theme_and_a_logo_are_used_where_there_are_some(tmp_path: Path) -> None:
    """`auth.css` comes after ours; the logo is named after the app."""
    (tmp_path / "auth.css").write_text(":root { --pylon-accent: #005f99 }")
    (tmp_path / "auth-logo.png").write_bytes(b"")
    (tmp_path / "favicon.ico").write_bytes(b"")
    text = page_text("notes", tmp_path, "Sign in to", "<pylon-sign-in></pylon-sign-in>")
    assert text.index("/_pylon/elements.css") < text.index('href="/auth.css"')
    assert '<img class="logo" src="/auth-logo.png" alt="notes">' in text
    assert 'href="/favicon.ico"' in text
