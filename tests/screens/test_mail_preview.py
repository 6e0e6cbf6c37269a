"""Mail templates in the dashboard: chosen, shown, and shown anew when they are saved."""

from __future__ import annotations

from typing import Any

from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until


async def test_a_template_is_chosen_shown_and_follows_what_is_saved() -> None:
    """`v` on Mail; a mistake takes the text's place, and other data goes to the runtime."""
    mail = {
        "name": "placed", "data": {"name": "Ada"}, "subject": "Your order", "text": "Dear Ada",
        "html": "<b>x</b>", "error": None, "page": "/_pylon/dev/mail/t",
    }  # fmt: skip
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head" in text)
        template = {"name": "placed", "from": "project", "has_html": True, "has_sample": True}
        admin.answers["admin/mail/templates"] = {"templates": [template]}
        given: list[dict[str, Any]] = []

        def answer(body: dict[str, Any]) -> dict[str, Any]:
            given.append(dict(body))
            return mail

        admin.answers["admin/mail/preview"] = answer
        await pilot.press("m", "v")
        await until(app, lambda text: "placed" in text and "yours, HTML" in text)
        await pilot.press("enter")
        await until(app, lambda text: "Subject: Your order" in text and "Dear Ada" in text)
        mail["error"] = {"message": "mail/placed.txt:3: 'nme' is undefined"}
        await until(app, lambda text: "✗ mail/placed.txt:3: 'nme' is undefined" in text)
        await pilot.press("d", "end", "backspace", "enter")
        await until(app, lambda text: "not JSON" in text)
        await pilot.press("}", "enter")
        await until(app, lambda _: given[-1]["data"] == {"name": "Ada"})
