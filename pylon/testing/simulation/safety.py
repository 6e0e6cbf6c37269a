"""What may never happen, watched after each step: leaks, wrong replicas, lost or doubled writes.

Apart from what drives the run: nothing in here makes anything happen.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.subscription import read_cursor
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.schema.wire import wire_row
from pylon.testing.network import Link
from pylon.testing.simulation.device import Device
from pylon.testing.simulation.findings import Finding
from pylon.testing.simulation.oracle import Moment, Oracle, matches
from pylon.testing.simulation.values import CANARY, MARK
from pylon.testing.simulation.wire import Stream

if TYPE_CHECKING:
    from pylon.client.subscription import Definition
    from pylon.testing.simulation.virtual_time import VirtualLoop

#: How long what was read under one state may take to the wire, and old roles may be spoken for.
_GRACE_SECONDS: Final = 1.0
#: How long a client that is cut off may go on for who its caller was, and for how things were.
_UNAWARE_SECONDS: Final = 60.0
_MARK: Final = re.compile(f"{MARK}[0-9]+;")


class Callers:
    """Who is who: ids of users and their roles over time."""

    def __init__(self, loop: VirtualLoop, oracle: Oracle) -> None:
        self._loop = loop
        self._oracle = oracle
        self.ids: dict[str, str] = {}
        #: By address: since when, which roles; None: disabled.
        self._roles: dict[str, list[tuple[float, frozenset[str] | None]]] = {}

    def know(self, email: str, user_id: str, roles: frozenset[str]) -> None:
        """Note who somebody is from now on."""
        self.ids[email] = user_id
        self._roles.setdefault(email, []).append((self._loop.time(), roles))

    def disable(self, email: str) -> None:
        """Note that somebody is nobody from now on, until he is known again."""
        self._roles[email].append((self._loop.time(), None))

    def roles_of(self, email: str) -> frozenset[str]:
        """Return the roles that somebody has, or last had."""
        return next(roles for _, roles in reversed(self._roles[email]) if roles is not None)

    def identity(self, email: str | None, roles: frozenset[str]) -> Identity:
        """Return a caller as policies see him."""
        if email is None:
            return ANONYMOUS
        return Identity(kind=IdentityKind.USER, user_id=self.ids[email], email=email, roles=roles)

    def lately(self, email: str | None, seconds: float) -> list[Identity]:
        """Return who somebody may be to the server: now, and up to so long ago; newest first.

        Nobody, where he was disabled all the time.
        """
        if email is None:
            return [ANONYMOUS]
        since = self._loop.time() - seconds
        found: list[frozenset[str] | None] = []
        for begun, roles in reversed(self._roles[email]):
            found.append(roles)
            if begun <= since:
                break
        known = [roles for roles in dict.fromkeys(found) if roles is not None]
        return [self.identity(email, roles) for roles in known]


class WireWatch:
    """Every byte to a client: no private text, no row that its caller may not read."""

    def __init__(self, oracle: Oracle, callers: Callers, loop: VirtualLoop) -> None:
        self._oracle = oracle
        self._callers = callers
        self._loop = loop
        self._streams: dict[Link, Stream] = {}
        self._heads: deque[tuple[float, int]] = deque([(0.0, 0)])
        #: Whose a link is, by the name of its client.
        self.email_of: dict[str, str | None] = {}
        self.findings: list[Finding] = []
        self.rows = 0
        #: A checksum over everything that was sent: equal for equal runs.
        self.trace = 0
        self.told: Callable[[str, Any], None] = lambda client, message: None
        #: Is told of values of followed functions, and of errors in their place.
        self.followed: Callable[[str, str | None, Any], None] = lambda client, email, message: None

    def tap(self, link: Link, data: bytes) -> None:
        """Look at bytes as the server writes them."""
        if link.client not in self.email_of:
            return
        email = self.email_of[link.client]
        if CANARY.encode() in data:
            text = data[max(0, data.find(b"{")) :][:400].decode("utf-8", "replace")
            self._find("no private field on the wire", f"{email} was sent {text}")
        stream = self._streams.setdefault(link, Stream())
        for message in stream.take(data):
            said = jsonvalue.encode([link.client, message])
            self.trace = zlib.crc32(said, self.trace)
            self.told(link.client, message)
            kind = message.get("type") if isinstance(message, dict) else None
            is_answer = kind == "results"
            if kind in ("value", "error") and "subscription" in message:
                # What a function makes of rows, as the system perhaps, is judged by its own result.
                self.followed(link.client, email, message)
            elif not is_answer:
                self._check_marks(email, said.decode())
            for entity, row in _rows_of(message):
                self.rows += 1
                self._check(email, entity, row, is_answer=is_answer, seconds=_GRACE_SECONDS)
            for row in _repeated(message):
                # An answer that is given once more is the first one, whoever he has become.
                self.rows += 1
                self._check(email, None, row, is_answer=True, seconds=self._loop.time())

    def _find(self, promise: str, message: str) -> None:
        self.findings.append(Finding(promise, message))

    def restart(self) -> None:
        """Forget states of before a restored copy."""
        self._heads = deque([(self._loop.time(), self._oracle.head)])

    def note_head(self) -> None:
        """Note which state rows are read at from now on; called after each commit."""
        if self._heads[-1][1] != self._oracle.head:
            self._heads.append((self._loop.time(), self._oracle.head))

    def _states(self) -> Iterator[int]:
        """Return the heads that what is on its way now may have been read at, newest first."""
        self.note_head()
        now = self._loop.time()
        while len(self._heads) > 1 and self._heads[1][0] < now - _GRACE_SECONDS:
            self._heads.popleft()
        return (seq for _, seq in reversed(self._heads))

    def _check(
        self, email: str | None, entity: str | None, row: dict[str, Any], *, is_answer: bool,
        seconds: float,
    ) -> None:  # fmt: skip
        names = [entity] if entity is not None else self._oracle.entity_of(row["id"])
        for name in names:
            image = self._oracle.version(name, row["id"], row["_seq"])
            if image is None:
                continue
            whole = wire_row(self._oracle.definition.schema.entities[name], image)
            if whole != row and whole != {**whole, **row}:
                self._find("a row on the wire is the row", f"{email} was sent {row}, not {image}")
            # The answer of a write shows the row as it was then, whatever came behind it.
            then = [image["_seq"]] if is_answer else []
            if not any(one == row for one in self._as_seen(email, name, image, then, seconds)):
                self._find(
                    "no row or field on the wire that a policy denies",
                    f"{email} was sent {name} {row}",
                )
            return
        self._find("a row on the wire is the row", f"{email} was sent {row}, which never was")

    def _as_seen(
        self, email: str | None, entity: str, image: dict[str, Any], then: list[int],
        seconds: float = _GRACE_SECONDS,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """Visit what a caller might get of an image, as of so long ago at most."""
        moments = self._oracle.moments(entity, [*then, *self._states()], seconds)
        for identity in self._callers.lately(email, seconds):
            for one in moments:
                seen = self._oracle.seen(identity, entity, image, one)
                if seen is not None:
                    yield seen

    def _check_marks(self, email: str | None, text: str) -> None:
        """Look for texts that only rows have which the caller may not read, wherever they stand."""
        for mark in dict.fromkeys(_MARK.findall(text)):
            having = self._oracle.having(mark)
            if having and not any(
                mark in str(seen)
                for entity, image in having
                for seen in self._as_seen(email, entity, image, [])
            ):
                self._find("no text of a hidden row on the wire", f"{email} was sent {text[:600]}")


def _rows_of(message: Any) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Visit the rows in a message with their entities, where the message names them."""
    match message:
        case {"type": "results", "results": results}:
            found = [(None, one.get("value")) for one in results if one["status"] != "duplicate"]
        case {"changes": changes}:
            found = []
            for one in changes:
                rows = one["rows"] if "rows" in one else [one.get("row")]
                found += [(one["entity"], row) for row in rows]
        case {"type": "snapshot", "entity": entity, "rows": rows}:
            found = [(entity, row) for row in rows]
        case {"type": "window", "rows": rows}:
            found = [(None, row) for row in rows]
        case _:
            return
    for entity, row in found:
        if _is_row(row):
            yield entity, row


def _repeated(message: Any) -> Iterator[dict[str, Any]]:
    """Visit the rows of answers that were given before."""
    if isinstance(message, dict) and message.get("type") == "results":
        for one in message["results"]:
            if one["status"] == "duplicate" and _is_row(one.get("value")):
                yield one["value"]


def _is_row(value: Any) -> bool:
    # A write whose result its author may not read answers id and _seq alone.
    return isinstance(value, dict) and "_seq" in value and "id" in value and len(value) > 2


class ReplicaWatch:
    """Every replica, whenever it stands complete at a cursor, is what its caller sees there."""

    def __init__(self, oracle: Oracle, callers: Callers) -> None:
        self._oracle = oracle
        self._callers = callers
        self.epoch = ""
        self.checks = 0

    def look(self, device: Device, commands: list[ev.Command]) -> Finding | None:
        """Look at a device after a step of its machine."""
        if not any(isinstance(one, ev.SaveReplica) for one in commands):
            return None
        machine = device.machine
        if machine is None or isinstance(device.caller, msgspec.UnsetType):
            return None
        seen = machine.seen()
        cursor = read_cursor(seen.shown_cursor)
        if cursor is None or cursor.epoch != self.epoch or seen.is_hydrating:
            return None
        if seen.state not in ("live", "hydrating", "resyncing"):
            return None
        if device.caller != (self._callers.ids.get(device.email) if device.email else None):
            return Finding("a caller is who signed in", f"{device.name} is {device.caller}")
        if cursor.seq > self._oracle.head:
            return Finding("a cursor is never ahead", f"{device.name} is at {cursor}")
        self.checks += 1
        for slot, definition in device.open.items():
            if definition.limit is None and seen.ready.get(device.subscription_id(slot)):
                found = self._compare(device, definition, cursor.seq)
                if found is not None:
                    return found
        return None

    def _compare(self, device: Device, definition: Any, seq: int) -> Finding | None:
        assert device.machine is not None
        has = device.machine.base(definition.entity)
        # What it was told up to its cursor was judged by what was so then, or later.
        states = self._oracle.states_since(definition.entity, seq)
        moments = self._oracle.moments(definition.entity, states, _UNAWARE_SECONDS)
        windows = [
            one
            for one in device.open.values()
            if one.entity == definition.entity and one.limit is not None
        ]
        message = ""
        for identity in self._callers.lately(device.email, _UNAWARE_SECONDS):
            difference = compare(
                self._oracle, identity, definition, has, seq, moments,
                # Whoever is away holds what was right when he was last told.
                may_have_turned=self._oracle.asks_time(definition.entity), windows=windows,
            )  # fmt: skip
            if difference is None:
                return None
            message = message or difference
        if not message:
            return None  # he was disabled all the time, and does not know it
        return Finding(
            "a replica is what its caller sees at its cursor",
            f"{device.name} ({device.email}) at {seq}: {message}",
        )


def compare(
    oracle: Oracle, identity: Identity, definition: Any, has: dict[str, dict[str, Any]], seq: int,
    moments: list[Moment], *, may_have_turned: bool = False, windows: Sequence[Definition] = (),
) -> str | None:  # fmt: skip
    """Say how rows differ from what a caller may see; None where they do not.

    Args:
        oracle: knows the rows.
        identity: who the caller is.
        definition: what is asked for.
        has: the rows that are there.
        seq: the rows must be as they stood then.
        moments: each row must be there, or not, as it was right at one of these.
        may_have_turned: it may also be as it was right at any time before.
        windows: keep a row that left the filter until their own next frame.
    """
    entity, where = definition.entity, definition.where
    stored = {row["id"]: row for row in oracle.rows(entity, seq)}
    for row_id in sorted(has.keys() | stored.keys()):
        mine, row = has.get(row_id), stored.get(row_id)
        if mine is not None and mine["_seq"] > seq:
            continue  # a window brought it, or a page of another query: ahead of the cursor
        if mine is not None and not matches(mine, where):
            mine = None
        wanted: list[dict[str, Any] | None] = []
        for one in moments:
            seen = None if row is None else oracle.seen(identity, entity, row, one)
            if seen is not None and not matches(seen, where):
                seen = None
            if seen == mine:
                break
            wanted.append(seen)
        else:
            is_kept = (
                mine is not None
                and None in wanted
                and any(matches(mine, one.where) for one in windows)
                and _has_left(oracle, identity, definition, mine, seq)
            )
            if not may_have_turned and not is_kept:
                return f"{entity} {row_id} is {mine}, should be {wanted[0]}"
    return None


def _has_left(
    oracle: Oracle, identity: Identity, definition: Any, row: dict[str, Any], seq: int
) -> bool:
    """Tell whether a row changed up to a seq to one that its caller may read, but did not ask for.

    What comes of it then, a delete too, is told by windows alone: they keep no step with cursors.
    """
    entity = definition.entity
    for at in oracle.changes(entity, row["id"], row["_seq"]):
        image = oracle.version(entity, row["id"], at)
        if at > seq or image is None:
            continue
        states = oracle.states_since(entity, at)
        for one in oracle.moments(entity, states, _UNAWARE_SECONDS):
            seen = oracle.seen(identity, entity, image, one)
            if seen is not None and not matches(seen, definition.where):
                return True
    return False
