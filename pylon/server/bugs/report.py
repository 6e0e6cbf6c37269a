"""A report of a problem: a stretch of the change log with pseudonyms, and what helps to read it.

Made over a read-only connection, whether the app runs or not; none of its code runs. What does not
live here: the file (`archive`), and doing the changes again (`replaying`).
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pylon import jsonvalue, limits_data, limits_keeping
from pylon.app.shown_code import ShownCode, shown_code
from pylon.clock import iso_ms
from pylon.schema.fingerprint import schema_to_json
from pylon.schema.masking import Masking
from pylon.schema.model import Row, Schema
from pylon.schema.pseudonyms import Pseudonyms
from pylon.server.bugs import archive
from pylon.server.bugs.happened import Happened
from pylon.server.bugs.settings import ShownSettings, shown_settings
from pylon.server.bugs.words import Words
from pylon.server.functions.replaying import moved, portable
from pylon.server.storage import backup, bug_rows
from pylon.server.storage.accounts import Account
from pylon.server.storage.bug_rows import FailedWork, Refusal
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.log_range import LogRange, read_range
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.place import place_in_use
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.tables import tables_of
from pylon.sqlite import LIBRARY_VERSION, RawConnection
from pylon.version import __version__

_KEY_BYTES: Final = 32
#: The entity whose rows have the ids of accounts.
_USER: Final = "User"
#: Never in it, whatever is asked for.
_NEVER: Final = (
    "tokens, sessions, cookies, passwords and their hashes, second factors",
    "mails, their texts and addresses", "the bytes of files", "the environment, and .env",
)  # fmt: skip
#: Said where the newest changes can't be in it.
_TOO_MANY: Final = (
    f"changes: the newest transaction has more than {limits_data.REPLAY_CHANGES_MAX:,}"
    " (--range names others)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a report is to have."""

    #: Changes from this one, or of this time (Unix ms), on; without either the newest ones.
    since: int | None = None
    since_ms: int | None = None
    #: The last one; None: the newest.
    last: int | None = None
    #: Fields that stay as they are, as `Entity.field`.
    keep: tuple[str, ...] = ()
    with_code: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What others found: the doctor, and the runtime where one runs."""

    doctor: Any = None
    health: Any = None
    policies: Any = None
    calls: Any = None


@dataclass(slots=True)
class Report:
    """The parts of the file, by name, and what to say of them."""

    parts: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Read:
    schema: Schema
    stretch: LogRange | None
    accounts: list[Account]
    jobs: list[FailedWork]
    runs: list[FailedWork]
    refusals: list[Refusal]
    policies: Any
    #: The newest changes were asked for, and are of one transaction that has too many.
    is_too_large: bool


async def make_report(
    project: Path, asked: Asked, looked: Looked, *, now_ms: int, environment: Mapping[str, str],
    key: bytes | None = None,
) -> Report:  # fmt: skip
    """Return the report of a project.

    Args:
        project: its folder.
        asked: which changes, and what stays.
        looked: what the doctor and a running runtime say.
        now_ms: the time.
        environment: whose values are secrets of this machine.
        key: of the pseudonyms; by default of chance, and forgotten.

    Raises NotRetained, InvalidArgument, PayloadTooLarge, Conflict, NotFound, DatabaseUnusable.
    """
    path = place_in_use(project / ".pylon").path
    if not path.is_file():
        raise backup.DatabaseUnusable(
            f"{project.name} has no database yet", hint="it comes with the first start: pylon dev"
        )
    async with backup.opened(path, is_live=True) as reader:
        read = await reader.run(lambda raw: _read(raw, asked))
    settings = shown_settings(project, environment)
    key = key or secrets.token_bytes(_KEY_BYTES)
    code = ShownCode()
    if asked.with_code:
        code = shown_code(project, Pseudonyms(key), settings.secrets)
    pseudonyms = Pseudonyms(key, frozenset(code.literals))
    words = Words(
        pseudonyms, _known(read.schema, code, project), settings.secrets,
        {str(project): "[project]", str(Path.home()): "~"},
    )  # fmt: skip
    maker = _Maker(project, asked, read, pseudonyms, words)
    return maker.report(settings, code, looked, now_ms)


def _read(raw: RawConnection, asked: Asked) -> _Read:
    schema = stored_schema(raw)
    raw.execute("BEGIN")
    try:
        most = limits_keeping.BUG_FAILURES_MAX
        jobs, runs = bug_rows.failed_jobs(raw, most), bug_rows.failed_runs(raw, most)
        refused = bug_rows.refusals(raw, most)
        policies = bug_rows.served_policies(raw)
        span = _span(raw, asked)
        stretch = None
        if span is not None:
            reader = ReadConnection(raw, schema, tables_of(schema))
            stretch = read_range(reader, *span)
        users = [one.actor for one in stretch.changes if one.actor] if stretch else []
        users += [one.user_id for one in (*jobs, *runs) if one.user_id]
        if stretch is not None:
            users += [row["id"] for entity, row in stretch.before if entity.name == _USER]
            users += [one.row_id for one in stretch.changes if one.entity == _USER]
        accounts = bug_rows.accounts_of(raw, users)
        is_too_large = stretch is None and asked.since_ms is None and bug_rows.has_changes(raw)
        return _Read(schema, stretch, accounts, jobs, runs, refused, policies, is_too_large)
    finally:
        raw.execute("ROLLBACK")


def _span(raw: RawConnection, asked: Asked) -> tuple[int, int] | None:
    """Return the first and the last change that are asked for; None where there are none."""
    low, head = bug_rows.bounds(raw)
    first = asked.since
    if asked.since_ms is not None:
        first = bug_rows.first_since(raw, asked.since_ms)
        if first is None:
            return None
    if first is None:
        newest = bug_rows.newest_changes(
            raw, limits_keeping.BUG_CHANGES, limits_data.REPLAY_CHANGES_MAX
        )
        if newest is None:
            return None
        # What is retained by the whole transaction, with what was there before it.
        return max(newest[0], low), newest[1]
    return first, asked.last or max(head, first)


def _known(schema: Schema, code: ShownCode, project: Path) -> Iterable[str]:
    yield from code.words
    for entity in schema.entities.values():
        yield entity.name
        for one in entity.fields:
            yield one.name
            yield from one.choices
        for index in entity.indexes:
            yield index.name


class _Maker:
    def __init__(
        self, project: Path, asked: Asked, read: _Read, pseudonyms: Pseudonyms, words: Words
    ) -> None:
        self._project = project
        self._asked = asked
        self._read = read
        self._pseudonyms = pseudonyms
        self._words = words
        self._masking = Masking(read.schema, pseudonyms, asked.keep)
        self._happened = Happened(pseudonyms, words)

    def report(
        self, settings: ShownSettings, code: ShownCode, looked: Looked, now_ms: int
    ) -> Report:
        """Return the report."""
        read, lines = self._read, self._happened.log_lines(self._project)
        failures = self._happened.failures(read.jobs, read.runs, read.refusals, looked.calls or ())
        schema = schema_to_json(read.schema)
        policies = looked.policies if looked.policies is not None else read.policies
        parts = {
            archive.SCHEMA: _text(schema), archive.SETTINGS: settings.toml,
            "policies.json": "" if policies is None else _text(self._policies(policies)),
            archive.ACCOUNTS: _lines(self._account(one) for one in read.accounts),
            archive.FAILURES: _text(failures),
            "runtime.log": "".join(f"{one}\n" for one in lines),
            "doctor.json": _text(self._words.value(looked.doctor, is_ours=True)),
            "health.json": "" if looked.health is None
            else _text(self._words.value(looked.health, is_ours=True)),
            **self._stretch(),
            **{f"{archive.CODE}{name}": text for name, text in code.files.items()},
        }  # fmt: skip
        for name in [one for one in parts if one.startswith(archive.CODE)]:
            if not archive.is_code(name):
                code.left_out.append(f"{name.removeprefix(archive.CODE)}: its name")
                del parts[name]
        about = self._about(settings, code, now_ms, len(lines))
        parts[archive.ABOUT] = _text(about)
        parts[archive.README] = _readme(about)
        return Report(parts, about)

    def _about(
        self, settings: ShownSettings, code: ShownCode, now_ms: int, lines: int
    ) -> dict[str, Any]:
        read, stretch = self._read, self._read.stretch
        entities = read.schema.entities.values()
        kept = {one.name: self._masking.kept(one) for one in entities}
        return {
            "format": archive.FORMAT, "made_at": iso_ms(now_ms), "app": self._app_name(),
            "pylon": __version__, "python": platform.python_version(), "sqlite": LIBRARY_VERSION,
            "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
            "from": stretch and stretch.first, "to": stretch and stretch.last,
            "changes": len(stretch.changes) if stretch else 0,
            "rows": len(stretch.before) if stretch else 0,
            "accounts": len(read.accounts), "failures": len(read.jobs) + len(read.runs)
            + len(read.refusals), "log_lines": lines, "code": sorted(code.files),
            "kept_fields": {name: fields for name, fields in kept.items() if fields},
            "asked_to_keep": list(self._asked.keep),
            "left_out": [
                *_NEVER,
                *([_TOO_MANY] if read.is_too_large else []),
                *(f"pylon.toml: {one}" for one in settings.taken_out),
                *([] if self._asked.with_code else ["code (--no-code)"]),
                *code.left_out,
                *([f"{code.taken_out} texts of the code that look like secrets"]
                  if code.taken_out else []),
            ],
        }  # fmt: skip

    def _app_name(self) -> str:
        name = "".join(one if one.isalnum() or one in "-_" else "-" for one in self._project.name)
        return name[:64] or "app"

    def _policies(self, found: Any) -> Any:
        """Return policies with the words that the code has: what it read elsewhere may be in them.

        A running app says what its rules became; an address, or a value of the environment, stands
        in them as it is.
        """
        return self._words.value(found, is_ours=True)

    # --- the stretch

    def _stretch(self) -> dict[str, str]:
        stretch, schema = self._read.stretch, self._read.schema
        if stretch is None:
            return {archive.START: "", archive.CHANGES: "", archive.END: ""}
        before = (
            _row(entity.name, row["id"], portable(entity, row))
            for entity, row in ((entity, self._masking.row(entity, row))
                                for entity, row in stretch.before)
        )  # fmt: skip
        after = []
        for entity, row_id, row in stretch.after:
            shown = None if row is None else self._masking.row(entity, row)
            after.append(
                _row(entity.name, self._pseudonyms.id(row_id), shown and portable(entity, shown))
            )
        changes = (self._change(one, schema) for one in stretch.changes)
        return {
            archive.START: _lines(before), archive.CHANGES: _lines(changes),
            archive.END: _lines(after),
        }  # fmt: skip

    def _change(self, record: LogRecord, schema: Schema) -> dict[str, Any]:
        entity = schema.entities[record.entity]

        def shown(row: Row | None) -> Row | None:
            return None if row is None else self._masking.row(entity, row)

        before, after = shown(record.before), shown(record.after)
        values = None if after is None else portable(entity, after)
        if before is not None and after is not None:
            values = moved(entity, before, after)
        return {
            "seq": record.seq, "tx": record.tx, "at": record.at_ms, "kind": record.kind,
            **_row(entity.name, self._pseudonyms.id(record.row_id), values),
            "user": record.actor and self._pseudonyms.id(record.actor),
            "cause": self._happened.cause(record.cause),
        }  # fmt: skip

    def _account(self, account: Account) -> dict[str, Any]:
        email = None if account.email is None else self._pseudonyms.text(account.email, keeps=False)
        return {
            "id": self._pseudonyms.id(account.id), "email": email, "roles": sorted(account.roles),
            "disabled": account.disabled, "guest": account.is_guest, "proven": account.is_proven,
        }  # fmt: skip


def _row(entity: str, row_id: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"entity": entity, "id": row_id, "values": values}


def _text(value: Any) -> str:
    return msgspec.json.format(jsonvalue.encode(value), indent=1).decode() + "\n"


def _lines(values: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{jsonvalue.encode_text(one)}\n" for one in values)


def _readme(about: Mapping[str, Any]) -> str:
    span = f"changes {about['from']} to {about['to']}" if about["changes"] else "no changes"
    code = ", ".join(about["code"]) or "none"
    left = "\n".join(f"  - {one}" for one in about["left_out"])
    kept = "\n".join(
        f"  - {name}: {', '.join(fields)}" for name, fields in about["kept_fields"].items()
    )
    made = f"{about['made_at']} by Pylon {about['pylon']}"
    return f"""A problem of the app {about["app"]}, made {made}.

It has {span} of its log, {about["rows"]} rows that they start from,
{about["accounts"]} accounts, {about["failures"]} failures, {about["log_lines"]} lines of the log.
Code of the app: {code}

Replay it on another machine: pylon bug replay FILE --into FOLDER

Texts were replaced by others of the same shape, equal ones by equal ones: no word, name or address
in rows is one that somebody wrote, except a text that stands in the code too. Of fields that are
private or called like a secret, numbers, times and choices were replaced, too.

Left out:
{left}

Fields whose values stand here as they are:
{kept or "  - none"}

Look before you send it: every part of this file is text.
"""
