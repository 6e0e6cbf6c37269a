"""Limits of backups, of the figures of health, and of alerts; see `limits` for all others."""

from __future__ import annotations

from typing import Final

from pylon.limits import MIB

# --- backups -----------------------------------------------------------------------------
#: Backups of one project. Above: BACKUP_FAILED, none is made until some are dropped.
BACKUPS_MAX: Final = 500
#: Tries that made no backup and are remembered; the oldest go first.
BACKUPS_FAILED_KEPT_MAX: Final = 20
#: What a backup leaves free on the disk beside itself and its proof. Less: BACKUP_FAILED.
BACKUP_ROOM_BYTES: Final = 64 * MIB

# --- health ------------------------------------------------------------------------------
#: Seconds of figures that are kept for the dashboard; the oldest go first.
HEALTH_SAMPLES_KEPT_MAX: Final = 300
#: Kinds of subscriptions whose cost is counted. Above: the one that was counted first is forgotten.
SUBSCRIPTION_COSTS_MAX: Final = 1_000

# --- alerts ------------------------------------------------------------------------------
#: Alerts of one app in an hour. Above: they are counted and not sent.
ALERTS_PER_HOUR_MAX: Final = 10
#: Time for one alert to leave, by mail or webhook. Above: tried again, three times in all.
ALERT_SECONDS: Final = 15.0

# --- reports of a problem ----------------------------------------------------------------
#: Newest changes that a report has where nobody says which.
BUG_CHANGES: Final = 200
#: Lines of the runtime's log, and failures of a kind, that it has at most; the oldest are left out.
BUG_LINES_MAX: Final = 300
BUG_FAILURES_MAX: Final = 50
#: Code of the project in it. Above: files are left out, and it says which.
BUG_CODE_BYTES_MAX: Final = 4 * MIB
#: A report that is opened: of the file, and of all that is packed in it. Above: BUG_UNREADABLE.
BUG_FILE_BYTES_MAX: Final = 32 * MIB
BUG_UNPACKED_BYTES_MAX: Final = 128 * MIB
#: Parts of it. Above: the same.
BUG_PARTS_MAX: Final = 500
