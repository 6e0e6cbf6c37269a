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
from traceback import walk_tb
from typing import Any, Final

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pylon.errors import PylonError

_OURS: Final = Path(__file__).parent / "templates"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
_SUBJECT: Final = re.compile(r"Subject:[ \t]*(\S.*?)[ \t]*\r?\n", re.IGNORECASE)
_THROWN: Final = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


class TemplateMistake(PylonError):
    """A mail template is missing or wrong; `details` has its file, and the line where known."""

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

    def parse(self, name: str) -> None:
        """Look whether a template can be read, without data; raises TemplateMistake."""
        for where in (f"{name}.txt", f"{name}.html"):
            try:
                _ = self._environment.get_template(where)
            except TemplateNotFound:
                continue  # the HTML is as you like
            except TemplateSyntaxError as error:
                raise _mistake(error.name or where, error.lineno, error.message or "") from error

    def names(self) -> dict[str, bool]:
        """Return all templates by name; True for the project's, False for ours."""
        found = dict.fromkeys(_texts(self._ours), False)
        found.update(dict.fromkeys(_texts(self._project), True))
        return dict(sorted(found.items()))

    def file(self, name: str, end: str) -> Path | None:
        """Return a file of a template (`.html`, `.sample.json`): the project's or else ours."""
        if not _NAME.match(name):
            return None
        for loader in (self._project, self._ours):
            path = Path(loader.searchpath[0]) / f"{name}{end}"
            if path.is_file():
                return path
        return None

    def _render(self, name: str, data: Mapping[str, Any], environment: Any) -> Rendered:
        if not _NAME.match(name):
            raise TemplateMistake("a template's name has letters, digits, - and _")
        where = f"{name}.txt"
        try:
            source, _, _ = environment.loader.get_source(environment, where)
            found = _SUBJECT.match(source)
            if found is None:
                raise _mistake(where, 1, "it begins with a line `Subject: …`")
            # Apart from the text: no value can end the subject and begin something else.
            subject = environment.from_string(found[1]).render(data)
            body = source[found.end() :].lstrip("\r\n")
            # As many empty lines as were taken off before it, so that mistakes name the right one.
            above = source[: len(source) - len(body)].count("\n")
            text = environment.from_string("\n" * above + body).render(data)[above:]
            where = f"{name}.html"
            try:
                html = environment.get_template(where).render(data)
            except TemplateNotFound as missing:
                if missing.name != where:
                    raise
                html = None
        except TemplateNotFound as missing:
            raise TemplateMistake(
                f"there is no mail/{missing.name}", file=f"mail/{missing.name}"
            ) from None
        except TemplateSyntaxError as error:
            place = error.name or where
            raise _mistake(place, error.lineno, error.message or "") from error
        except (TemplateError, *_THROWN) as error:
            place, line = _place(error, where)
            raise _mistake(place, line, str(error) or type(error).__name__) from error
        return Rendered(subject, text, html)


def _texts(loader: FileSystemLoader) -> list[str]:
    names = (one.name for one in Path(loader.searchpath[0]).glob("*.txt"))
    return [one.removesuffix(".txt") for one in names if _NAME.match(one.removesuffix(".txt"))]


def _mistake(name: str, line: int | None, words: str) -> TemplateMistake:
    file = f"mail/{name}"
    at = file if line is None else f"{file}:{line}"
    return TemplateMistake(f"{at}: {words}", file=file, line=line)


def _place(error: Exception, where: str) -> tuple[str, int | None]:
    """Return the template and the line that an error came from."""
    found: tuple[str, int | None] = (where, None)
    for frame, line in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file == "<template>":
            found = (where, line)
        elif file.endswith((".txt", ".html")):
            found = (Path(file).name, line)
    return found
