"""Settings as they are read: one precedence — flag, environment, pylon.toml, default.

Unknown keys and wrong types stop the start, naming file, line and the nearest known key. What does
not live here: the table of keys (`settings_table`), and how settings are shown (`settings_shown`).
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from pylon.errors import ConfigError
from pylon.server.hosts import is_this_machine
from pylon.server.provider_settings import PROVIDERS, provider_settings
from pylon.server.settings_table import AUTH_METHODS, SETTINGS

_KINDS: Final[Mapping[type, str]] = {
    str: "a text", bool: "true or false", int: "an integer", float: "a number",
    list: "a list of texts",
}  # fmt: skip
_PORT_MAX: Final = 65_535
_ENV: Final = "env:"
_ORIGIN: Final = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")
_ENV_NAME: Final = re.compile(r"PYLON_([A-Z]+)_([A-Z_]+)\Z")
_ENV_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z")
#: Names that a project's .env must not set: they would steer the interpreter.
_ENV_REFUSED: Final = re.compile(r"PATH|PYTHON.*|LD_.*|DYLD_.*|HOME|SHELL|IFS|BASH_ENV|ENV")


#: Takes a mistake of the settings.
Told = Callable[[ConfigError], None]
#: What names a value.
FILE, ENVIRONMENT, FLAG = "pylon.toml", "environment", "flag"


#: The names that a .env has added to this process's environment.
_added: set[str] = set()


@dataclass(frozen=True, slots=True)
class Origin:
    """What named a value: its kind, and the variable or flag; of the file an `env:` it names."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings, and where the project is."""

    project: Path
    is_dev: bool
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: What named each value; those that are as by default are not in it.
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False)

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
    project: Path, *, is_dev: bool, flags: Mapping[str, Any], environment: Mapping[str, str],
    told: Told | None = None,
) -> ServerConfig:  # fmt: skip
    """Return the settings of a project; raises ConfigError naming file, line and key.

    Args:
        project: the project's folder.
        is_dev: development mode.
        flags: values by `section.key` from the command line; None means not given.
        environment: the process environment.
        told: takes each mistake instead of raising it; what is wrong is as by default then.
    """
    told = told or _raise
    values: dict[str, Any] = {key: setting.default for key, setting in SETTINGS.items()}
    values[PROVIDERS] = {}
    origins: dict[str, Origin] = {}
    path = project / "pylon.toml"
    if path.is_file():
        _take(values, origins, FILE, _from_toml(path, environment, told))
    _take(values, origins, ENVIRONMENT, _from_environment(environment, told))
    for key, value in flags.items():
        # Whoever supervises hands on what it read: a flag is what says otherwise.
        if value is not None and value != values[key]:
            values[key], origins[key] = value, Origin(FLAG, f"--{key.partition('.')[2]}")
    for mistake in _beyond_types(values):
        told(mistake)
    return ServerConfig(project, is_dev, values, origins)


def _raise(mistake: ConfigError) -> None:
    raise mistake


def _take(
    values: dict[str, Any], origins: dict[str, Origin], kind: str,
    found: Mapping[str, tuple[Any, str]],
) -> None:  # fmt: skip
    for key, (value, name) in found.items():
        values[key], origins[key] = value, Origin(kind, name)


def _beyond_types(values: Mapping[str, Any]) -> Iterator[ConfigError]:
    """Yield what is wrong with values that have their types."""
    if values["server.durability"] not in ("full", "normal"):
        yield ConfigError("server.durability is full or normal")
    for key, setting in SETTINGS.items():
        is_number = setting.kind in (int, float)
        if is_number and not setting.least <= values[key] < math.inf:
            yield ConfigError(f"{key} is at least {setting.least:g}, not {values[key]}")
    if values["server.port"] > _PORT_MAX:
        yield ConfigError(f"server.port is 0 to {_PORT_MAX}")
    for proxy in values["server.trusted_proxies"]:
        if not _is_network(proxy):
            yield ConfigError(
                f"server.trusted_proxies: {proxy!r} is no address or network",
                hint="such as 127.0.0.1 or 10.0.0.0/8",
            )
    for method in values["auth.methods"]:
        if method not in AUTH_METHODS:
            yield ConfigError(
                f"auth.methods: there is no {method!r}", hint=f"there is {', '.join(AUTH_METHODS)}"
            )
    if ("oauth" in values["auth.methods"]) != bool(values[PROVIDERS]):
        yield ConfigError(
            "auth.methods names oauth, and there is no provider"
            if not values[PROVIDERS]
            else "there are providers, and auth.methods does not name oauth",
            hint='methods = ["magic", "oauth"] and a section [auth.oauth.github] go together',
        )
    for origin in values["server.origins"]:
        if not _ORIGIN.fullmatch(origin):
            yield ConfigError(
                f"server.origins: {origin!r} is no origin",
                hint="scheme and name, and the port where it is unusual: https://chat.example",
            )


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


def _from_toml(
    path: Path, environment: Mapping[str, str], told: Told
) -> dict[str, tuple[Any, str]]:  # fmt: skip
    """Return what the file names: values, each with the variable that its `env:` names."""
    values: dict[str, tuple[Any, str]] = {}
    try:
        text = text_of(path)
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told(ConfigError(f"{path.name}: {error}"))
        return values
    except ConfigError as error:
        told(error)
        return values
    auth = tree.get("auth")
    if isinstance(auth, dict) and "oauth" in auth:
        try:
            found = provider_settings(
                path.name, auth.pop("oauth"), lambda key, value: _resolved(key, value, environment)
            )
            values[PROVIDERS] = found, ""
        except ConfigError as error:
            told(error)
    for section, keys in tree.items():
        if not isinstance(keys, dict):
            told(_unknown(path.name, text, section, section))
            continue
        for name, value in keys.items():
            key = f"{section}.{name}"
            if key not in SETTINGS:
                told(_unknown(path.name, text, key, name))
                continue
            variable = value.removeprefix(_ENV) if _is_env(value) else ""
            try:
                resolved = _resolved(key, value, environment)
                values[key] = _typed(key, resolved, f"{path.name}:{_line(text, name)}"), variable
            except ConfigError as error:
                told(error)
    return values


def text_of(path: Path) -> str:
    """Return a file's text; raises ConfigError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error


def _is_env(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_ENV)


def _resolved(key: str, value: Any, environment: Mapping[str, str]) -> Any:
    if _is_env(value):
        name = value.removeprefix(_ENV)
        if name not in environment:
            raise ConfigError(
                f"{key} wants the environment's {name}, which is not set",
                hint=f"put {name}=… into .env",
            )
        return environment[name]
    return value


def _from_environment(
    environment: Mapping[str, str], told: Told
) -> dict[str, tuple[Any, str]]:  # fmt: skip
    sections = {key.partition(".")[0] for key in SETTINGS}
    values: dict[str, tuple[Any, str]] = {}
    for name, text in environment.items():
        found = _ENV_NAME.match(name)
        if found is None or found[1].lower() not in sections:
            continue
        key = f"{found[1]}.{found[2]}".lower()
        if key not in SETTINGS:
            told(ConfigError(f"{name}: there is no setting {key}", hint=_nearest(key)))
            continue
        try:
            values[key] = _parsed(key, text, name), name
        except ConfigError as error:
            told(error)
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
    for line in text_of(path).splitlines():
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
    added = load_dotenv(project, os.environ)
    _added.update(added)
    os.environ.update(added)


def outer_environment() -> dict[str, str]:
    """Return this process's environment without what a .env has added."""
    return {name: value for name, value in os.environ.items() if name not in _added}


def origin_of(config: ServerConfig, port: int | None = None) -> str:
    """Return where people reach the app: the first of its origins, else this machine's port."""
    origins = config["server.origins"]
    return str(origins[0]) if origins else f"http://127.0.0.1:{port or config['server.port']}"
