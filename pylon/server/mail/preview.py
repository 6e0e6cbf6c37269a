"""Mail templates as they will look, with sample data; in development only (I73).

The sample lies beside the template, `mail/NAME.sample.json`, or is given. Templates and samples are
read anew each time: what is saved shows at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.errors import InvalidJson, NotFound
from pylon.server.mail.templates import MailTemplates, TemplateMistake

_SAMPLE: Final = ".sample.json"
_PAGES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class _Asked:
    template: str
    #: None: the sample file's.
    data: dict[str, Any] | None


class MailPreviews:
    """Renders the templates of one project for people to look at."""

    def __init__(self, templates: MailTemplates, new_token: Callable[[], str]) -> None:
        """Make it; `new_token` makes the addresses of pages, which nobody can guess."""
        self._templates = templates
        self._new_token = new_token
        self._pages: OrderedDict[str, _Asked] = OrderedDict()

    def list(self) -> list[dict[str, Any]]:
        """Return all templates: name, whose it is, and which files it has beside the text."""
        file = self._templates.file
        return [
            {
                "name": name, "from": "project" if is_own else "pylon",
                "has_html": file(name, ".html") is not None,
                "has_sample": file(name, _SAMPLE) is not None,
            }
            for name, is_own in self._templates.names().items()
        ]  # fmt: skip

    def mistakes(self) -> tuple[str, ...]:
        """Return what is wrong with the project's templates, as their samples show it.

        One without a sample is only parsed: it may be a part that others include.
        """
        found = []
        for one in self.list():
            if one["from"] != "project":
                continue
            try:
                self._templates.parse(one["name"])
                if one["has_sample"]:
                    _ = self._templates.render(one["name"], self._sample(one["name"]))
            except TemplateMistake as mistake:
                found.append(mistake.message)
        return tuple(found)

    def open(self, template: str, data: dict[str, Any] | None) -> str:
        """Return the token of a page that shows a template; the oldest page goes for it."""
        token = next((one for one, asked in self._pages.items()
                      if asked == _Asked(template, data)), None)  # fmt: skip
        if token is None:
            token = self._new_token()
            self._pages[token] = _Asked(template, data)
            if len(self._pages) > _PAGES_MAX:
                _ = self._pages.popitem(last=False)
        return token

    def show(self, token: str) -> dict[str, Any]:
        """Return what a page shows now; raises NotFound."""
        asked = self._pages.get(token)
        if asked is None:
            raise NotFound("this preview is over", hint="open it again from the dashboard")
        return self.render(asked.template, asked.data)

    def render(self, template: str, data: dict[str, Any] | None) -> dict[str, Any]:
        """Return the mail, or the mistake with its place in `error`."""
        shown: dict[str, Any] = {
            "name": template, "data": data, "subject": None, "text": None, "html": None,
            "error": None,
        }  # fmt: skip
        try:
            shown["data"] = self._sample(template) if data is None else data
            made = self._templates.render(template, shown["data"])
        except TemplateMistake as mistake:
            shown["error"] = {"message": mistake.message, **mistake.details}
            return shown
        return {**shown, "subject": made.subject, "text": made.text, "html": made.html}

    def _sample(self, template: str) -> dict[str, Any]:
        path = self._templates.file(template, _SAMPLE)
        if path is None:
            return {}
        name = f"mail/{path.name}"
        if path.stat().st_size > limits.MAIL_BYTES_MAX:
            raise TemplateMistake(f"{name} is larger than a mail", file=name)
        try:
            value = jsonvalue.parse(path.read_bytes())
        except InvalidJson as error:
            raise TemplateMistake(f"{name}: {error.message}", file=name) from error
        if not isinstance(value, dict):
            raise TemplateMistake(f"{name} is a JSON object", file=name)
        return value
