"""Files for callers: stored as theirs, found by their rights, deleted by the policy of the rows.

Bytes are the store's (`pylon.server.files`); what the database says of them is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.clock import Clock, iso_ms
from pylon.errors import Conflict, NotFound, PolicyDenied
from pylon.identity import Identity
from pylon.schema.model import Access, Entity, Row
from pylon.server.files.images import Images
from pylon.server.files.pieces import Pieces
from pylon.server.files.store import FileStore, Received
from pylon.server.files.sweeper import Sweeper
from pylon.server.functions.authorize import demand, fresh_identity, identity_now
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.file_rights import FileRights, rights_in
from pylon.server.functions.operation import content_hash
from pylon.server.storage import files, operations
from pylon.server.storage.database import Database
from pylon.server.storage.files import Owner, StoredFile
from pylon.server.storage.transaction import Transaction


class FileService:
    """The files of a runtime, as callers may use them."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, clock: Clock, store: FileStore,
        sweeper: Sweeper, pieces: Pieces,
    ) -> None:  # fmt: skip
        self.store = store
        #: Uploads in pieces.
        self.pieces = pieces
        #: Pictures in other widths.
        self.images = Images(store, clock.monotonic)
        self.sweeper = sweeper
        self._database = database
        self._definitions = definitions
        self._clock = clock

    def start(self) -> None:
        """Begin to sweep."""
        self.sweeper.start()

    async def stop(self) -> None:
        """Sweep no more, and end the threads."""
        await self.sweeper.stop()
        await self.images.stop()
        await self.pieces.stop()
        await self.store.close()

    # --- reading

    def readable(self, identity: Identity, file_id: str) -> StoredFile:
        """Return a file that the caller may read now; raises NotFound."""
        reader = self._database.readers.inline
        rights = FileRights(
            definition=self._definitions.current, identity=identity,
            now=iso_ms(self._clock.now_ms()), reader=reader, raw=reader.raw,
        )  # fmt: skip
        stored = rights.readable(file_id)
        if stored is None:
            raise NotFound("there is no such file, or you may not read it")
        return stored

    def readable_now(self, identity: Identity, file_id: str) -> StoredFile:
        """Return the same for one who came a while ago, by what he may do now."""
        rows = self._database.readers.inline.rows
        return self.readable(identity_now(identity, rows, self._clock.now_ms()), file_id)

    # --- writing

    async def save(
        self, identity: Identity, received: Received, *, name: str, kind: str, cause: str,
        op_id: str | None = None, upload_id: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Store what came in as the caller's, and return its file object.

        Args:
            identity: whose it is.
            received: its bytes.
            name: for people.
            kind: its media type.
            cause: what the log says of it.
            op_id: repeated, it answers the file of the first time.
            upload_id: the upload in pieces that it ends.
        """
        file_id, principal = self.store.new_id(), identity.principal
        asked = {"name": name, "type": kind, "size": received.size, "sha256": received.sha256}
        content = content_hash("pylon.upload", asked)

        def work(transaction: Transaction) -> dict[str, Any]:
            fresh_identity(transaction, identity)
            if op_id is not None and principal is not None:
                before = operations.find(transaction, principal, op_id)
                if before is not None:
                    return _replayed(before, content)
            now_ms = transaction.now_ms
            transaction.actor, transaction.cause = identity.user_id, cause
            transaction.operation_id = op_id
            stored = StoredFile(
                file_id, received.sha256, received.size, kind, name, principal, now_ms,
                files.FRESH, now_ms,
            )  # fmt: skip
            files.add(transaction, stored)
            found = stored.to_object()
            if upload_id is not None:
                files.end_upload(transaction, upload_id, found)
            if op_id is not None and principal is not None:
                outcome = jsonvalue.encode_text({"seq": transaction.seq, "value": found})
                operations.record(transaction, principal, op_id, content, outcome)
            return found

        async with self.store.published(received):
            saved: dict[str, Any] = (await self._database.writer.submit(work)).value
        return saved

    async def delete(self, identity: Identity, file_id: str, *, cause: str) -> None:
        """Have a file go: out of the fields that hold it, by the policy of their rows.

        Raises NotFound where the caller can't read it, PolicyDenied, and Conflict for a field that
        must hold one.
        """

        def work(transaction: Transaction) -> None:
            who = fresh_identity(transaction, identity)
            transaction.actor, transaction.cause = identity.user_id, cause
            delete_in(self._definitions.current, who, transaction, file_id)
            transaction.settle()

        await self._database.writer.submit(work)


def delete_in(
    definition: AppDefinition, identity: Identity, transaction: Transaction, file_id: str
) -> None:
    """Have a file go, inside a transaction; raises as `FileService.delete`."""
    if identity.scope is not None and identity.scope.is_read_only:
        raise PolicyDenied("this token only reads")
    rights = rights_in(definition, identity, transaction)
    stored = rights.readable(file_id)
    if stored is None:
        raise NotFound("there is no such file, or you may not read it")
    holders = list(rights.readable_owners(stored))
    for owner, entity, row in holders:
        _demand_delete(rights, transaction, entity, row, owner)
    for owner, entity, _ in holders:
        row_now = transaction.get(entity, owner.row_id)
        if row_now is not None and row_now[owner.field] is not None:
            transaction.update(entity, row_now, {**row_now, owner.field: None})
    if stored.state == files.FRESH:
        files.release(transaction, stored.id)


def _demand_delete(
    rights: FileRights, transaction: Transaction, entity: Entity, row: Row, owner: Owner
) -> None:
    """Raise unless the policy lets the caller empty the field, or delete the row it is in."""
    field = entity.by_name[owner.field]
    facts = (rights.definition, rights.identity, entity)
    try:
        demand(*facts, Access.DELETE, row, transaction.now, transaction)
    except PolicyDenied:
        if field.immutable:
            raise
        after = {**row, owner.field: None}
        demand(*facts, Access.UPDATE, row, transaction.now, transaction, after=after)
    if not field.nullable:
        raise Conflict(
            f"{entity.name}.{field.name} must hold a file", entity=entity.name, field=field.name,
            hint=f"put another file into it, or delete that {entity.name}",
        )  # fmt: skip


def _replayed(before: operations.StoredOutcome, content: bytes) -> dict[str, Any]:
    """Return what an operation answered the first time; raises Conflict for another one."""
    if before.content != content:
        raise Conflict("this operation id was used for something else")
    outcome: Mapping[str, Any] = jsonvalue.decode_trusted(before.outcome)
    value: dict[str, Any] = outcome["value"]
    return value
