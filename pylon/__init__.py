"""Pylon: durable state, an API, background jobs and live browsers from one process."""

from __future__ import annotations

from pylon.version import __version__

__all__ = ["__version__"]
