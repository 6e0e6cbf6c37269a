"""Lines of a log without what people wrote in them, and without secrets.

A word stays where it is known: it stands in the app's code or schema, or in Pylon's own where the
line is one of Pylon's. Every other one becomes a word of the same shape, the same as in rows. What
does not live here: values of fields (`schema.masking`).
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pylon
from pylon.errors import Internal, StepFailed
from pylon.printable import clean_block
from pylon.schema.pseudonyms import Pseudonyms

_TAKEN: Final = "[secret]"
#: Codes whose messages repeat what the app's code raised.
_OF_APPS: Final = frozenset({Internal.code, StepFailed.code})
_SECRET_MIN: Final = 6
_TOKEN: Final = re.compile(
    r'(?P<frame>File "[^"\n]{1,400}", line \d+, in [\w<>.]+)'
    r"|(?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b)"
    r"|(?P<email>[^\s@<>\"'(),;:=\[\]]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?)"
    r"|(?P<address>\b\d{1,3}(?:\.\d{1,3}){3}\b|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4})"
    r"|(?P<word>\w+)"
)
_FRAME: Final = re.compile(r'File "([^"]+)"(.*)\Z')
#: Words of our sentences, and names of ours: nobody's, as a word with one capital may be.
_OUR_WORD: Final = re.compile(r"\b(?:[a-z_][a-z0-9_]*|[A-Z][A-Z0-9_]+|[A-Z][a-z]+[A-Z]\w*)\b")
_EXAMPLE: Final = re.compile(r"[\w.+-]+@[\w.-]+|'[^'\n]*'")
_EVENT: Final = re.compile(r"(?:(?:debug|info|warning|error|critical)\s+)?([a-z]+(?:\.[a-z_]+)+)\b")
_EVENT_IN_SOURCE: Final = re.compile(r'"([a-z]+(?:\.[a-z_]+)+)[ "]')
#: What stands in lines whoever wrote them: levels, and the words of Python's own exceptions.
_PLAIN: Final = frozenset(
    """
    listening http https traceback nonetype debug info warning error critical logger message
    level secret project address port at in of to the a an is was not no and or for from by
    with on as be has have had must can cannot could did does do s t got takes given
    expected found missing required unexpected argument arguments positional keyword most
    recent call last line file during handling above exception another occurred direct cause
    following module list index out range key attribute object named name type types
    instance invalid literal base value values unpack enough too many string integer float
    decimal bool dict set tuple bytes none null true false recursion maximum depth exceeded
    division zero iterable callable subscriptable operand supported between instances local
    global variable referenced before assignment timeout timed connection refused reset
    closed permission denied such directory import decode encode codec position
    """.split()  # noqa: SIM905 -- read as text
)


class Words:
    """Takes out of text what is not known."""

    def __init__(
        self, pseudonyms: Pseudonyms, known: Iterable[str], secrets: Iterable[str],
        places: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            pseudonyms: what the other words become.
            known: words that stay.
            secrets: texts that are never shown, not even their shape.
            places: folders by what to call them.
        """
        self._pseudonyms = pseudonyms
        python = {*keyword.kwlist, *dir(builtins)}
        self._known = frozenset({one.casefold() for one in (*known, *_PLAIN, *python)})
        # The longest first: a secret may be part of another.
        self._secrets = sorted({one for one in secrets if len(one) >= _SECRET_MIN}, key=len)[::-1]
        self._places = sorted(places.items(), key=lambda one: -len(one[0]))

    def text(self, text: str, *, is_ours: bool = False) -> str:
        """Return text of any number of lines, harmless for a terminal.

        Args:
            text: what was written.
            is_ours: Pylon wrote it, so its own words stay.
        """
        for secret in self._secrets:
            text = text.replace(secret, _TAKEN)
        for place, name in self._places:
            text = text.replace(place, name)
        lines = (self._line(one, is_ours=is_ours) for one in text.split("\n"))
        return clean_block("\n".join(lines))

    def value(self, value: Any, *, is_ours: bool = False) -> Any:
        """Return a JSON value with its texts as `text` returns them; names of members stay."""
        match value:
            case str():
                return self.text(value, is_ours=is_ours)
            case list():
                return [self.value(one, is_ours=is_ours) for one in value]
            case dict():
                return {name: self.value(one, is_ours=is_ours) for name, one in value.items()}
            case _:
                return value

    def _line(self, line: str, *, is_ours: bool) -> str:
        event = _EVENT.match(line)
        our_end = len(line) if is_ours else 0
        if event is not None and event[1] in _our_events():
            # What comes after it may be what the app's code threw.
            our_end = len(line.partition(": ")[0])

        def put(found: re.Match[str]) -> str:
            word = found[0]
            match found.lastgroup:
                case "id" | "time":
                    return word
                case "frame":
                    return self._frame(word)
                case "email":
                    return self._pseudonyms.text(word)
                case "address":
                    return "[address]"
                case _:
                    is_known = self._is_known(word, is_ours=found.start() < our_end)
                    return word if is_known else self._pseudonyms.text(word)

        return _TOKEN.sub(put, line)

    def _is_known(self, word: str, *, is_ours: bool) -> bool:
        if word.isascii() and word.isdigit():
            return len(word) <= 4  # a line, a port, a status, a count
        return word.casefold() in self._known or (is_ours and word in _our_words())

    @staticmethod
    def _frame(text: str) -> str:
        """Return a line of a traceback with the end of its path: the rest is of one machine."""
        found = _FRAME.match(text)
        assert found is not None
        path = found[1]
        if not path.startswith(("<", "[")):
            path = "…/" + "/".join(re.split(r"[\\/]", path)[-2:])
        return f'File "{path}"{found[2]}'


def is_our_code(code: str) -> bool:
    """Tell whether an error of this code says something in words of ours."""
    return code not in _OF_APPS and code in _our_words()


@lru_cache(maxsize=1)
def _our_source() -> str:
    root = Path(pylon.__file__).parent
    files = [*root.glob("errors*.py"), *root.joinpath("server").rglob("*.py"),
             *root.joinpath("supervisor").rglob("*.py")]  # fmt: skip
    return "\n".join(one.read_text(encoding="utf-8") for one in files)


@lru_cache(maxsize=1)
def _our_words() -> frozenset[str]:
    return frozenset(_OUR_WORD.findall(_EXAMPLE.sub("", _our_source())))


@lru_cache(maxsize=1)
def _our_events() -> frozenset[str]:
    return frozenset(_EVENT_IN_SOURCE.findall(_our_source()))
