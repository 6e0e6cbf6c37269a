"""Counts which branches of the policies are taken while the app runs, and writes it down.

What the predicates answer is counted as it happens. What SQLite answers (lists, catch-up) can't be:
for each class of callers that asked, the policy is asked again of the newest rows, those that were
returned and those that were not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.app.policy_coverage import read_coverage, write_coverage
from pylon.clock import Clock, iso_ms
from pylon.errors import PylonError
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.coverage import Question, Watched, watch
from pylon.server.storage.database import Database
from pylon.server.storage.policy_samples import newest_rows
from pylon.server.storage.readers import ReadConnection
from pylon.sqlite import Error

_log = logging.getLogger("pylon.policy")
_EVERY_SECONDS = 2.0
_ROWS = 30


class PolicyCoverage:
    """Watches the policies of the generation that runs."""

    def __init__(self, database: Database, clock: Clock, path: Path, run: str) -> None:
        self._database = database
        self._clock = clock
        self._path = path
        self._run = run
        self._watched: dict[str, Watched] = {}
        before = read_coverage(path)
        #: What tests of this process counted before; nothing of another process.
        self._before = before["policies"] if before and before.get("run") == run else {}
        self._task: asyncio.Task[None] | None = None
        self._written = -1

    def attach(self, definition: AppDefinition) -> None:
        """Watch a generation; counts of texts that stay go on."""
        known, self._watched = self._watched, {}
        for key, policy in _policies_of(definition):
            found = self._watched[key] = watch(policy)
            old = known.get(key)
            if old is not None and old.policy.text == policy.text:
                found.counts.add(old.counts.to_json())
            elif self._before.get(key, {}).get("policy") == policy.text:
                found.counts.add(self._before[key])

    def start(self) -> None:
        """Begin to take samples."""
        self._task = asyncio.get_running_loop().create_task(
            self._keep(), name="pylon-policy-coverage"
        )

    async def stop(self) -> None:
        """Take the last samples and write the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sample()
        self._write()

    def to_json(self) -> dict[str, Any]:
        """Return the counts of now, as the file has them."""
        return {
            "run": self._run, "at": iso_ms(self._clock.now_ms()),
            "policies": {
                key: {"policy": one.policy.text, **one.counts.to_json()}
                for key, one in self._watched.items()
            },
        }  # fmt: skip

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(_EVERY_SECONDS)
            await self._sample()
            self._write()

    async def _sample(self) -> None:
        for key, one in list(self._watched.items()):
            questions = list(one.questions.values())
            one.questions.clear()
            entity = key.partition(".")[0]
            if not questions or entity not in self._database.schema.entities:
                continue
            try:
                await self._database.readers.run(
                    lambda reads, one=one, asked=questions, name=entity: _ask_again(  # type: ignore[misc]
                        reads, one, asked, name
                    )
                )
            except (PylonError, Error) as error:
                _log.warning("policy.coverage_failed %s: %s", key, error)

    def _write(self) -> None:
        total = sum(one.counts.asked + one.counts.sampled for one in self._watched.values())
        if total == self._written:
            return
        self._written = total
        try:
            write_coverage(
                self._path, self._run, iso_ms(self._clock.now_ms()),
                [(key, one.policy.text, one.counts) for key, one in self._watched.items()],
            )  # fmt: skip
        except OSError as error:
            _log.warning("policy.coverage_failed %s", error)


def _ask_again(reads: ReadConnection, one: Watched, questions: list[Question], entity: str) -> None:
    rows = newest_rows(reads, entity, _ROWS)
    for question in questions:
        for row in rows:
            one.sample(question, row, reads.exists)


def _policies_of(definition: AppDefinition) -> Iterator[tuple[str, CompiledPolicy]]:
    """Yield every policy under the name of its line in the matrix."""
    for (entity, access), policy in definition.policies.policies.items():
        yield f"{entity}.{access.value}", policy
    for entity, fields in definition.policies.fields.items():
        for name, policy in fields.policies.items():
            yield f"{entity}.{name}.read", policy
    for name, function in definition.functions.items():
        if function.allow is not None and not function.is_internal:
            yield f"{name}().call", function.allow
