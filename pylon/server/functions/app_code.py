"""The app's own functions: finding them, who may call them, their arguments, their budget."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pylon import jsonvalue, limits, sqlite
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, WrongResult, to_json
from pylon.clock import Clock
from pylon.errors import (
    InvalidArgument,
    NotFound,
    PolicyDenied,
    PylonError,
    Refused,
    Unauthenticated,
)
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource
from pylon.policy import ir
from pylon.policy.compiled import ExistsLookup
from pylon.policy.mistakes import nearest
from pylon.policy.slots import walk
from pylon.server.functions.authorize import Denial
from pylon.server.functions.budget import Budget
from pylon.server.functions.call_facts import CallFacts
from pylon.server.functions.failures import (
    AppFailed,
    Uncommon,
    demand_part_fits,
    demand_refusal_fits,
    demand_result_fits,
    described,
)
from pylon.server.mail.mailer import Mailer
from pylon.server.storage.database import Database

T = TypeVar("T")
_log = logging.getLogger("pylon.functions")
#: What an exception gets to say what it is.
_TEXT_SECONDS: Final = 0.1


class AppCode:
    """Runs the app's own code; what it throws harms only itself (I88)."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource, mailer: Mailer) -> None:
        self._database = database
        self._mailer = mailer
        self._clock = clock
        self._ids = ids
        self._budget = Budget()

    def arguments(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], now: str, lookup: ExistsLookup | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Judge `allow` and decode the arguments: 401, INVALID_ARGUMENT, POLICY_DENIED.

        `lookup` answers an `exists`: a mutation's own transaction, which sees what others of its
        batch revoked (I60). Without it, what is committed does.
        """
        lookup = lookup or self._database.readers.inline.exists
        is_anonymous = identity.kind is IdentityKind.ANONYMOUS
        if function.allow is None:
            if is_anonymous:
                raise Unauthenticated()
            return function.arguments.decode(args)
        try:
            decoded = function.arguments.decode(args)
        except InvalidArgument:
            if is_anonymous and not self._is_open(function, identity, now, lookup):
                raise Unauthenticated() from None
            raise
        if not self._is_allowed(function, identity, decoded, now, lookup):
            if is_anonymous:
                raise Unauthenticated()
            denied = PolicyDenied(f"the policy does not allow you to call {function.name}")
            denied.denial = Denial(
                definition=definition, identity=identity, now=now, policy=function.allow,
                args=to_json(decoded),
            )  # fmt: skip
            raise denied
        return decoded

    def _is_open(
        self, function: Function, identity: Identity, now: str, lookup: ExistsLookup
    ) -> bool:
        """Tell whether `allow` lets the caller in whatever he says."""
        assert function.allow is not None
        asks_arguments = any(isinstance(one, ir.Argument) for one in walk(function.allow.condition))
        return not asks_arguments and self._is_allowed(function, identity, {}, now, lookup)

    def _is_allowed(
        self, function: Function, identity: Identity, decoded: Mapping[str, Any], now: str,
        lookup: ExistsLookup,
    ) -> bool:  # fmt: skip
        assert function.allow is not None
        return identity.is_system or function.allow.allows(
            identity, None, now=now, args=to_json(decoded),
            lookup=lookup,
        )  # fmt: skip

    def facts(
        self, definition: AppDefinition, identity: Identity, now: str, seed: bytes, seconds: float,
        cause: str | None = None,
    ) -> CallFacts:  # fmt: skip
        """Return what is fixed for one call."""
        return CallFacts(
            definition=definition, identity=identity.unscoped, now=now, seed=seed,
            deadline=self._clock.monotonic() + seconds, monotonic=self._clock.monotonic,
            now_ms=self._clock.now_ms, mailer=self._mailer, cause=cause, code=self,
        )  # fmt: skip

    def run(self, function: Function, handler: Callable[[], T], seconds: float) -> T:
        """Run a handler within its budget; whatever it throws but our errors becomes Internal."""
        try:
            return self._budget.run(handler, seconds, function.name)
        except sqlite.Error:
            raise
        except PylonError as error:
            self.check_refusal(function.name, error)
            raise
        except WrongResult as error:
            raise self.wrong(function, error) from None
        except BaseException as error:  # noqa: BLE001 -- SystemExit, too, harms its call alone
            raise self.internal(function.name, error) from None

    async def stop(self) -> None:
        """End functions on threads: they would keep the runtime from stopping."""
        self._budget.stop()

    def answer(self, function: Function, handler: Callable[[], Any], seconds: float) -> str:
        """Run a handler and return its result as JSON text, all of it within the budget.

        Raises Internal where the result is not what was declared, PayloadTooLarge.
        """

        def whole() -> str:
            value = function.arguments.encode_result(handler())
            return demand_result_fits(jsonvalue.encode_text(value), function.name)

        return self.run(function, whole, seconds)

    def result(self, function: Function, value: Any) -> Any:
        """Return the JSON value of a result; Internal where it is not what was declared."""
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        return self.run(function, lambda: function.arguments.encode_result(value), seconds)

    def part(self, function: Function, value: Any) -> str:
        """Return the JSON text of one part of a stream; raises as `answer`."""

        def whole() -> str:
            return demand_part_fits(
                jsonvalue.encode_text(function.arguments.encode_part(value)), function.name
            )

        return self.run(function, whole, limits.FUNCTION_SECONDS)

    def wrong(self, function: Function, error: WrongResult) -> AppFailed:
        """Log that a function gave something else than it says, and where it stands."""
        error_id = self._ids.uuid7()
        code = getattr(inspect.unwrap(function.handler), "__code__", None)
        place = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}: "
        text = f"{place}{error}"
        _log.error("function.failed %s id=%s\n%s", function.name, error_id, text)
        return AppFailed(
            f"{function.name} failed; the log has the details under {error_id}", id=error_id,
            said=str(error), traceback_text=text,
        )  # fmt: skip

    def check_refusal(self, name: str, error: PylonError) -> None:
        """Raise Internal where what the app refused with can't be answered."""
        if not isinstance(error, Refused):
            return
        try:
            demand_refusal_fits(error)
        except Exception as trouble:  # noqa: BLE001 -- details are whatever the app put there
            raise self.internal(name, trouble) from None

    def internal(self, name: str, error: BaseException) -> AppFailed:
        """Log what a function threw and return what its caller may know."""
        if isinstance(error, Uncommon):
            error = error.thrown
        error_id = self._ids.uuid7()
        said, text = described(
            error, lambda ask: self._budget.run(ask, _TEXT_SECONDS, "the text of an exception")
        )
        _log.error("function.failed %s id=%s\n%s", name, error_id, text)
        hint = None
        if isinstance(error, MemoryError):
            hint = "it asked for more memory than there is: do the work in smaller pieces"
        return AppFailed(
            f"{name} failed; the log has the details under {error_id}", hint=hint, id=error_id,
            said=said, traceback_text=text,
        )  # fmt: skip


def find_function(definition: AppDefinition, name: str) -> Function:
    """Return a function that may be called from outside; raises NotFound."""
    function = definition.functions.get(name)
    if function is None or function.is_internal:
        known = [one.name for one in definition.functions.values() if not one.is_internal]
        raise NotFound(f"there is no function {name}", hint=nearest(name, known))
    return function
