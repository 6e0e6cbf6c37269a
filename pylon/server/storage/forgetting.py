"""Forgets what is old, a piece at a time, until it is cancelled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

#: Rows of one transaction: others' writes go on between two.
AT_ONCE: Final = 500
_EVERY_SECONDS: Final = 60.0


async def keep_forgetting(
    database: Database, clock: Clock, forget: Callable[[Transaction], int], log: logging.Logger
) -> None:
    """Have old rows go every minute.

    Args:
        database: where they are.
        clock: tells when a minute is over.
        forget: deletes at most `AT_ONCE` of them and returns how many.
        log: gets a warning where the storage is in trouble; it is tried again a minute later.
    """
    while True:
        await clock.sleep(_EVERY_SECONDS)
        try:
            while (await database.writer.submit(forget)).value >= AT_ONCE:
                pass
        except PylonError as error:
            log.warning("%s.not_forgotten %s", log.name.rpartition(".")[2], error.message)
