"""The line that filters lists: words, columns by their heads, and the other way round."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pylon.server.storage import account_pages, file_reads, job_reads, workflow_reads
from pylon.server.storage.search_line import key_of as searched_key
from pylon.tui import files_tables, jobs_tables, users_tables, workflows_tables
from pylon.tui.columns import Column, data_line
from pylon.tui.filtering import key_of, listed, passes_any, unnamed
from pylon.tui.log_pane import CHANGE_FILTER
from tests.screens.fakes import change

_COLUMNS: Final = (Column("", 2), Column("LAST SEEN", 4), Column("/MIN", 3, right=True),
                   Column("WHAT", 6, 120))  # fmt: skip


def _line(row: dict[str, Any], width: int) -> list[tuple[str, str]]:
    cells = [(row[name], "plain") for name in ("mark", "seen", "rate", "what")]
    return data_line(_COLUMNS, cells, width)


_FILTER: Final = listed(_COLUMNS, _line, more={"id": lambda row: row["id"]})
_ROW: Final = {"mark": "x", "seen": "yesterday noon", "rate": 12, "what": "http:gone A", "id": "Q7"}


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("", True), ("!", True), ("NOON 12", True), ("noon 13", False), ("last-seen:NOON", True),
        ("last_seen:noon", True), ("lastseen:12", False), ("min:12", True), ("/min:12", True),
        ("what:gone id:q", True), ("what:noon", False), ("!what:noon", True), ("!id:q7", False),
        ("http:gone", True), ("http:there", False), ("what:", True), (":x", False),
        ("what:http:gone", True),
    ],
)  # fmt: skip
def test_a_line_finds_words_and_columns(line: str, is_found: bool) -> None:
    """Whole values in any case, however narrow the list is; what names no column is text."""
    assert _FILTER.passes(_ROW, line) is is_found


def test_rows_that_belong_together_share_the_words_of_a_line() -> None:
    """Each word is in one or the other; turned round, in neither all of them."""
    both = ((_FILTER, _ROW), (CHANGE_FILTER, change(1, entity="Note")))
    for line, is_found in (("id:q7 entity:note", True), ("id:q7 entity:user", False),
                           ("!id:q7 entity:note", False), ("!entity:user", True)):  # fmt: skip
        assert passes_any(both, line) is is_found, line


def test_changes_are_filtered_by_what_they_are_of() -> None:
    """Words, columns and inversion; a change of nobody's is the system's."""
    one = change(1, entity="Message", user="ada@example.com", row_id="abc")
    for line, is_found in (
        ("", True), ("mess", True), ("entity:mess user:ada", True), ("entity:user", False),
        ("!ada", False), ("!bob", True), ("id:abc kind:insert", True), ("ada bob", False),
        ("seq:1 row:abc", True),
    ):  # fmt: skip
        assert CHANGE_FILTER.passes(one, line) is is_found, line
    assert CHANGE_FILTER.passes(change(2, user=None), "user:system")


def test_a_column_that_is_none_is_said_where_it_stands() -> None:
    """With those that there are; a time of day, an address or a value is no name."""
    for line, place in (
        ("http:gone", 0), ("!http:gone", 1), (" a  b:c", 4), ("what:http:gone", None),
        ("12:30", None), ("http://x", None), ("last_seen:x min:3", None), ("a: ", 0),
        ("what", None),
    ):  # fmt: skip
        found = unnamed(line, _FILTER.names)
        assert (None if found is None else found[0]) == place, line
    told = unnamed("b:c", _FILTER.names)
    assert told is not None
    assert told[1] == "no column b: it is looked for as text. Columns: last-seen min what id"


@pytest.mark.parametrize(
    ("names", "searched"),
    [
        (jobs_tables.SEARCHED, {*job_reads._SEARCHED, *job_reads._ONLY}),
        (workflows_tables.SEARCHED, {*workflow_reads._SEARCHED, *workflow_reads._ONLY}),
        (files_tables.SEARCHED, {*file_reads._SEARCHED, *file_reads._ONLY}),
        (users_tables.SEARCHED, {*account_pages._NAMED, "role", "roles"}),
    ],
)  # fmt: skip
def test_the_names_of_searched_lists_are_those_that_the_runtime_knows(
    names: tuple[str, ...], searched: set[str]
) -> None:
    """None is offered that it does not know, and none is left out."""
    assert set(map(key_of, names)) == searched
    assert set(map(searched_key, names)) == searched
