"""Settings as the owner sees them: what named each, what waits for a start, and never a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.server.config import load_config
from pylon.server.settings_shown import HIDDEN, settings_shown
from pylon.server.settings_table import SETTINGS

SECRET = "S3CR3T"


def _shown(folder: Path, toml: str = "", dotenv: str = "", **environment: str) -> dict[str, Any]:
    (folder / "pylon.toml").write_text(toml)
    (folder / ".env").write_text(dotenv)
    return settings_shown(folder, environment, is_dev=True)


def _rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in found["settings"]}


def test_each_setting_says_what_named_it_and_where(tmp_path: Path) -> None:
    """Default, line of the file, variable, .env; a line also where only the section is there."""
    rows = _rows(
        _shown(
            tmp_path, "[log]\nretain_days = 3\n[server]\nport = 5000\n",
            "PYLON_JOBS_CONCURRENCY=4\n", PYLON_SERVER_PORT="6000",
        )
    )  # fmt: skip
    assert set(rows) == set(SETTINGS)
    told = {key: (one["origin"], one["where"], one["value"]) for key, one in rows.items()}
    assert told["log.retain_days"] == ("pylon.toml", "pylon.toml:2", 3)
    assert told["server.port"] == ("environment", "PYLON_SERVER_PORT", 6000)
    assert told["jobs.concurrency"] == (".env", "PYLON_JOBS_CONCURRENCY", 4)
    assert told["mail.url"] == ("default", "", "")
    assert (rows["server.host"]["line"], rows["mail.url"]["line"]) == (3, None)
    assert rows["log.retain_days"]["default"] == SETTINGS["log.retain_days"].default
    assert "codegen" in rows["web.package"]["needs"]
    assert all(one["doc"] and one["needs"] and one["kind"] for one in rows.values())


def test_no_secret_is_among_them(tmp_path: Path) -> None:
    """Keys, what `env:` names, passwords of addresses, secrets of providers: all are hidden."""
    found = _shown(
        tmp_path,
        f'[backup]\naccess_key = "{SECRET}"\nsecret_key = "env:KEY"\n'
        f'[mail]\nurl = "smtps://u:a@{SECRET}@mail.example"\n'
        f'[alerts]\nwebhook = "https://hooks.example/{SECRET}"\n'
        '[auth]\nmethods = ["oauth"]\n[auth.oauth.github]\nclient_id = "c"\n'
        f'client_secret = "{SECRET}"\n',
        f"KEY={SECRET}\n",
    )
    assert found["mistakes"] == []
    assert SECRET not in jsonvalue.encode_text(found)
    rows = _rows(found)
    assert rows["backup.secret_key"]["value"] == HIDDEN
    assert rows["backup.secret_key"]["where"] == "pylon.toml:3 (env:KEY)"
    assert rows["mail.url"]["value"] == f"smtps://u:{HIDDEN}@mail.example"
    provider = rows["auth.oauth.github.client_secret"]
    assert (provider["value"], provider["line"]) == (HIDDEN, 12)
    assert rows["auth.oauth.github.client_id"]["value"] == "c"


def test_what_a_running_runtime_has_not_read_yet_waits(tmp_path: Path) -> None:
    """The value in force is the one of its start; beside it stands what the next start takes."""
    (tmp_path / "pylon.toml").write_text("[server]\nport = 5000\n[log]\nretain_days = 3\n")
    given = {"server.port": 5000, "server.host": "0.0.0.0"}
    config = load_config(tmp_path, is_dev=True, flags=given, environment={})
    (tmp_path / "pylon.toml").write_text("[server]\nport = 5001\n[log]\nretain_days = 3\n")
    found = settings_shown(tmp_path, {}, is_dev=True, in_force=config)
    rows = _rows(found)
    port, host, days = rows["server.port"], rows["server.host"], rows["log.retain_days"]
    assert found["is_running"] is True
    assert (port["value"], port["waits"], port["next"]) == (5000, True, 5001)
    assert port["origin"] == "pylon.toml", "a flag that says what the file says names nothing"
    assert (host["origin"], host["waits"], host["next"]) == ("flag", False, "127.0.0.1")
    assert (days["waits"], days["next"]) == (False, None)


def test_all_mistakes_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    """Of names, types, bounds and texts; what follows from another one only is left out."""
    found = _shown(
        tmp_path,
        "[server]\nprot = 1\nport = 70000\n[limits]\nsockets = 'a'\n[jobs]\nqueues = ['x']\n"
        "[auth]\nmethods = ['oauth']\n[auth.oauth.github]\nclient_i = 'x'\n",
        PYLON_LOG_RETAIN_DAYS="many",
    )
    told = {(one["line"], one["message"].partition(":")[0]) for one in found["mistakes"]}
    assert told == {
        (2, "there is no setting server.prot"), (3, "server.port is 0 to 65535"),
        (5, "limits.sockets is an integer, not 'a'"), (7, "jobs.queues"),
        (11, "there is no setting auth.oauth.github.client_i"), (None, "PYLON_LOG_RETAIN_DAYS"),
    }  # fmt: skip
    assert all(one["code"] == "CONFIG_ERROR" for one in found["mistakes"])
    assert not any(one["waits"] for one in found["settings"])


@pytest.mark.timeout(30)
def test_a_mistake_that_quotes_a_long_text_has_its_place_at_once(tmp_path: Path) -> None:
    """A value of a million letters is no key, however many ends of it could begin one."""
    found = _shown(tmp_path, f"[server]\nport = '{'y' * 1_000_000}'\n")
    (mistake,) = found["mistakes"]
    assert mistake["message"].startswith("server.port is an integer, not 'yyy")
    assert (mistake["line"], mistake["column"]) == (2, 1)


@pytest.mark.parametrize("text", ["[server", "\x00"])
def test_a_file_that_is_no_toml_is_one_mistake(text: str, tmp_path: Path) -> None:
    """And the settings are those of the defaults, which is what is read of it."""
    found = _shown(tmp_path, text)
    (mistake,) = found["mistakes"]
    assert (mistake["file"], mistake["line"]) == ("pylon.toml", 1)
    assert {one["origin"] for one in found["settings"]} == {"default"}
