"""Previews of mail templates: for the owner, and as a page of their own, in development (I73).

What a template makes is shown in a frame without scripts, forms or an origin: a mistake in a
template must not become the app's page.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.errors import InvalidArgument
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.mail.preview import MailPreviews

_IMAGES: Final = "img-src http: https: data:"
_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Mail preview</title>
<link rel="icon" href="data:,"><style>
* { box-sizing: border-box; }
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.1rem; margin: 0 0 1rem; } h2 { font-size: .85rem; opacity: .7; }
pre { white-space: pre-wrap; border: 1px solid #8884; padding: .75rem; margin: 0; }
#error { border-color: #c33; color: #c33; }
iframe { width: 100%; height: 60vh; border: 1px solid #8884; background: #fff; }
[hidden] { display: none; }
</style></head><body><h1 id="subject">…</h1><pre id="error" hidden></pre>
<section id="rich" hidden><h2>HTML</h2><iframe id="html" sandbox="" title="HTML"></iframe></section>
<section id="plain" hidden><h2>Text</h2><pre id="text"></pre></section>
<script nonce="NONCE">
const by = (id) => document.getElementById(id);
let before = "";
async function look() {
  try {
    const answer = await fetch(location.pathname + "/data");
    const body = await answer.text();
    if (body === before) return;
    before = body;
    const mail = JSON.parse(body);
    const error = mail.error && mail.error.message;
    by("error").hidden = !error;
    by("error").textContent = error || "";
    if (error) return;
    document.title = by("subject").textContent = mail.subject;
    by("rich").hidden = mail.html === null;
    by("html").srcdoc = mail.html || "";
    by("plain").hidden = false;
    by("text").textContent = mail.text;
  } catch (_) { /* the runtime restarts: it is asked again */ }
}
look();
setInterval(look, 1000);
</script></body></html>
"""


def _previews(exchange: Exchange) -> MailPreviews:
    previews = exchange.services.mail_previews
    assert previews is not None
    return previews


async def templates(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/mail/templates: the project's and ours, and what lies beside each."""
    return json_value({"templates": _previews(exchange).list()})


async def preview(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/mail/preview {template, data?}: the mail, or the mistake with its place.

    `page` is where a browser sees it. Without data, the sample file's.
    """
    body = await exchange.json_object()
    template, data = body.get("template"), body.get("data")
    if not isinstance(template, str):
        raise InvalidArgument("template is a name", field="template")
    if data is not None and not isinstance(data, dict):
        raise InvalidArgument("data is an object", field="data")
    previews = _previews(exchange)
    page = f"/_pylon/dev/mail/{previews.open(template, data)}"
    return json_value({**previews.render(template, data), "page": page})


async def page(exchange: Exchange) -> web.StreamResponse:
    """GET /_pylon/dev/mail/{token}: a page that shows a template, and follows what is saved."""
    _ = _previews(exchange).show(exchange.parts[0])
    nonce = exchange.services.ids.token_hex(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; {_IMAGES}; "
        "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return web.Response(
        text=_PAGE.replace("NONCE", nonce), content_type="text/html",
        headers={**_HEADERS, "Content-Security-Policy": policy},
    )  # fmt: skip


async def page_data(exchange: Exchange) -> web.StreamResponse:
    """GET /_pylon/dev/mail/{token}/data: what the page shows now."""
    answer = json_value(_previews(exchange).show(exchange.parts[0]))
    answer.headers.update(_HEADERS)
    return answer


_HEADERS: Final[dict[str, Any]] = {
    "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}  # fmt: skip
PAGES: Final = (
    ("GET", "/_pylon/dev/mail/{token}", page),
    ("GET", "/_pylon/dev/mail/{token}/data", page_data),
)
ROUTES: Final = (
    ("GET", "/api/admin/mail/templates", templates),
    ("POST", "/api/admin/mail/preview", preview),
)
