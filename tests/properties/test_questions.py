"""Lists, aggregates and search against plain Python over all rows, for random policies."""

from __future__ import annotations

import math
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.errors import InvalidArgument
from pylon.identity import Identity
from pylon.policy import reference
from pylon.policy.compiled import CompiledPolicy, compile_policy
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import Access, FieldKind, Row
from pylon.schema.wire import wire_text
from pylon.server.functions.aggregates import aggregates_of, answer_of, group_of
from pylon.server.functions.queries import order_of
from pylon.server.functions.searching import match_of
from pylon.server.storage.aggregate import AggregateSpec, aggregate_rows
from pylon.server.storage.search import SearchSpec, search_page
from pylon.server.storage.search_index import SearchIndex
from pylon.server.storage.select import SelectSpec, list_page
from pylon.server.storage.tables import create_table, tables_of
from pylon.server.storage.transaction import exists_in
from tests.properties import policies
from tests.properties.policies import IDENTITIES, MEMBER, NOTE, NOW, SCHEMA
from tests.properties.test_policy_agreement import sized

_ROWS = 25
_TABLES = tables_of(SCHEMA)
#: Fields to group by, and fields to add up or compare.
_GROUPS = ("state", "state_n", "open_n", "day_n", "owner", "count_n", "price_n")
_SUMMED = ("count", "count_n", "big", "big_n", "price", "price_n", "ratio", "ratio_n", "days")
_ORDERED = (*_SUMMED, "title", "body_n", "at", "day_n", "state_n", "owner", "id")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Open a file with the tables of the schema."""
    path: Path = tmp_path_factory.mktemp("questions") / "app.db"
    opened = sqlite3.connect(path, isolation_level=None)
    for entity in SCHEMA.entities.values():
        opened.execute(create_table(entity))
    yield opened
    opened.close()


def _fill(connection: sqlite3.Connection, seed: int) -> list[Row]:
    """Put random rows in; the caller rolls back."""
    chance = Random(seed)
    notes = [policies.random_row(chance, NOTE, f"n{at:02}") for at in range(_ROWS)]
    members = [policies.random_row(chance, MEMBER, f"m{at}") for at in range(6)]
    for entity, rows in ((NOTE, notes), (MEMBER, members)):
        table = _TABLES[entity.name]
        for row in rows:
            connection.execute(table.insert_sql, [*table.values(row), wire_text(entity, row)])
    select = f'{_TABLES["Note"].select_sql} ORDER BY "id"'
    return [_TABLES["Note"].row(one) for one in connection.execute(select).fetchall()]


def _visible(
    connection: sqlite3.Connection, policy: CompiledPolicy, identity: Identity, rows: list[Row]
) -> list[Row]:
    return [
        row for row in rows
        if reference.evaluate(policy.condition, reference.World(
            identity=identity, data=row, now=NOW,
            lookup=lambda node, values: exists_in(connection, node, values),
        )) is True
    ]  # fmt: skip


def _sort_key(row: Row, names: list[str]) -> list[Any]:
    return [(row[name] is not None, row[name]) for name in names]


def _expected(function: str, name: str, rows: list[Row]) -> Any:
    """Return what an aggregate is, from the rules alone; None is absent."""
    if name == "*":
        return len(rows)
    field = None if name == "id" else NOTE.by_name[name]
    found = [row[name] for row in rows if row[name] is not None]
    if function == "count":
        return len(found)
    if not found:
        return None
    if function in ("min", "max"):
        best = (min if function == "min" else max)(
            found, key=lambda one: one.encode() if isinstance(one, str) else one
        )
        return best if field is None else to_wire(field, best)
    assert field is not None
    if field.kind is FieldKind.FLOAT:
        return float("nan")
    total = sum(found)
    if function == "sum":
        return total if field.kind is FieldKind.INT else to_wire(field, total)
    exact = Fraction(total, len(found) * 10**field.scale)
    return float(exact) if field.kind is FieldKind.INT else exact


def _assert_same(one: Any, expected: Any, function: str) -> None:
    if isinstance(expected, float) and math.isnan(expected):
        assert one is None or isinstance(one, float)
    elif isinstance(expected, Fraction):
        digits = len(one.partition(".")[2])
        assert abs(Fraction(Decimal(one)) - expected) <= Fraction(1, 2 * 10**digits), function
    else:
        assert one == expected, function
        assert type(one) is type(expected), function


@given(
    said=policies.expressions(), identity=st.sampled_from(IDENTITIES), seed=st.integers(0, 10**6),
    group=st.lists(st.sampled_from(_GROUPS), max_size=2, unique=True),
    asked=st.lists(
        st.one_of(
            st.tuples(st.just("count"), st.sampled_from(("*", *_ORDERED, "tags", "raw"))),
            st.tuples(st.sampled_from(("sum", "avg")), st.sampled_from(_SUMMED)),
            st.tuples(st.sampled_from(("min", "max")), st.sampled_from(_ORDERED)),
        ),
        min_size=1, max_size=6,
    ),
)  # fmt: skip
@sized(100)
def test_aggregates_are_those_of_the_rows_that_the_policy_shows(
    connection: sqlite3.Connection, said: policies.Said, identity: Identity, seed: int,
    group: list[str], asked: list[tuple[str, str]],
) -> None:  # fmt: skip
    """Every group, count, sum, mean, least and greatest value is that of the visible rows."""
    policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
    connection.execute("BEGIN")
    try:
        rows = _visible(connection, policy, identity, _fill(connection, seed))
        fields = group_of(NOTE, group, frozenset())
        given_ = {f"a{at}": {function: name} for at, (function, name) in enumerate(asked)}
        aggregates = aggregates_of(NOTE, given_, fields, frozenset())
        spec = AggregateSpec(
            entity=NOTE, policy=policy.clause(identity, alias="t", now=NOW), group=fields,
            aggregates=aggregates,
        )  # fmt: skip
        found = aggregate_rows(connection, spec, 1_000)
    finally:
        connection.execute("ROLLBACK")
    assert found is not None
    groups: dict[tuple[Any, ...], list[Row]] = {} if group else {(): []}
    for row in sorted(rows, key=lambda row: _sort_key(row, group)):
        groups.setdefault(tuple(row[name] for name in group), []).append(row)
    assert len(found) == len(groups)
    for (stored, values), (key, members) in zip(found, groups.items(), strict=True):
        for one, value, (function, name) in zip(aggregates, values, asked, strict=True):
            expected = _expected(function, name, members)
            try:
                answer = answer_of(fields, (one,), stored, [value])
            except InvalidArgument:
                is_int = one.field is not None and one.field.kind is FieldKind.INT
                assert not is_int or abs(expected) > policies.SAFE
                continue
            assert [answer[name] for name in group] == [
                to_wire(NOTE.by_name[name], value)
                for name, value in zip(group, key, strict=True)
            ]  # fmt: skip
            _assert_same(answer[one.name], expected, function)


@given(
    said=policies.expressions(),
    identity=st.sampled_from(IDENTITIES),
    seed=st.integers(0, 10**6),
    order=st.lists(st.sampled_from(_GROUPS), max_size=2, unique=True),
    limit=st.integers(1, 10),
)
@sized(60)
def test_pages_are_those_of_the_rows_that_the_policy_shows(
    connection: sqlite3.Connection, said: policies.Said, identity: Identity, seed: int,
    order: list[str], limit: int,
) -> None:  # fmt: skip
    """Page after page gives each visible row once, in the order asked for."""
    policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
    connection.execute("BEGIN")
    try:
        rows = _visible(connection, policy, identity, _fill(connection, seed))
        found: list[str] = []
        after: tuple[Any, ...] | None = ()
        while after is not None:
            page, after = list_page(connection, SelectSpec(
                entity=NOTE, policy=policy.clause(identity, alias="t", now=NOW), limit=limit,
                order=order_of(NOTE, order, frozenset()), after=after or None,
            ), ("id",))  # fmt: skip
            assert len(page) == limit or after is None
            found += [row_id for _, row_id, *_ in page]
    finally:
        connection.execute("ROLLBACK")
    expected = sorted(rows, key=lambda row: [*_sort_key(row, order), row["id"]])
    assert found == [row["id"] for row in expected]


# --- search

_SEARCHED = replace(
    NOTE, fields=tuple(replace(one, search=one.name in ("title", "body_n")) for one in NOTE.fields)
)
_INDEX = SearchIndex(_SEARCHED)


def _words(row: Row) -> set[str]:
    text = f"{row['title']} {row['body_n'] or ''}"
    bare = "".join(
        one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one)
    )
    return {one.lower() for one in re.findall(r"[^\W_]+", bare)}


def _searched(
    connection: sqlite3.Connection, policy: CompiledPolicy, identity: Identity, text: str
) -> list[str]:
    match = match_of(_SEARCHED, text, frozenset())
    if match is None:
        return []
    spec = SearchSpec(
        entity=_SEARCHED, match=match, policy=policy.clause(identity, alias="t", now=NOW),
        limit=1_000,
    )  # fmt: skip
    return [row_id for _, row_id in search_page(connection, spec, ("id",))]


def _hidden(connection: sqlite3.Connection, visible: list[Row]) -> list[str]:
    """Return the ids of the rows that are not among the visible ones."""
    shown = {row["id"] for row in visible}
    found = connection.execute(f'{_TABLES["Note"].select_sql} ORDER BY "id"').fetchall()
    return [row[0] for row in found if row[0] not in shown]


@given(
    said=policies.expressions(), identity=st.sampled_from(IDENTITIES), seed=st.integers(0, 10**6),
    words=st.lists(st.sampled_from(("a", "AB", "b", "u1", "null", "x", "it")), min_size=1,
                   max_size=3),
    noise=st.sampled_from((" ", " - ", '" "', "* ", " AND ", "\n")),
)  # fmt: skip
@sized(60)
def test_search_finds_the_words_in_the_rows_that_the_policy_shows(
    connection: sqlite3.Connection, said: policies.Said, identity: Identity, seed: int,
    words: list[str], noise: str,
) -> None:  # fmt: skip
    """What is found is what a plain look finds, and hidden rows do not even change the order."""
    policy = compile_policy(said.text, entity=NOTE, access=Access.READ, schema=SCHEMA)
    text = noise.join(words)
    wanted = [one.lower() for one in re.findall(r"\w+", text)]
    connection.execute("BEGIN")
    try:
        rows = _visible(connection, policy, identity, _fill(connection, seed))
        _INDEX.create(connection)
        assert _INDEX.faults(connection, 100) == []
        found = _searched(connection, policy, identity, text)
        for row in [] if "exists" in said.text else _hidden(connection, rows):
            connection.execute(_TABLES["Note"].delete_sql, (row,))
            _INDEX.take(connection, {row: ({}, None)})
        alone = _searched(connection, policy, identity, text)
    finally:
        connection.execute("ROLLBACK")
    expected = [
        row["id"] for row in rows
        if all(one in _words(row) for one in wanted[:-1])
        and any(one.startswith(wanted[-1]) for one in _words(row))
    ]  # fmt: skip
    assert sorted(found) == expected
    assert alone == found


@pytest.mark.parametrize("frequent", ["apple", "banana"])
def test_hidden_rows_do_not_change_the_order(connection: sqlite3.Connection, frequent: str) -> None:
    """Which of two words is rare among rows that the caller may not read does not show."""
    policy = compile_policy("data.open == true", entity=NOTE, access=Access.READ, schema=SCHEMA)
    texts = ["apple apple banana", "apple banana banana", *[f"{frequent} {at}" for at in range(40)]]
    connection.execute("BEGIN")
    try:
        for at, text in enumerate(texts):
            row = policies.random_row(Random(at), NOTE, f"n{at:02}")
            row |= {"title": text, "body_n": None, "open": at < 2}
            values = [*_TABLES["Note"].values(row), wire_text(NOTE, row)]
            connection.execute(_TABLES["Note"].insert_sql, values)
        _INDEX.create(connection)
        found = _searched(connection, policy, IDENTITIES[0], "apple banana")
    finally:
        connection.execute("ROLLBACK")
    assert found == ["n00", "n01"], "the shorter text first"


@given(
    text=st.one_of(st.text(max_size=60), st.text(alphabet='"*^():{}+-,. aNEARODTc0', max_size=60))
)
@sized(200)
def test_no_text_is_an_error_of_the_index(connection: sqlite3.Connection, text: str) -> None:
    """Whatever is typed is refused as no text, or finds what it finds."""
    connection.execute("BEGIN")
    try:
        policy = compile_policy("true", entity=NOTE, access=Access.READ, schema=SCHEMA)
        _INDEX.create(connection)
        with suppress(InvalidArgument):
            assert _searched(connection, policy, IDENTITIES[0], text) == []
    finally:
        connection.execute("ROLLBACK")
