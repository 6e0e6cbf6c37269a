"""How the command line names rows: Entity/id everywhere, or entity and id as two words."""

from __future__ import annotations

from typing import Final, NamedTuple

import click

from pylon.client.admin import AdminClient

#: The sentences that `--help` ends with.
ROW_HELP: Final = "A row is written Entity/id, such as Note/n1; `Note n1` is taken, too."
ROWS_HELP: Final = (
    "Rows are written Entity/id, such as Note/n1 Note/n2; `Note n1 n2` is taken, too."
)


class RowName(NamedTuple):
    """A row by its entity and id."""

    entity: str
    id: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.id}"

    @property
    def path(self) -> str:
        """Return what stands for the row in a route."""
        return f"{AdminClient.quoted(self.entity)}/{AdminClient.quoted(self.id)}"


class RowNames(NamedTuple):
    """Rows of one entity; no id where a command finds them otherwise."""

    entity: str
    ids: tuple[str, ...]


def _row(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> RowName:
    found = _named(words)
    if found is None or len(found.ids) != 1:
        raise click.UsageError(f"a row is written Entity/id, not {' '.join(words)!r}", context)
    return RowName(found.entity, found.ids[0])


def _rows(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> RowNames:
    found = _named(words)
    if found is None:
        raise click.UsageError(
            f"rows of one entity are written Entity/id, not {' '.join(words)!r}", context
        )
    return found


def _named(words: tuple[str, ...]) -> RowNames | None:
    """Return what words name: each as Entity/id, or the entity's name and then ids.

    An id may have a slash within, the name of an entity has none.
    """
    if "/" not in words[0]:
        entity, ids = words[0], words[1:]
    else:
        parts = [word.partition("/") for word in words]
        entity, ids = parts[0][0], tuple(row_id for _, _, row_id in parts)
        if any(name != entity for name, _, _ in parts):
            return None
    return RowNames(entity, ids) if entity and all(ids) else None


#: The argument of a command that takes one row, as a `RowName`.
row_argument = click.argument("row", metavar="ENTITY/ID", nargs=-1, required=True, callback=_row)
#: That of one that takes rows of one entity, as `RowNames`; the entity alone names none yet.
rows_argument = click.argument(
    "named", metavar="ENTITY[/ID]...", nargs=-1, required=True, callback=_rows
)
