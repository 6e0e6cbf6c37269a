"""One run of a query function whose result is followed: its value or error, and what it read."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue, limits, limits_live
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, FunctionKind
from pylon.clock import Clock, iso_ms
from pylon.errors import FunctionTimeout, InvalidArgument, PayloadTooLarge, PylonError
from pylon.identity import Identity
from pylon.server.auth.scopes import demand_call
from pylon.server.calls import Call, CallBook
from pylon.server.functions.app_code import AppCode, find_function
from pylon.server.functions.context import QueryContext
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.readset import ReadSet, RecordingReader
from pylon.server.storage.apart import Apart
from pylon.server.storage.change_log import read_head
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.statements import counting


@dataclass(frozen=True, slots=True)
class LiveOutcome:
    """What a run came to: JSON text of a value, or an error as it is told."""

    value: str | None
    error: Mapping[str, Any] | None = None

    #: Equal for outcomes that say the same; an internal error has another id each time.
    mark: bytes = field(init=False, compare=False)
    #: Bytes of memory that it takes, about.
    size: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        text = self.value
        if self.error is not None:
            is_internal = self.error["code"] == "INTERNAL"
            text = "INTERNAL" if is_internal else jsonvalue.encode_text(dict(self.error))
        made = hashlib.blake2b(
            (text or "").encode(), digest_size=16, person=_PERSONS[self.error is None]
        )
        object.__setattr__(self, "mark", made.digest())
        object.__setattr__(self, "size", sys.getsizeof(text))


_PERSONS: Final = (b"error", b"value")


@dataclass(frozen=True, slots=True)
class LiveRun:
    """An outcome, the head that it was read at, and what it depends on."""

    outcome: LiveOutcome
    seq: int
    reads: ReadSet
    #: How long it took, in seconds.
    seconds: float = 0.0
    #: What traces it; None where nobody does.
    call: Call | None = None


def followed_function(
    definition: AppDefinition, identity: Identity, name: str, args: Mapping[str, Any]
) -> Function:
    """Return the query function that a caller wants to follow.

    Raises NotFound, InvalidArgument for one of another colour, and PolicyDenied beyond the scope
    of the caller's token.
    """
    function = find_function(definition, name)
    if function.kind is not FunctionKind.QUERY:
        raise InvalidArgument(
            f"{name} is a {function.kind}; only a query can be subscribed to", field="fn"
        )
    demand_call(identity, name, args, is_query=True)
    return function


class LiveRunner:
    """Runs query functions for subscriptions; one per runtime."""

    def __init__(
        self, code: AppCode, database: Database, definitions: DefinitionHolder, clock: Clock,
        calls: CallBook | None = None,
    ) -> None:  # fmt: skip
        self._code = code
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._calls = calls

    def _begin(self, identity: Identity, name: str) -> Call | None:
        user = identity.email or identity.user_id or identity.kind.value
        return None if self._calls is None else self._calls.begin_live(name, user)

    def ended(self, made: LiveRun, followers: int) -> None:
        """Take into the trace that a run ended, and how many share what it came to."""
        call, error = made.call, made.outcome.error
        if call is None or self._calls is None:
            return
        call.followers = followers
        if error is None:
            self._calls.end_live(call)
        else:
            self._calls.end_live(call, error["code"], error["message"])

    @contextmanager
    def _traced(self, call: Call | None) -> Iterator[None]:
        """Have a run that could not be made at all be no run that is under way."""
        try:
            yield
        except BaseException as error:
            if call is not None and self._calls is not None:
                code = error.code if isinstance(error, PylonError) else "INTERNAL"
                self._calls.end_live(call, code, str(error))
            raise

    def run(self, identity: Identity, name: str, args: Mapping[str, Any]) -> LiveRun:
        """Run a function now, in one read transaction; what it throws is its outcome.

        Raises what the storage raises while the file is opened again.
        """
        connection, call = self._database.readers.inline, self._begin(identity, name)
        with self._traced(call):
            connection.raw.execute("BEGIN")
            try:
                return self._run(self._definitions.current, connection, identity, name, args, call)
            finally:
                connection.raw.execute("ROLLBACK")

    async def run_apart(self, identity: Identity, name: str, args: Mapping[str, Any]) -> LiveRun:
        """Run a function on a reader's thread, with the loop free; as `run` otherwise."""
        definition, call = self._definitions.current, self._begin(identity, name)

        def work(connection: ReadConnection) -> LiveRun:
            if call is not None:
                call.runs()  # its turn came
            return self._run(definition, connection, identity, name, args, call)

        with self._traced(call):
            return await self._database.readers.run(
                work,
                timeout_s=max(limits.READ_SECONDS, self._seconds(definition, name)),
                apart=Apart.of(name, self._seconds(definition, name)),
            )

    def takes_long(self, name: str) -> bool:
        """Tell whether a function asked for more time than the loop has for it."""
        return self._seconds(self._definitions.current, name) > limits.FUNCTION_SECONDS

    def _seconds(self, definition: AppDefinition, name: str) -> float:
        function = definition.functions.get(name)
        given = None if function is None else function.timeout_s
        return limits.FUNCTION_SECONDS if given is None else given

    def _run(
        self, definition: AppDefinition, connection: ReadConnection, identity: Identity,
        name: str, args: Mapping[str, Any], call: Call | None,
    ) -> LiveRun:  # fmt: skip
        connection = counting(connection, call)
        reads, started = ReadSet(), self._clock.monotonic()
        seq, _ = read_head(connection.raw)
        try:
            outcome = self._value(definition, connection, identity, name, args, reads)
        except PylonError as error:
            outcome = LiveOutcome(None, error.to_wire())
            if error.is_transient or isinstance(error, FunctionTimeout):
                reads.note_time()  # another time it may end otherwise, over the same rows
        return LiveRun(outcome, seq, reads, self._clock.monotonic() - started, call)

    def _value(
        self, definition: AppDefinition, connection: ReadConnection, identity: Identity,
        name: str, args: Mapping[str, Any], reads: ReadSet,
    ) -> LiveOutcome:  # fmt: skip
        now = iso_ms(self._clock.now_ms())
        # The scope of a token was asked when it subscribed, and stays what it is.
        function = followed_function(definition, identity.unscoped, name, args)
        code = self._code
        lookup = RecordingReader(connection, reads).exists
        if function.allow is None:
            reads.note_sign_in()
        else:
            reads.note_asked(function.allow)
        try:
            decoded = code.arguments(definition, function, identity, args, now, lookup)
        except PylonError:
            reads.note_sign_in()  # nobody is answered 401, whatever else is wrong
            raise
        seconds = self._seconds(definition, name)
        facts = code.facts(definition, identity, now, _seed(name, args), seconds)
        facts.reads = reads
        context = QueryContext(facts, connection)
        text = code.answer(function, lambda: function.handler(context, **decoded), seconds)
        size = len(text.encode())
        if size > limits_live.LIVE_VALUE_BYTES_MAX:
            raise PayloadTooLarge(
                f"the value of {name} has {size} bytes; a live one has at most"
                f" {limits_live.LIVE_VALUE_BYTES_MAX}",
                hint="return less, or subscribe to rows",
            )
        return LiveOutcome(text)


def _seed(name: str, args: Mapping[str, Any]) -> bytes:
    """Return the chance of a followed call: the same at each run, or each would be another."""
    return hashlib.blake2b(jsonvalue.canonical_json([name, args]), digest_size=16).digest()
