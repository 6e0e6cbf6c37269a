"""The version of Pylon, once."""

from __future__ import annotations

__version__ = "0.1.0"
#: Rises when the dashboard can't work with the admin surface of an older runtime any more.
ADMIN_PROTOCOL = 1
