"""Why: what a policy said about one row and one user, what decided, and what would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pylon.client.admin import AdminClient, AdminError
from pylon.client.why_text import why_lines
from pylon.printable import clean
from pylon.tui.dialogs import Menu, Prompt, titled
from pylon.tui.enduring import Patient
from pylon.tui.muted import muted_style
from pylon.tui.saying import say
from pylon.tui.verbs import SCROLLING, Place, Verb
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

ACCESSES = ("read", "insert", "update", "delete")


class WhyText(Static):
    """The lines of an explanation in the theme's colours; every state has a sign and a word too."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "why--plain", "why--good", "why--bad", "why--warn", "why--strong", "why--accent",
    }  # fmt: skip
    DEFAULT_CSS = """
    WhyText > .why--good { color: $text-success; }
    WhyText > .why--bad { color: $text-error; text-style: bold; }
    WhyText > .why--warn { color: $text-warning; }
    WhyText > .why--strong { text-style: bold; }
    WhyText > .why--accent { color: $text-accent; }
    """

    def show(self, found: dict[str, Any], user: str) -> str:
        """Show an explanation; returns its plain text."""
        text = Text()
        for line in why_lines(found, user):
            for piece, name in line:
                text.append(clean(piece), style=self._style(name))
            text.append("\n")
        self.update(text)
        return text.plain

    def _style(self, name: str) -> Style:
        if name == "quiet":
            return muted_style(self)
        return self.get_component_rich_style(f"why--{name}", partial=True)


WHY_VERBS: Final = (
    Verb("a", "access", "Next access", id="ask.access", cli="explain"),
    Verb("u", "user", "Another user", id="ask.user", cli="explain"),
)


class WhyScreen(Patient, ModalScreen[None], Place):
    """One explanation, to read and scroll; the access and the user can be changed."""

    DEFAULT_CSS = """
    WhyScreen { align: center middle; }
    WhyScreen > .box { width: 100%; height: 100%; background: $surface; border: round $primary;
        padding: 0 1; }
    """
    lead, verbs = "Why", WHY_VERBS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", id="close"),
        *WHY_VERBS,
        Binding("y", "copy", "Copy", id="copy"),
        *SCROLLING,
    ]

    def __init__(self, asking: AskingWhy, given: dict[str, Any]) -> None:
        super().__init__()
        self._asking = asking
        self._given = given
        self._text = ""

    def compose(self) -> ComposeResult:
        """Lay out title, lines and keys."""
        with VerticalScroll() as box:
            titled(box, "Why", "a next access · u another user · y copy · esc back")
            yield WhyText("asking …", markup=False)

    def on_mount(self) -> None:
        """Ask."""
        self._ask()

    def _ask(self) -> None:
        begin(self, self._show, name="why", group="why")

    async def _show(self) -> None:
        try:
            found = await self._asking.admin.post("admin/explain", self._given)
            with self._asking.enduring.understood("the explanation"):
                for text in self.query(WhyText):
                    self._text = text.show(found, self._given["as"])
        except AdminError as error:
            hint = f"\n\n{clean(error.hint)}" if error.hint else ""
            self._text = f"{clean(error.message)}{hint}"
            for text in self.query(WhyText):  # none where it is closed by now
                text.update(self._text)

    def action_access(self) -> None:
        """Ask about the next access."""
        place = ACCESSES.index(self._given["access"])
        self._given["access"] = ACCESSES[(place + 1) % len(ACCESSES)]
        self._ask()

    def action_user(self) -> None:
        """Ask about another user."""

        def named(user: str | None) -> None:
            if user:
                self._given["as"] = user
                self._ask()

        self.app.push_screen(self._asking.prompt(), named)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_copy(self) -> None:
        """Copy the explanation as text."""
        self.app.copy_to_clipboard(self._text)
        say(self.app, "copied (if your terminal allows it)", seconds=2)


class AskingWhy:
    """Asks which row, user and access are meant, then shows why."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self.admin = admin
        self.enduring = app.enduring
        self._users: list[str] = []

    def about_row(
        self, entity: str, row_id: str, user: str | None = None, *, likely: str = ""
    ) -> None:
        """Ask about a row: of whom, unless that is known, and for what.

        `likely` stands in the line that asks for the user.
        """
        self._app.ahead.open(
            "who can be asked about", lambda: self._about(entity, row_id, user, likely),
            group="ask why",
        )  # fmt: skip

    def about_user(self, user: str) -> None:
        """Ask which row is meant, then about it as this user."""

        def named(line: str | None) -> None:
            if line:
                entity, _, row_id = line.partition(" ")
                self.about_row(entity, row_id.strip(), user)

        self._app.push_screen(
            Prompt(f"Why may {clean(user)} …", "entity and row, such as: Message 01a2…", _no_row),
            named,
        )

    def prompt(self, likely: str = "") -> Prompt:
        """Return the question for a user; known ones complete what is typed."""
        return Prompt(
            "As whom", "an e-mail address, a user id, or anonymous (→ completes)",
            suggestions=[*self._users, "anonymous"], value=likely,
        )  # fmt: skip

    async def _about(self, entity: str, row_id: str, user: str | None, likely: str) -> None:
        try:
            listed = (await self.admin.get("admin/users"))["users"]
        except AdminError:
            listed = []  # nothing completes; the address can still be typed
        self._users = [str(one["email"] or one["id"]) for one in listed]
        who = user or await self._app.push_screen_wait(self.prompt(likely))
        if not who:
            return
        options = [(one, f"{one} it") for one in ACCESSES]
        access = await self._app.push_screen_wait(Menu(f"Why may {who} …", options))
        if access is not None:
            given = {"entity": entity, "id": row_id, "as": who, "access": access}
            self._app.push_screen(WhyScreen(self, given))


def _no_row(line: str) -> str:
    return "" if len(line.split()) == 2 else "an entity, a space, and the id of a row"
