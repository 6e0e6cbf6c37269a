"""What `[backup]` in the settings says, parsed.

What does not live here: when one is due and which may go (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylon.errors import ConfigError
from pylon.server.backups import places
from pylon.server.backups.plan import Plan, parse_at, parse_every
from pylon.server.buckets import Keys
from pylon.server.config import ServerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """What `[backup]` says."""

    plan: Plan
    keep_daily: int
    keep_weekly: int
    folder: Path
    to: str
    keys: Keys
    #: The bytes of files lie in the project, not in a bucket.
    has_own_files: bool


def settings_of(config: ServerConfig) -> BackupSettings:
    """Return what `[backup]` says; raises ConfigError naming the key."""
    found: dict[str, Any] = {}
    for name, parse in (
        ("every", parse_every), ("at", parse_at), ("to", places.parse_place)
    ):  # fmt: skip
        try:
            found[name] = parse(config[f"backup.{name}"])
        except ValueError as error:
            raise ConfigError(f"backup.{name}: {error}") from None
    # Development makes none by a time of the day that nobody asked for.
    at_ms = None if found["every"] is not None or config.is_dev else found["at"]
    folder = config["backup.folder"]
    return BackupSettings(
        plan=Plan(found["every"], at_ms), keep_daily=config["backup.keep_daily"],
        keep_weekly=config["backup.keep_weekly"],
        folder=config.project / (folder or ".pylon/backups"), to=config["backup.to"],
        keys=Keys(config["backup.access_key"], config["backup.secret_key"]),
        has_own_files=config["files.backend"] == "disk",
    )  # fmt: skip
