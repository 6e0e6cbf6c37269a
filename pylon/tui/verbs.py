"""What a key is for: a binding with the words of the palette and the footer, and its command.

A place is whatever has keys of its own: a pane, or a screen above the panes. Its verbs are what
the palette offers there and what the help lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual.binding import Binding

_KEY_NAMES: Final = {
    "slash": "/", "question_mark": "?", "colon": ":", "plus": "+", "minus": "-",
    "underscore": "_", "left_square_bracket": "[", "right_square_bracket": "]",
}  # fmt: skip


@dataclass(frozen=True)
class Verb(Binding):
    """A binding that the palette offers and the help lists; `description` has its whole words."""

    show: bool = False
    #: What the footer calls it on a screen of its own.
    brief: str = ""
    #: The command that does the same in a shell, such as "jobs retry"; empty: it acts on nothing.
    cli: str = ""


def in_footer(verbs: Iterable[Verb]) -> list[Binding]:
    """Return verbs as a screen of its own binds them: the brief ones stand in the footer."""
    return [
        replace(one, description=one.brief, show=True) if one.brief else one for one in verbs
    ]  # fmt: skip


def key_name(binding: Binding) -> str:
    """Return a binding's keys as a person calls them."""
    return " ".join(_KEY_NAMES.get(key, key) for key in binding.key.split(","))


class Place:
    """Something with verbs."""

    #: What stands before them in the palette.
    lead: ClassVar[str] = ""
    verbs: ClassVar[tuple[Verb, ...]] = ()
