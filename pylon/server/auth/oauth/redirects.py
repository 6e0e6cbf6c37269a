"""Where a sign-in may send a browser afterwards: to a page of the app, and nowhere else (I70).

Pure. A path is read as browsers read it: they take a backslash for a slash, drop tabs and line
ends wherever they stand, and two slashes at the beginning name another host.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

_CHARACTERS_MAX: Final = 2_000
#: What has no page: a sign-in that ends there would call something instead of showing it.
_NO_PAGES: Final = ("/api", "/auth", "/_pylon", "/metrics")
#: Everything that a path, a query and a fragment may hold unescaped.
_SAFE: Final = "/?#[]@!$&'()*+,;=:%-._~"


def safe_next(text: object) -> str:
    """Return a path within the app, or `/` where the text is none."""
    if not isinstance(text, str) or not text.startswith("/") or len(text) > _CHARACTERS_MAX:
        return "/"
    path = text.partition("?")[0].partition("#")[0]
    # Once more as a proxy or a router may read it, who resolves escapes.
    for form in (text, unquote(text, errors="replace")):
        if any(ord(one) < 0x20 or ord(one) == 0x7F for one in form) or "\\" in form:
            return "/"
    plain = unquote(path, errors="replace")
    if "//" in plain or any(part in (".", "..") for part in plain.split("/")):
        return "/"
    first = f"/{plain.split('/')[1]}".lower()
    if first in _NO_PAGES:
        return "/"
    try:
        return quote(text, safe=_SAFE)
    except UnicodeEncodeError:  # a lone surrogate
        return "/"
