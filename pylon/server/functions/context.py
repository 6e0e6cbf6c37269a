"""What a function may touch: `ctx.db`, `ctx.auth`, the operation's time, chance and ids.

Time, randomness and ids are fixed per operation, because an operation may be run again.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from pylon.app.functions import Function, FunctionKind, to_json
from pylon.app.rows import AppRow, app_row
from pylon.errors import FunctionTimeout, InvalidArgument, PylonError
from pylon.identity import SYSTEM, Identity
from pylon.ids import RepeatedIds
from pylon.policy.compiled import CompiledFilter
from pylon.policy.filters import compile_filter_text
from pylon.schema.model import Access, Entity, Row
from pylon.server.functions import nested
from pylon.server.functions.account_changes import AccountChanges
from pylon.server.functions.authority import authority_of, noted_authority_of
from pylon.server.functions.authorize import Reader, hidden_fields, readable_row
from pylon.server.functions.call_facts import ActionTools, AuthView, CallFacts
from pylon.server.functions.ctx_files import ActionFiles, ReadFiles, TransactionFiles
from pylon.server.functions.later import (
    ActionJobs,
    ActionMail,
    ReadJobs,
    TransactionJobs,
    TransactionMail,
)
from pylon.server.functions.queries import (
    entity_of,
    filter_of,
    order_of,
    read_clause,
    unusable_everywhere,
    unusable_fields,
)
from pylon.server.functions.readset import RecordingReader
from pylon.server.functions.rowwrites import RowWrites
from pylon.server.functions.workflow_calls import (
    ActionWorkflows,
    ReadWorkflows,
    TransactionWorkflows,
)
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import NO_CLAUSE, SelectSpec, count_rows, list_rows
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import SQLITE_INTERRUPT, OperationalError, RawConnection

T = TypeVar("T")
_LIST_MAX = 10_000
_PROGRESS_STEPS = 20_000
_LATER = ("rooms", "shards")


class Context:
    """The part of a context that all colours share."""

    def __init__(self, facts: CallFacts) -> None:
        self._facts = facts
        self._identities = [facts.identity]
        self._ids = RepeatedIds(facts.seed)

    @cached_property
    def log(self) -> logging.Logger:
        """Return the app's log."""
        return logging.getLogger(f"app.{self._facts.definition.name}")

    @cached_property
    def random(self) -> random.Random:
        """Return the operation's chance: the same where the operation is run again."""
        return random.Random(self._facts.seed)  # noqa: S311 -- must be the same on a re-run

    def share_chance(self, other: Context) -> None:
        """Go on with the chance of a call that this one is nested in: no id is made twice."""
        self.__dict__["random"] = other.random
        self._ids = other._ids

    @property
    def identity(self) -> Identity:
        """Return whose authority is in force, to the app's code."""
        return noted_authority_of(self)

    @property
    def auth(self) -> AuthView:
        """Return who called, also inside `as_system()`."""
        caller = self._facts.identity
        if self._facts.reads is not None:
            self._facts.reads.note_caller()
        return AuthView(caller.user_id, caller.email, caller.roles, caller.claims)

    @property
    def now(self) -> dt.datetime:
        """Return the operation's time, in UTC."""
        if self._facts.reads is not None:
            self._facts.reads.note_time()
        return dt.datetime.fromisoformat(self._facts.now)

    def new_id(self) -> str:
        """Return an id for a new row; the same one where the operation is run again."""
        return self._ids.uuid7(int(self.now.timestamp() * 1000))

    @contextmanager
    def as_system(self) -> Iterator[None]:
        """Lift the policies inside the block."""
        self._identities.append(SYSTEM)
        try:
            yield
        finally:
            self._identities.pop()

    def __getattr__(self, name: str) -> Any:
        """Say of what comes with a later version that it does."""
        if name in _LATER:
            raise PylonError(f"ctx.{name} is not in this version of Pylon")
        raise AttributeError(f"ctx has no {name}")


class ReadDatabase:
    """`ctx.db` of a query: reads with the caller's authority."""

    def __init__(
        self, context: Context, facts: CallFacts, raw: RawConnection, reader: Reader
    ) -> None:
        self._context = context
        self._facts = facts
        self._raw = raw
        self._reader = reader

    @property
    def lookup(self) -> Any:
        """Return what answers an `exists` as this database sees it."""
        return self._reader.exists

    def get(self, entity: Any, row_id: str) -> AppRow | None:
        """Return a readable row, or None."""
        found, reads = self._entity(entity), self._facts.reads
        identity = authority_of(self._context)
        if reads is not None:
            reads.note_row(found.name, row_id)
            if not identity.is_system:
                reads.note_asked(self._facts.definition.policies.get(found.name, Access.READ))
        row = readable_row(
            self._facts.definition, identity, found, row_id, self._facts.now, self._reader
        )
        return None if row is None else self._shown(found, row)

    def first(self, entity: Any, /, **equals: Any) -> AppRow | None:
        """Return the first readable row whose fields equal these, or None."""
        rows = self.list(entity, where=equals, limit=1)
        return rows[0] if rows else None

    def list(
        self, entity: Any, where: Any = None, order: Any = None, limit: int = 1_000,
        args: Mapping[str, Any] | None = None,
    ) -> list[AppRow]:  # fmt: skip
        """Return readable rows; `where` is a filter object or an expression with `args`."""
        found = self._entity(entity)
        if not 1 <= limit <= _LIST_MAX:
            raise InvalidArgument(f"limit is 1 to {_LIST_MAX}", field="limit")
        names = [order] if isinstance(order, str) else order
        spec, selected = self._spec(found, where, args, order=names, limit=limit)
        connection = ReadConnection(self._raw, self._facts.definition.schema, self._tables())
        rows: list[Row] = []
        try:
            rows = self._bounded(lambda: list_rows(connection, spec))
        finally:
            self._note(found, selected, spec, rows[-1] if len(rows) == limit else None)
        return [self._shown(found, row) for row in rows]

    def count(self, entity: Any, where: Any = None, args: Mapping[str, Any] | None = None) -> int:
        """Return the number of readable rows that a filter selects."""
        found = self._entity(entity)
        spec, selected = self._spec(found, where, args)
        self._note(found, selected, spec, None)
        return self._bounded(lambda: count_rows(self._raw, spec))

    def _shown(self, entity: Entity, row: Row) -> AppRow:
        """Return a row for the app's code, without the fields that the caller does not get."""
        if self._facts.reads is not None and not authority_of(self._context).is_system:
            policies = self._facts.definition.policies
            self._facts.reads.note_fields(policies.fields_of(entity.name))
        hidden = hidden_fields(
            self._facts.definition, authority_of(self._context), entity, row, self._facts.now,
            self._reader,
        )  # fmt: skip
        return app_row(entity, row, hidden)

    def _entity(self, entity: Any) -> Entity:
        return entity_of(self._facts.definition, nested.name_of(entity))

    def _tables(self) -> Any:
        return self._reader.tables  # type: ignore[attr-defined]

    def _spec(
        self, entity: Entity, where: Any, args: Mapping[str, Any] | None, order: Any = None,
        limit: int = 1,
    ) -> tuple[SelectSpec, CompiledFilter | None]:  # fmt: skip
        now, identity, reads = self._facts.now, authority_of(self._context), self._facts.reads
        if reads is not None and not identity.is_system:
            reads.note_fields(self._facts.definition.policies.fields_of(entity.name))
        unusable = unusable_fields(self._facts.definition, identity, entity)
        clause, selected = NO_CLAUSE, None
        if where is not None:
            selected = self._filter(entity, where, args, unusable)
            clause = selected.clause(identity, alias="t", now=now, args=selected.args)
        spec = SelectSpec(
            entity=entity, where=clause, order=order_of(entity, order, unusable), limit=limit,
            policy=read_clause(self._facts.definition, identity, entity, now),
        )  # fmt: skip
        return spec, selected

    def _note(
        self, entity: Entity, selected: CompiledFilter | None, spec: SelectSpec, last: Row | None
    ) -> None:
        """Note what a list or a count asks for, where its result is followed."""
        reads, identity = self._facts.reads, authority_of(self._context)
        if reads is not None:
            policies = self._facts.definition.policies
            policy = None if identity.is_system else policies.get(entity.name, Access.READ)
            reads.note_selection(entity.name, policy, selected, identity, spec.order, last)

    def _filter(
        self, entity: Entity, where: Any, args: Mapping[str, Any] | None, unusable: frozenset[str]
    ) -> CompiledFilter:
        if isinstance(where, str):
            definition, reads = self._facts.definition, self._facts.reads
            if reads is not None:  # which fields he can name is asked of all entities
                for fields in definition.policies.fields.values():
                    reads.note_fields(fields)
            return compile_filter_text(
                where, entity=entity, schema=definition.schema, args=to_json(args),
                hidden=unusable_everywhere(definition, authority_of(self._context)),
            )  # fmt: skip
        return filter_of(entity, to_json(where), unusable)

    def _bounded(self, read: Callable[[], T]) -> T:
        """Run a SELECT of the app with an end: only SELECTs can be interrupted harmlessly."""
        deadline, monotonic = self._facts.deadline, self._facts.monotonic
        self._raw.set_progress_handler(lambda: int(monotonic() > deadline), _PROGRESS_STEPS)
        try:
            return read()
        except OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == SQLITE_INTERRUPT:
                raise FunctionTimeout("a read took longer than the function's budget") from error
            raise
        finally:
            self._raw.set_progress_handler(None, 0)


class WriteDatabase(ReadDatabase):
    """`ctx.db` of a mutation."""

    def __init__(self, context: Context, facts: CallFacts, transaction: Transaction) -> None:
        super().__init__(context, facts, transaction.connection, transaction)
        self._transaction = transaction

    def insert(self, entity: Any, /, **values: Any) -> AppRow:
        """Insert a row and return it."""
        found = self._entity(entity)
        return self._shown(found, self._writes().insert(found, values))

    def update(self, entity: Any, row_id: str, /, **values: Any) -> AppRow:
        """Update a row and return it; a value may be `pylon.inc(n)`."""
        found = self._entity(entity)
        writes = self._writes()
        return self._shown(found, writes.update(found, writes.readable(found, row_id), values))

    def delete(self, entity: Any, row_id: str) -> None:
        """Delete a row."""
        writes, found = self._writes(), self._entity(entity)
        writes.delete(found, writes.readable(found, row_id))

    def _writes(self) -> RowWrites:
        return RowWrites(
            self._facts.definition, authority_of(self._context), self._transaction,
            self._context.new_id, is_app=True,
        )  # fmt: skip


class QueryContext(Context):
    """`ctx` of a query."""

    def __init__(self, facts: CallFacts, connection: ReadConnection) -> None:
        super().__init__(facts)
        reads = facts.reads
        reader = connection if reads is None else RecordingReader(connection, reads)
        self._reader: Reader = reader
        self.db = ReadDatabase(self, facts, connection.raw, reader)
        self._connection = connection

    def run(self, function: Any, /, **args: Any) -> Any:
        """Call another query with the authority in force; returns its JSON value."""
        found = nested.function_for(self._facts, nested.name_of(function), may_write=False)
        return nested.call(
            self._facts, self, found, args,
            lambda facts: QueryContext(facts, self._connection), self.db.lookup,
        )  # fmt: skip

    @cached_property
    def files(self) -> ReadFiles:
        """Return what a query may know of files."""
        if self._facts.reads is not None:
            self._facts.reads.note_time()  # no row of the app's tells that a fresh file went
        return ReadFiles(self, self._facts, self._connection.raw, self._reader)

    @cached_property
    def jobs(self) -> ReadJobs:
        """Return what a query may know of jobs."""
        if self._facts.reads is not None:
            self._facts.reads.note_time()  # no row of the app's says when a job has ended
        return ReadJobs(self._connection.raw)

    @property
    def workflows(self) -> ReadWorkflows:
        """Return the runs of workflows, to look at."""
        if self._facts.reads is not None:
            self._facts.reads.note_time()  # nor when a run has moved on
        return ReadWorkflows(self._connection.raw)


class MutationContext(Context):
    """`ctx` of a mutation."""

    def __init__(self, facts: CallFacts, transaction: Transaction) -> None:
        super().__init__(facts)
        self.db = WriteDatabase(self, facts, transaction)
        self._transaction = transaction
        self.files = TransactionFiles(self, facts, transaction)
        self.accounts = AccountChanges(self, transaction)

    def run(self, function: Any, /, **args: Any) -> Any:
        """Call a query or mutation in this very transaction; returns its JSON value.

        With the authority in force. Who catches what it raises finds nothing of it.
        """
        found = nested.function_for(self._facts, nested.name_of(function), may_write=True)
        with nested.all_or_nothing(self._transaction):
            return nested.call(
                self._facts, self, found, args, lambda facts: self._for(found, facts),
                self.db.lookup,
            )  # fmt: skip

    def _for(self, function: Function, facts: CallFacts) -> Context:
        if function.kind is not FunctionKind.QUERY:
            return MutationContext(facts, self._transaction)
        transaction = self._transaction
        schema = facts.definition.schema
        return QueryContext(
            facts, ReadConnection(transaction.connection, schema, transaction.tables)
        )

    @cached_property
    def jobs(self) -> TransactionJobs:
        """Return the jobs, to enqueue and cancel in this transaction."""
        return TransactionJobs(self, self._facts, self._transaction)

    @cached_property
    def workflows(self) -> TransactionWorkflows:
        """Return the workflows, to start, signal and cancel in this transaction."""
        return TransactionWorkflows(self, self._facts, self._transaction)

    @cached_property
    def mail(self) -> TransactionMail:
        """Return how mail is sent, if this transaction is committed."""
        return TransactionMail(self, self._facts, self._transaction)


class ActionContext(Context):
    """`ctx` of an action: reaches data through `run`, and owns no transaction."""

    def __init__(self, facts: CallFacts, tools: ActionTools) -> None:
        super().__init__(facts)
        self._run = tools.run
        self.http = tools.http
        self.jobs = ActionJobs(self, facts, tools.submit, tools.reader)
        self.mail = ActionMail(self, facts, tools.submit)
        self.workflows = ActionWorkflows(self, facts, tools.submit, tools.reader)
        self.files = ActionFiles(self, facts, tools)

    async def run(self, function: Any, /, **args: Any) -> Any:
        """Call a query, a mutation or another action with the authority in force."""
        return await self._run(authority_of(self), nested.name_of(function), to_json(args))

    async def once(self, key: str, function: Any, /, **args: Any) -> Any:
        """Call a mutation once for a key, such as the id of an event that comes twice.

        Again it answers what it answered then, also after a restart. Other arguments under the
        same key are CONFLICT. A key is remembered as long as operation ids are.
        """
        name = nested.name_of(function)
        return await self._run(authority_of(self), name, to_json(args), nested.once_id(name, key))
