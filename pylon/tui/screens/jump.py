"""Jump mode: a letter on everything one can go to; the letter goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.geometry import Offset
from textual.screen import ModalScreen
from textual.widgets import Static

#: In the order in which fingers find them.
LETTERS: Final = "asdfghjklwertyuiopzxcvbnm"


@dataclass(frozen=True, slots=True)
class Target:
    """Somewhere to go: where its letter stands, and what goes there."""

    at: Offset
    go: Callable[[], object]


class JumpScreen(ModalScreen[None]):
    """Letters over what was there before."""

    DEFAULT_CSS = """
    JumpScreen { background: $background 40%; layers: below above; }
    JumpScreen .letter { width: 3; height: 1; layer: above; position: absolute;
        background: $text-warning; color: $background; text-style: bold; }
    JumpScreen #say { dock: bottom; height: 1; background: $panel; color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+o", "dismiss", "Back", id="close")
    ]

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        """Lay out the letters."""
        for letter, target in self._targets.items():
            label = Static(f"[{letter}]", classes="letter", markup=False)
            label.styles.offset = target.at
            yield label
        yield Static(" a letter goes there · esc back", id="say", markup=False)

    def on_resize(self) -> None:
        """Leave where the letters would stand at other places than what they mean."""
        if self._was_sized:
            self.dismiss()
        self._was_sized = True

    _was_sized = False

    def on_key(self, event: Key) -> None:
        """Go to what a letter stands on."""
        target = self._targets.get(event.key)
        if target is not None:
            event.stop()
            self.dismiss()
            self.app.call_later(target.go)
