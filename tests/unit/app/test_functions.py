"""Functions: what a call takes, every problem at once, and what comes back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from pylon.app.functions import ArgSpec, Function, FunctionKind
from pylon.app.rows import app_row
from pylon.errors import InvalidArgument
from pylon.schema.model import FieldKind
from tests.unit.app.conftest import FIRST, Load, Mistaken

APP = """
from dataclasses import dataclass
from typing import TypedDict

class Color(Enum):
    RED = "red"

@dataclass
class Point:
    x: int
    y: int = 0

class Named(TypedDict, total=False):
    name: str

@app.entity
class Note(Entity):
    text: str
    secret: str = field(default="", private=True)

@app.query
def ask(ctx, text: str, count: int = 3, at: datetime | None = None, price: Decimal = Decimal(0),
        color: Color = Color.RED, mode: Literal["a", "b"] = "a", tags: list[str] = [],
        point: Point | None = None, extra: dict = {}, row: Ref["Note"] | None = None,
        one_of: int | str = 0, named: Named | None = None, anything=None) -> str:
    return text

@app.query
def note(ctx) -> Note | None: ...

@app.query
def notes(ctx) -> list[Note]: ...

@app.query
def untyped(ctx): ...
"""


@pytest.fixture
def ask(load: Load) -> ArgSpec:
    """Return the arguments of `ask`."""
    return load(APP).functions["ask"].arguments


def test_arguments_become_python_values(ask: ArgSpec) -> None:
    """Times, decimals, enums and records come as the annotations say; defaults are left out."""
    decoded = ask.decode({
        "text": "a", "at": "2026-11-23T13:00:00+01:00", "price": "1.50", "color": "red",
        "point": {"x": 1}, "one_of": "x", "tags": ["t"], "extra": {"k": [1]}, "row": "n1",
    })  # fmt: skip
    assert decoded["at"] == dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    assert decoded["price"] == Decimal("1.50")
    assert decoded["color"].value == "red"
    assert (decoded["point"].x, decoded["point"].y) == (1, 0)
    assert (decoded["one_of"], decoded["tags"], decoded["row"]) == ("x", ["t"], "n1")
    assert "count" not in decoded


def test_every_problem_of_a_call_is_told(ask: ArgSpec) -> None:
    """Missing, wrong and unknown arguments come together; the first is the named one."""
    with pytest.raises(InvalidArgument) as caught:
        ask.decode({"count": "3", "mode": "c", "tags": ["a", 1], "point": {"y": 1}, "nosuch": 1})
    found = {one["field"]: one["message"] for one in caught.value.details["problems"]}
    assert caught.value.details["field"] == "text"
    assert found == {
        "text": "text is required",
        "count": "count must be an integer",
        "mode": 'mode must be one of "a", "b"',
        "tags": "tags item 1 must be text",
        "point": "point needs 'x'",
        "nosuch": "there is no argument nosuch",
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"count": True}, "must be an integer"), ({"count": 2**53}, "2^53-1"),
        ({"count": 1.5}, "must be an integer"), ({"count": None}, "must be an integer"),
        ({"text": "\0"}, "NUL"), ({"text": "\ud800"}, "surrogates"), ({"text": 1}, "must be text"),
        ({"at": "2026-11-23T12:00:00"}, "offset"), ({"at": 0}, "must be a time"),
        ({"price": 1.5}, "decimal as text"), ({"price": "NaN"}, "decimal as text"),
        ({"color": "green"}, "must be one of"), ({"one_of": None}, "must be number | string"),
        ({"extra": []}, "must be an object"), ({"anything": float("nan")}, "not finite"),
        ({"point": {"x": 1, "z": 2}}, "has no 'z' in Point"), ({"row": "a b"}, "the id of a"),
        ({"named": {"nme": "a"}}, "has no 'nme' in Named"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(ask: ArgSpec, args: dict[str, Any], message: str) -> None:
    """Arguments are as strict as fields."""
    with pytest.raises(InvalidArgument) as caught:
        ask.decode({"text": "a", **args})
    told = caught.value.message.replace(" or ", " | ")
    assert message in told


def test_results_are_checked(load: Load) -> None:
    """A result is what the annotation says, or the function's own mistake."""
    definition = load(APP)
    functions = definition.functions
    row = app_row(
        definition.schema.entities["Note"], {"id": "n", "text": "a", "secret": "s", "_seq": 1}
    )
    wire = {"id": "n", "text": "a", "_seq": 1}
    assert functions["note"].arguments.encode_result(row) == wire
    assert functions["note"].arguments.encode_result(None) is None
    assert functions["notes"].arguments.encode_result([row]) == [wire]
    assert functions["untyped"].arguments.encode_result({"rows": (row,)}) == {"rows": [wire]}
    for name, wrong in (("note", "a"), ("notes", row), ("ask", 1), ("untyped", object())):
        with pytest.raises(TypeError):
            functions[name].arguments.encode_result(wrong)


def test_allow_compares_what_it_can(ask: ArgSpec) -> None:
    """Arguments of plain types may stand in a guard; records and lists may not."""
    kinds = ask.policy_kinds()
    assert kinds["text"] is FieldKind.STR
    assert kinds["at"] is FieldKind.DATETIME
    assert kinds["row"] is FieldKind.REF
    assert kinds["tags"] is None
    assert kinds["point"] is None


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("@app.query\nasync def q(ctx): ...", 1, 1, "a query is def"),
        ("@app.mutation\nasync def q(ctx): ...", 1, 1, "a mutation is def"),
        ("@app.action\ndef q(ctx): ...", 1, 1, "an action is async def"),
        ("@app.query\ndef q(ctx):\n    yield 1", 1, 1, "it can't yield"),
        ("@app.query\ndef q(): ...", 1, 1, "the first parameter is ctx"),
        ("@app.query\ndef q(ctx, **rest): ...", 1, 14, "*args and **kwargs"),
        ("@app.query\ndef q(ctx, a, /): ...", 1, 12, "must have a name in calls"),
        ("@app.query\ndef q(ctx, a: int = 'x'): ...", 1, 12, "the default of a must be an int"),
        ("@app.query\ndef q(ctx, a: int = None): ...", 1, 12, "the default of a"),
        ("@app.query\ndef q(ctx, a: Nope): ...", 1, 12, "Nope is not defined"),
        ("@app.query\ndef q(ctx, _a): ...", 1, 12, "an argument can't be called _a"),
        ("@app.query(allow='args.x == 1')\ndef q(ctx, y: int): ...", 0, 19, "no argument x"),
        ("@app.query(allow='data.x == 1')\ndef q(ctx): ...", 0, 19, "there is no data here"),
        ("@app.query(allow=1)\ndef q(ctx): ...", 0, 18, "allow is a text"),
        ("@app.query(timeout=0)\ndef q(ctx): ...", 0, 20, "timeout is a number"),
        ("@app.query(internal=1)\ndef q(ctx): ...", 0, 21, "internal is True or False"),
        ("@app.query\nclass Q: ...", 0, 1, "@app.query is for functions"),
        ("@app.on_start\nasync def q(a): ...", 1, 1, "a hook takes ctx and nothing else"),
        ("@app.on_stop\nasync def q(ctx, a): ...", 1, 1, "a hook takes ctx and nothing else"),
        ("app.query(lambda ctx: 1)", 0, 1, "a function's name has letters"),
        ("@app.query\ndef q(ctx, a: Ref['Nope']): ...", 1, 12, "a refers to Nope, which is no"),
        ("@app.query\ndef q(ctx, a: \"list[Ref['Usr']]\"): ...", 1, 12, "did you mean User?"),
        ("@app.query\ndef q(ctx) -> Ref['Usr']: ...", 1, 15, "the result refers to Usr"),
        ("@app.query\ndef q(ctx): ...\n@app.query\ndef Q(ctx): ...", 3, 1, "differ by case only"),
    ],
)
def test_mistakes_of_functions(
    mistaken: Mistaken, text: str, line: int | None, column: int | None, message: str
) -> None:
    """Colour, parameters, guard and keywords are checked, each at its place."""
    (found,) = mistaken(text + "\n")
    assert message in found
    if line is not None:
        assert found.startswith(f"app.py:{FIRST + line}:")
        assert found.split(":")[2] == str(column), found


def test_kinds_and_names(load: Load) -> None:
    """A name that begins with _ is not callable from outside."""
    functions = load(
        "@app.mutation(timeout=2)\ndef _a(ctx): ...\n@app.action\nasync def b(ctx): ...\n"
    ).functions
    a: Function = functions["_a"]
    assert (a.kind, a.is_internal, a.timeout_s) == (FunctionKind.MUTATION, True, 2.0)
    assert functions["b"].kind is FunctionKind.ACTION
