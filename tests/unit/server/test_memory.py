"""How much memory a runtime may have."""

from __future__ import annotations

from pylon import limits
from pylon.server.memory import memory_limit_mb


def test_the_setting_counts_and_else_a_share_of_the_machine() -> None:
    """A small machine's runtime has what it needs to run at all."""
    assert memory_limit_mb(400) == 400
    assert memory_limit_mb(0, machine=8 * 1024 * limits.MIB) == 6 * 1024
    assert memory_limit_mb(0, machine=128 * limits.MIB) == limits.MEMORY_MB_MIN
    assert memory_limit_mb(0) >= limits.MEMORY_MB_MIN
