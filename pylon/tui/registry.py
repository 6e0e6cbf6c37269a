"""The dashboard's screens, in the order of the strip. A new one is a module and a line here."""

from __future__ import annotations

from typing import Final

from pylon.tui import (
    backups_pane,
    branches_pane,
    clients_pane,
    commands_pane,
    data_pane,
    doctor_pane,
    files_pane,
    functions_pane,
    health_pane,
    jobs_pane,
    log_pane,
    mail_pane,
    policies_pane,
    projects_pane,
    runtime_pane,
    schema_pane,
    settings_pane,
    users_pane,
    workflows_pane,
)
from pylon.tui.entry import Entry

SCREENS: Final[tuple[Entry, ...]] = (
    projects_pane.SCREEN,
    log_pane.SCREEN,
    data_pane.SCREEN,
    clients_pane.SCREEN,
    functions_pane.SCREEN,
    jobs_pane.SCREEN,
    workflows_pane.SCREEN,
    policies_pane.SCREEN,
    users_pane.SCREEN,
    mail_pane.SCREEN,
    files_pane.SCREEN,
    backups_pane.SCREEN,
    health_pane.SCREEN,
    doctor_pane.SCREEN,
    schema_pane.SCREEN,
    branches_pane.SCREEN,
    settings_pane.SCREEN,
    runtime_pane.SCREEN,
    commands_pane.SCREEN,
)
