"""Mail templates: `mail/NAME.txt`, and `mail/NAME.html` beside it, in the project or our own.

The first line of the text is `Subject: …`. They are Jinja2's, in its sandbox, with plain values
only: a template reaches nothing of the runtime. HTML is escaped by itself; a name that is missing
is a mistake and no empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pylon.errors import PylonError

_OURS: Final = Path(__file__).parent / "templates"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
_SUBJECT: Final = re.compile(r"Subject:[ \t]*(\S.*?)[ \t]*\r?\n", re.IGNORECASE)


class TemplateMistake(PylonError):
    """A mail template is missing or wrong."""

    code = "MAIL_TEMPLATE"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template made."""

    subject: str
    text: str
    html: str | None


class MailTemplates:
    """The templates of one project; a saved file counts from the next mail on."""

    def __init__(self, folder: Path) -> None:
        self._project = FileSystemLoader(folder)
        self._ours = FileSystemLoader(_OURS)
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([self._project, self._ours]), undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html"),
            keep_trailing_newline=True, auto_reload=True,
        )  # fmt: skip

    def render(self, name: str, data: Mapping[str, Any]) -> Rendered:
        """Return the mail that a template makes of plain values; raises TemplateMistake."""
        return self._render(name, data, self._environment)

    def render_ours(self, name: str, data: Mapping[str, Any]) -> Rendered:
        """Return what our own template makes, whatever the project has under its name."""
        return self._render(name, data, self._environment.overlay(loader=self._ours))

    def _render(self, name: str, data: Mapping[str, Any], environment: Any) -> Rendered:
        if not _NAME.match(name):
            raise TemplateMistake("a template's name has letters, digits, - and _")
        where = f"mail/{name}.txt"
        try:
            source, _, _ = environment.loader.get_source(environment, f"{name}.txt")
            found = _SUBJECT.match(source)
            if found is None:
                raise TemplateMistake(f"{where} begins with a line `Subject: …`")
            # Apart from the text: no value can end the subject and begin something else.
            subject = environment.from_string(found[1]).render(data)
            text = environment.from_string(source[found.end() :].lstrip("\r\n")).render(data)
            where = f"mail/{name}.html"
            try:
                html = environment.get_template(f"{name}.html").render(data)
            except TemplateNotFound as missing:
                if missing.name != f"{name}.html":
                    raise
                html = None
        except TemplateNotFound as missing:
            raise TemplateMistake(f"there is no mail/{missing.name}") from None
        except TemplateError as error:
            raise TemplateMistake(f"{where}: {error.message or type(error).__name__}") from error
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise TemplateMistake(f"{where}: {error}") from error
        return Rendered(subject, text, html)
