"""`@app.webhook("stripe")`: what is declared, checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pylon import limits
from pylon.app.app import DeclaredFunction
from pylon.app.jobs import seconds_of
from pylon.app.mistakes import Mistakes
from pylon.app.rate import Rate
from pylon.app.source import FunctionSource
from pylon.policy.mistakes import nearest
from pylon.schema.model import Position

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_KEYWORDS: Final = ("methods", "max_bytes", "timeout", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook of the frozen app, at `/api/webhooks/{name}`."""

    name: str
    handler: Callable[..., Any]
    methods: frozenset[str]
    max_bytes: int
    timeout_s: float
    rate: Rate | None
    position: Position | None
    doc: str | None

    @property
    def label(self) -> str:
        """Return what it is called in logs and traces."""
        return f"webhook:{self.name}"


def build_webhooks(
    declared: list[DeclaredFunction], source_of: Callable[[Any], FunctionSource | None],
    mistakes: Mistakes,
) -> dict[str, Webhook]:  # fmt: skip
    """Return the webhooks by name, noting mistakes."""
    found: dict[str, Webhook] = {}
    for one in declared:
        builder = _Builder(one, source_of(one.handler) if callable(one.handler) else None, mistakes)
        made = builder.build()
        if made is not None and made.name in found:
            builder.note(f"the webhook {made.name} is declared twice")
        elif made is not None:
            found[made.name] = made
    return found


@dataclass(frozen=True, slots=True)
class _Builder:
    declared: DeclaredFunction
    source: FunctionSource | None
    mistakes: Mistakes

    def build(self) -> Webhook | None:
        keywords, handler = self.declared.keywords, self.declared.handler
        name = keywords.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.note("a webhook has a name of letters, digits, - and _",
                      'write @app.webhook("name")')  # fmt: skip
            return None
        for keyword in keywords:
            if keyword not in (*_KEYWORDS, "name"):
                self.note(f"@app.webhook has no {keyword}", nearest(keyword, _KEYWORDS), keyword)
        if not inspect.iscoroutinefunction(handler):
            self.note("a webhook is async def, and returns its answer")
            return None
        if list(inspect.signature(handler).parameters) != ["ctx", "request"]:
            self.note("a webhook takes ctx and request", f"write {handler.__name__}(ctx, request)")
            return None
        return Webhook(
            name=name, handler=handler, methods=self._methods(keywords),
            max_bytes=self._max_bytes(keywords), timeout_s=self._timeout(keywords),
            rate=self._rate(keywords), position=self.source.position if self.source else None,
            doc=inspect.getdoc(handler),
        )  # fmt: skip

    def _methods(self, keywords: Mapping[str, Any]) -> frozenset[str]:
        given = keywords.get("methods", ("POST",))
        methods = (given,) if isinstance(given, str) else given
        if (
            isinstance(methods, list | tuple)
            and methods
            and all(one in _METHODS for one in methods)
        ):
            return frozenset(methods)
        self.note(f"methods is a list of {', '.join(_METHODS)}", None, "methods")
        return frozenset({"POST"})

    def _max_bytes(self, keywords: Mapping[str, Any]) -> int:
        given = keywords.get("max_bytes", limits.BODY_BYTES_MAX)
        most = limits.WEBHOOK_BYTES_MAX
        if type(given) is int and 1 <= given <= most:
            return given
        self.note(f"max_bytes is a whole number from 1 to {most}", None, "max_bytes")
        return limits.BODY_BYTES_MAX

    def _timeout(self, keywords: Mapping[str, Any]) -> float:
        seconds = seconds_of(keywords.get("timeout", limits.WEBHOOK_SECONDS))
        if seconds is not None and seconds > 0:
            return seconds
        self.note("timeout is a number of seconds above 0, or a timedelta", None, "timeout")
        return limits.WEBHOOK_SECONDS

    def _rate(self, keywords: Mapping[str, Any]) -> Rate | None:
        if "rate" not in keywords:
            return None
        try:
            return Rate.parse(keywords["rate"])
        except ValueError as error:
            self.note(str(error), None, "rate")
            return None

    def note(self, message: str, hint: str | None = None, keyword: str | None = None) -> None:
        text = f"{getattr(self.declared.handler, '__name__', 'webhook')}: {message}"
        if self.source is None:
            self.mistakes.note_at_line(text, *self.declared.made_at, hint)
        else:
            at = self.source.at_keyword(keyword) if keyword else self.source.position
            self.mistakes.note(text, at, hint)
