"""One meaning: every reading of a policy gives the same answer for every row and caller."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pylon.identity import Identity
from pylon.policy import reference
from pylon.policy.audience import Classes, Moment
from pylon.policy.compiled import CompiledPolicy, compile_policy
from pylon.policy.sqlclause import SqlWriter
from pylon.schema.model import Access, Row
from pylon.schema.wire import image_text, row_from_image, wire_text
from pylon.server.storage.tables import EntityTable, create_index, create_table, tables_of
from pylon.server.storage.transaction import exists_in, inverse_in
from tests.properties import policies
from tests.properties.policies import IDENTITIES, MEMBER, NOTE, NOW, SCHEMA, World

#: Multiplies the number of policies; 1 is the gate's size.
_FACTOR = int(os.environ.get("PYLON_TEST_SCALE", "1"))
_ROWS = 12
_MEMBERS = 6


def sized(policy_count: int) -> settings:
    """Return the settings of a test over so many policies, times the factor of long runs."""
    return settings(
        max_examples=policy_count * _FACTOR, deadline=None, derandomize=_FACTOR == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip


@dataclass(slots=True)
class Store:
    """A real database file with the app's real tables, and the images beside the rows."""

    connection: sqlite3.Connection
    note: EntityTable
    member: EntityTable

    def fill(self, seed: int) -> tuple[list[Row], list[Row]]:
        """Put random rows in; the caller rolls back."""
        chance = Random(seed)
        notes = [policies.random_row(chance, NOTE, f"n{at}") for at in range(_ROWS)]
        members = [policies.random_row(chance, MEMBER, f"m{at}") for at in range(_MEMBERS)]
        for table, rows in ((self.note, notes), (self.member, members)):
            for row in rows:
                values = [*table.values(row), wire_text(table.entity, row)]
                self.connection.execute(table.insert_sql, values)
        for at, row in enumerate(notes):
            self.connection.execute(
                "INSERT INTO images VALUES (?, ?, ?, ?)",
                (row["id"], image_text(NOTE, row), notes[at - 1]["id"],
                 image_text(NOTE, notes[at - 1])),
            )  # fmt: skip
        return notes, members

    def answers(self, text: str, params: tuple[Any, ...], tables: str) -> dict[str, bool | None]:
        """Return what SQLite says of each row."""
        sql = f"SELECT i.id, ({text}) FROM {tables}"
        return {
            row_id: None if value is None else {0: False, 1: True}[value]
            for row_id, value in self.connection.execute(sql, params)
        }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Open a file with the tables of the schema."""
    path: Path = tmp_path_factory.mktemp("policies") / "app.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for entity in SCHEMA.entities.values():
        connection.execute(create_table(entity))
        for index in entity.indexes:
            connection.execute(create_index(entity, index))
    connection.execute("CREATE TABLE images (id TEXT, image TEXT, old_id TEXT, old_image TEXT)")
    tables = tables_of(SCHEMA)
    yield Store(connection, tables["Note"], tables["Member"])
    connection.close()


def _stored(store: Store, row_id: str) -> Row:
    sql = store.note.select_sql + ' WHERE "id" = ?'
    return store.note.row(store.connection.execute(sql, (row_id,)).fetchone())


def _reference(
    policy: CompiledPolicy, store: Store, identity: Identity, data: Row, old: Row
) -> bool | None:  # fmt: skip
    world = reference.World(
        identity=identity, data=data, old=old, new=data, now=NOW,
        lookup=lambda node, values: exists_in(store.connection, node, values),
    )  # fmt: skip
    return reference.evaluate(policy.condition, world)


def _agreement(
    policy: CompiledPolicy, means: policies.Meaning, store: Store, identity: Identity,
    notes: list[Row], members: list[Row], clauses: dict[str, dict[str, bool | None]],
) -> int:  # fmt: skip
    """Hold every reading against the meaning; return the number of rows asked about."""
    said_members = [policies.app_row(MEMBER, row) for row in members]
    facts = policy.facts(identity)

    def lookup(node: Any, values: tuple[Any, ...]) -> bool:
        return exists_in(store.connection, node, values)

    for at, row in enumerate(notes):
        data, old = _stored(store, row["id"]), notes[at - 1]
        said = policies.app_row(NOTE, row)
        images = {"data": said, "new": said, "old": policies.app_row(NOTE, old)}
        wanted = means(World(images=images, identity=identity, members=said_members))
        back = row_from_image(NOTE, image_text(NOTE, row))
        found = {
            "predicate": policy._predicate(facts, data, old, data, NOW, None, lookup),
            "of image": policy._predicate(facts, back, old, back, NOW, None, lookup),
            "reference": _reference(policy, store, identity, data, old),
            **{name: answers[row["id"]] for name, answers in clauses.items()},
        }
        assert found == dict.fromkeys(found, wanted), (row, old, identity, wanted)
        is_allowed = policy.allows(identity, data, old=old, new=data, now=NOW, lookup=lookup)
        assert is_allowed is (wanted is True)
    return len(notes)


def test_five_readings_agree(store: Store) -> None:
    """Predicate, clause over columns, clause over images, interpreter and rules answer alike."""
    asked = images = 0

    @sized(500)
    @given(said=policies.expressions(), seed=st.integers(0, 2**32))
    def agree(said: policies.Said, seed: int) -> None:
        nonlocal asked, images
        note(said.text)
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        store.connection.execute("BEGIN")
        try:
            notes, members = store.fill(seed)
            for identity in IDENTITIES:
                clause = policy.clause(identity, alias="i", now=NOW)
                clauses = {"columns": store.answers(clause.text, clause.params, '"Note" AS i')}
                image = policy.image_clause(identity, column="i.image", now=NOW)
                if image is not None:
                    images += 1
                    clauses["images"] = store.answers(image.text, image.params, "images AS i")
                asked += _agreement(
                    policy, said.means, store, identity, notes, members, clauses
                )  # fmt: skip
        finally:
            store.connection.execute("ROLLBACK")

    agree()
    assert asked >= 40_000 * _FACTOR
    assert images >= 2_000 * _FACTOR


def test_policies_over_both_images_agree(store: Store) -> None:
    """What names old and new is answered alike too; its SQL spells each image apart."""
    asked = 0
    tables = (
        'images AS i JOIN "Note" AS data ON data.id = i.id JOIN "Note" AS "new" ON "new".id = i.id'
        ' JOIN "Note" AS "old" ON "old".id = i.old_id'
    )

    @sized(120)
    @given(
        said=policies.expressions(("old", "new", "data")),
        seed=st.integers(0, 2**32),
    )
    def agree(said: policies.Said, seed: int) -> None:
        nonlocal asked
        note(said.text)
        policy = compile_policy(said.text, entity=NOTE, access=Access.UPDATE, schema=SCHEMA)
        assert policy.speaks_of_both_images is ("old." in said.text or "new." in said.text)
        template = SqlWriter(lambda one: f'"{one.image}"."{one.name}"').write(policy.condition)
        store.connection.execute("BEGIN")
        try:
            notes, members = store.fill(seed)
            for identity in IDENTITIES:
                clause = template.bind(identity, NOW)
                clauses = {"columns": store.answers(clause.text, clause.params, tables)}
                asked += _agreement(
                    policy, said.means, store, identity, notes, members, clauses
                )  # fmt: skip
        finally:
            store.connection.execute("ROLLBACK")

    agree()
    assert asked >= 10_000 * _FACTOR


def test_equal_class_keys_give_equal_answers(store: Store) -> None:
    """Callers of one class get one answer for every row; that is what fan-out stands on."""

    @sized(120)
    @given(said=policies.expressions(), seed=st.integers(0, 2**32))
    def agree(said: policies.Said, seed: int) -> None:
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        store.connection.execute("BEGIN")
        try:
            notes, members = store.fill(seed)
            found = [policies.app_row(MEMBER, row) for row in members]
            seen: dict[Any, list[bool | None]] = {}
            for identity in IDENTITIES:
                answers = []
                for row in notes:
                    images = {"data": policies.app_row(NOTE, row)}
                    answers.append(said.means(World(images, identity, found)))
                key = policy.class_key(identity)
                assert seen.setdefault(key, answers) == answers
        finally:
            store.connection.execute("ROLLBACK")

    agree()


class _Asked:
    """The store, as a policy asks it; finds many members to be too many."""

    def __init__(self, store: Store, at_most: int) -> None:
        self._store, self._at_most = store, at_most

    def exists(self, node: Any, values: tuple[Any, ...]) -> bool:
        return exists_in(self._store.connection, node, values)

    def inverse(
        self, node: Any, place: int, values: tuple[Any, ...], at_most: int
    ) -> list[Any] | None:
        return inverse_in(self._store.connection, node, place, values, min(at_most, self._at_most))


def test_the_audience_is_who_would_be_allowed(store: Store) -> None:
    """All classes at once are answered as each of them alone: true, false and unknown."""
    asked = 0

    @sized(300)
    @given(said=policies.expressions(), seed=st.integers(0, 2**32), at_most=st.sampled_from([0, 9]))
    def agree(said: policies.Said, seed: int, at_most: int) -> None:
        nonlocal asked
        note(said.text)
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        classes = Classes()
        for identity in (*IDENTITIES, *IDENTITIES):
            classes.add(policy.facts(identity))
        for identity in IDENTITIES:
            classes.remove(policy.facts(identity))
        store.connection.execute("BEGIN")
        try:
            notes, _ = store.fill(seed)
            moment = Moment(classes, NOW, _Asked(store, at_most))
            for row in notes:
                data = _stored(store, row["id"])
                moment.row = data
                true, false = policy.audience._ask(moment)
                for identity in IDENTITIES:
                    facts = policy.facts(identity)
                    wanted = policy._predicate(
                        facts, data, None, None, NOW, None, moment.lookups.exists
                    )
                    found = True if facts in true else False if facts in false else None
                    assert found is wanted, (row, identity)
                    assert not (facts in true and facts in false)
                    asked += 1
        finally:
            store.connection.execute("ROLLBACK")

    agree()
    assert asked >= 20_000 * _FACTOR


@pytest.fixture
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "pylon.policy")


def _is_gone(node: Any, values: tuple[Any, ...]) -> bool:
    raise OSError("the disk is gone")


@pytest.mark.usefixtures("_quiet")
@sized(150)
@given(said=policies.expressions(), seed=st.integers(0, 2**32))
def test_an_error_never_allows(said: policies.Said, seed: int) -> None:
    """A lookup that fails, a row that is missing or broken: denied, or of no matter."""
    policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
    row = policies.random_row(Random(seed), NOTE, "n")
    for identity in IDENTITIES:
        if policy.allows(identity, row, now=NOW, lookup=_is_gone):
            # The lookup was not asked: either answer of it gives the same.
            assert policy.allows(identity, row, now=NOW, lookup=lambda *_: True)
            assert policy.allows(identity, row, now=NOW, lookup=lambda *_: False)
        if policy.allows(identity, None, now=NOW, lookup=lambda *_: True):
            # The row was not looked at: any row gives the same.
            assert policy.allows(identity, row, now=NOW, lookup=lambda *_: True)
        for broken in ({}, dict.fromkeys(row, object())):
            try:
                answer = policy._predicate(
                    policy.facts(identity), broken, None, None, NOW, None, _is_gone
                )
            except Exception:  # noqa: BLE001 -- whatever it is
                answer = None
            allowed = policy.allows(identity, broken, now=NOW, lookup=_is_gone)
            assert allowed is (answer is True)
