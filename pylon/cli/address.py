"""Where a project listens: flags, environment, pylon.toml, default."""

from __future__ import annotations

import os
from pathlib import Path

from pylon.errors import PylonError
from pylon.server.config import (
    ServerConfig,
    demand_loopback,
    load_config,
    load_dotenv,
)
from pylon.server.settings_table import SETTINGS


def check_settings(project: Path) -> None:
    """Raise ConfigError where a project's settings would stop its start in development."""
    from pylon.server.background import check_settings as check_texts

    check_texts(settings_of(project))


def settings_of(project: Path) -> ServerConfig:
    """Return a project's settings in development; raises ConfigError for a wrong one."""
    return _config_of(project, None, None, is_dev=True)


def web_setting(project: Path, key: str) -> str:
    """Return a setting of a project's own web server; empty where it has none, or mistakes."""
    try:
        return str(settings_of(project)[key])
    except PylonError:
        return ""  # the runtime says what is wrong with the settings, and does not start


def production_settings_of(project: Path) -> ServerConfig:
    """Return a project's settings as `pylon serve` reads them; raises ConfigError."""
    return _config_of(project, None, None, is_dev=False)


def address_of(
    project: Path, host: str | None, port: int | None, *, is_dev: bool, allow_remote: bool = True
) -> tuple[str, int, bool]:
    """Return host, port, and whether a later port will do because nobody named one.

    Unless `allow_remote`, the host is an address of this machine's own.

    Raises ConfigError for a wrong setting.
    """
    config = _config_of(project, host, port, is_dev=is_dev)
    if not allow_remote:
        demand_loopback(config["server.host"])
    chosen: int = config["server.port"]
    is_default = port is None and chosen == SETTINGS["server.port"].default
    return config["server.host"], chosen, is_default


def sleep_minutes_of(project: Path) -> float:
    """Return after how many minutes a detached runtime sleeps; 0: never. Raises ConfigError."""
    return float(_config_of(project, None, None, is_dev=True)["server.sleep_minutes"])


def _config_of(project: Path, host: str | None, port: int | None, *, is_dev: bool) -> ServerConfig:
    environment = {**os.environ, **load_dotenv(project, os.environ)}
    return load_config(
        project, is_dev=is_dev, environment=environment,
        flags={"server.host": host, "server.port": port},
    )  # fmt: skip
