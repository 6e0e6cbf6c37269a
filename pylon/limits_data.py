"""The bounds of the owner's own reads and changes of rows: what each is for, what gives way.

Units are the last word of a name.
"""

from __future__ import annotations

from typing import Final

from pylon import limits

#: Read-only connections of one question each (SQL, exports) at a time, each with a thread. Above:
#: 503 UNAVAILABLE, reason `busy`.
OWN_READERS_MAX: Final = 4
#: One statement of the owner's, and how long it may take. Above: 400, and FUNCTION_TIMEOUT.
SQL_BYTES_MAX: Final = 64 * limits.KIB
SQL_SECONDS: Final = 5.0
#: Rows of its answer, bytes of them, and characters of a cell. Above: the rest is left out, said.
SQL_ROWS_MAX: Final = 1_000
SQL_ANSWER_BYTES_MAX: Final = 4 * limits.MIB
SQL_CELL_CHARACTERS_MAX: Final = 20_000
#: One text or blob that it makes on its way. Above: 400.
SQL_VALUE_BYTES_MAX: Final = 4 * limits.MIB
#: Rows of one part of a bulk change, a transaction of its own, and what one that needs no parts may
#: have. Above: 400; whoever has more marks sends them in parts.
BULK_ROWS_MAX: Final = limits.PUSH_OPERATIONS_MAX
BULK_PART_ROWS: Final = 200
#: Values that a preview of a bulk change counts apart, by field. Above: the rest is one line.
BULK_VALUES_SHOWN: Final = 5
#: Changes of one row since the one to be undone, and rows that depend on it, that are told.
UNDO_CHANGES_SHOWN: Final = 5
UNDO_DEPENDENTS_SHOWN: Final = 50
#: One answer of a runtime, or one message of its stream, that a client of Python takes: it may be
#: somebody else's. The longest honest one is a page of LIST_BYTES_MAX characters, each of them
#: written as six bytes. Above: it is read no further, and the dashboard or the command says so.
ANSWER_BYTES_MAX: Final = 64 * limits.MIB
#: For a piece of an export to be taken: it holds a moment of the database. Above: it is cut off.
EXPORT_STALL_SECONDS: Final = 60.0

assert BULK_PART_ROWS < BULK_ROWS_MAX
assert SQL_CELL_CHARACTERS_MAX < SQL_VALUE_BYTES_MAX
assert ANSWER_BYTES_MAX > 6 * limits.LIST_BYTES_MAX

# --- the past
#: Changes of one row that are looked at for who gave its fields their values. Above: not told.
BLAME_CHANGES_MAX: Final = 2_000
#: Changes of one page of a row's history, or rows of one page of a difference. Above: 400.
HISTORY_LIMIT_MAX: Final = 500
#: Changes that are saved as a test or replayed elsewhere at once, and rows that they need before.
#: Above: 413 PAYLOAD_TOO_LARGE.
REPLAY_CHANGES_MAX: Final = 1_000
REPLAY_ROWS_MAX: Final = 5_000
