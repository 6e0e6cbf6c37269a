"""Which planted text each column of each list shows, or why nobody's text can stand there (I99).

A new column without an entry fails, and so does a planted text that no screen is looked at for.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

import pylon.tui
from pylon.app.builder import NAME
from pylon.ids import is_id
from pylon.server.files.names import clean_type
from pylon.server.mail.message import is_address
from pylon.server.storage.place import can_be_named
from pylon.tui.columns import Column
from tests.museum import HOSTILE
from tests.planted import PLACES, text
from tests.screens.test_planted_terminal import SIGHTS, SPOILT

#: Why nobody's text can stand in a column: Pylon made it, or took it only where it steers nothing.
NUMBER: Final = "= a number, a size or a time"
OURS: Final = "= a word of Pylon's own"
DECLARED: Final = "= the name of something that the app declares, or made of such names"
ID: Final = "= an id, or a code of letters and digits"
EMAIL: Final = "= an address, or an id"
BRANCH: Final = "= the name of a branch"
TYPE: Final = "= the type of a file"
#: Of those that come from outside: what takes them.
_TAKEN: Final[Mapping[str, Callable[[str], bool]]] = {
    DECLARED: lambda given: NAME.match(given) is not None,
    ID: is_id,
    EMAIL: is_address,
    BRANCH: can_be_named,
    TYPE: lambda given: clean_type(given) == given,
}

_STATES: Final = dict.fromkeys(
    ("RUNNING", "PARKED", "DIVERGED", "FAILED", "COMPLETED", "CANCELLED", "SCHEDULED",
     "AVAILABLE", "DEAD", "RATE", "ROWS", "SIZE", "SEQ", "TIME", "AGE", "MS", "READ", "WROTE",
     "P50 MS", "P99 MS", "CALLS", "RUNS", "SESSIONS", "TOKENS", "CREATED", "LAST SEEN"), NUMBER,
)  # fmt: skip
#: By list: by heading the planted texts that stand there, or why none can.
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "backups_pane._COLUMNS": {"STATE": OURS, "KIND": "bkd", "ELSEWHERE": "bto", "NAME": ID},
    "branches_pane._COLUMNS": {"": OURS, "BRANCH": BRANCH, "OF": "bro", "MADE": NUMBER,
                               "AT SEQ": NUMBER, "WHY": "brw"},
    "commands_pane._COLUMNS": {"DONE": OURS, "COMMAND": "dir"},
    "data_tables.ENTITIES": {"ENTITY": DECLARED, "FIELDS": DECLARED},
    "data_tables.NARROW_ENTITIES": {"ENTITY": DECLARED},
    "doctor_pane._COLUMNS": {"LEVEL": OURS, "WHAT": "evm", "FIX": "evm"},
    "files_tables.FILES": {"STATE": OURS, "NAME": "fil", "TYPE": TYPE, "BY": EMAIL, "SHA256": ID,
                           "ID": ID, "IN": DECLARED},
    "functions_tables.FUNCTIONS": {
        "FUNCTION": DECLARED, "KIND": OURS, "/MIN": NUMBER, "ERRORS": NUMBER, "REFUSED": NUMBER,
        "FOLLOWED": NUMBER, "AT": "src", "MAY CALL": "alw", "LAST ERROR": "jer",
    },
    "functions_tables.CALLS": {"OUTCOME": "cod", "WAIT MS": NUMBER, "RUN MS": NUMBER,
                               "CAUSE": DECLARED, "ERROR": "msg", "BY": EMAIL},
    "functions_tables.FOLLOWED": {"ARGUMENTS": "fol", "WHO": NUMBER, "NEWS": NUMBER,
                                  "TOLD": NUMBER, "SHARED BY": EMAIL},
    "jobs_tables.QUEUES": {"QUEUE": DECLARED, "STATE": OURS},
    "jobs_tables.JOBS": {"STATE": OURS, "JOB": DECLARED, "QUEUE": DECLARED, "TRY": NUMBER,
                         "WHEN": NUMBER, "BY": EMAIL, "CAUSE": DECLARED, "ID": ID,
                         "WHAT": "jky jer"},
    "past_tables.HISTORY": {"WHEN": NUMBER, "KIND": OURS, "WHO": EMAIL, "WHAT": "ttl big fct"},
    "past_tables.DIFFS": {"ENTITY": DECLARED, "+ INSERTED": NUMBER, "~ UPDATED": NUMBER,
                          "- DELETED": NUMBER, "= SAME": NUMBER, "CHANGES": NUMBER},
    "past_tables.DIFF_ROWS": {"WHAT": OURS, "ROW": ID, "CHANGES": NUMBER, "FIELDS": "ttl"},
    "run_timeline.STEPS": {"STEP": NUMBER, "WHAT": "stp sig", "START": NUMBER, "TOOK": NUMBER,
                           "TRY": NUMBER, "TIME": OURS, "PLACE": "src", "OUTCOME": "wrs"},
    "schema_pane._COLUMNS": {"ENTITY": DECLARED, "NAME": DECLARED, "WHAT": DECLARED,
                             "MORE": "def"},
    "settings_pane._COLUMNS": {"": OURS, "SETTING": OURS, "VALUE": "bfd env", "FROM": "evn",
                               "WHAT": OURS},
    "tables.CHANGES": {"KIND": OURS, "ENTITY": DECLARED, "USER": EMAIL, "CAUSE": DECLARED,
                       "ROW": ID, "WHAT": "ttl"},
    "tables.CLIENTS": {"STATE": OURS, "USER": EMAIL, "CURSOR": NUMBER, "LAG": NUMBER,
                       "BEHIND": NUMBER, "QUEUED": NUMBER, "TRIP": NUMBER, "WAITING": NUMBER,
                       "CLIENT": "cli"},
    "tables.CALLS": {"OUTCOME": OURS, "USER": EMAIL, "CODE": "cod", "CAUSE": DECLARED,
                     "FUNCTION": DECLARED},
    "tables.UNSEEN": {"KIND": OURS, "ENTITY": DECLARED, "ROW": ID, "WHAT": "ttl"},
    "tables.FRAMES": {"FRAME": OURS, "WHAT": "ttl"},
    "tables.HELD": {"ENTITY": DECLARED},
    "tables.MAILS": {"TO": EMAIL, "CODE": ID, "SUBJECT": "sub"},
    "tables.POLICIES": {"ENTITY": DECLARED, "ACCESS": OURS, "FLAGS": OURS, "TAKEN": NUMBER,
                        "IN WORDS": "pol"},
    "tables.PROJECTS": {"STATE": OURS, "NAME": "dir", "PORT": NUMBER, "DISK": NUMBER,
                        "BACKUP": NUMBER, "UNTOUCHED": NUMBER, "LAST USE": NUMBER,
                        "LAST ERROR": "sup", "FOLDER": "dir"},
    "tables._WORDS": {"LINE": "lin err mil app"},
    "users_tables.USERS": {"STATE": OURS, "E-MAIL": EMAIL, "ROLES": "rol"},
    "users_tables.WIDE_USERS": {"STATE": OURS, "E-MAIL": EMAIL, "ID": ID, "ROLES": "rol"},
    "users_tables.SESSIONS": {"KIND": OURS, "EXPIRES": NUMBER, "SCOPE": DECLARED,
                              "DEVICE OR NAME": "dev tok"},
    "workflows_tables.FIGURES": {"WORKFLOW": DECLARED, "": OURS},
    "workflows_tables.RUNS": {"STATE": OURS, "WORKFLOW": DECLARED, "STEPS": NUMBER, "KEY": "wky",
                              "BY": EMAIL, "ID": ID, "WAITS FOR": "sig wer"},
}  # fmt: skip
#: Columns that are made as they are drawn, by module: how many, and what stands in them.
MADE: Final = {
    "data_tables": (2, "ttl big fct"), "doctor_pane": (1, "evm"), "past_tables": (4, "ttl big fct"),
    "screens.sql": (2, "ttl big fct"),
}  # fmt: skip
#: What stands in no column: it is read where all about one thing is.
DETAILS: Final = "fnd arg jrg jrs prg wrg bod bwy btb set"


def _modules() -> Iterator[str]:
    for one in pkgutil.walk_packages(pylon.tui.__path__, "pylon.tui."):
        yield one.name


def _lists() -> dict[str, tuple[Column, ...]]:
    """Return the columns of each list that stands in a module, by module and name."""
    found = {}
    for module in _modules():
        for name, value in vars(importlib.import_module(module)).items():
            columns = value if isinstance(value, tuple) else (value,)
            if columns and all(isinstance(one, Column) for one in columns):
                found[f"{module.removeprefix('pylon.tui.')}.{name}"] = columns
    return found


def test_every_column_has_a_text_or_a_reason() -> None:
    """Of every list; and nothing is said of columns that there are not."""
    lists = _lists()
    assert set(COLUMNS) == set(lists)
    for name, columns in lists.items():
        heads = {one.head for one in columns}
        known = {**{head: _STATES[head] for head in heads & set(_STATES)}, **COLUMNS[name]}
        assert set(known) == heads, name
        for head, entry in known.items():
            texts = () if entry.startswith("=") else entry.split()
            assert set(texts) <= set(PLACES), (name, head)


def test_no_column_is_made_elsewhere() -> None:
    """Those that are made as they are drawn are counted: another one is to be looked at."""
    found = {}
    for module in _modules():
        path = importlib.import_module(module).__file__
        tree = ast.parse(Path(str(path)).read_text())
        at_once = {
            call for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
            for call in _columns(node)
        }  # fmt: skip
        count = sum(call not in at_once for call in _columns(tree))
        if count:
            found[module.removeprefix("pylon.tui.")] = count
    assert found == {name: count for name, (count, _) in MADE.items()}


def _columns(tree: ast.AST) -> Iterator[ast.Call]:
    for one in ast.walk(tree):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "Column":
            yield one


def test_every_planted_text_is_looked_for_where_it_stands() -> None:
    """In a column or in details by the tables here, and on a screen by the run in a terminal."""
    standing = {one for each in COLUMNS.values() for entry in each.values() for one in entry.split()
                if not entry.startswith("=")}  # fmt: skip
    standing |= {one for _, entry in MADE.values() for one in entry.split()}
    assert set(PLACES) == standing | set(DETAILS.split())
    looked_for = {
        one for sights in (*SIGHTS.values(), *SPOILT.values()) for _, words in sights
        for one in words.split()
    }  # fmt: skip
    assert looked_for == set(PLACES)


@pytest.mark.parametrize("reason", sorted(_TAKEN))
def test_what_comes_from_outside_is_taken_where_it_steers_nothing(reason: str) -> None:
    """The reasons hold: no hostile text is taken for such a name."""
    for given in (*HOSTILE, *map(text, PLACES)):
        assert not _TAKEN[reason](given), given
