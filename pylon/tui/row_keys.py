"""What enter, y and w do with the row under the cursor of a pane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.copying import copies, differences, pretty, readable
from pylon.tui.dialogs import Details, Menu, Prompt
from pylon.tui.files_tables import file_copies
from pylon.tui.functions_pane import FunctionsPane
from pylon.tui.functions_tables import function_copies
from pylon.tui.jobs_tables import job_copies
from pylon.tui.panes import RuntimePane
from pylon.tui.policies_text import details_of, title_of
from pylon.tui.saying import say
from pylon.tui.screens.client import ClientScreen
from pylon.tui.screens.function import FunctionScreen
from pylon.tui.screens.ghost import GhostScreen
from pylon.tui.screens.job import JobScreen
from pylon.tui.screens.run import RunScreen
from pylon.tui.screens.user import UserScreen, user_copies
from pylon.tui.users_tables import label_of
from pylon.tui.workflows_tables import run_copies

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class RowKeys:
    """The rows of one dashboard."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin

    async def show(self, row: Any) -> None:
        """Show everything about a row of the pane that is seen."""
        app, pane = self._app, self._app.pane.id
        if pane == "apps":
            if row["is_missing"]:
                say(app, "its folder is gone; the launcher takes it off the list", is_bad=True)
                return
            app.next_project = Path(row["path"])
            app.action_leave()
        elif pane == "log":
            await self._show_change(row)
        elif pane == "clients":
            app.push_screen(ClientScreen(app, self._admin, row))
        elif pane == "users":
            app.push_screen(UserScreen(app, self._admin, app.user_actions, row))
        elif pane == "jobs":
            app.push_screen(JobScreen(app, self._admin, app.job_actions, row))
        elif pane == "files":
            await app.file_actions.show(row)
        elif pane == "workflows":
            app.push_screen(
                RunScreen(app, self._admin, app.workflow_actions, str(row["id"]))
            )  # fmt: skip
        elif pane == "functions" and "signature" in row:
            app.push_screen(FunctionScreen(app, self._admin, row))
        elif pane == "functions":
            app.push_screen(Details(f"call {row['id']} of {row['name']}", readable(row)))
        elif pane == "runtime":
            app.push_screen(Details("line", row[1]))
        elif pane == "policies":
            app.push_screen(Details(title_of(row), details_of(row)))
        else:
            app.push_screen(Details(str(pane), readable(row)))

    async def _show_change(self, row: dict[str, Any]) -> None:
        try:
            row = await self._admin.get(f"admin/log/{row['seq']}")
        except AdminError as error:
            say(self._app, error.message, is_bad=True)
            return
        self._app.push_screen(Details(f"change {row['seq']}", differences(row) + pretty(row)))

    @property
    def _current(self) -> Any:
        pane = self._app.pane
        return pane.list.current if pane.list is not None else None

    def why(self) -> None:
        """Ask why a user may do something with the row under the cursor, or may not."""
        row, pane = self._current, self._app.pane.id
        asking = self._app.asking_why
        if row is not None and pane == "log" and row["row_id"]:
            asking.about_row(str(row["entity"]), str(row["row_id"]))
        elif row is not None and pane == "clients":
            asking.about_user(str(row["email"] or row["user_id"] or "anonymous"))
        elif row is not None and pane == "users":
            asking.about_user(label_of(row))
        else:
            say(self._app, "w asks about a row of the Log, or as a user of Clients or Users")

    def copy(self) -> None:
        """Offer what can be copied of the row under the cursor."""
        pane, row = self._app.pane, self._current
        if row is None:
            return
        options = copies(str(pane.id), row, self._app.url)
        if pane.id == "users":
            options = [*user_copies(row), *options]
        elif pane.id == "jobs":
            options = job_copies(row)
        elif pane.id == "workflows":
            options = run_copies(row)
        elif pane.id == "files":
            options = file_copies(row, self._app.page_url())
        elif isinstance(pane, FunctionsPane):
            is_call = pane.calls.has_focus and pane.calls.current is not None
            options = (copies("functions", pane.calls.current, self._app.url) if is_call
                       else function_copies(row))  # fmt: skip
        if isinstance(pane, RuntimePane) and pane.trouble:
            options.append(("what is wrong", pane.trouble))
        self.offer(options)

    def offer(self, options: list[tuple[str, str]]) -> None:
        """Let one of (name, text) be chosen, and copy it; the only one is copied at once."""
        if len(options) == 1:
            self._copied(options[0][1])
            return

        def chosen(key: str | None) -> None:
            text = next((text for name, text in options if name == key), None)
            if text is not None:
                self._copied(text)

        self._app.push_screen(
            Menu("Copy", [(name, f"{name}: {text[:70]}") for name, text in options]), chosen
        )

    def _copied(self, text: str) -> None:
        self._app.copy_to_clipboard(text)
        say(self._app, f"copied {text[:60]} (if your terminal allows it)")

    def ghost(self) -> None:
        """Ask whose client to watch, and do it."""

        def named(user: str | None) -> None:
            if user:
                self._app.push_screen(GhostScreen(self._app, user, None))

        self._app.push_screen(
            Prompt("Watch as", "an e-mail address, a user id, or anonymous"), named
        )
