"""Functions of an app: what may be called, with which arguments, and what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pylon.app.argtypes import ANYTHING, ArgType
from pylon.app.jobs import JobOptions
from pylon.app.rate import Rate
from pylon.app.tojson import to_json
from pylon.errors import InvalidArgument
from pylon.policy.compiled import CompiledPolicy
from pylon.protocol.manifest import ArgumentManifest, FunctionManifest
from pylon.schema.model import FieldKind, Position


class FunctionKind(StrEnum):
    """The colour of a function, which says what it may do."""

    QUERY = "query"
    MUTATION = "mutation"
    ACTION = "action"
    #: Run from a queue only, also what a schedule starts.
    JOB = "job"
    #: A durable coroutine of steps; started, never called.
    WORKFLOW = "workflow"


class WrongResult(TypeError):
    """A function gave something else than its annotation says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentSpec:
    """One argument: its type (anything where it has no annotation) and its default."""

    name: str
    type: ArgType = ANYTHING
    default: Any = inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """Tell whether a call must give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgSpec:
    """All arguments of a function and what it returns (anything where it does not say)."""

    arguments: tuple[ArgumentSpec, ...]
    returns: ArgType = ANYTHING
    #: What one that streams yields; None for one that returns its value at once.
    part: ArgType | None = None

    def decode(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the typed arguments; raises InvalidArgument listing every problem."""
        problems: list[dict[str, str]] = []
        decoded: dict[str, Any] = {}
        given = 0
        for one in self.arguments:
            if one.name in args:
                given += 1
                try:
                    decoded[one.name] = one.type.decode(args[one.name])
                except ValueError as error:
                    problems.append({"field": one.name, "message": f"{one.name} {error}"})
            elif one.is_required:
                problems.append({"field": one.name, "message": f"{one.name} is required"})
        if given != len(args):
            known = {one.name for one in self.arguments}
            problems += [
                {"field": name, "message": f"there is no argument {name!s:.64}"}
                for name in args
                if name not in known
            ]
        if problems:
            message = "; ".join(problem["message"] for problem in problems[:5])
            raise InvalidArgument(message, field=problems[0]["field"], problems=problems[:100])
        return decoded

    def encode_result(self, value: Any) -> Any:
        """Return the JSON value of a result; raises WrongResult where it is another."""
        try:
            return self.returns.encode(value)
        except ValueError as error:
            raise WrongResult(
                f"the function returned something else than it says: it {error}"
            ) from error

    def encode_part(self, value: Any) -> Any:
        """Return the JSON value of a part; raises WrongResult where it is another."""
        try:
            return (self.part or ANYTHING).encode(value)
        except ValueError as error:
            raise WrongResult(
                f"the function yielded something else than it says: it {error}"
            ) from error

    def policy_kinds(self) -> dict[str, FieldKind | None]:
        """Return the arguments' kinds as `allow` may compare them."""
        return {one.name: one.type.kind for one in self.arguments}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the frozen app."""

    name: str
    kind: FunctionKind
    handler: Callable[..., Any]
    arguments: ArgSpec
    allow: CompiledPolicy | None = None
    is_internal: bool = False
    timeout_s: float | None = None
    #: How often each caller may call it from outside; None: as often as he likes.
    rate: Rate | None = None
    #: How it is run, where it is a job.
    job: JobOptions | None = None
    doc: str | None = None
    #: Where it begins; None where its source is not known.
    position: Position | None = None

    @property
    def signature(self) -> str:
        """Return it as its callers write it: `name(text: string, count?: number): number`."""
        arguments = ", ".join(
            f"{one.name}{'' if one.is_required else '?'}: {one.type.typescript}"
            for one in self.arguments.arguments
        )
        return f"{self.name}({arguments}): {self.arguments.returns.typescript}"

    def manifest(self) -> FunctionManifest:
        """Return what clients may know of the function."""
        return FunctionManifest(
            name=self.name,
            kind=self.kind.value,
            arguments=[
                ArgumentManifest(
                    name=one.name, type=one.type.typescript, required=one.is_required
                )
                for one in self.arguments.arguments
            ],
            returns=self.arguments.returns.typescript,
            part=None if self.arguments.part is None else self.arguments.part.typescript,
            doc=self.doc,
        )  # fmt: skip


__all__ = ["ArgSpec", "ArgumentSpec", "Function", "FunctionKind", "WrongResult", "to_json"]
