"""Which columns of a grid are shown: each field with a mark, space takes it in or out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from pylon.printable import clean
from pylon.tui.dialogs import titled
from pylon.tui.enduring import Patient


class ColumnsScreen(Patient, ModalScreen[frozenset[str] | None]):
    """The fields of an entity; answers the names of those that are not to be shown."""

    DEFAULT_CSS = """
    ColumnsScreen { align: center middle; }
    ColumnsScreen > .box { width: 60; max-width: 90%; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1; }
    ColumnsScreen SelectionList { height: auto; max-height: 100%; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Back", id="close"),
        Binding("enter", "take", "Show these", priority=True, id="form.take"),
    ]

    def __init__(self, fields: Sequence[dict[str, Any]], hidden: frozenset[str]) -> None:
        super().__init__()
        self._fields = fields
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        with Vertical() as box:
            titled(box, "Columns", "space takes in or out · enter shows these · esc back")
            yield SelectionList[str](
                *[
                    Selection(
                        clean(f"{one['name']}{' (private)' if one['private'] else ''}").replace(
                            "[", "\\["
                        ),
                        one["name"], one["name"] not in self._hidden,
                    )
                    for one in self._fields
                ],
                compact=True,
            )  # fmt: skip

    def action_take(self) -> None:
        """Answer what is left out."""
        shown = set(self.query_one(SelectionList).selected)
        self.dismiss(frozenset(one["name"] for one in self._fields if one["name"] not in shown))
