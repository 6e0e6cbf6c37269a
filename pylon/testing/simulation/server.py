"""The server under test: the real runtime on a real file, which can crash and be put back."""

from __future__ import annotations

import asyncio
import contextvars
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.ids import IdSource
from pylon.server.config import ServerConfig
from pylon.server.storage.change_log import read_after, read_head
from pylon.server.storage.folder import DATABASE_NAME
from pylon.sqlite import Connection, Error, InlineEngine, RawConnection
from pylon.testing.inprocess import InProcessRuntime
from pylon.testing.network import MemoryNetwork
from pylon.testing.simulation.oracle import Oracle
from pylon.testing.simulation.virtual_time import OWNER, VirtualClock, VirtualLoop

_FILES = (DATABASE_NAME, f"{DATABASE_NAME}-wal")
_RECORDS_MAX = 100_000


class _WatchedEngine(InlineEngine):
    """Opens connections that take their time, and tells of each run on the writing one."""

    def __init__(self, chance: random.Random, committed: Callable[[RawConnection], None]) -> None:
        super().__init__(self._take_time)
        self._chance = chance
        self._committed = committed
        self.opened: list[Connection] = []

    async def _take_time(self) -> None:
        drawn = self._chance.random()
        await asyncio.sleep(0.0 if drawn < 0.6 else drawn * 0.02)

    async def open_writer(self, path: Path, *, synchronous: str) -> Connection:
        connection = await super().open_writer(path, synchronous=synchronous)
        run = connection.run

        async def watched(function: Any) -> Any:
            def then_look(raw: RawConnection) -> Any:
                result = function(raw)
                self._committed(raw)
                return result

            return await run(then_look)

        connection.run = watched  # type: ignore[method-assign]
        return connection

    async def _open(self, target: str, *, uri: bool) -> Connection:
        connection = await super()._open(target, uri=uri)
        self.opened.append(connection)
        return connection


class SimulatedServer:
    """One lineage after the other of one app's data, in folders under `root`."""

    def __init__(
        self, definition: AppDefinition, config: ServerConfig, root: Path, network: MemoryNetwork,
        clock: VirtualClock, loop: VirtualLoop, oracle: Oracle, seed: int,
    ) -> None:  # fmt: skip
        self.definition = definition
        self._config = config
        self._root = root
        self._network = network
        self._clock = clock
        self._loop = loop
        self._oracle = oracle
        self._chance = random.Random(f"server {seed}")  # noqa: S311 -- meant to be repeatable
        self._lives = 0
        self._folder = root / "data1"
        self._witness = root / "witness"
        self._engine: _WatchedEngine
        self.runtime: InProcessRuntime | None = None
        #: Copies of the files, each with the head that it holds.
        self.backups: list[tuple[Path, int]] = []

    @property
    def running(self) -> InProcessRuntime:
        """Return the runtime; it must be up."""
        assert self.runtime is not None
        return self.runtime

    async def start(self) -> None:
        """Start on the present folder; the oracle takes what it did not know of yet."""
        self._lives += 1
        self._engine = _WatchedEngine(self._chance, self._committed)
        context = contextvars.copy_context()
        context.run(OWNER.set, self.owner)
        starting = self._loop.create_task(self._start(), context=context)
        try:
            self.runtime = await starting
        except asyncio.CancelledError:
            if not starting.cancelled():
                raise

    async def _start(self) -> InProcessRuntime:
        runtime = InProcessRuntime(
            self._config, self._folder, self._network, clock=self._clock,
            ids=IdSource(self._clock, self._chance.randbytes), engine=self._engine,
            definition=self.definition, witness=self._witness,
        )  # fmt: skip
        await runtime.start(may_migrate=True)
        return runtime

    async def edit(self, definition: AppDefinition) -> None:
        """Have the app reloaded as this one; a server that is down starts with it."""
        self.definition = definition
        if self.runtime is not None:
            self.runtime.definition = definition
            answer = await self.runtime.services.reload()
            assert answer["ok"], answer["mistakes"]

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Disable an account, or end that."""
        await self.running.services.accounts.set_disabled(user_id, disabled=disabled)

    @property
    def owner(self) -> str:
        """Return the name under which this life's tasks are known to the loop."""
        return f"server {self._lives}"

    def _committed(self, raw: RawConnection) -> None:
        if raw.in_transaction:
            return
        schema = self.definition.schema
        with suppress(Error):  # before the first start there is no log
            self._oracle.take(read_after(raw, self._oracle.head, _RECORDS_MAX, schema))
            self._oracle.head = max(self._oracle.head, read_head(raw)[0])
            self._oracle.committed()

    async def crash(self) -> None:
        """End as by `kill -9`: what is in the files stays, nothing else does."""
        copy = self._copy(f"data{self._lives + 1}")
        self._network.stop_listening()
        self._network.reset_all()
        self.runtime = None
        await self._loop.end_owner(self.owner)
        for connection in self._engine.opened:
            await connection.close()
        self._folder = copy

    async def stop(self) -> None:
        """End as by SIGTERM."""
        runtime, self.runtime = self.running, None
        context = contextvars.copy_context()
        context.run(OWNER.set, self.owner)
        await self._loop.create_task(runtime.stop(), context=context)
        self._network.reset_all()
        await self._loop.end_owner(self.owner)

    async def give_up(self) -> None:
        """End whatever is left of it; nothing is kept."""
        await self._loop.end_owner(self.owner)
        for connection in self._engine.opened:
            await connection.close()

    def back_up(self) -> None:
        """Keep a copy of the files as they are."""
        copy = self._copy(f"backup{len(self.backups) + 1}")
        self.backups.append((copy, self._oracle.head))

    def would_be_noticed(self, which: int) -> bool:
        """Tell whether a copy is older than the witness knows of, or as new as the database.

        The witness is written once a second: what a copy lacks of the last second goes unnoticed.
        """
        _, head = self.backups[which % len(self.backups)]
        if head == self._oracle.head:
            return True
        seen = [jsonvalue.parse(one.read_bytes()) for one in self._witness.glob("*.json")]
        return bool(seen) and int(seen[0]["head"]) > head

    def put_back(self, which: int) -> int:
        """Have the next start find an older copy in place, behind its back; return its head."""
        source, head = self.backups[which % len(self.backups)]
        self._folder = self._root / f"restored{self._lives}"
        shutil.copytree(source, self._folder)
        return head

    def _copy(self, name: str) -> Path:
        target = self._root / name
        target.mkdir()
        for one in _FILES:
            if (self._folder / one).exists():
                shutil.copyfile(self._folder / one, target / one)
        return target
