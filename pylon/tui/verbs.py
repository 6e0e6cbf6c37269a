"""What a key is for: a binding with the words of the palette and the footer, and its command.

A place is whatever has keys of its own: a pane, or a screen above the panes. Its verbs are what
the palette offers there and what the help lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual.binding import Binding

_USUAL: Final[Mapping[str, str]] = {}
_KEY_NAMES: Final = {
    "slash": "/", "question_mark": "?", "colon": ":", "plus": "+", "minus": "-",
    "underscore": "_", "left_square_bracket": "[", "right_square_bracket": "]",
}  # fmt: skip


#: Commands that change nothing of a running app: their keys need no lock. Backups are made and
#: proven in production, too; of `call` the request says whether it only reads.
READING: Final = frozenset(
    {"explain", "open", "branch diff", "rows export", "sql", "lens", "history", "log", "log save",
     "diff", "files verify", "jobs list", "mail preview", "ghost", "doctor", "users export",
     "backups create", "backups verify", "backups send", "call"}
)  # fmt: skip

#: Powers of development only: elsewhere there is nothing to unlock, and their keys say so.
_OF_DEVELOPMENT: Final = frozenset({"clock", "clients network", "workflows rerun", "login-link"})


@dataclass(frozen=True)
class Verb(Binding):
    """A binding that the palette offers and the help lists; `description` has its whole words."""

    show: bool = False
    #: What the footer calls it on a screen of its own.
    brief: str = ""
    #: The command that does the same in a shell, such as "jobs retry"; empty: it acts on nothing.
    cli: str = ""
    #: What else it is looked for by, beside its words, its id, its action and its command.
    also: str = ""
    #: It changes something though no command says so.
    acts: bool = False

    @property
    def words(self) -> str:
        """Return all that it is found by in the palette."""
        return f"{self.description} {self.id} {self.action} {self.cli} {self.also}"

    @property
    def writes(self) -> bool:
        """Tell whether it changes something, and so waits for the lock of production."""
        return self.acts or (bool(self.cli) and self.cli not in READING | _OF_DEVELOPMENT)


def verb_of(place: type, action: str) -> Verb | None:
    """Return the verb of a class, or of what it is made of, that does an action."""
    for one in place.__mro__:
        for binding in vars(one).get("BINDINGS", ()):
            if isinstance(binding, Verb) and binding.action == action:
                return binding
    return None


def in_footer(verbs: Iterable[Verb]) -> list[Binding]:
    """Return verbs as a screen of its own binds them: the brief ones stand in the footer."""
    return [
        replace(one, description=one.brief, show=True) if one.brief else one for one in verbs
    ]  # fmt: skip


def key_name(binding: Binding, keymap: Mapping[str, str] = _USUAL) -> str:
    """Return a binding's keys as a person calls them; `keymap`: those bound otherwise, by id."""
    return words_of_keys(keymap.get(binding.id or "", binding.key).split(","))


def words_of_keys(keys: Iterable[str]) -> str:
    """Return keys as a person calls them."""
    return " ".join(_KEY_NAMES.get(key, key) for key in keys)


#: How a text is scrolled; `scroll` takes lines. The ids are those of lists.
SCROLLING: Final = (
    Binding("down,j", "scroll(1)", "Down", show=False, id="move.down"),
    Binding("up,k", "scroll(-1)", "Up", show=False, id="move.up"),
    Binding("pagedown,ctrl+d,space", "scroll(15)", "Page down", show=False, id="move.page-down"),
    Binding("pageup,ctrl+u", "scroll(-15)", "Page up", show=False, id="move.page-up"),
    Binding("home,g", "scroll(-1000000)", "First", show=False, id="move.first"),
    Binding("end,G", "scroll(1000000)", "Last", show=False, id="move.last"),
)


class Place:
    """Something with verbs."""

    #: What stands before them in the palette.
    lead: ClassVar[str] = ""
    verbs: ClassVar[tuple[Verb, ...]] = ()
