"""Who may read a file, and who may put it into a field: the policy of the rows that own it (I78).

Before a row owns a file only who brought it may read it; once none does any more, nobody may. What
a caller can't read he can't put into a row of his own either: else an id would be enough to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument
from pylon.identity import Identity
from pylon.schema.model import Access, Entity, FieldKind, Row
from pylon.server.auth.scopes import may_entity
from pylon.server.functions.authorize import Reader, hidden_fields, may_read
from pylon.server.functions.readset import ReadSet
from pylon.server.storage import files
from pylon.server.storage.files import Owner, StoredFile
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRights:
    """One caller's rights to files, at one moment."""

    definition: AppDefinition
    identity: Identity
    now: str
    reader: Reader
    raw: RawConnection
    #: Notes what is looked at, where somebody follows what comes of it.
    reads: ReadSet | None = None

    def readable(self, file_id: str) -> StoredFile | None:
        """Return a file that the caller may read, or None."""
        if self.reads is not None:
            self._note(self.reads, file_id)
        stored = files.find(self.raw, file_id)
        return stored if stored is not None and self.may_read(stored) else None

    def may_read(self, stored: StoredFile) -> bool:
        """Tell whether the caller may read a file."""
        match stored.state:
            case files.FRESH:
                if self.reads is not None and not self.identity.is_system:
                    self.reads.note_caller()
                return self.identity.is_system or self._is_his(stored)
            case files.OWNED:
                return self.identity.is_system or any(True for _ in self.readable_owners(stored))
            case _:
                return False

    def readable_owners(self, stored: StoredFile) -> Iterator[tuple[Owner, Entity, Row]]:
        """Yield the fields with the file that the caller may read, each with its row."""
        for owner in files.owners_of(self.raw, stored.id):
            entity = self.definition.schema.entities.get(owner.entity)
            field = None if entity is None else entity.by_name.get(owner.field)
            if entity is None or field is None or not may_entity(self.identity, entity.name):
                continue
            row = self.reader.get(entity, owner.row_id)
            if row is not None and self._may_read_field(entity, row, owner.field):
                yield owner, entity, row

    def _note(self, reads: ReadSet, file_id: str) -> None:
        """Note which rows a file is read by: any that hold it, and those that come to."""
        for entity in self.definition.schema.entities.values():
            fields = tuple(one.name for one in entity.fields if one.kind is FieldKind.FILE)
            if fields:
                reads.note_file(entity.name, fields, file_id)

    def _may_read_field(self, entity: Entity, row: Row, name: str) -> bool:
        identity = self.identity
        if identity.is_system:
            return True
        if entity.by_name[name].private:
            return False
        if self.reads is not None:
            self.reads.note_asked(self.definition.policies.get(entity.name, Access.READ))
            self.reads.note_fields(self.definition.policies.fields_of(entity.name))
        facts = (self.definition, identity, entity, row, self.now, self.reader)
        return may_read(*facts) and name not in hidden_fields(*facts)

    def may_attach(self, stored: StoredFile) -> bool:
        """Tell whether the caller may put a file into a field of a row."""
        if self.identity.is_system or self._is_his(stored):
            return True
        if stored.state == files.FRESH:
            # Who brought it is unknown; then knowing the id, which nobody can guess, is the right.
            return stored.uploader is None
        return self.may_read(stored)

    def _is_his(self, stored: StoredFile) -> bool:
        return stored.uploader is not None and stored.uploader == self.identity.principal


def rights_in(
    definition: AppDefinition, identity: Identity, transaction: Transaction
) -> FileRights:
    """Return a caller's rights as they are inside a transaction."""
    return FileRights(
        definition=definition, identity=identity, now=transaction.now, reader=transaction,
        raw=transaction.connection,
    )  # fmt: skip


def resolve_files(
    rights: FileRights, names: tuple[str, ...], given: Mapping[str, Any], row: Row,
    before: Row | None,
) -> None:  # fmt: skip
    """Have the row hold the whole file objects of the ids that were given.

    Args:
        rights: the caller's.
        names: the fields that hold files.
        given: what the caller gave; the fields that are not in it stay.
        row: the coming row, which is changed.
        before: the row as it is; None for an insert.

    Raises InvalidArgument, in the same words, for a file that there is not and one that is not his
    to use.
    """
    for name in names:
        if name not in given or row[name] is None:
            continue
        wanted = row[name]["id"]
        if before is not None and before[name] is not None and before[name]["id"] == wanted:
            row[name] = before[name]
            continue
        stored = files.find(rights.raw, wanted)
        if stored is None or not rights.may_attach(stored):
            raise InvalidArgument(
                f"{name}: there is no such file", field=name,
                hint="upload it first (POST /api/files) and give the id of the answer",
            )  # fmt: skip
        row[name] = stored.to_object()
