"""Whose authority is in force in a call, for Pylon's own code.

Where the app's code asks that (`ctx.identity`) it is noted: a followed value is about him then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon.identity import Identity

if TYPE_CHECKING:
    from pylon.server.functions.context import Context


def authority_of(context: Context) -> Identity:
    """Return whose authority is in force in a call."""
    return context._identities[-1]
