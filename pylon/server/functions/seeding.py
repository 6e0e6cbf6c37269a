"""The project's seed.py, run once per database as the system.

`def seed(ctx)` is a mutation: all of it or nothing. `async def seed(ctx)` is an action, for more
than one transaction holds; where it may be cut off, `ctx.once` keeps its parts from being done
twice.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from pylon.app.definition import AppDefinition
from pylon.app.functions import ArgSpec, Function, FunctionKind
from pylon.app.seedfile import SEED_FILE, load_seed
from pylon.errors import AppError, PylonError
from pylon.identity import SYSTEM
from pylon.server.functions.context import MutationContext
from pylon.server.functions.executor import Executor
from pylon.server.functions.failures import AppFailed
from pylon.server.storage.database import Database
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.transaction import Transaction

_KEY: Final = "seeded"
_CAUSE: Final = "seed"
#: It may do a lot, and somebody waits for it.
_SECONDS: Final = 120.0
_LINE: Final = re.compile(rf'File ".*{re.escape(SEED_FILE)}", line (\d+)')


async def run_seed(
    database: Database, executor: Executor, definition: AppDefinition, *, again: bool
) -> bool:
    """Run the seed; returns whether it ran, since it does so once.

    Raises NotFound, LoadFailed, AppError naming the line that failed, and what refused a write.
    """
    seed = load_seed(definition.root)
    if not again and meta(database.readers.inline.raw, _KEY) is not None:
        return False
    is_action = inspect.iscoroutinefunction(seed)
    function = Function(
        name=SEED_FILE, kind=FunctionKind.ACTION if is_action else FunctionKind.MUTATION,
        handler=seed if is_action else _marked(seed), arguments=ArgSpec(arguments=()),
        is_internal=True, timeout_s=_SECONDS,
    )  # fmt: skip
    seeded = replace(definition, functions={**definition.functions, SEED_FILE: function})
    try:
        await executor.call_inside(seeded, SYSTEM, SEED_FILE, {}, _CAUSE)
    except AppFailed as error:
        lines = _LINE.findall(error.traceback_text)
        place = f"{SEED_FILE}:{lines[-1]}" if lines else SEED_FILE
        raise AppError(f"{place}: {error.said}", hint=error.hint) from error
    except PylonError as error:
        # What a write or a call was refused for keeps its code, and gets the line that asked.
        if (line := _line_of(error)) is not None:
            error.message = f"{SEED_FILE}:{line}: {error.message}"
        raise
    if is_action:
        await database.writer.submit(_mark)
    return True


def _line_of(error: PylonError) -> int | None:
    """Return the innermost line of the seed that an error went through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.endswith(f"/{SEED_FILE}"):
            return frame.lineno
    return None


def _marked(seed: Callable[[Any], Any]) -> Callable[[MutationContext], None]:
    def whole(ctx: MutationContext) -> None:
        seed(ctx)
        _mark(ctx._transaction)

    return whole


def _mark(transaction: Transaction) -> None:
    set_meta(transaction.connection, _KEY, transaction.now)
