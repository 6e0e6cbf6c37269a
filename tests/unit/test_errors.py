"""The error tree: drawn as it is, one status for a code, and nothing inside it that may leak."""

from __future__ import annotations

import inspect
import re

from pylon import errors, jsonvalue
from pylon.errors import Internal, InvalidArgument, PylonError, Refused


def _tree() -> dict[str, type[PylonError]]:
    return {
        name: one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, PylonError) and one is not PylonError
    }


def test_the_tree_is_drawn_as_it_is() -> None:
    """The module's docstring names each class of the module, below its own parent."""
    drawn: dict[str, str] = {}
    above = {0: "PylonError"}
    for line in str(errors.__doc__).splitlines():
        found = re.match(r"([│ ]*)[├└]── (\w+)", line)
        if found:
            depth = len(found[1]) // 4 + 1
            drawn[found[2]] = above[depth - 1]
            above[depth] = found[2]
    in_prose = {name for name in _tree() if f"({name}:" in str(errors.__doc__)}
    assert set(drawn) | in_prose == set(_tree())
    assert {name: _tree()[name].__base__.__name__ for name in drawn} == drawn


def test_a_docstring_is_the_default_message() -> None:
    """Each class says what happened in one short sentence, which is what callers get."""
    for name, one in _tree().items():
        first = str(one.__doc__)
        assert re.fullmatch(r"[A-Z].*\.", first, re.DOTALL), name
        assert len(first) < 200, name


def test_a_code_has_one_status() -> None:
    """Clients decide by the code: two errors of one code answer alike."""
    by_code: dict[str, set[object]] = {}
    for one in _tree().values():
        if one is not Refused and one.code != PylonError.code:
            by_code.setdefault(one.code, set()).add((one.http_status, one.is_transient))
    assert {code: found for code, found in by_code.items() if len(found) > 1} == {}


def test_only_what_was_given_travels() -> None:
    """No hint and no details means no such keys; the cause of an error is never among them."""
    error = Internal(id="e1")
    error.__cause__ = ValueError("a secret inside")
    assert error.to_wire() == {
        "code": "INTERNAL",
        "message": error.message,
        "details": {"id": "e1"},
    }
    assert "secret" not in str(error.to_wire())


def test_what_a_request_brought_stands_in_no_error_as_control_characters() -> None:
    """Marks in its place, in names and lists too: strict JSON, and nothing that steers a screen."""
    said = InvalidArgument(
        "there is no /a\0b\x1b[2J\x9d\ud800, sorry\n\tüß 💛",
        hint="\x7f", fields=["a\x08", ("x\x00",)], **{"n\0": {"b\0": 1}},
    ).to_wire()  # fmt: skip
    assert said == {
        "code": "INVALID_ARGUMENT",
        "message": "there is no /a�b�[2J��, sorry\n\tüß 💛",
        "hint": "�",
        "details": {"fields": ["a�", ["x�"]], "n�": {"b�": 1}},
    }
    assert jsonvalue.parse(jsonvalue.encode(said)) == said
