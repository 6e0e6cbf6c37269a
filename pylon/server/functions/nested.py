"""`ctx.run` in queries and mutations: another function inside the same transaction.

It is checked like a call from outside (`allow`, arguments, result), shares time, chance and budget
with its caller, and is all or nothing: who catches what it raises finds nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pylon import limits
from pylon.app.functions import Function, FunctionKind, WrongResult, to_json
from pylon.errors import InvalidArgument, NotFound
from pylon.policy.mistakes import nearest
from pylon.server.functions.authority import authority_of
from pylon.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from pylon.server.functions.call_facts import CallFacts
    from pylon.server.functions.context import Context

#: A function that calls itself for ever is told so before Python's stack ends.
_DEPTH_MAX: Final = 32


def key_of(given: Any) -> str:
    """Return a key as given; raises InvalidArgument for what can't be one."""
    if not isinstance(given, str) or not 1 <= len(given) <= limits.KEY_CHARACTERS_MAX:
        raise InvalidArgument(
            f"key is a text of 1 to {limits.KEY_CHARACTERS_MAX} characters", field="key"
        )
    return given


def once_id(name: str, key: Any) -> str:
    """Return the operation id of what is done once for a key; raises InvalidArgument."""
    text = f"{name}\0{key_of(key)}".encode("utf-8", "surrogatepass")
    return f"once.{hashlib.blake2b(text, digest_size=20).hexdigest()}"


def name_of(given: Any) -> str:
    """Return the name of a function or an entity that is given itself or by its name."""
    return given if isinstance(given, str) else getattr(given, "__name__", str(given))


def function_for(facts: CallFacts, name: str, *, may_write: bool) -> Function:
    """Return a function that may be called from a query or mutation; raises where it is none."""
    functions = facts.definition.functions
    found = functions.get(name)
    if found is None:
        raise NotFound(f"there is no function {name:.64}", hint=nearest(name, functions))
    if found.kind is FunctionKind.QUERY or (may_write and found.kind is FunctionKind.MUTATION):
        if facts.depth >= _DEPTH_MAX:
            raise InvalidArgument(f"functions call each other more than {_DEPTH_MAX} deep")
        return found
    if found.kind is FunctionKind.MUTATION:
        raise InvalidArgument(f"{name} is a mutation, and a query changes nothing")
    hint = f"ctx.jobs.enqueue({name}, …)" if found.kind is FunctionKind.JOB else None
    raise InvalidArgument(
        f"{name} is {'an' if found.kind is FunctionKind.ACTION else 'a'} {found.kind}: it can't run"
        " inside a transaction", hint=hint,
    )  # fmt: skip


def call(
    facts: CallFacts, context: Context, function: Function, args: Mapping[str, Any],
    make: Callable[[CallFacts], Context], lookup: Any,
) -> Any:  # fmt: skip
    """Run a function inside its caller's transaction and return its JSON value.

    Args:
        facts: its caller's.
        context: its caller's; the authority in force there is the nested call's.
        function: what is run.
        args: its arguments.
        make: makes its context.
        lookup: answers an `exists` of its `allow`.
    """
    code = facts.code
    assert code is not None
    if facts.reads is not None:
        facts.reads.note_caller()  # its `allow` may look at him
    decoded = code.arguments(
        facts.definition, function, authority_of(context), to_json(args), facts.now, lookup
    )
    inner = make(facts.nested(authority_of(context)))
    inner.share_chance(context)
    try:
        return function.arguments.encode_result(function.handler(inner, **decoded))
    except WrongResult as error:
        raise code.wrong(function, error) from None


@contextmanager
def all_or_nothing(transaction: Transaction) -> Iterator[None]:
    """Undo what the block wrote where it raises."""
    mark = transaction.mark()
    transaction.connection.execute("SAVEPOINT nested")
    try:
        yield
    except BaseException:
        if transaction.connection.in_transaction:
            transaction.connection.execute("ROLLBACK TO nested")
            transaction.connection.execute("RELEASE nested")
            transaction.go_back(mark)
        raise
    transaction.connection.execute("RELEASE nested")
