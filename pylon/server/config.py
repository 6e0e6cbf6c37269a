"""Settings: one table of keys, one precedence — flag, environment, pylon.toml, default.

Unknown keys and wrong types stop the start, naming file, line and the nearest known key.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from pylon import limits, limits_files
from pylon.errors import ConfigError
from pylon.server.hosts import is_this_machine
from pylon.server.provider_settings import PROVIDERS, provider_settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: its type, its default, what it is for, and the least that a number may be."""

    kind: type
    default: Any
    doc: str
    least: float = 0


def _bound(default: int, doc: str) -> Setting:
    return Setting(int, default, doc, 1)


#: Every key that pylon.toml and the environment may set, as `section.key`.
SETTINGS: Final[Mapping[str, Setting]] = {
    "server.host": Setting(str, "127.0.0.1", "Address to listen on."),
    "server.port": Setting(int, 4321, "Port to listen on."),
    "server.origins": Setting(list, [], "Origins of your own pages, such as https://chat.example."),
    "server.trusted_proxies": Setting(
        list, [], "Proxies of yours whose X-Forwarded-For counts: addresses or networks."
    ),
    "server.durability": Setting(str, "full", "full: survives power loss. normal: faster."),
    "server.sleep_minutes": Setting(
        float, limits.SLEEP_MINUTES, "Minutes until a detached runtime sleeps; 0: never."
    ),
    "log.retain_changes": Setting(int, limits.RETAIN_CHANGES, "Changes the log keeps at least."),
    "log.retain_days": Setting(int, limits.RETAIN_DAYS, "Days the log keeps at least."),
    "auth.methods": Setting(list, ["magic"], "How people sign in."),
    "auth.session_days": Setting(int, limits.SESSION_DAYS, "Days that a sign-in lasts.", 1),
    "limits.requests_per_second": Setting(int, 0, "Data requests per address; 0: no limit."),
    "limits.sockets": _bound(limits.SOCKETS_MAX, "Sync sockets in all."),
    "limits.sockets_per_user": _bound(limits.SOCKETS_PER_USER_MAX, "Sockets per user."),
    "limits.sockets_per_address": _bound(limits.SOCKETS_PER_ADDRESS_MAX, "Sockets per address."),
    "limits.subscriptions": _bound(limits.SUBSCRIPTIONS_TOTAL_MAX, "Subscriptions in all."),
    "limits.subscriptions_per_user": _bound(
        limits.SUBSCRIPTIONS_PER_USER_MAX, "Subscriptions per user."
    ),
    "limits.subscriptions_per_address": _bound(
        limits.SUBSCRIPTIONS_PER_ADDRESS_MAX, "Subscriptions per address."
    ),
    "limits.subscriptions_per_socket": _bound(
        limits.SUBSCRIPTIONS_MAX, "Subscriptions of one socket."
    ),
    "limits.snapshots": _bound(limits.SNAPSHOTS_MAX, "Snapshot pages under way, in all."),
    "limits.snapshots_per_user": _bound(limits.SNAPSHOTS_PER_USER_MAX, "The same per user."),
    "limits.snapshots_per_address": _bound(
        limits.SNAPSHOTS_PER_ADDRESS_MAX, "The same per address."
    ),
    "limits.send_queue_bytes": _bound(
        limits.SEND_QUEUE_BYTES_MAX, "Bytes queued for one slow socket."
    ),
    "limits.memory_mb": Setting(
        int, 0, "MiB of memory that the runtime may have; 0: three quarters of the machine's."
    ),
    "limits.heartbeat_seconds": Setting(
        float, limits.HEARTBEAT_SECONDS, "Interval of heartbeats on a socket.", 0.1
    ),
    "jobs.concurrency": _bound(limits.QUEUE_CONCURRENCY, "Jobs of a queue that run at a time."),
    "jobs.queues": Setting(list, [], "Queues with bounds of their own: name, jobs, rate."),
    "mail.url": Setting(str, "", "Mail server: smtp://user:password@host:587, or smtps://."),
    "files.max_mb": _bound(limits_files.FILE_MB_MAX, "Megabytes (2^20 bytes) of one file."),
    "files.quota_mb": Setting(int, limits_files.FILE_QUOTA_MB, "Megabytes per user; 0: no limit."),
    "files.total_mb": Setting(int, 0, "Megabytes of all files; 0: no limit."),
    "files.anonymous": Setting(
        bool, default=False, doc="Callers who are not signed in may upload."
    ),
    "files.backend": Setting(str, "disk", "disk, or s3://bucket/prefix?endpoint=https://…"),
    "web.dev": Setting(
        str, "", "A web server of yours that `pylon dev` runs and serves; {port} is its port."
    ),
    "web.package": Setting(
        str, "", "Folder that `pylon codegen` writes the client to, for a bundler."
    ),
    "mail.from": Setting(str, "Pylon <pylon@localhost>", "Sender of mails."),
    "backup.every": Setting(str, "", "A backup so often, such as 6h; replaces backup.at."),
    "backup.at": Setting(str, "03:00", "A daily backup by serve, at this time (UTC)."),
    "backup.keep_daily": _bound(7, "Days of which the newest scheduled backup is kept."),
    "backup.keep_weekly": Setting(int, 4, "Weeks of which the newest one is kept."),
    "backup.folder": Setting(str, "", "Where backups lie; empty: .pylon/backups."),
    "backup.to": Setting(str, "", "Where scheduled ones are copied: file:///… or s3://…"),
    "backup.access_key": Setting(str, "", "Key of that bucket; write it env:NAME."),
    "backup.secret_key": Setting(str, "", "Its secret; write it env:NAME."),
    "alerts.mail": Setting(list, [], "Addresses that serve tells when the app is unwell."),
    "alerts.webhook": Setting(str, "", "Address that is posted the same; write it env:NAME."),
    "alerts.allow_private": Setting(
        bool, default=False, doc="The webhook may be on this machine or network."
    ),
    "alerts.restarts": _bound(3, "Restarts in ten minutes that are worth telling."),
    "alerts.disk_percent": Setting(int, 10, "Percent of the disk; less free is worth telling."),
}
#: How people can sign in: what `auth.methods` may name.
AUTH_METHODS: Final = ("magic", "link", "password", "oauth", "guest")
_KINDS: Final[Mapping[type, str]] = {
    str: "a text", bool: "true or false", int: "an integer", float: "a number",
    list: "a list of texts",
}  # fmt: skip
_PORT_MAX: Final = 65_535
_ORIGIN: Final = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")
_ENV_NAME: Final = re.compile(r"PYLON_([A-Z]+)_([A-Z_]+)\Z")
_ENV_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z")
#: Names that a project's .env must not set: they would steer the interpreter.
_ENV_REFUSED: Final = re.compile(r"PATH|PYTHON.*|LD_.*|DYLD_.*|HOME|SHELL|IFS|BASH_ENV|ENV")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings, and where the project is."""

    project: Path
    is_dev: bool
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, key: str) -> Any:
        """Return a setting by `section.key`."""
        return self.values[key]

    def cookie(self, name: str) -> str:
        """Return a cookie's name; under https one that no other origin can set (I75)."""
        return f"__Host-{name}" if self.is_https else name

    @property
    def session_cookie(self) -> str:
        """Return the name of the cookie that carries a session's token."""
        return self.cookie("pylon_session")

    @property
    def is_https(self) -> bool:
        """Tell whether people come over https, by the first origin."""
        origins = self.values["server.origins"]
        return bool(origins) and str(origins[0]).startswith("https://")


def load_config(
    project: Path, *, is_dev: bool, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> ServerConfig:
    """Return the settings of a project; raises ConfigError naming file, line and key.

    Args:
        project: the project's folder.
        is_dev: development mode.
        flags: values by `section.key` from the command line; None means not given.
        environment: the process environment.
    """
    values: dict[str, Any] = {key: setting.default for key, setting in SETTINGS.items()}
    values[PROVIDERS] = {}
    path = project / "pylon.toml"
    if path.is_file():
        values |= _from_toml(path, environment)
    values |= _from_environment(environment)
    values |= {key: value for key, value in flags.items() if value is not None}
    if values["server.durability"] not in ("full", "normal"):
        raise ConfigError("server.durability is full or normal")
    for key, setting in SETTINGS.items():
        is_number = setting.kind in (int, float)
        if is_number and not setting.least <= values[key] < math.inf:
            raise ConfigError(f"{key} is at least {setting.least:g}, not {values[key]}")
    if values["server.port"] > _PORT_MAX:
        raise ConfigError(f"server.port is 0 to {_PORT_MAX}")
    for proxy in values["server.trusted_proxies"]:
        if not _is_network(proxy):
            raise ConfigError(
                f"server.trusted_proxies: {proxy!r} is no address or network",
                hint="such as 127.0.0.1 or 10.0.0.0/8",
            )
    for method in values["auth.methods"]:
        if method not in AUTH_METHODS:
            raise ConfigError(
                f"auth.methods: there is no {method!r}", hint=f"there is {', '.join(AUTH_METHODS)}"
            )
    if ("oauth" in values["auth.methods"]) != bool(values[PROVIDERS]):
        raise ConfigError(
            "auth.methods names oauth, and there is no provider"
            if not values[PROVIDERS]
            else "there are providers, and auth.methods does not name oauth",
            hint='methods = ["magic", "oauth"] and a section [auth.oauth.github] go together',
        )
    for origin in values["server.origins"]:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"server.origins: {origin!r} is no origin",
                hint="scheme and name, and the port where it is unusual: https://chat.example",
            )
    return ServerConfig(project, is_dev, values)


def demand_loopback(host: str) -> None:
    """Raise ConfigError for an address that others reach: development has powers of its own (I73).

    Whoever means it says so with --allow-remote.
    """
    if not is_this_machine(host):
        raise ConfigError(
            f"pylon dev listens on this machine only, not on {host}",
            hint="for others run `pylon serve`; --allow-remote if you mean it",
        )


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _from_toml(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    text = _text_of(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    values: dict[str, Any] = {}
    auth = tree.get("auth")
    if isinstance(auth, dict) and "oauth" in auth:
        values[PROVIDERS] = provider_settings(
            path.name, auth.pop("oauth"), lambda key, value: _resolved(key, value, environment)
        )
    for section, keys in tree.items():
        if not isinstance(keys, dict):
            raise _unknown(path.name, text, section, section)
        for name, value in keys.items():
            key = f"{section}.{name}"
            if key not in SETTINGS:
                raise _unknown(path.name, text, key, name)
            values[key] = _typed(
                key, _resolved(key, value, environment), f"{path.name}:{_line(text, name)}"
            )
    return values


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error


def _resolved(key: str, value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in environment:
            raise ConfigError(
                f"{key} wants the environment's {name}, which is not set",
                hint=f"put {name}=… into .env",
            )
        return environment[name]
    return value


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    sections = {key.partition(".")[0] for key in SETTINGS}
    values: dict[str, Any] = {}
    for name, text in environment.items():
        found = _ENV_NAME.match(name)
        if found is None or found[1].lower() not in sections:
            continue
        key = f"{found[1]}.{found[2]}".lower()
        if key not in SETTINGS:
            raise ConfigError(f"{name}: there is no setting {key}", hint=_nearest(key))
        values[key] = _parsed(key, text, name)
    return values


def _parsed(key: str, text: str, where: str) -> Any:
    kind = SETTINGS[key].kind
    try:
        if kind is list:
            return [part.strip() for part in text.split(",") if part.strip()]
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise ConfigError(f"{where}: {key} is {_KINDS[kind]}, not {text!r}") from None


def _typed(key: str, value: Any, where: str) -> Any:
    kind = SETTINGS[key].kind
    if kind is float and type(value) is int:
        value = float(value)
    is_text_list = kind is not list or (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    )
    if type(value) is not kind or not is_text_list:
        raise ConfigError(f"{where}: {key} is {_KINDS[kind]}, not {value!r}")
    return value


def _unknown(file: str, text: str, key: str, name: str) -> ConfigError:
    return ConfigError(f"{file}:{_line(text, name)}: there is no setting {key}", hint=_nearest(key))


def _nearest(key: str) -> str | None:
    near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else None


def _line(text: str, name: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[?{re.escape(name)}\b", line):
            return number
    return 1


def load_dotenv(project: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a project's .env adds to the environment; it never overrides it."""
    path = project / ".env"
    if not path.is_file():
        return {}
    added: dict[str, str] = {}
    for line in _text_of(path).splitlines():
        found = _ENV_LINE.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        name, value = found[1], found[2]
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if name not in environment and not _ENV_REFUSED.fullmatch(name):
            added[name] = value
    return added


def apply_dotenv(project: Path) -> None:
    """Add a project's .env to this process's environment."""
    os.environ.update(load_dotenv(project, os.environ))


def origin_of(config: ServerConfig, port: int | None = None) -> str:
    """Return where people reach the app: the first of its origins, else this machine's port."""
    origins = config["server.origins"]
    return str(origins[0]) if origins else f"http://127.0.0.1:{port or config['server.port']}"
