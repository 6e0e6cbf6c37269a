"""What a new version of the policies changes for whom: old and new over sampled callers and rows.

Measured after the new version is live, on a reader thread, so that no save waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.app.matrix import field_policy
from pylon.clock import Clock, iso_ms
from pylon.errors import FunctionTimeout, PylonError
from pylon.identity import ANONYMOUS, Identity
from pylon.policy import ir
from pylon.policy.claims import is_same_meaning
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.slots import walk
from pylon.schema.model import Access
from pylon.server.auth.sessions import identity_of
from pylon.server.functions.policy_coverage import PolicyCoverage
from pylon.server.observe import Observer
from pylon.server.storage.database import Database
from pylon.server.storage.policy_samples import (
    Difference,
    difference,
    sample_accounts,
    sample_rows,
)  # fmt: skip
from pylon.server.storage.readers import ReadConnection
from pylon.sqlite import Error

_log = logging.getLogger("pylon.policy")
_NOBODY = "nobody (no policy)"
_LATE = "it took too long to measure"
#: Callers named in one line, and policies.
_NAMED = 3
_POLICIES_NAMED = 2
_BYTES_PER_ROW = 8


@dataclass(frozen=True, slots=True)
class _Changed:
    """One policy whose meaning is another now."""

    subject: str
    access: str
    entity: str | None
    old: CompiledPolicy
    new: CompiledPolicy


def changed_policies(old: AppDefinition, new: AppDefinition) -> Iterator[_Changed]:
    """Yield the policies of entities, fields and functions whose meaning is not what it was."""
    for name, entity in new.schema.entities.items():
        for access in Access:
            pair = old.policies.get(name, access), new.policies.get(name, access)
            if not is_same_meaning(pair[0].condition, pair[1].condition):
                yield _Changed(name, access.value, name, *pair)
        before = old.schema.entities.get(name)
        for one in entity.fields if before is not None else ():
            assert before is not None
            known = before.by_name.get(one.name)
            if known is None or known.read == one.read:
                continue
            pair = (
                field_policy(old, before, known) or _ALL, field_policy(new, entity, one) or _ALL
            )  # fmt: skip
            if not is_same_meaning(pair[0].condition, pair[1].condition):
                yield _Changed(f"{name}.{one.name}", "read", name, *pair)
    for name, function in new.functions.items():
        there = old.functions.get(name)
        if there is None or function.is_internal or there.is_internal:
            continue
        pair = there.allow or _SIGNED_IN, function.allow or _SIGNED_IN
        if not is_same_meaning(pair[0].condition, pair[1].condition):
            yield _Changed(f"{name}()", "call", None, *pair)


_ALL = CompiledPolicy("", ir.Constant(value=True), "no policy of its own")
_SIGNED_IN = CompiledPolicy(
    "", ir.FactHolds(ir.Slot(ir.SlotKind.HAS_USER)), "a function without allow"
)


class PolicyEffects:
    """Measures, one reload at a time, and tells the observer and the log."""

    def __init__(
        self, database: Database, observer: Observer, clock: Clock,
        random_bytes: Callable[[int], bytes], coverage: PolicyCoverage | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._observer = observer
        self._clock = clock
        self._random_bytes = random_bytes
        self._coverage = coverage
        self._task: asyncio.Task[None] | None = None

    def after_reload(self, old: AppDefinition, new: AppDefinition) -> None:
        """Begin to measure; a measurement of before that still runs is given up."""
        if self._coverage is not None:
            self._coverage.attach(new)
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(
            self._measure(old, new), name="pylon-policy-effect"
        )

    async def stop(self) -> None:
        """End a measurement that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _measure(self, old: AppDefinition, new: AppDefinition) -> None:
        started = self._clock.monotonic()
        changed = list(changed_policies(old, new))
        if not changed:
            return
        now = iso_ms(self._clock.now_ms())
        effects = []
        for one in changed:
            is_late = self._clock.monotonic() - started > limits.POLICY_EFFECTS_SECONDS
            effects.append(await self._effect_of(one, now, is_late=is_late))
        found = {
            "at": now, "generation": new.generation,
            "ms": round((self._clock.monotonic() - started) * 1000, 1),
            "line": line_of(effects), "changes": effects,
        }  # fmt: skip
        _log.info("policy.changed %s", found["line"])
        self._observer.note_policy_change(found)

    async def _effect_of(self, one: _Changed, now: str, *, is_late: bool) -> dict[str, Any]:
        effect: dict[str, Any] = {
            "subject": one.subject, "access": one.access,
            "before": one.old.sentence if one.old.text else _words(one.old),
            "now": one.new.sentence if one.new.text else _words(one.new),
            "sampled": 0, "total": 0, "users": 0, "effects": [],
            "note": _LATE if is_late else _why_not(one),
        }  # fmt: skip
        if effect["note"]:
            return effect
        chance = self._random_bytes(limits.POLICY_SAMPLE_ROWS // 2 * _BYTES_PER_ROW)
        try:
            await self._database.readers.run(
                lambda reads: _measured(reads, one, now, chance, effect),
                timeout_s=limits.POLICY_EFFECT_SECONDS,
            )
        except FunctionTimeout:
            effect["note"] = _LATE
        except (PylonError, Error) as error:
            effect["note"] = f"it can't be measured: {error}"
        return effect


def _words(policy: CompiledPolicy) -> str:
    if policy in (_ALL, _SIGNED_IN):
        return policy.where
    return _NOBODY


def _why_not(one: _Changed) -> str:
    """Return why a policy can't be asked of stored rows; empty where it can."""
    if one.access == Access.INSERT:
        return "it is about rows that are not there yet"
    if one.old.speaks_of_both_images or one.new.speaks_of_both_images:
        return "it is about a row before and after a change"
    if one.entity is None and any(
        isinstance(node, ir.Argument)
        for policy in (one.old, one.new) for node in walk(policy.condition)
    ):  # fmt: skip
        return "it depends on arguments"
    return ""


def _measured(
    reads: ReadConnection, one: _Changed, now: str, chance: bytes, effect: dict[str, Any]
) -> None:
    """Fill in what the sampled callers gain and lose."""
    callers = [("anonymous", ANONYMOUS)]
    callers += [(account.label, identity_of(account)) for account in sample_accounts(reads)]
    sample = sample_rows(reads, one.entity, chance) if one.entity is not None else None
    effect["users"] = len(callers)
    if sample is not None:
        effect["sampled"], effect["total"] = len(sample.places), sample.total
    known: dict[Hashable, Difference] = {}
    for name, identity in callers:
        key = (one.old.facts(identity), one.new.facts(identity))
        found = known.get(key)
        if found is None:
            if sample is None:
                found = _may_call(reads, one, identity, now)
            else:
                old, new = (
                    policy.uncounted.clause(identity, alias="t", now=now)
                    for policy in (one.old, one.new)
                )
                found = difference(reads, sample, old, new)
            known[key] = found
        if found.gained or found.lost:
            effect["effects"].append({
                "who": name, "roles": sorted(identity.roles), "gained": found.gained,
                "lost": found.lost, "gained_ids": list(found.gained_ids),
                "lost_ids": list(found.lost_ids),
            })  # fmt: skip
    effect["effects"].sort(key=lambda each: (-(each["gained"] + each["lost"]), each["who"]))


def _may_call(reads: ReadConnection, one: _Changed, identity: Identity, now: str) -> Difference:
    before, after = (
        policy.uncounted.allows(identity, None, now=now, lookup=reads.exists)
        for policy in (one.old, one.new)
    )
    return Difference(int(after and not before), int(before and not after))


# --- in words ----------------------------------------------------------------------------


def line_of(effects: list[dict[str, Any]]) -> str:
    """Return what changed for whom, in one line."""
    # What moves rows is said before what moves none.
    ordered = sorted(effects, key=lambda one: not one["effects"])
    said = "; ".join(effect_words(one) for one in ordered[:_POLICIES_NAMED])
    rest = len(ordered) - _POLICIES_NAMED
    return f"{said}; and {rest} more" if rest > 0 else said


def effect_words(effect: dict[str, Any]) -> str:
    """Return one policy's effect, such as `Note.read: bob +12 rows (of 2,000 sampled)`."""
    name = effect["subject"] if effect["access"] == "call" else \
        f"{effect['subject']}.{effect['access']}"  # fmt: skip
    if effect["note"]:
        return f"{name} changed: {effect['note']}"
    of = f" (of {effect['sampled']:,} sampled)" if effect["access"] != "call" else ""
    found = effect["effects"]
    if not found:
        rows = of.replace("sampled", "row" if effect["sampled"] == 1 else "rows")
        return f"{name} changed: nothing for the {effect['users']} callers asked{rows}"
    first = found[0]["lost"] or found[0]["gained"]
    unit = "" if effect["access"] == "call" else " row" if first == 1 else " rows"
    said = [
        f"{one['who']} {_amount(one, effect['access'])}{unit if at == 0 else ''}"
        for at, one in enumerate(found[:_NAMED])
    ]
    rest = len(found) - _NAMED
    if rest > 0:
        said.append(f"and {rest} other caller{'' if rest == 1 else 's'}")
    return f"{name}: {', '.join(said)}{of}"


def _amount(one: dict[str, Any], access: str) -> str:
    if access == "call":
        return "may call it now" if one["gained"] else "may no longer call it"
    parts = [f"+{one['gained']:,}"] if one["gained"] else []
    parts += [f"−{one['lost']:,}"] if one["lost"] else []
    return " ".join(parts)
