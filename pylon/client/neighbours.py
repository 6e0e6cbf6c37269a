"""Neighbours of a query's rows: what `include` names, kept current by subscriptions of their own.

Each relation is followed by subscriptions to the ids that the rows name, so that a neighbour comes,
changes and goes as every row does, behind its own policy, and leaves when no row leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pylon import limits
from pylon.client.row import ClientRow
from pylon.client.subscription import Definition
from pylon.errors import InvalidArgument
from pylon.policy.mistakes import nearest
from pylon.protocol.manifest import Manifest, RelationManifest

if TYPE_CHECKING:
    from pylon.client.client import PylonClient

#: Subscriptions of one relation; above, one takes the place of all.
_CHUNKS_MAX = 4


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A subscription to some of what a relation leads to."""

    definition: Definition
    values: frozenset[str]


@dataclass(slots=True)
class _Hop:
    """One relation, and those behind it."""

    relation: RelationManifest
    children: dict[str, _Hop] = field(default_factory=dict)
    chunks: list[_Chunk] = field(default_factory=list)
    #: Left when those that take their place are ready.
    stale: list[_Chunk] = field(default_factory=list)


class Neighbours:
    """What one query includes; it holds subscriptions until `leave`."""

    def __init__(self, client: PylonClient, entity: str, paths: Sequence[str]) -> None:
        self._client = client
        self._entity = entity
        self._paths = tuple(paths)
        self._hops: dict[str, _Hop] = {}
        #: What the hops were made from; None while nothing is known of the app.
        self._manifest: Manifest | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether all neighbours of the rows seen last are there."""
        return self._manifest is not None and all(
            self._client.has_all(one.definition) for hop in self._all() for one in hop.chunks
        )

    def definitions(self) -> Iterator[Definition]:
        """Yield what is subscribed to."""
        yield from (one.definition for hop in self._all() for one in hop.chunks)

    def leave(self) -> None:
        """Give every subscription back."""
        for hop in list(self._all()):
            for chunk in (*hop.chunks, *hop.stale):
                self._client.let_go(chunk.definition)
        self._hops, self._manifest = {}, None

    def dress(self, rows: list[ClientRow]) -> list[ClientRow]:
        """Return the rows with their neighbours; raises InvalidArgument for a wrong path."""
        manifest = self._client.shell.fields.manifest
        if manifest is not self._manifest:
            self.leave()
            self._manifest = manifest
            self._plan()
        return self._follow(self._hops, rows)

    # --- what there is to follow

    def _all(self, hops: dict[str, _Hop] | None = None) -> Iterator[_Hop]:
        for hop in (self._hops if hops is None else hops).values():
            yield hop
            yield from self._all(hop.children)

    def _plan(self) -> None:
        if self._manifest is None:
            return
        known = {one.name: one.relations for one in self._manifest.entities}
        for path in self._paths:
            hops, entity, parts = self._hops, self._entity, path.split(".")
            if len(parts) > limits.INCLUDE_HOPS_MAX:
                raise InvalidArgument(
                    f"a path of include has at most {limits.INCLUDE_HOPS_MAX} hops",
                    field="include",
                )
            for part in parts:
                relation = _relation(entity, known.get(entity, []), part)
                hop = hops.setdefault(relation.name, _Hop(relation))
                hops, entity = hop.children, relation.entity

    # --- following it

    def _follow(self, hops: dict[str, _Hop], rows: list[ClientRow]) -> list[ClientRow]:
        if not hops:
            return rows
        found = {name: self._neighbours(hop, rows) for name, hop in hops.items()}
        return [ClientRow({**row, **{name: of(row) for name, of in found.items()}}) for row in rows]

    def _neighbours(self, hop: _Hop, rows: list[ClientRow]) -> Callable[[ClientRow], Any]:
        relation = hop.relation
        source, target = ("id", relation.field) if relation.many else (relation.field, "id")
        wanted = {row[source] for row in rows if isinstance(row.get(source), str)}
        self._cover(hop, target, wanted)
        reached = [row for row in self._client.rows(relation.entity) if row.get(target) in wanted]
        by_key: dict[str, list[ClientRow]] = {}
        for bare, dressed in zip(reached, self._follow(hop.children, reached), strict=True):
            by_key.setdefault(bare[target], []).append(dressed)
        if relation.many:
            return lambda row: by_key.get(row["id"], [])
        return lambda row: next(iter(by_key.get(row.get(source) or "", ())), None)

    def _cover(self, hop: _Hop, target: str, wanted: set[str]) -> None:
        """Subscribe to what is wanted and not subscribed to yet; leave what nobody wants."""
        hop.stale += [one for one in hop.chunks if not one.values & wanted]
        hop.chunks = [one for one in hop.chunks if one.values & wanted]
        missing = wanted.difference(*(one.values for one in hop.chunks))
        if missing:
            if len(hop.chunks) >= _CHUNKS_MAX:
                hop.stale += hop.chunks
                hop.chunks, missing = [], wanted
            hop.chunks += self._chunks(hop.relation.entity, target, sorted(missing))
        if hop.stale and all(self._client.has_all(one.definition) for one in hop.chunks):
            stale, hop.stale = hop.stale, []
            for one in stale:
                self._client.let_go(one.definition)

    def _chunks(self, entity: str, target: str, values: list[str]) -> Iterable[_Chunk]:
        size = limits.FILTER_LIST_MAX
        for at in range(0, len(values), size):
            some = values[at : at + size]
            definition = Definition(entity=entity, where={target: {"in": some}})
            self._client.hold(definition)
            yield _Chunk(definition, frozenset(some))


def _relation(entity: str, known: list[RelationManifest], part: str) -> RelationManifest:
    for one in known:
        if one.name == part or (one.field == part and not one.many):
            return one
    names = [one.name for one in known]
    raise InvalidArgument(
        f"{entity} has no relation {part}", field="include",
        hint=nearest(part, names) or f"there are {', '.join(names)}",
    )  # fmt: skip
