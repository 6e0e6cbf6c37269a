"""Settings: which source wins, and every slip told with its place before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.server.config import (
    ConfigError,
    ServerConfig,
    load_config,
    load_dotenv,
    origin_of,
)
from pylon.server.settings_table import SETTINGS


def _load(
    folder: Path, toml: str = "", *, environment: dict[str, str] | None = None, **flags: Any
) -> ServerConfig:
    (folder / "pylon.toml").write_text(toml, encoding="utf-8")
    named = {f"server.{name}": value for name, value in flags.items()}
    return load_config(folder, is_dev=False, flags=named, environment=environment or {})


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    """The first source that names a value wins; a flag that was not given names none."""
    toml = "[server]\nport = 1"
    environment = {"PYLON_SERVER_PORT": "2"}
    assert _load(tmp_path)["server.port"] == 4321
    assert _load(tmp_path, toml)["server.port"] == 1
    assert _load(tmp_path, toml, environment=environment)["server.port"] == 2
    assert _load(tmp_path, toml, environment=environment, port=0)["server.port"] == 0
    assert _load(tmp_path, toml, environment=environment, port=None)["server.port"] == 2


@pytest.mark.parametrize(
    ("toml", "said", "hint"),
    [
        ("[server]\nprot = 1", "pylon.toml:2: there is no setting server.prot", "server.port"),
        ("[servr]\nport = 1", "pylon.toml:2: there is no setting servr.port", "server.port"),
        ("port = 1", "pylon.toml:1: there is no setting port", "server.port"),
        ("\n[server]\n\nport = '1'", "pylon.toml:4: server.port is an integer", None),
        ("[server]\nport = true", "server.port is an integer, not True", None),
        ("[server]\nport = 65536", "server.port is 0 to 65535", None),
        ("[server]\nport = -1", "server.port is at least 0", None),
        ("[server]\norigins = 'https://a.example'", "server.origins is a list of texts", None),
        ("[server]\norigins = [1]", "server.origins is a list of texts", None),
        ("[server]\norigins = ['a.example']", "'a.example' is no origin", "https://"),
        ("[server]\norigins = ['https://a.example/app']", "is no origin", "https://"),
        ("[server]\ndurability = 'off'", "full or normal", None),
        ("[log]\nretain_days = -1", "log.retain_days is at least 0, not -1", None),
        ("[limits]\nsockets = 0", "limits.sockets is at least 1", None),
        ("[limits]\nheartbeat_seconds = 0", "limits.heartbeat_seconds is at least 0.1", None),
        ("[limits]\nheartbeat_seconds = nan", "limits.heartbeat_seconds is at least 0.1", None),
        ("[limits]\nheartbeat_seconds = inf", "limits.heartbeat_seconds is at least 0.1", None),
        ("[mail]\nfrom = 'env:SENDER'", "mail.from wants the environment's SENDER", "SENDER="),
        ("[server", "pylon.toml: ", None),
    ],
)
def test_a_slip_stops_the_start(tmp_path: Path, toml: str, said: str, hint: str | None) -> None:
    """It is told with file, line where there is one, and the nearest name."""
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, toml)
    assert said in raised.value.message
    assert (hint or "") in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PYLON_SERVER_PROT", "1", "there is no setting server.prot"),
        ("PYLON_SERVER_PORT", "http", "PYLON_SERVER_PORT: server.port is an integer, not 'http'"),
        ("PYLON_LIMITS_HEARTBEAT_SECONDS", "nan", "at least 0.1"),
    ],
)
def test_a_slip_in_the_environment_stops_it_too(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    """The message names the variable or the key."""
    with pytest.raises(ConfigError, match=said):
        _load(tmp_path, environment={name: value})


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    """What is no section is not ours to judge; lists come separated by commas."""
    environment = {
        "PYLON_STATE_DIR": "/somewhere", "PYLON_ADMIN_TOKEN": "t", "PYTHONPATH": "x",
        "PYLON_SERVER_ORIGINS": "https://a.example, http://b.example:81,",
    }  # fmt: skip
    config = _load(tmp_path, environment=environment)
    assert config["server.origins"] == ["https://a.example", "http://b.example:81"]
    assert config.is_https
    assert origin_of(config, 99) == "https://a.example"
    assert origin_of(_load(tmp_path), 99) == "http://127.0.0.1:99"


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 stop the start with a word, not with a traceback."""
    (tmp_path / "pylon.toml").write_bytes(b"[server]\nhost = '\xff'")
    with pytest.raises(ConfigError, match=r"pylon\.toml is not UTF-8"):
        load_config(tmp_path, is_dev=True, flags={}, environment={})
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match=r"\.env is not UTF-8"):
        load_dotenv(tmp_path, {})


def test_a_dotenv_adds_and_never_overrides(tmp_path: Path) -> None:
    """Comments and quotes are understood; what would steer the interpreter is not taken."""
    (tmp_path / ".env").write_text(
        "# KEY=comment\nA=1\nexport B = 'two words'\nC=\"x=y\"\nHELD=file\nPYTHONPATH=evil\n"
        "LD_PRELOAD=evil\nPATH=evil\nnot a line\nEMPTY=\n"
    )
    added = load_dotenv(tmp_path, {"HELD": "given"})
    assert added == {"A": "1", "B": "two words", "C": "x=y", "EMPTY": ""}
    assert load_dotenv(tmp_path / "elsewhere", {}) == {}


def test_each_default_is_what_it_may_be() -> None:
    """A default has its setting's type and is not below its least."""
    for key, setting in SETTINGS.items():
        assert type(setting.default) is setting.kind, key
        if setting.kind in (int, float):
            assert setting.default >= setting.least, key
