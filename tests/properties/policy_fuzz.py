"""Texts that nobody would write, fed to the policy language; what compiles is asked everywhere.

A text is a soup of words of the language, or a policy with some characters damaged. Run in several
processes, each with a seed of its own: `run` is one share.
"""

from __future__ import annotations

import signal
import sqlite3
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pylon.identity import Identity
from pylon.policy import reference
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, compile_policy
from pylon.policy.explain import explain
from pylon.policy.scene import Question, Scene
from pylon.policy.slots import slots_of
from pylon.policy.spelled import spelled
from pylon.schema.model import Access, Row
from pylon.schema.wire import wire_text
from pylon.server.storage.looked_at import LookedAtRows
from pylon.server.storage.tables import create_table, tables_of
from pylon.server.storage.transaction import exists_in
from tests.properties.policies import IDENTITIES, MEMBER, NOTE, NOW, SCHEMA, random_row

WORDS = (
    "data.title", "data.title_n", "data.count", "data.count_n", "data.open", "data.open_n",
    "data.at", "data.tags", "data.price", "data.id", "data.nope", "data", "old.title", "new.count",
    "auth.userId", "auth.email", "auth.roles", "auth.isAdmin", "auth.claims.x", "auth.claims",
    "now",
    "args.x", "1", "-1", "0.5", "1e9", "99999999999999999999", "'a'", '"b"', "''", "'2026-11-23'",
    "null", "true", "false", "&&", "||", "and", "or", "not", "!", "(", ")", "[", "]", ",", ".",
    "==", "!=", "<", "<=", ">", ">=", "=", "in", "not in", "+ days(1)", "- seconds(0.001)",
    "+ days(99999999)", "hasRole('a')", "hasAnyRole('admin', 'a')", "isOwner()", "lower(", "len(",
    "startsWith(data.title, 'a')", "contains(data.tags, ", "exists Member(", "exists Nope(",
    "exists Member(title == data.title, userId == auth.userId)", "title == 'a'", "userId in",
    "# comment\n", "\n", "\\", "'", "\x00", "é", "\ud800", "[1, null]", "['a', 'b']",
)  # fmt: skip
WHOLE = (
    "auth.userId != null", "isOwner() || hasRole('a')", "data.count > 1 && data.title == 'a'",
    "exists Member(title == data.title, userId == auth.userId)", "data.at + days(1) < now",
    "data.state in ['draft', 'sent']", "!contains(data.tags, 'x') or data.open",
    "(data.open == true) == data.open_n", "len(auth.roles) > 0 # some",
    "not (data.count_n in [1, null])", "lower(data.title_n) != null",
    "!exists Member(userId == auth.userId, role != null)",
)  # fmt: skip
_ODD = "()[]'\"!&|=<>.,# ando\\01e\n\x00é\ud800+-"
#: Longest that one text may take; it is a mark for a hang, far above what any takes.
_HANG_SECONDS = 60
_ROWS = 4


@dataclass(slots=True)
class Found:
    """What one share did."""

    inputs: int = 0
    compiled: int = 0
    asked: int = 0
    wrong: list[str] = field(default_factory=list)


class _Hung(Exception):
    pass


def text_of(chance: Random) -> str:
    """Return the next text."""
    if chance.random() < 0.8:
        return " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 6)))
    text = list(chance.choice(WHOLE))
    for _ in range(chance.randrange(1, 4)):
        at, what = chance.randrange(len(text) + 1), chance.random()
        if what < 0.35:
            del text[at : at + chance.randrange(1, 4)]
        elif what < 0.7:
            text.insert(at, chance.choice(_ODD))
        elif what < 0.9:
            text[at:at] = [" ", *chance.choice(WORDS), " "]
        else:
            text[at:at] = text[: chance.randrange(1, 12)]
    return "".join(text)


def run(seed: int, count: int) -> Found:
    """Feed `count` texts; everything that is wrong is told with its text."""
    chance, found = Random(seed), Found()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    rows = _fill(connection, Random(1))
    known: set[str] = set()

    def hung(*_: Any) -> None:
        raise _Hung

    before = signal.signal(signal.SIGALRM, hung)
    try:
        for _ in range(count):
            text = text_of(chance)
            found.inputs += 1
            signal.alarm(_HANG_SECONDS)
            try:
                policy = compile_policy(text, entity=NOTE, access=Access.READ, schema=SCHEMA)
            except PolicyMistakes:
                continue
            except BaseException as error:  # noqa: BLE001 -- also a hang, and whatever else it is
                found.wrong.append(f"{text!r}: {error!r}")
                continue
            found.compiled += 1
            meaning = spelled(policy.condition)
            if meaning not in known:
                known.add(meaning)
                for identity in chance.sample(IDENTITIES, 2):
                    found.wrong += _disagreements(policy, connection, rows, identity, found)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        connection.close()
    return found


def _fill(connection: sqlite3.Connection, chance: Random) -> list[Row]:
    tables = tables_of(SCHEMA)
    for entity in SCHEMA.entities.values():
        connection.execute(create_table(entity))
    rows = {one.name: [random_row(chance, one, f"{one.name}{at}") for at in range(_ROWS)]
            for one in (NOTE, MEMBER)}  # fmt: skip
    for name, held in rows.items():
        for row in held:
            values = [*tables[name].values(row), wire_text(tables[name].entity, row)]
            connection.execute(tables[name].insert_sql, values)
    return rows["Note"]


def _disagreements(
    policy: CompiledPolicy, connection: sqlite3.Connection, rows: list[Row], identity: Identity,
    found: Found,
) -> list[str]:  # fmt: skip
    """Ask one policy of each row, by one caller, in every reading."""

    def lookup(node: Any, values: tuple[Any, ...]) -> bool:
        return exists_in(connection, node, values)

    def fails(node: Any, values: tuple[Any, ...]) -> bool:
        raise OSError("the disk is gone")

    clause = policy.clause(identity, alias="i", now=NOW)
    sql = f'SELECT i.id, ({clause.text}) FROM "Note" AS i'
    in_sql = {one: None if said is None else bool(said)
              for one, said in connection.execute(sql, clause.params)}  # fmt: skip
    question = Question(schema=SCHEMA, policy=policy, entity=NOTE, access=Access.READ)
    looked_at = LookedAtRows(connection, tables_of(SCHEMA))
    wrong = []
    for row in rows:
        world = reference.World(identity=identity, data=row, now=NOW, lookup=lookup)
        scene = Scene(identity=identity, now=NOW, rows=looked_at, row=row)
        why = explain(question, scene)
        answers = {
            "predicate": policy.predicate(identity, row, now=NOW, lookup=lookup),
            "sql": in_sql[row["id"]],
            "reference": reference.evaluate(policy.condition, world),
            "explain": why.tree.answer,
        }
        found.asked += 1
        if len({repr(one) for one in answers.values()}) > 1 or why.is_allowed is not (
            answers["predicate"] is True
        ):
            wrong.append(f"{policy.text!r} as {identity}: {answers}, {why.is_allowed}")
        if not policy.exists or policy.allows(identity, row, now=NOW, lookup=lookup):
            continue
        if policy.allows(identity, row, now=NOW, lookup=fails):
            wrong.append(f"{policy.text!r}: an error allows")
    assert slots_of(policy.condition) == policy.slots
    return wrong
