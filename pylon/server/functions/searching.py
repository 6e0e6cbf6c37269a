"""What people type into a search box, as an expression of the index: words, and nothing else.

Whatever else FTS5 reads in a text (quotes, `*`, `NEAR`, `-`, names of columns) is never read in
one from outside: each word is quoted, and words are joined by what stands here.
"""

from __future__ import annotations

from typing import Any

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.schema.jsontree import check_text
from pylon.schema.model import Entity
from pylon.server.storage.search_index import column_of


def match_of(entity: Entity, text: Any, unusable: frozenset[str]) -> str | None:
    """Return the expression that finds every word, the last one as a beginning.

    None for a text without words, which finds nothing. Raises InvalidArgument.

    Args:
        entity: whose rows are searched.
        text: what was typed.
        unusable: fields that the caller can't name (`unusable_fields`): not looked at for him.
    """
    columns = [
        column_of(place)
        for place, one in enumerate(entity.searched_fields)
        if one.name not in unusable
    ]
    if not columns:
        raise InvalidArgument(
            f"{entity.name} has no field that is searched", field="q",
            hint="a field is with search=True, and each Text is",
        )  # fmt: skip
    if not isinstance(text, str):
        raise InvalidArgument("q is the text to search for", field="q")
    if len(text) > limits.SEARCH_TEXT_MAX:
        raise InvalidArgument(
            f"what is searched for has at most {limits.SEARCH_TEXT_MAX} characters", field="q"
        )
    try:
        check_text(text)
    except ValueError as error:
        raise InvalidArgument(f"q {error}", field="q") from None
    words = [one for one in text.split() if any(letter.isalnum() for letter in one)]
    if len(words) > limits.SEARCH_WORDS_MAX:
        raise InvalidArgument(
            f"what is searched for has at most {limits.SEARCH_WORDS_MAX} words", field="q"
        )
    if not words:
        return None
    found = " ".join(_quoted(one) for one in words) + "*"
    if len(columns) == len(entity.searched_fields):
        return found
    return f"{{{' '.join(columns)}}} : ({found})"


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
