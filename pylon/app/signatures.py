"""A declared function to its specification: colour, arguments, guard and time, all checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pylon.app.annotations import AnnotationMistake
from pylon.app.app import DeclaredFunction
from pylon.app.argforms import list_of
from pylon.app.argtypes import ANYTHING, ArgType, arg_type, part_type
from pylon.app.builder import NAME
from pylon.app.functions import ArgSpec, ArgumentSpec, Function, FunctionKind
from pylon.app.jobs import (
    CRON_KEYWORDS,
    JOB_KEYWORDS,
    RESERVED_ARGUMENTS,
    JobOptions,
    read_options,
)
from pylon.app.mistakes import Mistakes
from pylon.app.rate import Rate
from pylon.app.source import FunctionSource
from pylon.errors import PylonError
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, compile_allow
from pylon.policy.mistakes import nearest
from pylon.schema.model import Position, Schema

_KEYWORDS: Final = ("allow", "internal", "timeout", "rate")
_KEYWORDS_OF: Final[dict[str, tuple[str, ...]]] = {
    "job": JOB_KEYWORDS, "cron": CRON_KEYWORDS, "workflow": (),
}  # fmt: skip
_EMPTY: Final = inspect.Parameter.empty


@dataclass(slots=True)
class FunctionBuilder:
    """Builds one function, noting mistakes."""

    declared: DeclaredFunction
    source: FunctionSource | None
    #: What annotations are evaluated in: the module's globals, and the entities by name.
    names: Mapping[str, Any]
    schema: Schema
    mistakes: Mistakes

    def build(self) -> Function | None:
        """Return the function; None where its parameters make no sense."""
        handler, name = self.declared.handler, self.name
        is_job = self.declared.kind in ("job", "cron")
        kind = FunctionKind.JOB if is_job else FunctionKind(self.declared.kind)
        if not NAME.match(name.lstrip("_")):
            self.note("a function's name has letters, digits and _ (64 at most)")
        self._check_keywords()
        self._check_colour(kind)
        arguments = self._arguments()
        if arguments is None:
            return None
        timeout_s = self._timeout()
        if kind is FunctionKind.WORKFLOW:
            self._check_reserved(arguments, "a workflow", "start()")
        return Function(
            name=name,
            kind=kind,
            handler=handler,
            arguments=arguments,
            allow=self._allow(arguments),
            is_internal=kind in (FunctionKind.JOB, FunctionKind.WORKFLOW)
            or name.startswith("_")
            or bool(self.declared.keywords.get("internal")),
            timeout_s=timeout_s,
            rate=self._rate(),
            job=self._job_options(arguments, timeout_s) if is_job else None,
            doc=inspect.getdoc(handler),
            position=self.position,
        )

    @property
    def name(self) -> str:
        """Return the function's name."""
        return str(self.declared.handler.__name__)

    @property
    def position(self) -> Position | None:
        """Return where the function begins."""
        return self.source.position if self.source else None

    def _check_keywords(self) -> None:
        kind = self.declared.kind
        known = _KEYWORDS_OF.get(kind, _KEYWORDS)
        for keyword in self.declared.keywords:
            if keyword not in known:
                self.note(
                    f"@app.{kind} has no {keyword}", keyword=keyword, hint=nearest(keyword, known)
                )
        if not isinstance(self.declared.keywords.get("internal", False), bool):
            self.note("internal is True or False", keyword="internal")

    def _check_colour(self, kind: FunctionKind) -> None:
        handler = self.declared.handler
        is_stream = inspect.isasyncgenfunction(handler)
        is_async = is_stream or inspect.iscoroutinefunction(handler)
        if kind is FunctionKind.JOB:
            if is_stream or inspect.isgeneratorfunction(handler):
                self.note("a job returns its value; it can't yield")
        elif kind is FunctionKind.WORKFLOW:
            if is_stream or not is_async:
                self.note("a workflow is async def, and returns its value")
        elif kind is FunctionKind.ACTION:
            if not is_async:
                self.note("an action is async def")
        elif is_async:
            self.note(
                f"a {kind} is def: it runs whole inside one transaction",
                hint="make it an @app.action if it does I/O",
            )
        elif inspect.isgeneratorfunction(handler):
            self.note(f"a {kind} returns its value; it can't yield")

    # --- arguments

    def _arguments(self) -> ArgSpec | None:
        try:
            signature = inspect.signature(self.declared.handler)
        except (TypeError, ValueError):
            self.note("this function's parameters are not known")
            return None
        parameters = list(signature.parameters.values())
        if not parameters or parameters[0].name != "ctx":
            self.note("the first parameter is ctx", hint=f"write {self.name}(ctx, …)")
            return None
        arguments = [
            made for one in parameters[1:] if (made := self._argument(one)) is not None
        ]  # fmt: skip
        returns, part = self._result(signature.return_annotation)
        self._check_references()
        return ArgSpec(arguments=tuple(arguments), returns=returns, part=part)

    def _result(self, given: Any) -> tuple[ArgType, ArgType | None]:
        """Return the type of the result, and of each part where it streams."""
        if not inspect.isasyncgenfunction(self.declared.handler):
            return self._type("return", given, is_result=True), None
        part = ANYTHING
        if given is not _EMPTY:
            try:
                part = part_type(given, self.names)
            except AnnotationMistake as mistake:
                self.note(f"the result: {mistake.message}", argument="return", hint=mistake.hint)
        return list_of(part, list), part

    def _argument(self, given: inspect.Parameter) -> ArgumentSpec | None:
        match given.kind:
            case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.VAR_KEYWORD:
                self.note("*args and **kwargs have no place in a call", argument=given.name)
                return None
            case inspect.Parameter.POSITIONAL_ONLY:
                self.note(f"{given.name} must have a name in calls; remove /", argument=given.name)
                return None
            case _:
                pass
        if not NAME.match(given.name):
            self.note(f"an argument can't be called {given.name}", argument=given.name)
        kind = self._type(given.name, given.annotation, is_result=False)
        if given.default is not _EMPTY:
            self._check_default(given, kind)
        return ArgumentSpec(name=given.name, type=kind, default=given.default)

    def _check_default(self, given: inspect.Parameter, kind: ArgType) -> None:
        try:
            kind.encode(given.default)
        except (ValueError, PylonError) as error:
            hint = "add | None" if given.default is None else None
            self.note(
                f"the default of {given.name} {error}", argument=given.name, hint=hint
            )  # fmt: skip

    def _type(self, argument: str, given: Any, *, is_result: bool) -> ArgType:
        if given is _EMPTY:
            return ANYTHING
        try:
            return arg_type(given, self.names, is_result=is_result)
        except AnnotationMistake as mistake:
            what = "the result" if is_result else argument
            self.note(f"{what}: {mistake.message}", argument=argument, hint=mistake.hint)
            return ANYTHING

    def _check_references(self) -> None:
        """Note each Ref that names no entity, at its own place."""
        for argument, name in self.source.references() if self.source else ():
            if name not in self.schema.entities:
                self.note(
                    f"{'the result' if argument == 'return' else argument} refers to {name}, which"
                    " is no entity",
                    argument=argument, hint=nearest(name, self.schema.entities),
                )  # fmt: skip

    # --- guard and time

    def _job_options(self, arguments: ArgSpec, timeout_s: float | None) -> JobOptions:
        names = tuple(one.name for one in arguments.arguments)
        is_cron = self.declared.kind == "cron"
        self._check_reserved(arguments, "a job", "enqueue()")
        for one in arguments.arguments:
            if is_cron and one.is_required:
                self.note("nobody gives a schedule arguments; give it a default",
                          argument=one.name)  # fmt: skip
        return read_options(
            self.declared.keywords, names, is_cron=is_cron,
            is_coroutine=inspect.iscoroutinefunction(self.declared.handler), timeout_s=timeout_s,
            note=lambda message, keyword: self.note(message, keyword=keyword),
        )  # fmt: skip

    def _check_reserved(self, arguments: ArgSpec, what: str, taker: str) -> None:
        for one in arguments.arguments:
            if one.name in RESERVED_ARGUMENTS:
                self.note(
                    f"{what} has no argument named {one.name}: {taker} takes it for itself",
                    argument=one.name,
                )

    def _allow(self, arguments: ArgSpec) -> CompiledPolicy | None:
        text = self.declared.keywords.get("allow")
        if text is None:
            return None
        if not isinstance(text, str):
            self.note("allow is a text", keyword="allow")
            return None
        at = self.source.at_keyword("allow") if self.source else None
        try:
            return compile_allow(
                text, arguments=arguments.policy_kinds(), schema=self.schema,
                where=f"{self.name}.allow", position=at,
            )  # fmt: skip
        except PolicyMistakes as found:
            self.mistakes.add(found.mistakes)
            return None

    def _timeout(self) -> float | None:
        given = self.declared.keywords.get("timeout")
        if given is None:
            return None
        seconds = given.total_seconds() if isinstance(given, timedelta) else given
        is_number = type(seconds) in (int, float)
        if not is_number or not math.isfinite(seconds) or seconds <= 0:
            self.note("timeout is a number of seconds above 0, or a timedelta", keyword="timeout")
            return None
        return float(seconds)

    def _rate(self) -> Rate | None:
        if "rate" not in self.declared.keywords:
            return None
        try:
            return Rate.parse(self.declared.keywords["rate"])
        except ValueError as error:
            self.note(str(error), keyword="rate")
            return None

    def note(
        self, message: str, *, argument: str | None = None, keyword: str | None = None,
        hint: str | None = None,
    ) -> None:  # fmt: skip
        """Note a mistake of this function, at its argument or keyword where one is named."""
        at = self.position
        if self.source is not None and argument is not None:
            at = self.source.at_argument(argument)
        elif self.source is not None and keyword is not None:
            at = self.source.at_keyword(keyword)
        if at is None:
            self.mistakes.note_at_line(f"{self.name}: {message}", *self.declared.made_at, hint)
        else:
            self.mistakes.note(f"{self.name}: {message}", at, hint)
