"""Whose authority is in force in a call: as Pylon's own code asks for it, and as the app's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon.identity import Identity

if TYPE_CHECKING:
    from pylon.server.functions.context import Context


def authority_of(context: Context) -> Identity:
    """Return whose authority is in force in a call."""
    return context._identities[-1]


def noted_authority_of(context: Context) -> Identity:
    """Return the same to the app's code (`ctx.identity`): a followed value is about him then."""
    reads = context._facts.reads
    if reads is not None:
        reads.note_caller()
    return authority_of(context)
