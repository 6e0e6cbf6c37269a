"""`running(app)`: the app in this process, with a temporary database, for tests of apps.

async with running("examples/chat") as rt:
    alice, bob = await rt.user("alice@example.com"), await rt.user("bob@example.com")
    channel = await alice.insert("Channel", name="general")
    await alice.insert("Message", channelId=channel.id, body="hi")
    await rt.settled()
    assert bob.rows("Message")[0].body == "hi"
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from pylon.app.policy_coverage import FILE_NAME as COVERAGE_NAME
from pylon.client.client import PylonClient
from pylon.client.connection import ServerRefused
from pylon.client.row import ClientRow
from pylon.client.subscription import seq_of
from pylon.identity import SYSTEM
from pylon.ids import IdSource
from pylon.schema.wire import whole_row, wire_row
from pylon.server.functions.outcome import Status
from pylon.testing.folders import find_project
from pylon.testing.inprocess import URL, InProcessRuntime, config_of
from pylon.testing.manual_clock import ManualClock
from pylon.testing.network import MemoryNetwork

#: Passes of the loop without any news after which nothing more is on its way by itself.
_QUIET_PASSES = 40
_SETTLE_SECONDS = 60.0


class Member:
    """A signed-in user (or nobody) of a running app, with a replica of all that he may see."""

    def __init__(self, client: PylonClient, email: str | None) -> None:
        self.client = client
        self.email = email

    @property
    def user_id(self) -> str | None:
        """Return the user's id."""
        return self.client.user_id

    def rows(
        self, entity: str, where: Mapping[str, Any] | None = None, order: Sequence[str] = ()
    ) -> list[ClientRow]:
        """Return the rows of his replica that match, his own pending mutations on top."""
        return self.client.rows(entity, where, order)

    async def insert(self, entity: str, /, **values: Any) -> ClientRow:
        """Insert a row; returns it as stored. Raises ServerRefused with the server's code."""
        return await self.client.insert(entity, **values)

    async def update(self, entity: str, row_id: str, /, **values: Any) -> ClientRow:
        """Set fields of a row; returns it as stored."""
        return await self.client.update(entity, row_id, **values)

    async def delete(self, entity: str, row_id: str) -> None:
        """Delete a row."""
        await self.client.delete(entity, row_id)

    async def call(self, name: str, /, **args: Any) -> Any:
        """Call a function of the app; returns its value."""
        return await self.client.call(name, **args)

    async def upload(
        self, source: bytes | Path | str, *, name: str | None = None, type: str | None = None
    ) -> dict[str, Any]:
        """Upload bytes or a file; returns the object that a field of a row takes."""
        return await self.client.upload(source, name=name, type=type)


class Running:
    """An app that runs in this process until the test ends."""

    def __init__(
        self, runtime: InProcessRuntime, network: MemoryNetwork, clock: ManualClock,
        stack: AsyncExitStack,
    ) -> None:  # fmt: skip
        self.runtime = runtime
        self.network = network
        #: Stands still but for `advance` and what `settled` has to wait for.
        self.clock = clock
        self._stack = stack
        self._members: list[Member] = []

    async def user(self, email: str, *, roles: Collection[str] | None = None) -> Member:
        """Return a user, signed in and in sync; created where there is none.

        Args:
            email: the address that he signs in with.
            roles: replace his roles; None leaves them.
        """
        services = self.runtime.services
        given = None if roles is None else frozenset(roles)
        issued = await services.sessions.issue(await services.accounts.ensure(email, given))
        return await self._join(email, issued.token)

    async def anonymous(self) -> Member:
        """Return somebody who is not signed in."""
        return await self._join(None, None)

    async def _join(self, email: str | None, token: str | None) -> Member:
        name = email or "anonymous"
        client = PylonClient(
            URL, token=token, clock=self.clock, ids=self.runtime.ids,
            connector=lambda: self.network.connector(name),
        )  # fmt: skip
        member = Member(client, email)
        self._members.append(member)
        _ = await self._stack.enter_async_context(client)
        for entity in self.runtime.services.definitions.current.schema.entities.values():
            if entity.sync:
                client.query(entity.name)
        await self.settled()
        return member

    async def request(
        self, method: str, path: str, *, data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:  # fmt: skip
        """Ask the app over HTTP as somebody outside: webhooks, pages. Returns (status, body)."""
        async with (
            aiohttp.ClientSession(connector=self.network.connector("outside")) as session,
            session.request(method, f"{URL}{path}", data=data, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def set_roles(self, email: str, roles: Collection[str]) -> None:
        """Give a user these roles and no others; his open clients start over as who he is now."""
        await self.runtime.services.accounts.ensure(email, frozenset(roles))

    async def system_insert(self, entity: str, /, **values: Any) -> ClientRow:
        """Insert a row as the system: no policy is asked. For what a test starts from."""
        row_id = values.pop("id", None) or self.runtime.ids.uuid7()
        args = {"entity": entity, "id": row_id, "values": values}
        services = self.runtime.services
        outcome = await services.executor.mutate(
            SYSTEM, "pylon.insert", args, op_id=None, cause="test"
        )
        if outcome.status is not Status.APPLIED:
            raise ServerRefused(outcome.error or {})
        stored = services.database.readers.inline.get(self._entity(entity), row_id)
        assert stored is not None
        return ClientRow(wire_row(self._entity(entity), stored))

    async def replay(
        self, before: Sequence[Sequence[Any]], changes: Sequence[Sequence[Sequence[Any]]]
    ) -> None:
        """Make rows and go through changes, as the system: what `pylon log save` wrote.

        Args:
            before: (entity, id, values) of each row to begin with.
            changes: transactions, each of (kind, entity, id, values); None for a delete.

        Raises ServerRefused where the app does not take one of them.
        """
        from pylon.testing.replaying import replay

        await replay(self, before, changes)

    def stored(self, entity: str, row_id: str) -> dict[str, Any] | None:
        """Return a row's values as they are stored, private ones too; None where there is none."""
        found = self._entity(entity)
        row = self.runtime.services.database.readers.inline.get(found, row_id)
        if row is None:
            return None
        whole = whole_row(found, row)
        return {one.name: whole[one.name] for one in found.fields}

    def _entity(self, name: str) -> Any:
        return self.runtime.services.definitions.current.schema.entities[name]

    async def advance(self, seconds: float) -> None:
        """Move the clock on: heartbeats, waits and expiries of that time happen."""
        await self.clock.advance(seconds, self._quiet)
        await self._quiet()

    async def travel(self, to: str) -> dict[str, Any]:
        """Warp the app's clock as `pylon clock` does: `next`, `+7d`, an ISO time or `reset`.

        What is due on the way runs, each at its time; heartbeats and timeouts notice nothing.
        Returns what GET /api/admin/clock answers.
        """
        warp = self.runtime.services.warp
        assert warp is not None
        await warp.move(to)
        await warp.arrived()
        await self._quiet()
        return warp.describe()

    async def settled(self) -> None:
        """Return when everybody has everything, nothing is pending, and due jobs have run.

        What has to wait (the pause before a reconnection) moves the clock on as far as it needs.
        Raises TimeoutError after a minute of real time.
        """
        async with asyncio.timeout(_SETTLE_SECONDS):
            while True:
                hub = self.runtime.services.hub
                for connection in hub.connections():
                    hub.flush(connection)  # cursors move over what is invisible too
                await self._quiet()
                if self._is_settled():
                    return
                await self.clock.advance_to_next()

    def _is_settled(self) -> bool:
        services = self.runtime.services
        head = services.database.head
        is_idle = services.worker.is_idle and services.workflows.is_idle
        is_idle = is_idle and services.hub.live.is_quiet
        return is_idle and all(
            one.client.is_settled and seq_of(one.client.cursor) >= head for one in self._members
        )

    async def _quiet(self) -> None:
        """Return once nothing moves any more, or everybody is settled."""
        before: object = None
        passes = 0
        while passes < _QUIET_PASSES and not (passes > 2 and self._is_settled()):
            await asyncio.sleep(0 if passes < _QUIET_PASSES // 2 else 0.001)
            now = self._progress()
            is_writing = self.runtime.services.database.writer.pause().locked()
            passes = passes + 1 if now == before and not is_writing else 0
            before = now

    def _progress(self) -> object:
        return (
            self.runtime.services.database.head,
            self.runtime.services.database.writer.batches,
            [(one.client.cursor, one.client.status) for one in self._members],
        )


@asynccontextmanager
async def running(
    app: Path | str, *, policy_coverage: bool | None = None
) -> AsyncIterator[Running]:
    """Run an app in this process, on a temporary database, with a clock that stands still.

    Args:
        app: the project's folder; its own database is not touched. Relative to the working
            directory, or to a folder above it (so that a test runs from anywhere in a project).
        policy_coverage: count which branches of the policies are taken, for
            `pylon policies --coverage`; by default where PYLON_POLICY_COVERAGE is set.

    Raises LoadFailed with every mistake of the app.
    """
    project = find_project(app)
    clock = ManualClock()
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pylon-test-"))
        runtime = InProcessRuntime(
            config_of(project, {}), Path(folder), network, clock=clock,
            ids=seeded_ids(clock),
        )  # fmt: skip
        counts = bool(os.environ.get("PYLON_POLICY_COVERAGE"))
        if policy_coverage is not None:
            counts = policy_coverage
        await runtime.start(
            may_migrate=True, coverage=project / ".pylon" / COVERAGE_NAME if counts else None
        )
        stack.push_async_callback(runtime.stop)
        yield Running(runtime, network, clock, stack)


def seeded_ids(clock: ManualClock) -> IdSource:
    """Return a source of ids that are the same in each run of a test."""
    import random

    return IdSource(clock, random.Random(0).randbytes)  # noqa: S311 -- meant to be repeatable
