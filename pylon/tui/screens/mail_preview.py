"""A mail template with its sample data, as it will look; what is saved shows within a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.errors import InvalidJson
from pylon.printable import clean_block
from pylon.tui.browser import open_page
from pylon.tui.dialogs import Menu, Prompt, titled
from pylon.tui.enduring import Patient, shown
from pylon.tui.saying import say
from pylon.tui.verbs import SCROLLING, Place, Verb
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_LOOK_SECONDS: Final = 1.0


PREVIEW_VERBS: Final = (
    Verb("d", "data", "Other data", id="mail.data", cli="mail preview"),
    Verb("o", "open", "Open in browser", id="open"),
)


class MailPreviewScreen(Patient, ModalScreen[None], Place):
    """One template."""

    DEFAULT_CSS = """
    MailPreviewScreen > .box { width: 100%; height: 100%; background: $surface;
        border: round $primary; padding: 0 1; }
    MailPreviewScreen .wrong { color: $text-error; }
    """
    lead, verbs = "Preview", PREVIEW_VERBS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", id="close"),
        *PREVIEW_VERBS,
        Binding("y", "copy", "Copy", id="copy"),
        *SCROLLING,
    ]

    def __init__(self, admin: AdminClient, url: Callable[[], str], template: str) -> None:
        super().__init__()
        self._admin = admin
        self._url = url
        self._given: dict[str, Any] = {"template": template, "data": None}
        self._found: dict[str, Any] = {}
        self._looking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out title, text and keys."""
        with VerticalScroll() as box:
            keys = "d other data · o HTML in a browser · y copy · esc back"
            titled(box, f"mail/{self._given['template']}", keys)
            yield Static("…", markup=False, id="mail")

    def on_mount(self) -> None:
        """Look, and again as long as it is open."""
        self._look()
        self.set_interval(_LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        """Look once more, unless the look before is still waited for."""
        if self._looking is None or self._looking.is_finished:
            self._look()

    def _look(self) -> None:
        self._looking = begin(self, self._show, name="preview", group="preview")

    async def _show(self) -> None:
        try:
            found = await self._admin.post("admin/mail/preview", self._given)
        except AdminError as error:
            self._update(error.message, is_wrong=True)
            return
        with shown(self.app, "the preview"):
            mistake = found["error"]
            self._update(mistake["message"] if mistake else preview_text(found),
                         is_wrong=bool(mistake))  # fmt: skip
            self._found = found

    def _update(self, text: str, *, is_wrong: bool) -> None:
        for place in self.query("#mail").results(Static):  # none where it is closed by now
            place.set_class(is_wrong, "wrong")
            place.update(clean_block(f"✗ {text}" if is_wrong else text))

    def action_data(self) -> None:
        """Ask for other data; nothing is the sample file's again."""

        def given(text: str | None) -> None:
            if text is not None:
                self._given["data"] = jsonvalue.parse(text.encode()) if text else None
                self._look()

        before = self._given["data"] or self._found.get("data") or {}
        self.app.push_screen(
            Prompt(
                "Data (JSON; empty: the sample file)", '{"name": "Ada"}', _no_object,
                value=jsonvalue.encode_text(before), takes_nothing=True,
            ),
            given,
        )  # fmt: skip

    async def action_open(self) -> None:
        """Show text and HTML in a browser, in a frame that can do nothing."""
        path = self._found.get("page")
        if path is None:
            say(self.app, "there is no page of it: what is wrong with it stands here")
            return
        url = f"{self._url()}{path}"
        opened = await open_page(url)
        say(self.app, url if opened else f"no browser here; open {url}", seconds=6)

    def action_copy(self) -> None:
        """Copy the text."""
        text = self._found.get("text")
        if not text:
            say(self.app, "there is no text to copy")
            return
        self.app.copy_to_clipboard(text)
        say(self.app, "copied (if your terminal allows it)", seconds=2)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def preview_text(found: dict[str, Any]) -> str:
    """Return a preview as lines."""
    html = "mail has HTML, too: o shows it" if found["html"] is not None else "text only"
    return f"Subject: {found['subject']}\n\n{found['text'].rstrip()}\n\n({html})"


def _no_object(text: str) -> str:
    try:
        value = jsonvalue.parse(text.encode())
    except InvalidJson as error:
        return error.message
    return "" if isinstance(value, dict) else "this is no JSON object"


class MailTemplatesMenu:
    """Asks which template is meant, then shows it."""

    def __init__(self, app: Dashboard, admin: AdminClient, url: Callable[[], str]) -> None:
        self._app = app
        self._admin = admin
        self._url = url

    def ask(self) -> None:
        """Ask, and show."""
        self._app.ahead.open("the templates", self._choose, group="templates")

    async def _choose(self) -> None:
        try:
            found = (await self._admin.get("admin/mail/templates"))["templates"]
        except AdminError as error:
            is_missing = error.code == "NOT_FOUND"
            text = "only `pylon dev` shows templates" if is_missing else error.message
            say(self._app, text, seconds=5)
            return
        options = [
            (one["name"], f"{one['name']:<24} {'yours' if one['from'] == 'project' else 'Pylon’s'}"
             f"{', HTML' if one['has_html'] else ''}{'' if one['has_sample'] else ', no sample'}")
            for one in found
        ]  # fmt: skip
        name = await self._app.push_screen_wait(Menu("Templates of mail/", options))
        if name is not None:
            self._app.push_screen(MailPreviewScreen(self._admin, self._url, name))
