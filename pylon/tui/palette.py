"""What the palette offers: every screen, every key, and what can be done where one is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.binding import Binding

from pylon.tui.data_pane import DataPane
from pylon.tui.files_pane import FilesPane
from pylon.tui.functions_pane import FunctionsPane
from pylon.tui.jobs_pane import JobsPane
from pylon.tui.keys import (
    BINDINGS,
    DATA_BINDINGS,
    FILE_BINDINGS,
    FUNCTION_BINDINGS,
    JOB_BINDINGS,
    PANES,
    RUN_BINDINGS,
    USER_BINDINGS,
    key_name,
)
from pylon.tui.screens.function import FunctionScreen
from pylon.tui.screens.job import JobScreen
from pylon.tui.screens.run import RunScreen
from pylon.tui.screens.user import UserScreen
from pylon.tui.users_pane import UsersPane
from pylon.tui.workflows_pane import WorkflowsPane

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


def commands(app: Dashboard, place: Any, *, is_attached: bool) -> Iterable[SystemCommand]:
    """Yield what the palette offers on a place: a pane, or a screen above the panes."""
    for name, _, text in PANES:
        yield SystemCommand(text.partition(":")[0], text, lambda n=name: app.action_pane(n))
    for one in BINDINGS:
        if not one.action.startswith(("pane", "command", "help", "back")):
            yield _by_key(app, one, one.description, None)
    if isinstance(place, UsersPane | UserScreen):
        yield from _of(app, place, "User", USER_BINDINGS)
    elif isinstance(place, FunctionsPane):
        yield from _of(app, place, "Function", FUNCTION_BINDINGS)
    elif isinstance(place, FunctionScreen):
        yield from _of(app, place, "Function", FUNCTION_BINDINGS[:1])
    elif isinstance(place, DataPane):
        yield from _of(app, place, "Row", DATA_BINDINGS)
    elif isinstance(place, JobsPane):
        yield from _of(app, place, "Job", JOB_BINDINGS)
    elif isinstance(place, JobScreen):
        yield from _of(app, place, "Job", JOB_BINDINGS[:2])
    elif isinstance(place, FilesPane):
        yield from _of(app, place, "Files", FILE_BINDINGS)
    elif isinstance(place, WorkflowsPane | RunScreen):
        yield from _of(app, place, "Run", RUN_BINDINGS)
    yield SystemCommand(
        "Invite a user", "an account, and a link by mail that signs it in once",
        lambda: app.user_actions.invite(app.users.ask_again),
    )  # fmt: skip
    yield SystemCommand(
        "Preview a mail template", "with its sample data; key v on Mail", app.action_templates
    )
    yield SystemCommand(
        "Watch as a user", "a ghost: frames and rows as somebody else gets them", app.action_ghost
    )
    if is_attached:
        yield SystemCommand(
            "Stop the runtime", "and quit; it was started elsewhere", app.action_stop_runtime
        )


def _of(
    app: Dashboard, place: Any, lead: str, bindings: Iterable[Binding]
) -> Iterable[SystemCommand]:
    for one in bindings:
        if place.check_action(one.action, ()):
            yield _by_key(app, one, f"{lead}: {one.description}", place)


def _by_key(app: Dashboard, one: Binding, title: str, place: Any) -> SystemCommand:
    return SystemCommand(
        title, f"key {key_name(one)}",
        lambda: app.call_later(app.run_action, one.action, place),
    )  # fmt: skip
