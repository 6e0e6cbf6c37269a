"""Every kind of finding is provoked here, and what `--fix` mends is mended."""

from __future__ import annotations

import os
import re
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylon.cli.doctor_checks import (
    entry_findings,
    port_findings,
    remote_findings,
    terminal_findings,
)
from pylon.clock import SystemClock
from pylon.desktop import here
from pylon.server.config import load_config
from pylon.server.doctor import machine as machines
from pylon.server.doctor import project as looks
from pylon.server.doctor.examine import examine
from pylon.server.doctor.findings import Finding
from pylon.server.doctor.machine import Machine, machine_findings
from pylon.server.doctor.project import Project
from pylon.server.storage.place import use_place
from pylon.testing.manual_clock import START_MS, ManualClock

DOCS = Path(__file__).resolve().parents[4] / "docs" / "doctor.md"
GIB = 1024**3
FINE = Machine(
    python=(3, 13, 0), sqlite=(3, 99, 0), has_uvloop=True, is_windows=False, disk_free=50 * GIB,
    disk_total=100 * GIB, files_hard=None, file_system="ext4", now_ms=START_MS,
)  # fmt: skip
TERMINAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
STATUS = {"last_state": "proven", "proven_age_s": 60, "why": "", "last": "b"}


def _kinds(found: Any) -> dict[str, Finding]:
    return {one.kind: one for one in found}


def _machine(
    data: Path = Path("/srv/app/.pylon"), newest: int | None = None, **changes: Any
) -> Any:
    return _kinds(machine_findings(replace(FINE, **changes), data, newest))


def _project(path: Path, *, production: bool = True, **environment: str) -> Project:
    return Project(
        path=path, environment=environment, now_ms=START_MS, is_production=production,
        is_running=False,
    )  # fmt: skip


def test_a_machine_that_is_fine_has_no_findings() -> None:
    """Nothing is said for the sake of saying something."""
    assert _machine() == {}


@pytest.mark.parametrize(
    ("kind", "level", "changes"),
    [
        ("python-old", "error", {"python": (3, 10, 4)}),
        ("sqlite-fault", "note", {"sqlite": (3, 40, 1)}),
        ("uvloop-missing", "note", {"has_uvloop": False}),
        ("disk-full", "warning", {"disk_free": GIB}),
        ("disk-full", "error", {"disk_free": 100 * 1024**2}),
        ("disk-network", "error", {"file_system": "nfs4"}),
        ("disk-synced", "error", {"data": Path("/home/a/Dropbox/app/.pylon")}),
        ("open-files-few", "warning", {"files_hard": 1_024}),
        ("open-files-few", "note", {"files_hard": 8_192}),
        ("clock-behind", "warning", {"newest": START_MS + 3_600_000}),
    ],
)
def test_what_is_wrong_with_a_machine_is_found(
    kind: str, level: str, changes: dict[str, Any]
) -> None:
    """One at a time, with its level, and nothing else."""
    found = _machine(**changes)
    assert {name: one.level for name, one in found.items()} == {kind: level}


def test_edges_of_the_machine() -> None:
    """The first version without a fault, a clock a moment behind, and Windows without uvloop."""
    assert _machine(sqlite=(3, 51, 3)) == {}
    assert "sqlite-fault" in _machine(sqlite=(3, 51, 2))
    assert _machine(newest=START_MS + 60_000) == {}
    assert _machine(has_uvloop=False, is_windows=True) == {}
    assert _machine(files_hard=16_384) == {}


def test_the_machine_is_asked() -> None:
    """The real answers fit, also for a folder that is not there yet."""
    found = Machine.look(Path("/nowhere/at/all/.pylon"), START_MS)
    assert found.disk_total > found.disk_free > 0
    assert found.sqlite == machines.sqlite3_version()


def _settings(tmp_path: Path, toml: str, **environment: str) -> dict[str, Finding]:
    (tmp_path / "pylon.toml").write_text(toml)
    return _kinds(looks.settings_findings(_project(tmp_path, **environment))[1])


GOOD = """
[server]
origins = ["https://a.example"]
[mail]
url = "env:SMTP"
[backup]
to = "file:///mnt/b"
"""


@pytest.mark.parametrize(
    ("toml", "kinds"),
    [
        (GOOD, set()),
        ("[server]\nprot = 1\n", {"settings-wrong"}),
        ("[mail]\nurl = 'env:NOT_SET'\n", {"secret-missing"}),
        (GOOD.replace("env:SMTP", "smtp://u:hunter2@h.example:587"), {"secret-in-settings"}),
        (GOOD.replace('url = "env:SMTP"', ""), {"mail-missing"}),
        (GOOD.replace('origins = ["https://a.example"]', ""), {"origins-missing"}),
        (GOOD.replace('to = "file:///mnt/b"', 'at = ""'), {"backups-unscheduled"}),
        (GOOD.replace('to = "file:///mnt/b"', ""), {"backups-here-only"}),
    ],
)
def test_settings_are_looked_at(tmp_path: Path, toml: str, kinds: set[str]) -> None:
    """Each mistake is one finding; no secret is repeated."""
    found = _settings(tmp_path, toml, SMTP="smtp://localhost:25")
    assert set(found) == kinds
    assert "hunter2" not in str([one.to_json() for one in found.values()])


def test_code_is_read_and_not_run(tmp_path: Path) -> None:
    """A mistake has its line; code that would do something does nothing."""
    project = _project(tmp_path)
    (tmp_path / "app.py").write_text("raise SystemExit\n")
    assert list(looks.code_findings(project)) == []
    (tmp_path / "app.py").write_text("x = 1\nif x\n")
    assert _kinds(looks.code_findings(project))["app-broken"].where == "app.py:2"


def _mended(tmp_path: Path, kind: str) -> None:
    """Mend a kind, and see it gone."""
    finding = _kinds(looks.file_findings(_project(tmp_path)))[kind]
    assert finding.mend is not None
    finding.mend()
    assert kind not in _kinds(looks.file_findings(_project(tmp_path)))


def test_a_folder_that_can_not_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not tried there is not called good; a test as root may write everywhere."""
    (tmp_path / ".pylon").mkdir()
    project = _project(tmp_path)
    assert "folder-read-only" not in _kinds(looks.file_findings(project))
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    found = [one for one in looks.file_findings(project) if one.kind == "folder-read-only"]
    assert [one.where for one in found] == [str(tmp_path), str(tmp_path / ".pylon")]
    assert "was not tried" in found[0].why


def test_rights_are_mended(tmp_path: Path) -> None:
    """Of the data and of .env; nobody but the owner reads them afterwards."""
    data = tmp_path / ".pylon"
    data.mkdir(mode=0o755)
    (data / "app.db").write_bytes(b"")
    (data / "app.db").chmod(0o644)
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / ".env").chmod(0o644)
    _mended(tmp_path, "data-readable")
    _mended(tmp_path, "dotenv-readable")
    for one in (data, data / "app.db", tmp_path / ".env"):
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0


def test_nothing_is_mended_through_a_link(tmp_path: Path) -> None:
    """A folder from somewhere else may have links to what is the user's; a person has to look."""
    project, home = tmp_path / "p", tmp_path / "home"
    (project / ".git").mkdir(parents=True)
    (project / ".pylon").mkdir(mode=0o700)
    (home / "backups").mkdir(parents=True)
    for name in ("env", "ignore", "backups/film.part"):
        (home / name).write_text("mine\n")
        os.utime(home / name, (0, 0))
        (home / name).chmod(0o644)
    home.chmod(0o755)
    (project / ".env").symlink_to(home / "env")
    (project / ".gitignore").symlink_to(home / "ignore")
    (project / ".pylon" / "files").symlink_to(home)
    (project / ".pylon" / "backups").symlink_to(home / "backups")
    found = _kinds(looks.file_findings(_project(project)))
    linked = {"dotenv-readable", "data-readable", "git-not-ignored", "leftovers"}
    assert linked <= found.keys()
    assert not [kind for kind in linked if found[kind].mend is not None]
    (project / ".env").unlink()
    (project / ".env").write_text("MINE=1\n")
    (project / ".env").chmod(0o644)
    assert _kinds(looks.file_findings(_project(project)))["dotenv-readable"].mend is not None


def test_git_is_told_what_to_ignore(tmp_path: Path) -> None:
    """What stands in .gitignore stays, and only what is missing comes."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("dist\n/.env")
    _mended(tmp_path, "git-not-ignored")
    assert (tmp_path / ".gitignore").read_text() == "dist\n/.env\n.pylon\n"


def test_leftovers_are_removed_and_young_ones_are_not(tmp_path: Path) -> None:
    """A copy under way is no leftover."""
    folder = tmp_path / ".pylon" / "backups"
    folder.mkdir(parents=True)
    (folder / ".proof-1").mkdir()
    old, young = folder / ".copy-1.partial", folder / ".copy-2.partial"
    for one in (old, young):
        one.write_bytes(b"")
    for one in (old, folder / ".proof-1"):
        os.utime(one, (0, 0))
    os.utime(young, (START_MS / 1000, START_MS / 1000))
    _mended(tmp_path, "leftovers")
    assert [one.name for one in folder.iterdir()] == [young.name]


def test_files_that_nobody_mends_for_one_are_found(tmp_path: Path) -> None:
    """A large journal, and a branch that nobody uses."""
    data = tmp_path / ".pylon"
    (data / "branches" / "try").mkdir(parents=True)
    os.utime(data / "branches" / "try", (0, 0))
    with (data / "app.db-wal").open("wb") as stream:
        stream.truncate(300 * 1024**2)
    found = _kinds(looks.file_findings(_project(tmp_path)))
    assert {"wal-large", "branch-stale"} <= set(found)
    assert "pylon branch drop try" in found["branch-stale"].fix


def test_the_branch_in_use_is_what_is_looked_at(tmp_path: Path) -> None:
    """Its journal and its rights; nobody is told to drop it; the journal of main is nothing."""
    data = tmp_path / ".pylon"
    folder = data / "branches" / "try"
    folder.mkdir(parents=True)
    (folder / "app.db").write_bytes(b"")
    use_place(data, "try", "t1", before="main")
    os.utime(folder, (0, 0))
    with (data / "app.db-wal").open("wb") as stream:
        stream.truncate(300 * 1024**2)
    assert {"wal-large", "branch-stale"} & set(
        _kinds(looks.file_findings(_project(tmp_path)))
    ) == set()
    (data / "app.db-wal").replace(folder / "app.db-wal")
    (folder / "app.db").chmod(0o644)
    assert _kinds(looks.file_findings(_project(tmp_path)))["wal-large"].where.startswith(
        str(folder)
    )
    _mended(tmp_path, "data-readable")
    assert stat.S_IMODE((folder / "app.db").stat().st_mode) & 0o077 == 0
    found = _kinds(looks.backup_findings(_project(tmp_path), {**STATUS, "proven_age_s": None}))
    assert "backup-unproven" in found, "a database is there, though main has none"


async def test_a_branch_that_is_gone_is_found(tmp_path: Path) -> None:
    """The pointer names nothing: the app would not start, and the round goes on."""
    (tmp_path / "app.py").write_text("")
    (tmp_path / ".pylon" / "branches" / "try").mkdir(parents=True)
    use_place(tmp_path / ".pylon", "try", "t1", before="main")
    (tmp_path / ".pylon" / "branches" / "try").rmdir()
    found = _kinds(
        await examine(tmp_path, ManualClock(), is_production=True, is_running=False, environment={})
    )
    assert "try, is gone" in found["database-unusable"].what
    assert "back to main" in found["database-unusable"].fix
    assert "mail-missing" in found


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, set()),
        ({"last_state": "failed", "why": "no room"}, {"backup-failed"}),
        ({"proven_age_s": None}, {"backup-unproven"}),
        ({"proven_age_s": 3 * 86_400}, {"backup-old"}),
    ],
)
def test_backups_are_looked_at(tmp_path: Path, changes: dict[str, Any], kinds: set[str]) -> None:
    """What is failed, was never proven, or was so long ago."""
    (tmp_path / ".pylon").mkdir()
    (tmp_path / ".pylon" / "app.db").write_bytes(b"")
    found = looks.backup_findings(_project(tmp_path), {**STATUS, **changes})
    assert set(_kinds(found)) == kinds


def test_the_log_is_looked_at(tmp_path: Path) -> None:
    """One that is too short, and clients that it does not reach back to."""
    environment = {"PYLON_LOG_RETAIN_DAYS": "0", "PYLON_LOG_RETAIN_CHANGES": "100"}
    config = load_config(tmp_path, is_dev=False, flags={}, environment=environment)
    figures = {"clients": 5, "clients_beyond": 2, "horizon": "e:7"}
    assert set(_kinds(looks.log_findings(config, figures))) == {"log-short", "clients-behind"}
    config = load_config(tmp_path, is_dev=False, flags={}, environment={})
    assert list(looks.log_findings(config, {**figures, "clients_beyond": 0})) == []


def test_open_policies_are_found() -> None:
    """To write is a warning, to read is a note, with the place."""
    row = {"entity": "Note", "file": "app.py", "line": 9, "flags": [{"name": "open to the world"}]}
    closed = {**row, "access": "delete", "flags": [{"name": "open to every signed-in caller"}]}
    found = list(
        looks.policy_findings([{**row, "access": "read"}, {**row, "access": "update"}, closed])
    )
    assert [(one.kind, one.level, one.where) for one in found] == [
        ("policy-open", "note", "app.py:9"), ("policy-open", "warning", "app.py:9"),
    ]  # fmt: skip


async def test_a_database_that_cannot_be_opened_is_found(tmp_path: Path) -> None:
    """And the rest of the round goes on."""
    (tmp_path / "app.py").write_text("")
    (tmp_path / ".pylon").mkdir()
    (tmp_path / ".pylon" / "app.db").write_bytes(b"no database" * 1_000)
    found = _kinds(
        await examine(tmp_path, ManualClock(), is_production=True, is_running=False, environment={})
    )
    assert {"database-unusable", "data-readable", "mail-missing"} <= set(found)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("terminal-none", {"is_terminal": False}),
        ("terminal-dumb", {"TERM": "dumb", "COLORTERM": "truecolor"}),
        ("terminal-small", {"size": (60, 20)}),
        ("terminal-encoding", {"LANG": "C"}),
        ("terminal-colour", {"NO_COLOR": ""}),
        ("terminal-colours-few", {"TERM": "xterm"}),
        ("terminal-tmux", {"tmux_version": (3, 3)}),
        ("terminal-kitty-keys", {"KITTY_WINDOW_ID": "1", "TMUX": "x"}),
    ],
)
def test_the_terminal_is_looked_at(kind: str, changes: dict[str, Any]) -> None:
    """One thing at a time, and a good one has no finding."""
    given: dict[str, Any] = {"is_terminal": True, "size": (80, 24), "tmux_version": None}
    assert list(terminal_findings(TERMINAL, **given)) == []
    environment = {**TERMINAL, **{name: v for name, v in changes.items() if name not in given}}
    given |= {name: value for name, value in changes.items() if name in given}
    assert set(_kinds(terminal_findings(environment, **given))) == {kind}


def test_who_has_the_port_is_named() -> None:
    """With its process; the project's own runtime is no finding."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (found,) = port_findings("127.0.0.1", port, None)
        assert found.kind == "port-taken"
        assert str(os.getpid()) in found.what
        assert list(port_findings("127.0.0.1", port, 1)) == []
    assert list(port_findings("127.0.0.1", port, None)) == []


def test_an_entry_of_the_menu_that_opens_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None installed, none looked at; `--fix` has it open this Pylon, but over nobody's edits."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert list(entry_findings()) == []
    with monkeypatch.context() as was:
        was.setattr(here, "own", lambda: (str(tmp_path / "gone/pylon"),))
        here.install_here()
    found = _kinds(entry_findings())["menu-entry"]
    assert "there is no" in found.what
    (script,) = tmp_path.glob("share/*/launch.sh")
    good = script.read_text()
    script.write_text("somebody's own")
    assert [one.mend for one in entry_findings()] == [None]
    script.write_text(good)
    assert found.mend is not None
    found.mend()
    assert list(entry_findings()) == []


async def test_a_runtime_elsewhere_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, clock and address; its own findings stand beside."""
    theirs = {"kind": "disk-full", "level": "error"}

    async def answered(*_: Any) -> dict[str, Any]:
        return {"findings": [theirs], "version": "0.0.1", "now_ms": START_MS + 60_000}

    monkeypatch.setattr("pylon.client.admin.AdminClient.get", answered)
    found = await remote_findings("http://app.example", "token", ManualClock())
    kinds = {one["kind"] for one in found}
    assert kinds == {"remote-plain", "remote-version", "clock-skew", "disk-full"}


async def test_a_runtime_elsewhere_that_is_silent_or_refuses() -> None:
    """Nothing listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (found,) = await remote_findings(f"http://127.0.0.1:{port}", "token", SystemClock())
    assert found["kind"] == "remote-silent"


def test_every_kind_is_documented_and_provoked() -> None:
    """The page names each kind that the code has, and this file (or that of the live one) too."""
    folder = Path(looks.__file__).parent
    sources = [*folder.glob("*.py"), folder.parents[1] / "cli" / "doctor_checks.py"]
    kinds = {kind for one in sources for kind in re.findall(r'kind="([a-z-]+)"', one.read_text())}
    kinds |= {"remote-token", "remote-silent"}
    kinds -= {"inet"}  # of sockets
    text = DOCS.read_text()
    assert [one for one in sorted(kinds) if f"`{one}`" not in text] == []
    tests = Path(__file__).read_text()
    live = (DOCS.parents[1] / "tests" / "integration" / "test_doctor.py").read_text()
    assert [one for one in sorted(kinds) if f'"{one}"' not in tests + live] == []
