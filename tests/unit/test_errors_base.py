"""What travels of an error: nothing inside it that may leak, nothing that steers a screen."""

from __future__ import annotations

from pylon import jsonvalue
from pylon.errors import Internal, InvalidArgument


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
