"""A ghost: a headless client as somebody else, with a cursor of one's choice, that only reads.

It is the client's own machine on the owner's side of a runtime, so that what it shows is what that
user's browser would hold. What does not live here: how frames are shown (`frames_text`, screens).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.admin import AdminClient
from pylon.client.connection import Connection
from pylon.client.machine import Machine
from pylon.client.rows import Save, WireRow
from pylon.client.shell import Shell
from pylon.client.store import MemoryStore
from pylon.client.subscription import Definition, Subscription
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidArgument, NotFound
from pylon.ids import IdSource
from pylon.protocol.messages import Downstream


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame that the runtime sent, and when it came (ISO)."""

    at: str
    message: Downstream

    @property
    def value(self) -> dict[str, Any]:
        """Return the frame as JSON values."""
        found: dict[str, Any] = jsonvalue.decode_trusted(jsonvalue.encode(self.message))
        return found


class Ghost:
    """Looks at a runtime as `user`; `on_frame` is told every frame."""

    def __init__(
        self, admin: AdminClient, user: str, clock: Clock, on_frame: Callable[[Frame], None]
    ) -> None:
        self._admin = admin
        self.user = user
        self._clock = clock
        self._on_frame = on_frame
        self._ids = IdSource(clock, os.urandom)
        self._machine = Machine(lambda: int.from_bytes(self._ids.random_bytes(6)) / 2**48)
        self._shell: Shell | None = None
        self._moved = asyncio.Event()
        self._refusal: ev.Error | None = None
        #: What the runtime says of the user and of its log.
        self.about: dict[str, Any] = {}
        self.entities: tuple[str, ...] = ()

    async def open(self, *, cursor: str | None = None, entities: Sequence[str] = ()) -> None:
        """Come as the user and begin to follow.

        Args:
            cursor: where this client stands, as a cursor or a number: it gets what came after,
                and believes to hold what was before. None starts from a snapshot.
            entities: what to follow; nothing is everything that is kept in sync.

        Raises AdminError for an unknown user, NotFound for an unknown entity, InvalidArgument
        for a cursor that is none.
        """
        self.about = await self._admin.get(f"admin/ghost/{self._admin.quoted(self.user)}")
        known = self.about["entities"]
        for one in entities:
            if one not in known:
                raise NotFound(f"there is no entity {one}", hint=f"there are: {', '.join(known)}")
        self.entities = tuple(entities or known)
        store = MemoryStore()
        if cursor is not None:
            await self._hold_until(store, self._full(cursor))
        base, token, connector = self._admin.endpoint(
            f"admin/ghost/{self._admin.quoted(self.user)}"
        )
        self._shell = Shell(
            self._machine,
            lambda dispatch: Connection(base, token, self._tap(dispatch), connector),
            store, self._clock, lambda _: self._moved.set(),
        )  # fmt: skip
        await self._shell.start(f"ghost-{self._ids.uuid7()}")
        if cursor is None:
            for place, name in enumerate(self.entities):
                definition = Definition(entity=name, where={})
                self._shell.dispatch(ev.Subscribed(id=f"s{place}", definition=definition))

    def _full(self, cursor: str) -> str:
        """Return a cursor of this lineage for a bare number."""
        epoch, colon, seq = cursor.rpartition(":")
        if not (seq.isascii() and seq.isdigit()) or (colon and not epoch):
            raise InvalidArgument(
                f"{cursor!r} is no cursor", field="cursor", hint="EPOCH:SEQ, or a number"
            )
        return cursor if colon else f"{self.about['head'].rpartition(':')[0]}:{int(seq)}"

    async def _hold_until(self, store: MemoryStore, cursor: str) -> None:
        """Have the store say that everything up to a cursor is held."""
        subscriptions = [
            Subscription(id=f"s{place}", definition=Definition(entity=name, where={}), phase="done")
            for place, name in enumerate(self.entities)
        ]
        save = Save(reset=True, cursor=cursor, puts=[], deletes=[], subscriptions=subscriptions)
        await store.write([ev.Wipe(principal=self.about["user_id"]), ev.SaveReplica(save=save)])

    def _tap(self, dispatch: Callable[[ev.Event], None]) -> Callable[[ev.Event], None]:
        def told(event: ev.Event) -> None:
            if isinstance(event, ev.Received):
                at = iso_ms(self._clock.now_ms())
                self._on_frame(Frame(at=at, message=event.message))
            dispatch(event)

        return told

    async def close(self) -> None:
        """Leave."""
        if self._shell is not None:
            await self._shell.stop()

    # --- what it holds

    @property
    def state(self) -> str:
        """Return the machine's state: offline, connecting, hydrating, live, resyncing, closed."""
        return self._machine.state

    @property
    def cursor(self) -> str | None:
        """Return how far it has come."""
        return self._machine.replica.cursor

    def counts(self) -> dict[str, int]:
        """Return how many rows it holds of each entity."""
        return {name: sum(1 for _ in self._machine.view.rows(name)) for name in self.entities}

    def rows(self, entity: str) -> list[WireRow]:
        """Return the rows of an entity, by id."""
        return sorted(self._machine.view.rows(entity), key=lambda row: str(row["id"]))

    async def live(self, timeout_s: float) -> None:
        """Return when it holds all up to the head it was greeted with; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self._machine.state != "live":
                self._moved.clear()
                await self._moved.wait()
