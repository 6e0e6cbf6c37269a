"""The form of a function: a field for each argument, and what its text means. Pure.

Checks are the runtime's: what does not read as its type is sent as it is, and comes back with the
runtime's own words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidJson
from pylon.printable import STEERING, clean

#: Whom a function is called as, where it is nobody's account.
#: Makes the line of curl that posts a body to a path below `/api/`.
Curl = Callable[[str, Any], str]
SYSTEM: Final = "system"
ANONYMOUS: Final = "anonymous"
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_HINTS: Final = {"date-time": "2026-12-24T09:00:00Z", "date": "2026-12-24"}
#: How an empty text is written: a field with nothing in it is left out.
_EMPTY: Final = '""'
#: What could steer a terminal and JSON leaves as it is; in JSON it stands inside texts only.
_ESCAPES: Final = {code: f"\\u{code:04x}" for code in STEERING if code >= 0x7F}


class Form(StrEnum):
    """What a field looks like."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    JSON = "json"


class FieldMistake(ValueError):
    """A text that can't be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One argument: how its field looks, and what stands in it at first."""

    name: str
    type: str
    is_required: bool
    is_nullable: bool
    form: Form
    is_whole: bool = False
    #: Values to choose from, as JSON texts.
    choices: tuple[str, ...] = ()
    initial: str = ""
    hint: str = ""

    def label(self, choice: str) -> str:
        """Return what a choice is called."""
        value = jsonvalue.decode_trusted(choice.encode())
        return clean(value if isinstance(value, str) else choice)


def fields_of(function: dict[str, Any]) -> list[FormField]:
    """Return the fields of a function."""
    return [_field(one) for one in function["arguments"]]


def _field(argument: dict[str, Any]) -> FormField:
    schema, is_nullable = _present(argument["schema"])
    choices: tuple[str, ...] = ()
    kind, form = schema.get("type"), Form.JSON
    values = schema.get("enum", [True, False] if kind == "boolean" else None)
    if values is not None:
        form = Form.CHOICE
        choices = tuple(jsonvalue.encode_text(one) for one in values if one is not None)
    elif kind in ("integer", "number"):
        form = Form.NUMBER
    elif kind == "string":
        form = Form.TEXT
    wanted = str(argument["type"])
    hint = _HINTS.get(schema.get("format", ""), "")
    if form is Form.TEXT and not hint:
        wanted += f" ({_EMPTY} is an empty text)"
    return FormField(
        name=str(argument["name"]), type=str(argument["type"]),
        is_required=bool(argument["required"]),
        is_nullable=is_nullable or None in (values or ()), form=form,
        is_whole=kind == "integer", choices=choices, initial=_initial(argument, form),
        hint=f"{wanted}, such as {hint}" if hint else wanted,
    )  # fmt: skip


def _present(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema without null, and whether it had it; {} for a union of several."""
    parts = schema.get("anyOf")
    if parts is None:
        return schema, not schema
    present = [one for one in parts if one.get("type") != "null"]
    found = present[0] if len(present) == 1 else {}
    return found, len(present) < len(parts)


def _initial(argument: dict[str, Any], form: Form) -> str:
    default = argument.get("default")
    if default is None:
        return ""
    if form is Form.TEXT and isinstance(default, str):
        # What a line can't show is left out there, and is the default all the same.
        return default if clean(default) == default else ""
    return jsonvalue.encode_text(default).translate(_ESCAPES)


def value_of(field: FormField, text: str) -> tuple[bool, Any]:
    """Return (is given, value) of what stands in a field; raises FieldMistake for no JSON."""
    text = text.encode(errors="replace").decode()  # a terminal may paste half a character
    bare = text if field.form is Form.TEXT else text.strip()
    if not bare:
        return (True, None) if field.is_required and field.is_nullable else (False, None)
    if field.form is Form.TEXT:
        return True, "" if bare == _EMPTY else bare
    if field.form is Form.NUMBER:
        if _INTEGER.fullmatch(bare):
            return True, int(bare)
        if not field.is_whole and _NUMBER.fullmatch(bare) and isfinite(float(bare)):
            return True, float(bare)
        return True, bare
    try:
        return True, jsonvalue.parse(bare.encode())
    except (InvalidJson, UnicodeEncodeError) as error:
        raise FieldMistake(f"{field.name} is no JSON: {error}; a text has quotes") from error


def harmless_json(text: str) -> str:
    """Return pasted JSON with what could steer a terminal as escapes, which mean the same."""
    return text.translate(_ESCAPES).translate(
        {code: None for code in STEERING if code < 0x20 and chr(code) not in "\n\t"}
    )


def arguments_of(
    fields: list[FormField], texts: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments, and what is wrong in which field."""
    args: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in fields:
        try:
            is_given, value = value_of(field, texts.get(field.name, ""))
        except FieldMistake as mistake:
            wrong[field.name] = str(mistake)
            continue
        if is_given:
            args[field.name] = value
    return args, wrong


def problems_of(details: dict[str, Any], message: str, names: set[str]) -> dict[str, str]:
    """Return what the runtime says of which field, of the details and the words of an error."""
    found: dict[str, str] = {}
    field, problems = details.get("field"), details.get("problems")
    for one in problems or ({"field": field, "message": message},):
        if isinstance(one, dict) and one.get("field") in names:
            found.setdefault(str(one["field"]), str(one.get("message", "")))
    return found


def call_command(name: str, args: dict[str, Any], user: str) -> str:
    """Return the line for a shell that calls a function."""
    command = f"pylon call {shlex.quote(name)} {shlex.quote(jsonvalue.encode_text(args))}"
    return command if user == SYSTEM else f"{command} --as {shlex.quote(user)}"


def call_copies(
    name: str, args: dict[str, Any], user: str, curl: Curl, answer: str | None
) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of a call: its answer, curl, the command."""
    body = {"fn": name, "args": args, **({} if user == SYSTEM else {"as": user})}
    first = [] if answer is None else [("JSON", answer)]
    return [
        *first, ("curl", curl("admin/call", body)), ("command", call_command(name, args, user)),
    ]  # fmt: skip
