"""What a doctor looks at in a project, without running its code: settings, secrets, files, backups.

What the app itself says (does it load, are its policies open) comes from whoever has it loaded.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pylon import limits
from pylon.app.matrix import OPEN
from pylon.errors import ConfigError
from pylon.server.background import check_settings
from pylon.server.config import ServerConfig, load_config, load_dotenv
from pylon.server.doctor.findings import ERROR, NOTE, WARNING, Finding
from pylon.server.storage.folder import DATABASE_NAME
from pylon.server.storage.place import MAIN, BranchUnknown, Place, place_in_use

_DAY_MS: Final = 86_400_000
_PROVEN_MS: Final = 2 * _DAY_MS
_WAL_BYTES: Final = 256 * limits.MIB
_STALE_MS: Final = 30 * _DAY_MS
_SECRET: Final = re.compile(r"://[^/@\s:]+:(?!env:)[^/@\s]+@")
_SECRET_KEYS: Final = ("client_secret", "secret_key", "password", "token")
_ENV: Final = "env:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is looked at."""

    path: Path
    environment: Mapping[str, str]
    now_ms: int
    #: It serves others, or is about to.
    is_production: bool
    is_running: bool

    @property
    def data(self) -> Path:
        """Return where its data lies."""
        return self.path / ".pylon"

    @property
    def place(self) -> Place:
        """Return the database in use; main where the pointer names none that is there."""
        try:
            return place_in_use(self.data)
        except BranchUnknown:  # a finding of its own
            return Place(self.data, MAIN)


def settings_findings(project: Project) -> tuple[ServerConfig | None, list[Finding]]:
    """Return the settings, None where they stop a start, and what in them deserves a look."""
    found = list(_secrets(project))
    config = None
    try:
        added = load_dotenv(project.path, project.environment)
        environment = {**project.environment, **added}
        config = load_config(
            project.path, is_dev=not project.is_production, flags={}, environment=environment
        )
        check_settings(config)
    except ConfigError as error:
        config = None
        if not any(one.kind == "secret-missing" for one in found):
            found.append(
                Finding(
                    kind="settings-wrong", level=ERROR, what=error.message, where="pylon.toml",
                    why="the app does not start with it", fix=error.hint or "mend that line",
                )
            )  # fmt: skip
    if config is not None and project.is_production:
        found += _for_others(config)
    return config, found


def _secrets(project: Project) -> Iterator[Finding]:
    path = project.path / "pylon.toml"
    if not path.is_file():
        return
    text = path.read_text("utf-8", "replace")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # the settings say so
    known = {**project.environment, **load_dotenv(project.path, project.environment)}
    for key, value in _texts(tree, ""):
        name = value.removeprefix(_ENV)
        if value.startswith(_ENV) and name not in known:
            yield Finding(
                kind="secret-missing", level=ERROR,
                what=f"{key} wants the environment's {name}, which is not set",
                where="pylon.toml", why="the app does not start without it",
                fix=f"put {name}=… into .env",
            )  # fmt: skip
        is_secret = key.rpartition(".")[2] in _SECRET_KEYS and value
        if not value.startswith(_ENV) and (is_secret or _SECRET.search(value)):
            yield Finding(
                kind="secret-in-settings", level=WARNING, what=f"{key} has a secret in it",
                where="pylon.toml", why="it is committed and copied with the project",
                fix='write "env:NAME" there, and NAME=… into .env',
            )  # fmt: skip


def _texts(tree: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _texts(value, f"{before}{name}.")
        elif isinstance(value, str):
            yield f"{before}{name}", value


def _for_others(config: ServerConfig) -> Iterator[Finding]:
    by_mail = {"magic", "link"} & set(config["auth.methods"])
    if by_mail and not config["mail.url"]:
        yield Finding(
            kind="mail-missing", level=WARNING, what="there is no mail server", where="mail.url",
            why=f"people sign in by {' and '.join(sorted(by_mail))}, and no code reaches them",
            fix='[mail] url = "env:SMTP_URL"; for a few people: pylon login-link USER',
        )  # fmt: skip
    if not config["server.origins"]:
        yield Finding(
            kind="origins-missing", level=NOTE, what="no address is set", where="server.origins",
            why="requests for a name of yours are answered 421, and cookies are not Secure",
            fix='[server] origins = ["https://your.example"]',
        )  # fmt: skip
    if not (config["backup.at"] or config["backup.every"]):
        yield Finding(
            kind="backups-unscheduled", level=WARNING, what="backups have no schedule",
            where="[backup]", why="the day you need one is no day on which you make one",
            fix='[backup] at = "03:00"',
        )  # fmt: skip
    elif not config["backup.to"]:
        yield Finding(
            kind="backups-here-only", level=NOTE, what="backups lie on this machine only",
            where="backup.to", why="they are gone with its disk",
            fix='[backup] to = "s3://bucket/prefix?endpoint=https://…" or "file:///mnt/…"',
        )  # fmt: skip


def code_findings(project: Project) -> Iterator[Finding]:
    """Yield whether the app can be read at all; none of its code runs."""
    for one in ("app.py", "app/__init__.py"):
        path = project.path / one
        if path.is_file():
            try:
                ast.parse(path.read_bytes(), one)
            except (SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None) or 1
                yield Finding(
                    kind="app-broken", level=ERROR, what=str(error), where=f"{one}:{line}",
                    why="the app does not load", fix="mend it; `pylon check` says all mistakes",
                )  # fmt: skip
            return


def _unwritable(project: Project) -> Iterator[Finding]:
    """Yield folders that this user may not write into: what that leaves unknown is said."""
    for one in (project.path, project.data):
        if one.is_dir() and not os.access(one, os.W_OK | os.X_OK):
            yield Finding(
                kind="folder-read-only", level=WARNING, what="you can't write into it",
                where=str(one),
                why="whether the app could start here, and keep data, was not tried",
                fix="chown or remount it; or look as the user that the app runs as",
            )  # fmt: skip


def file_findings(project: Project) -> Iterator[Finding]:
    """Yield what is wrong about the files of the project."""
    data = project.data
    yield from _unwritable(project)
    if data.is_dir() and os.name == "posix":
        yield from _modes(project)
    dotenv = project.path / ".env"
    if dotenv.is_file() and os.name == "posix" and stat.S_IMODE(dotenv.stat().st_mode) & 0o077:
        yield Finding(
            kind="dotenv-readable", level=WARNING, what="others on this machine can read .env",
            where=str(dotenv), why="secrets are in it", fix="chmod 600 .env",
            mend=_own(project, [dotenv], lambda: dotenv.chmod(0o600)),
        )  # fmt: skip
    yield from _ignored(project)
    yield from _leftovers(project)
    wal = project.place.folder / f"{DATABASE_NAME}-wal"
    if wal.is_file() and wal.stat().st_size > _WAL_BYTES:
        yield Finding(
            kind="wal-large", level=WARNING,
            what=f"the journal has {wal.stat().st_size // limits.MIB} MiB", where=str(wal),
            why="starts and reads take longer; something read one state for very long",
            fix="end what reads for long (an export, a copy), or restart the app",
        )  # fmt: skip
    for one in sorted(data.glob("branches/*")):
        is_in_use = project.place.branch == one.name
        if _age_ms(one, project.now_ms) > _STALE_MS and not is_in_use:
            yield Finding(
                kind="branch-stale", level=NOTE, where=str(one),
                what=f"the branch {one.stem} is {_age_ms(one, project.now_ms) // _DAY_MS} days old",
                why="it is a copy of the database, and takes its room",
                fix=f"pylon branch drop {one.stem}",
            )  # fmt: skip


def _own(
    project: Project, those: Iterable[Path], mend: Callable[[], None]
) -> Callable[[], None] | None:
    """Return what mends files, where each of them lies in the project as it is.

    A link of a folder that somebody gave us may lead to the user's home: a person has to look.
    """
    root = project.path.resolve()
    is_own = all(one.resolve() == root / one.relative_to(project.path) for one in those)
    return mend if is_own else None


def _modes(project: Project) -> Iterator[Finding]:
    data, place = project.data, project.place
    databases = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
    parts = (data, *(data / one for one in (*databases, "backups", "files")))
    in_use = () if place.branch == MAIN else (place.folder / one for one in databases)
    open_ = [one for one in (*parts, *in_use) if one.exists()]
    open_ = [one for one in open_ if stat.S_IMODE(one.stat().st_mode) & 0o077]
    if open_:
        yield Finding(
            kind="data-readable", level=WARNING, where=str(data),
            what=f"others on this machine can read {', '.join(one.name for one in open_)}",
            why="accounts, sessions and everybody's rows are in it",
            fix="chmod -R go= .pylon", mend=_own(project, open_, lambda: _close(open_)),
        )  # fmt: skip


def _close(those: list[Path]) -> None:
    for one in those:
        one.chmod(0o700 if one.is_dir() else 0o600)


def _ignored(project: Project) -> Iterator[Finding]:
    if not (project.path / ".git").exists():
        return
    path = project.path / ".gitignore"
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    known = {one.strip().strip("/") for one in lines}
    missing = [one for one in (".pylon", ".env") if one not in known]
    if missing:
        yield Finding(
            kind="git-not-ignored", level=WARNING, where=str(path),
            what=f"git does not ignore {' and '.join(missing)}",
            why="data and secrets would be committed", fix=f"add {', '.join(missing)} to it",
            mend=_own(project, [path], lambda: _append(path, missing)),
        )  # fmt: skip


def _append(path: Path, names: list[str]) -> None:
    before = path.read_text("utf-8") if path.is_file() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    path.write_text(before + "".join(f"{one}\n" for one in names), "utf-8")


def _leftovers(project: Project) -> Iterator[Finding]:
    data = project.data
    patterns = (".copy-*.partial*", "backups/.copy-*.partial*", "backups/.proof-*",
                "backups/*.part")  # fmt: skip
    old = [
        one for pattern in patterns for one in data.glob(pattern)
        if _age_ms(one, project.now_ms) > _DAY_MS
    ]  # fmt: skip
    if old:
        yield Finding(
            kind="leftovers", level=NOTE, where=str(data),
            what=f"{len(old)} temporary files are left of what was cut off", fix="remove them",
            why="they take room, and nobody reads them",
            mend=_own(project, old, lambda: _remove(old)),
        )  # fmt: skip


def _remove(those: list[Path]) -> None:
    for one in those:
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)


def _age_ms(path: Path, now_ms: int) -> int:
    with suppress(OSError):
        return now_ms - int(path.stat().st_mtime * 1000)
    return 0


def backup_findings(project: Project, status: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what deserves a look about backups; `status` is the keeper's."""
    if status["last_state"] == "failed":
        yield Finding(
            kind="backup-failed", level=ERROR, what=f"the last backup failed: {status['why']}",
            where=str(status["last"]), why="there may be none of today when you need it",
            fix="pylon backups create, once what it says is mended",
        )  # fmt: skip
    age_s = status["proven_age_s"]
    if not project.place.path.is_file():
        return
    if age_s is None:
        yield Finding(
            kind="backup-unproven", level=WARNING if project.is_production else NOTE,
            what="no backup was ever proven", where=str(project.data / "backups"),
            why="a backup that nobody has restored is a hope", fix="pylon backups create",
        )  # fmt: skip
    elif age_s * 1000 > _PROVEN_MS and project.is_production:
        yield Finding(
            kind="backup-old", level=WARNING,
            what=f"the last proven backup is {age_s // 86_400} days old",
            where=str(project.data / "backups"), why="what came since would be lost",
            fix="pylon backups create; is the app running at the time of its schedule?",
        )  # fmt: skip


def log_findings(config: ServerConfig, figures: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what deserves a look about the change log; `figures` are those of `log stats`."""
    if config["log.retain_days"] < 1 and config["log.retain_changes"] < limits.RETAIN_CHANGES:
        yield Finding(
            kind="log-short", level=WARNING,
            what=f"the log keeps {config['log.retain_changes']} changes and less than a day",
            where="[log]", why="whoever was away for longer loads everything anew",
            fix="[log] retain_days = 30",
        )  # fmt: skip
    beyond = figures["clients_beyond"]
    if beyond:
        yield Finding(
            kind="clients-behind", level=NOTE, where=f"horizon {figures['horizon']}",
            what=f"{beyond} of {figures['clients']} known clients are from before the horizon",
            why="they load everything anew when they come back",
            fix="nothing, or a longer log: [log] retain_days",
        )  # fmt: skip


def policy_findings(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Yield accesses that are open to the world; `rows` are those of `pylon policies`."""
    for one in rows:
        if any(each["name"] == OPEN for each in one["flags"]):
            yield Finding(
                kind="policy-open", level=NOTE if one["access"] in ("read", "call") else WARNING,
                what=f"anybody may {one['access']} {one['entity']}",
                where=f"{one['file']}:{one['line']}" if one["file"] else one["entity"],
                why="also who is not signed in", fix="say who may: pylon policies",
            )  # fmt: skip
