"""The pane of mail: what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.copying import link_of
from pylon.tui.entry import Entry, Offer
from pylon.tui.filtering import listed
from pylon.tui.panes import Pane
from pylon.tui.screens.mail_preview import MailTemplatesMenu
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

MAIL_VERBS: Final = (
    Verb("v", "templates", "Preview a template", id="mail.preview", cli="mail preview"),
)


class MailPane(Pane):
    """What was sent."""

    own_keys = "enter opens · o its link in the browser · v previews a template · ? all keys"
    lead = "Mail"
    verbs = MAIL_VERBS
    BINDINGS: ClassVar[list[BindingType]] = [*MAIL_VERBS]
    no_page = "there is no link in this mail"
    parts = ("mail",)
    filters = (listed(tables.MAILS, tables.mail_line),)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._templates = MailTemplatesMenu(app, admin, app.page_url)

    def compose(self) -> ComposeResult:
        """Lay out the keys and the list."""
        yield self.keys_line()
        yield LineList(
            tables.mail_line, follows=True, head=tables.HEADS["mails"],
            empty="No mail was sent since the start. Sign in on the page: the code comes here.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the mails."""
        rows = self.passing(self.state.mails)
        assert self.list is not None
        self.list.show(
            rows, key=lambda row: row["id"], total=len(self.state.mails),
            is_read="functions" in self.state.told,  # mails come before them
        )  # fmt: skip

    def page(self) -> str | None:
        """Return the link of the mail under the cursor; empty where it has none."""
        if self.list is None or self.list.current is None:
            return None
        return link_of(self.list.current, self._dashboard.page_url()) or ""

    def action_templates(self) -> None:
        """Show a mail template as it will look."""
        self._templates.ask()


SCREEN = Entry(
    "mail", "Mail", "what was sent, with its codes and links", MailPane, key="m",
    verbs=MAIL_VERBS,
    offers=(Offer("Preview a mail template", "with its sample data; key v on Mail", "templates"),),
)  # fmt: skip
