"""The generated TypeScript of the wire."""

from __future__ import annotations

from pylon.devtools.codegen import wire


def test_the_committed_file_is_current() -> None:
    """`protocol.gen.ts` is what the protocol's structs say now."""
    assert wire.OUTPUT.read_text(encoding="utf-8") == wire.generate(), "run: make generate"


def test_every_message_has_an_interface_and_a_place_in_its_union() -> None:
    """A message that is added to a union reaches the browser."""
    text = wire.generate()
    for name in ("Hello", "Push", "Welcome", "Changes", "Resync", "GoAway"):
        assert f"export interface {name} {{" in text
        assert f"\n  | {name}" in text


def test_error_codes_are_those_of_the_error_tree() -> None:
    """A client can name every code of the runtime."""
    text = wire.generate()
    assert '  | "POLICY_DENIED"' in text
    assert '  | "RESYNC_REQUIRED"' in text


def test_members_that_are_omitted_when_absent_are_optional() -> None:
    """An absent member is absent, not null."""
    text = wire.generate()
    assert "  readonly cursor?: string;" in text
    assert "  readonly user_id: string | null;" in text
