"""Why is never a second opinion: an explanation says what the policy decides, and flips hold."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, note
from hypothesis import strategies as st

from pylon.policy import ir
from pylon.policy.compiled import CompiledPolicy, compile_policy
from pylon.policy.explain import Explanation, Step, explain
from pylon.policy.matching import matches
from pylon.policy.proposals import Rank
from pylon.policy.reference import World, lookup_values
from pylon.policy.scene import Question, Scene
from pylon.policy.slots import walk
from pylon.policy.spelled import spelled
from pylon.schema.model import Access
from pylon.schema.wire import wire_text
from pylon.server.storage.looked_at import LookedAtRows
from pylon.server.storage.tables import tables_of
from tests.properties import policies
from tests.properties.policies import IDENTITIES, NOTE, NOW, SCHEMA
from tests.properties.test_policy_agreement import Store, _stored, sized, store

__all__ = ["store"]
_NOTES = 3


def _steps(step: Step) -> Iterator[Step]:
    yield step
    for one in step.items:
        yield from _steps(one)


def _check_tree(found: Explanation) -> None:
    """Hold every node against the ones below it, and the decider against the whole."""
    for step in _steps(found.tree):
        below = [one.answer for one in step.items]
        match step.kind:
            case "all":
                assert step.answer is policies.every(below)
            case "any":
                assert step.answer is policies.any_of(below)
            case "not":
                assert step.answer is policies.negated(below[0])
    assert any(step is found.decided_by for step in _steps(found.tree))


def _holds_in_sql(store: Store, policy: CompiledPolicy, scene: Scene) -> bool:
    """Make a flip true in the database, ask it, and take the change back."""
    row = scene.row
    assert row is not None
    store.connection.execute("SAVEPOINT flip")
    try:
        store.connection.execute(store.note.delete_sql, (row["id"],))
        values = [*store.note.values(row), wire_text(NOTE, row)]
        store.connection.execute(store.note.insert_sql, values)
        clause = policy.clause(scene.identity, alias="i", now=scene.now)
        return store.answers(clause.text, clause.params, '"Note" AS i')[row["id"]] is True
    finally:
        store.connection.execute("ROLLBACK TO flip")
        store.connection.execute("RELEASE flip")


def test_an_explanation_says_what_is_decided(store: Store) -> None:
    """Root of the tree, verdict and SQL are one answer; what is said to flip it does so in SQL."""
    asked = flipped = 0
    tables = tables_of(SCHEMA)

    @sized(60)
    @given(said=policies.expressions(), seed=st.integers(0, 2**32))
    def agree(said: policies.Said, seed: int) -> None:
        nonlocal asked, flipped
        note(said.text)
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        question = Question(schema=SCHEMA, policy=policy, entity=NOTE, access=Access.READ)
        store.connection.execute("BEGIN")
        try:
            notes, _ = store.fill(seed)
            rows = LookedAtRows(store.connection, tables)
            for identity in IDENTITIES:
                clause = policy.clause(identity, alias="i", now=NOW)
                answers = store.answers(clause.text, clause.params, '"Note" AS i')
                for row in notes[:_NOTES]:
                    scene = Scene(
                        identity=identity, now=NOW, rows=rows, row=_stored(store, row["id"])
                    )
                    found = explain(question, scene)
                    assert found.tree.answer is answers[row["id"]]
                    assert found.is_allowed is (answers[row["id"]] is True)
                    assert not (found.is_allowed and found.flips)
                    assert found.tree.text == spelled(policy.condition)
                    _check_tree(found)
                    asked += 1
                    for flip in found.flips[:4]:
                        if flip.rank not in (Rank.ROW, Rank.ADDED):
                            assert _holds_in_sql(store, policy, flip.scene), flip.text
                            flipped += 1
        finally:
            store.connection.execute("ROLLBACK")

    agree()
    assert asked >= 1_200
    assert flipped >= 200


def test_a_policy_spelled_and_read_again_means_the_same(store: Store) -> None:
    """What an explanation prints of a policy is the policy."""

    @sized(50)
    @given(said=policies.expressions(), seed=st.integers(0, 2**32))
    def agree(said: policies.Said, seed: int) -> None:
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        text = spelled(policy.condition)
        note(text)
        again = compile_policy(text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        store.connection.execute("BEGIN")
        try:
            store.fill(seed)
            for identity in IDENTITIES:
                answers = []
                for one in (policy, again):
                    clause = one.clause(identity, alias="i", now=NOW)
                    answers.append(store.answers(clause.text, clause.params, '"Note" AS i'))
                assert answers[0] == answers[1]
        finally:
            store.connection.execute("ROLLBACK")

    agree()


def test_filters_match_a_row_as_sqlite_matches_it(store: Store) -> None:
    """Which looked-at rows satisfy an exists is the same in memory and in SQL."""
    asked = 0

    @sized(60)
    @given(said=policies.exists(policies.Budget()), seed=st.integers(0, 2**32))
    def agree(said: policies.Said, seed: int) -> None:
        nonlocal asked
        note(said.text)
        policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
        node = next(one for one in walk(policy.condition) if isinstance(one, ir.ExistsNode))
        store.connection.execute("BEGIN")
        try:
            notes, members = store.fill(seed)
            rows = LookedAtRows(store.connection, tables_of(SCHEMA))
            sql = f"{rows._select(node)}"
            for identity in IDENTITIES:
                world = World(identity=identity, data=notes[0], now=NOW, lookup=lambda *_: False)
                values = lookup_values(node, world)
                if values is None:
                    continue
                found = {row["id"] for row in rows._rows("Member", sql, values)}
                assert found == {row["id"] for row in members if matches(node, values, row)}
                near = {row["id"] for row in rows.near(node, values)}
                assert near >= found
                asked += 1
        finally:
            store.connection.execute("ROLLBACK")

    agree()
    assert asked >= 150
