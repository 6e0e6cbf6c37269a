"""Files of a folder: none outside it, no hidden one, whatever the path says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.server.http.static import content_type_of, resolve


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder with a page, beside files that are nobody's business."""
    folder = tmp_path / "web"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("page")
    (folder / "deep" / "a b.js").write_text("script")
    (folder / ".env").write_text("secret")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (tmp_path / "app.py").write_text("secret")
    (tmp_path / "web-old").mkdir()
    (tmp_path / "web-old" / "x.html").write_text("secret")
    (folder / "out").symlink_to(tmp_path)
    (folder / "link.html").symlink_to(folder / "index.html")
    return folder


@pytest.mark.parametrize(
    ("path", "found"),
    [("/index.html", "index.html"), ("//deep///a b.js", "deep/a b.js"),
     ("/link.html", "index.html")],
)  # fmt: skip
def test_what_is_inside_is_served(web: Path, path: str, found: str) -> None:
    """Names with spaces and links that stay inside are files like others."""
    assert resolve(web, path) == (web / found).resolve()


@pytest.mark.parametrize(
    "path",
    ["/../app.py", "/deep/../../app.py", "/./index.html", "/.env", "/.git/config", "/deep/.hidden",
     "/out/app.py", "/../web-old/x.html", "/..\\app.py", "/index.html\0.js", "/deep", "/", "",
     "/nosuch", "/index.html/x", "/" + "a" * 5000],
)  # fmt: skip
def test_what_is_outside_or_hidden_is_not_there(web: Path, path: str) -> None:
    """No spelling leads out of the folder, to a dotfile, or to an error."""
    assert resolve(web, path) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.html", "text/html; charset=utf-8"), ("a.js", "text/javascript; charset=utf-8"),
     ("a.mjs", "text/javascript; charset=utf-8"), ("a.css", "text/css; charset=utf-8"),
     ("a.d.ts", "application/typescript; charset=utf-8"),
     ("a.js.map", "application/json; charset=utf-8"), ("a.svg", "image/svg+xml"),
     ("a.wasm", "application/wasm"), ("a.png", "image/png"), ("a.woff2", "font/woff2"),
     ("a", "application/octet-stream"), ("a.unheard", "application/octet-stream")],
)  # fmt: skip
def test_types_do_not_depend_on_the_machine(name: str, expected: str) -> None:
    """A type of TypeScript's is not one of Qt's or of a film, whatever the system believes."""
    assert content_type_of(name) == expected
