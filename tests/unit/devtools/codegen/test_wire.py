"""The generated TypeScript of the wire."""

from __future__ import annotations

import subprocess
import sys

from pylon.devtools.codegen import wire


def test_the_committed_file_is_current() -> None:
    """`protocol.gen.ts` is what the protocol's structs say now.

    Both are read at the same moment: the modules of this process may be older than the file where
    the tree was changed while a long run of tests is under way.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pylon.devtools.codegen.wire", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


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
