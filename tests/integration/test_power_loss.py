"""Loss of power: whatever of the unsynced writes reached the disk, the database is right (I2).

The writes and syncs of a real run are recorded by strace. Then the power fails after each of them,
many times: what was synced is there; of what was not, any part may be. The files so left are opened
and held to what had been acknowledged by then.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.verify import verify
from tests.conftest import ROOT

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
STATES = 250 * SCALE
_CALLS = "openat,write,pwrite64,fdatasync,fsync,ftruncate,unlink,unlinkat"
_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)")
_FILE = re.compile(r"^\d+<([^>]*)>")
_SECTOR = 512


@dataclass
class Event:
    """Something that happened to a file, or an acknowledgement."""

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass
class Disk:
    """One file: what is on it for good, and what may or may not have reached it yet."""

    durable: bytearray = field(default_factory=bytearray)
    is_there: bool = False
    pending: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.durable, event)
        self.pending, self.is_there = [], True

    def after_loss(self, chance: random.Random) -> bytes | None:
        """Return what is found afterwards; None where there is no such file."""
        if not self.is_there and chance.random() < 0.5:
            return None
        content = bytearray(self.durable)
        how = chance.choice(["none", "all", "some", "torn"])
        for event in self.pending:
            if how == "all" or (how != "none" and chance.random() < 0.6):
                _apply(content, _torn(event, chance) if how == "torn" else event)
        return bytes(content)


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
    if len(content) < event.offset:
        content.extend(bytes(event.offset - len(content)))
    content[event.offset : event.offset + len(event.data)] = event.data


def _torn(event: Event, chance: random.Random) -> Event:
    """Keep the first or the last sectors of a write."""
    cut = chance.randrange(0, len(event.data) + 1, _SECTOR) if event.data else 0
    if chance.random() < 0.5:
        return Event(event.kind, event.name, event.offset, event.data[:cut])
    return Event(event.kind, event.name, event.offset + cut, event.data[cut:])


def _record(folder: Path, durability: str) -> list[Event]:
    """Run the worker under strace; return what it did to the database's files, in order."""
    trace = folder / "trace"
    subprocess.run(
        ["strace", "-f", "-y", "-xx", "-s", "1000000", "-qq", "-e", f"trace={_CALLS}",
         "-o", str(trace), sys.executable, "-m", "tests.integration.power_worker",
         str(folder / ".pylon"), durability],
        cwd=ROOT, check=True, timeout=60, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    events, begun = [], dict[str, str]()
    for line in trace.read_text().splitlines():
        found = _LINE.match(line)
        assert found is not None, line[:200]
        process, text = found[1], found[2]
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if text.startswith("<... "):
            text = begun.pop(process) + text.partition("resumed>")[2]
        event = _event(text)
        if event is not None:
            events.append(event)
    return events


def _event(text: str) -> Event | None:
    call = _CALL.match(text)
    if call is None or int(call[3]) < 0:
        return None
    name, given = call[1], call[2]
    if name == "write":
        data = _bytes(given)
        return Event("ack", data=data) if data.startswith(b"ack ") else None
    if name in ("openat", "unlink", "unlinkat"):
        path = _bytes(given).decode()
        if name == "openat" and "O_CREAT" not in given:
            return None
    else:
        found = _FILE.match(given)
        path = "" if found is None else bytes.fromhex(found[1].replace("\\x", "")).decode() \
            if found[1].startswith("\\x") else found[1]  # fmt: skip
    file = Path(path).name
    if file not in ("app.db", "app.db-wal"):
        return None
    if name == "pwrite64":
        return Event("write", file, int(given.rpartition(", ")[2]), _bytes(given))
    if name == "ftruncate":
        return Event("truncate", file, int(given.rpartition(", ")[2]))
    kinds = {"fdatasync": "sync", "fsync": "sync", "openat": "create"}
    return Event(kinds.get(name, "unlink"), file)


def _bytes(given: str) -> bytes:
    text = given.partition('"')[2].rpartition('"')[0]
    assert not given.rstrip().endswith("..."), "strace has cut it"
    return bytes.fromhex(text.replace("\\x", ""))


def _losses(events: list[Event], seed: int) -> list[tuple[dict[str, bytes], list[int]]]:
    """Return files as they may be found, and what was acknowledged, all over the run."""
    chance = random.Random(seed)
    each, rest = divmod(STATES, len(events))
    extra = set(chance.sample(range(len(events)), rest))
    disks: dict[str, Disk] = {"app.db": Disk(), "app.db-wal": Disk()}
    acknowledged: list[int] = []
    states = []
    for place, event in enumerate(events):
        disk = disks.get(event.name)
        if event.kind == "ack":
            acknowledged += [int(one) for one in re.findall(rb"ack (\d+);", event.data)]
        elif event.kind == "sync":
            assert disk is not None
            disk.sync()
        elif event.kind == "unlink":
            disks[event.name] = Disk()  # SQLite unlinks a journal that is copied back and synced
        elif event.kind != "create":
            assert disk is not None
            disk.pending.append(event)
        for _ in range(each + (place in extra)):
            found = {name: one.after_loss(chance) for name, one in disks.items()}
            files = {name: one for name, one in found.items() if one is not None}
            states.append((files, list(acknowledged)))
    return states


@pytest.mark.slow
@pytest.mark.timeout(600 * SCALE)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("durability", ["full", "normal"])
def test_what_a_loss_of_power_leaves_is_right(tmp_path: Path, durability: str) -> None:
    """`full`: all that was acknowledged; `normal`: a beginning of it. Always the fold."""
    events = _record(tmp_path, durability)
    kinds = {event.kind for event in events}
    assert {"write", "sync", "ack"} <= kinds, "the trace says what happened"
    assert sum(event.kind == "ack" for event in events) > 100
    lost = 0
    for number, (files, acknowledged) in enumerate(_losses(events, 1)):
        folder = tmp_path / "found"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        done = _done(folder / "app.db")
        missing = set(acknowledged) - done
        lost += bool(missing)
        assert not (missing and durability == "full"), (number, missing)
        assert done == set(range(len(done))), "nothing newer is there where something older is not"
    assert lost > 0 or durability == "full", "the weaker promise is the weaker one"


def _done(path: Path) -> set[int]:
    """Return which operations a found database has, after it was held to itself."""
    database = sqlite3.connect(path)
    try:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return set()  # the power failed before there was anything
        assert verify(database, stored_schema(database)) == []
        rows = database.execute("SELECT op_id FROM _pylon_ops").fetchall()
        return {int(op_id.removeprefix("op-")) for (op_id,) in rows}
    finally:
        database.close()
