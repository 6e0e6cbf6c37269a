"""Bounds of branches and of data migrations. Each says what it bounds, why, and what gives way."""

from __future__ import annotations

from typing import Final

from pylon.limits import MIB

#: Branches of one project; each is a file as large as the database. Above: 409 BRANCH_REFUSED.
BRANCHES_MAX: Final = 50
#: Branches made before migrations, the oldest of which go when there is a newer one.
BRANCHES_AUTOMATIC_MAX: Final = 5
#: What stays free beside a copy, for the app to work with. Below: 503 UNAVAILABLE, `disk_full`.
BRANCH_ROOM_BYTES: Final = 64 * MIB
#: One comparison of two branches. Longer: 503 FUNCTION_TIMEOUT.
BRANCH_DIFF_SECONDS: Final = 120.0
#: Rows of one page of a comparison. Outside 1..max: 400.
BRANCH_DIFF_ROWS_MAX: Final = 500
#: Characters of one page of a comparison; the page ends there, and `next` goes on.
BRANCH_DIFF_BYTES_MAX: Final = 4 * MIB
#: One data migration, or one part of one. Longer: it is rolled back, and said.
MIGRATION_SECONDS: Final = 120.0
