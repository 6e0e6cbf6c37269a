"""In development refusals say why: to who was refused, and in the runtime's log.

Explained after the answer of the database, over what is committed then, so that nothing of it is
stored with an operation. What does not live here: explanations (`why`). In `serve` there is no
such object (I73).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.clock import Clock, iso_ms
from pylon.errors import PolicyDenied, PylonError
from pylon.identity import Identity
from pylon.policy.explain import ANSWERS, Explanation
from pylon.schema.model import Access
from pylon.server.functions.authorize import Denial
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.outcome import Outcome, Status
from pylon.server.functions.why import explain_denial
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.sqlite import Error

_log = logging.getLogger("pylon.policy")
#: A hidden row is looked into when its answer is long sent, so that the answer takes no longer.
_LATER_SECONDS: Final = 0.05
_WAITING_MAX: Final = 20
_LOGGED_MAX: Final = 600


class Reasons:
    """Explains what was refused; one per runtime of `pylon dev`."""

    def __init__(self, database: Database, definitions: DefinitionHolder, clock: Clock) -> None:
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._waiting: set[asyncio.Task[None]] = set()
        #: Explanations by (principal, operation id), the oldest first.
        self._remembered: dict[tuple[str | None, str | None], dict[str, Any]] = {}

    async def add_to(
        self, identity: Identity, outcomes: Sequence[Outcome], op_ids: Sequence[str | None]
    ) -> None:
        """Put the explanation into `details.explain` of what a policy refused.

        A repeated operation gets that of the first time, while this process remembers it.
        """
        for outcome, op_id in zip(outcomes, op_ids, strict=True):
            denial, outcome.denial = outcome.denial, None
            key = (identity.principal, op_id)
            if outcome.status is Status.DUPLICATE and outcome.error is not None:
                _add(outcome, self._remembered.get(key))
                continue
            if not isinstance(denial, Denial) or outcome.error is None:
                continue
            if denial.access is Access.READ:  # hidden: the same answer as for a missing row
                self._later(denial)
                continue
            found = await self._explained(denial)
            if found is None or found.is_allowed:  # what it stood on was undone with it
                continue
            _log.info("%s", _line("policy.denied", denial, found))
            _add(outcome, _bounded(found))
            if op_id is not None:
                self._remember(key, _bounded(found))

    def _remember(self, key: tuple[str | None, str | None], explained: dict[str, Any]) -> None:
        self._remembered[key] = explained
        while len(self._remembered) > limits.EXPLAINED_OPERATIONS_MAX:
            del self._remembered[next(iter(self._remembered))]

    @property
    def size(self) -> int:
        """Return how many refusals are remembered."""
        return len(self._remembered)

    async def stop(self) -> None:
        """Look into nothing more."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    def note_hidden(self, identity: Identity, entity_name: str, row_id: str) -> None:
        """Log why a row was not shown, if it is there at all."""
        definition = self._definitions.current
        entity = definition.schema.entities.get(entity_name)
        if entity is None:
            return
        self._later(
            Denial(
                definition=definition, identity=identity, now=iso_ms(self._clock.now_ms()),
                entity=entity, access=Access.READ, row={"id": row_id},
            )
        )  # fmt: skip

    def _later(self, denial: Denial) -> None:
        if len(self._waiting) < _WAITING_MAX:
            task = asyncio.create_task(self._log_hidden(denial))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _log_hidden(self, denial: Denial) -> None:
        await self._clock.sleep(_LATER_SECONDS)
        found = await self._explained(denial)
        if found is not None and not found.is_allowed:
            _log.info("%s", _line("policy.hidden", denial, found))

    async def _explained(self, denial: Denial) -> Explanation | None:
        def explained(reader: ReadConnection) -> Explanation | None:
            row = denial.row
            if denial.access is Access.READ and row is not None and denial.entity is not None:
                row = reader.get(denial.entity, row["id"])
                if row is None:
                    return None
            return explain_denial(reader, replace(denial, row=row))

        try:
            return await self._database.readers.run(explained)
        except (
            PylonError,
            KeyError,
            Error,
        ) as error:  # it stops, or was reloaded
            _log.info("policy.unexplained %r", error)
            return None


def _line(what: str, denial: Denial, found: Explanation) -> str:
    """Return the line of the log."""
    question = found.question
    name = f"{question.entity.name} {found.row_id}" if question.entity is not None else "a function"
    who = denial.identity.email or denial.identity.user_id or "anonymous"
    flip = f"; {found.flips[0].text}" if found.flips else ""
    text = f"{what} {question.access or 'call'} {name} to {who}: {found.decided_by.text} is "
    text += f"{ANSWERS[found.decided_by.answer]}{flip}"
    return text if len(text) <= _LOGGED_MAX else f"{text[:_LOGGED_MAX]}…"


def _add(outcome: Outcome, explained: dict[str, Any] | None) -> None:
    error = outcome.error
    if explained is not None and error is not None and error["code"] == PolicyDenied.code:
        details = {**error.get("details", {}), "explain": explained}
        outcome.error = {**error, "details": details}


def _bounded(found: Explanation) -> dict[str, Any]:
    """Return the JSON of an explanation; without its tree where that is large."""
    value = found.to_json()
    if len(jsonvalue.encode(value)) > limits.EXPLAIN_BYTES_MAX:
        del value["tree"]
    return value
