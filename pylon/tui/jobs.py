"""What the dashboard does about jobs: reads those in sight again whenever one has moved."""

from __future__ import annotations

from typing import ClassVar

from pylon.tui.reading import Reading


class Jobs(Reading):
    """The jobs of one dashboard's app."""

    part: ClassVar[str] = "jobs"
