"""Limits of followed functions: what one looks at, what is kept, how often it runs.

Units are the last word of a name.
"""

from __future__ import annotations

from typing import Final

from pylon.limits import KIB, MIB

#: What one run of a live query function looked at, of one entity, by key. Above: any change of that
#: entity runs it again.
LIVE_READS_MAX: Final = 500
#: The arguments of one. Above: `error` INVALID_ARGUMENT.
LIVE_ARGS_BYTES_MAX: Final = 64 * KIB
#: The value of a live query function. Above: `error` PAYLOAD_TOO_LARGE, the subscription stays.
LIVE_VALUE_BYTES_MAX: Final = 1 * MIB
#: Values that are kept for who comes next, in bytes of memory: of those made for one caller (all
#: anonymous callers are one), and of all. Above: the value used least lately is let go, and made
#: again for whoever has to be given it; who was given it is told of changes as before.
LIVE_KEPT_USER_BYTES_MAX: Final = 8 * MIB
LIVE_KEPT_BYTES_MAX: Final = 64 * MIB
#: How often a live query function runs anew that asked for the time, or for what no row says.
LIVE_LOOK_SECONDS: Final = 5.0
#: Bytes queued for a socket above which it gets no more values, but the newest once it has drained.
LIVE_QUEUE_BYTES_MAX: Final = 256 * KIB
#: The longest rest after a run of one that was slow: each rests as long as it worked.
LIVE_REST_SECONDS_MAX: Final = 2.0
#: Arguments of all that sockets follow, in bytes: of one user, of one address, and in all. Above:
#: `error` RATE_LIMITED, and nothing is followed.
LIVE_ARGS_USER_BYTES_MAX: Final = 4 * MIB
LIVE_ARGS_ADDRESS_BYTES_MAX: Final = 16 * MIB
LIVE_ARGS_TOTAL_BYTES_MAX: Final = 64 * MIB
