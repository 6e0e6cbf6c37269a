"""How much memory the runtime may have, and having the system hold it to that.

Beyond it a function gets MemoryError, which is its own failure, before the machine has none left.
What keeps memory for ever is for the supervisor, who restarts the runtime a little below.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from pylon import limits

#: What threads reserve for their stacks and hardly touch counts for the system, and not for us.
_RESERVED_MB: Final = 128
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


def memory_limit_mb(setting: int, *, machine: int | None = None) -> int:
    """Return the bound in MiB: the setting or, where that is 0, a share of the machine's memory.

    Args:
        setting: `limits.memory_mb`.
        machine: bytes that there are; asked for where it is None.
    """
    if setting:
        return setting
    have = _machine_bytes() if machine is None else machine
    return max(int(have * limits.MEMORY_SHARE) // limits.MIB, limits.MEMORY_MB_MIN)


def _machine_bytes() -> int:
    """Return the machine's memory, or less where a container has less."""
    import psutil

    total = int(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):  # no container, or one without a bound ("max")
        total = min(total, int(_CGROUP.read_text()))
    return total


def bound_memory(mebibytes: int) -> None:
    """Have the system refuse this process more; where it can't, only the supervisor watches."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such bound
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = (mebibytes + _RESERVED_MB) * limits.MIB
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
