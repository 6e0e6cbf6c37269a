"""What stands in a form becomes arguments: typed, left out, or refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.printable import clean
from pylon.tui.try_form import (
    Form,
    FormField,
    arguments_of,
    call_copies,
    fields_of,
    harmless_json,
    problems_of,
)
from tests.screens.fakes import argument, function

NULL = {"type": "null"}


def _field(schema: dict[str, Any], **more: Any) -> FormField:
    (found,) = fields_of(function("f", argument("a", schema, "t", **more)))
    return found


def _read(field: FormField, text: str) -> Any:
    """Return the argument, `...` where it is left out, or what is wrong."""
    args, wrong = arguments_of([field], {"a": text})
    return wrong["a"] if wrong else args.get("a", ...)


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": "string"}, Form.TEXT), ({"type": "integer"}, Form.NUMBER),
        ({"type": "number"}, Form.NUMBER), ({"type": "boolean"}, Form.CHOICE),
        ({"enum": ["a", 1, None]}, Form.CHOICE), ({"type": "object"}, Form.JSON), ({}, Form.JSON),
        ({"anyOf": [{"type": "string"}, NULL]}, Form.TEXT),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, Form.JSON),
        ({"type": "array", "items": {"type": "string"}}, Form.JSON),
    ],
)  # fmt: skip
def test_each_type_has_its_form(schema: dict[str, Any], form: Form) -> None:
    """Scalars have lines, few values a choice, and the rest is JSON."""
    assert _field(schema).form is form


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "", ...), ({"type": "string"}, '""', ""),
        ({"type": "string"}, " 7 ", " 7 "), ({"type": "integer"}, " 7 ", 7),
        ({"type": "integer"}, "-0", 0), ({"type": "integer"}, "7.5", "7.5"),
        ({"type": "integer"}, "9" * 30, "9" * 30), ({"type": "integer"}, "07", "07"),
        ({"type": "number"}, "7.5", 7.5), ({"type": "number"}, "1e3", 1000.0),
        ({"type": "number"}, "1e999", "1e999"), ({"type": "number"}, "nan", "nan"),
        ({"type": "boolean"}, "false", False), ({"enum": ["a", 1]}, '"a"', "a"),
        ({}, "[1, {}]", [1, {}]), ({}, "", None),
        ({"anyOf": [{"type": "string"}, NULL]}, "", None),
    ],
)  # fmt: skip
def test_texts_become_values(schema: dict[str, Any], text: str, value: Any) -> None:
    """What reads as its type is typed; what does not is sent as it is, for the runtime to judge."""
    found = _read(_field(schema), text)
    assert (found, type(found)) == (value, type(value))


def test_defaults_stand_there_and_mean_themselves() -> None:
    """A form that is left as it is gives each default, or leaves it out."""
    for schema, default in (
        ({"type": "string"}, "x"), ({"type": "integer"}, 0), ({"enum": ["a", "b"]}, "b"),
        ({"type": "boolean"}, False), ({}, {"a": ["\u202e"]}), ({"type": "string"}, ""),
        ({"type": "string"}, "\x1b[2J"), ({"anyOf": [{"type": "integer"}, NULL]}, None),
    ):  # fmt: skip
        field = _field(schema, default=default)
        assert clean(field.initial) == field.initial
        assert _read(field, field.initial) in (default, ...)


def test_what_is_no_json_is_said_before_it_is_sent() -> None:
    """With the place, at its field."""
    assert "a is no JSON" in _read(_field({}), "[1,")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_pasted_json_means_the_same_and_steers_nothing(text: str) -> None:
    """Escapes stand for what a terminal would obey."""
    given_ = jsonvalue.encode_text([text])
    made = harmless_json(given_)
    assert jsonvalue.parse(made.encode()) == [text]
    assert clean(made.replace("\n", "").replace("\t", "")) == made


def test_problems_stand_at_their_fields() -> None:
    """All of a list, else the one that is named; strangers stand nowhere."""
    problems = [{"field": "a", "message": "1"}, {"field": "b", "message": "2"}, {"field": "z"}]
    details = {"field": "a", "problems": problems}
    assert problems_of(details, "1", {"a", "b"}) == {"a": "1", "b": "2"}
    assert problems_of({"field": "as"}, "nobody", {"as"}) == {"as": "nobody"}
    assert problems_of({}, "no", {"a"}) == {}


def test_a_call_can_be_made_again_elsewhere() -> None:
    """As JSON, curl and command: quoted for the shell, as the same caller."""
    args = {"text": "it's; rm"}

    def curl(path: str, body: object) -> str:
        return f"{path} {body}"

    made = dict(call_copies("post", args, "ada@example.com", curl, "[1]"))
    assert made["JSON"] == "[1]"
    assert made["command"].endswith("--as ada@example.com")
    assert """'{"text":"it'"'"'s; rm"}'""" in made["command"]
    body = {"fn": "post", "args": args}
    assert made["curl"] == f"admin/call {body | {'as': 'ada@example.com'}}"
    system = dict(call_copies("post", args, "system", curl, None))
    assert "--as" not in system["command"]
    assert system["curl"] == f"admin/call {body}"
