"""The version of the wire. One history line per bump; a test pins version and shape together.

1  2026-11-24  hello, subscribe, push, call, stored; welcome, snapshot, changes, window, results.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1
MIN_PROTOCOL_VERSION: Final = 1
#: The WebSocket subprotocol; a token may stand beside it as `bearer.<token>`.
SUBPROTOCOL: Final = "pylon.v1"

assert MIN_PROTOCOL_VERSION <= PROTOCOL_VERSION
