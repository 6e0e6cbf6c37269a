"""Claims about random policies, held against what the policies mean."""

from __future__ import annotations

import os
import sqlite3
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from pylon.identity import ANONYMOUS, Identity
from pylon.policy import reference
from pylon.policy.abstract import TRUE, Who
from pylon.policy.compiled import PolicyMistakes, compile_policy
from pylon.policy.ir import Condition
from pylon.policy.witness import FoundWorld, find_world
from pylon.policy.worlds import NOT_TRUE, is_impossible
from pylon.schema.model import Access
from pylon.schema.wire import wire_text
from pylon.server.storage.tables import create_table, tables_of
from pylon.server.storage.transaction import exists_in
from tests.properties import policies
from tests.properties.policies import IDENTITIES, MEMBER, NOTE, SCHEMA, World

_FACTOR = int(os.environ.get("PYLON_TEST_SCALE", "1"))
#: Anonymous callers carry no claims outside of tests that look for what would happen.
_CALLERS = tuple(one for one in IDENTITIES if one == ANONYMOUS or one.user_id is not None)
_ROWS = 10


def _sized(policy_count: int) -> settings:
    return settings(
        max_examples=policy_count * _FACTOR, deadline=None, derandomize=_FACTOR == 1,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip


def _condition(said: policies.Said) -> Condition:
    return compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA).condition


def _is_meant(who: Who, identity: Identity) -> bool:
    is_anonymous = identity.user_id is None
    return {Who.ANYBODY: True, Who.ANONYMOUS: is_anonymous, Who.SIGNED_IN: not is_anonymous}[who]


def _worlds(seed: int) -> list[World]:
    chance = Random(seed)
    members = [
        policies.app_row(MEMBER, policies.random_row(chance, MEMBER, f"m{at}")) for at in range(4)
    ]
    found = []
    for at in range(_ROWS):
        row = policies.app_row(NOTE, policies.random_row(chance, NOTE, f"n{at}"))
        found += [
            World(images={"data": row, "old": row, "new": row}, identity=one, members=members)
            for one in _CALLERS
        ]
    return found


@_sized(60)
@given(said=policies.expressions(), other=policies.expressions(), seed=st.integers(0, 2**32))
def test_what_is_proved_is_so_in_every_world(
    said: policies.Said, other: policies.Said, seed: int
) -> None:
    """No row and caller contradict a proof: never, always, or one policy within another."""
    one, two = _condition(said), _condition(other)
    worlds = _worlds(seed)
    answers = [(world, said.means(world), other.means(world)) for world in worlds]
    for who in Who:
        is_never = is_impossible([(one, TRUE)], who)
        is_always = is_impossible([(one, NOT_TRUE)], who)
        is_within = is_impossible([(one, TRUE), (two, NOT_TRUE)], who)
        for world, first, second in answers:
            if _is_meant(who, world.identity):
                assert not (is_never and first is True), (who, world)
                assert not (is_always and first is not True), (who, world)
                assert not (is_within and first is True and second is not True), (who, world)


@_sized(30)
@given(said=policies.expressions(), other=policies.expressions())
def test_what_follows_by_logic_is_proved(said: policies.Said, other: policies.Said) -> None:
    """A policy is within itself widened, a narrowed one within it, and nothing is true and not."""
    a, b = f"({said.text})", f"({other.text})"
    assume(len(a) + len(b) < 700)

    def condition(text: str) -> Condition | None:
        try:
            return compile_policy(text, entity=NOTE, access=Access.READ, schema=SCHEMA).condition
        except PolicyMistakes:
            return None  # more exists than one text may have

    one, either, both = condition(a), condition(f"{a} || {b}"), condition(f"{a} && {b}")
    contradiction = condition(f"{a} && !{a}")
    assume(None not in (one, either, both, contradiction))
    assert one is not None
    assert either is not None
    assert both is not None
    assert contradiction is not None
    assert is_impossible([(one, TRUE), (either, NOT_TRUE)])
    assert is_impossible([(both, TRUE), (one, NOT_TRUE)])
    assert is_impossible([(contradiction, TRUE)])


def _judged_by_sqlite(condition: Condition, found: FoundWorld) -> bool | None:
    """Return the answer with the rows of the found world in real tables."""
    connection = sqlite3.connect(":memory:")
    tables = tables_of(SCHEMA)
    for name, rows in found.rows.items():
        table = tables[name]
        connection.execute(create_table(table.entity))
        for place, made in enumerate(rows):
            # Fields that matter to nobody have any value.
            row = {**policies.random_row(Random(place), table.entity, made["id"]), **made}
            values = [*table.values(row), wire_text(table.entity, row)]
            connection.execute(table.insert_sql, values)

    def lookup(node: Any, values: tuple[Any, ...]) -> bool:
        return exists_in(connection, node, values)

    world = found.world
    answer = reference.evaluate(
        condition,
        reference.World(identity=world.identity, data=world.data, now=world.now, lookup=lookup),
    )
    connection.close()
    return answer


@_sized(60)
@given(said=policies.expressions())
def test_a_world_that_is_found_is_one(said: policies.Said) -> None:
    """A row and caller that disprove a claim do so with their rows in a real database, too."""
    condition = _condition(said)
    for wanted, is_wanted in ((TRUE, True), (NOT_TRUE, False)):
        found = find_world([(condition, wanted)], SCHEMA, NOTE, Who.ANYBODY)
        if found is not None:
            assert (_judged_by_sqlite(condition, found) is True) is is_wanted
            assert not is_impossible([(condition, wanted)])
