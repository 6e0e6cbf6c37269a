"""Makes scripts from seeds: users of one app at work, and everything that can go wrong for them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon.app.definition import AppDefinition
from pylon.app.functions import FunctionKind
from pylon.schema.model import Entity
from pylon.testing.simulation.script import Actor, Script, Step
from pylon.testing.simulation.values import Values, roles_of
from pylon.testing.simulation.visibility import carriers, looked_at, other_policies, timed

_NAMES: Final = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim",
    "leo", "mia", "nina", "olaf", "pia", "quinn", "rosa", "sam", "tina",
)  # fmt: skip
#: How often each kind of step is drawn, for the simulator of Pylon itself.
TORMENT: Final[Mapping[str, float]] = {
    "insert": 30, "update": 22, "delete": 14, "call": 8, "system_insert": 6, "system_update": 6,
    "system_delete": 3, "look": 24, "roles": 3, "policy": 1.5, "disable": 1, "revoke": 1,
    "swap": 1.5, "sign_in": 2, "sign_out": 1, "kill": 4, "cut": 4, "hold": 3, "open": 5, "close": 3,
    "wait": 5, "follow": 8, "unfollow": 2, "crash": 1.2, "restart": 0.7, "backup": 1,
    "restore": 0.5, "trim": 1, "clock": 0.5, "echo": 1, "discard": 1,
}  # fmt: skip
#: The same where rows come into view and leave it all the time because of others.
TURNING: Final[Mapping[str, float]] = {
    **TORMENT, "look": 60, "update": 12, "delete": 6, "policy": 3, "roles": 4, "swap": 2, "wait": 8,
}  # fmt: skip
#: The same for an app's own simulation: nobody puts an older copy of its data in place.
EVERYDAY: Final[Mapping[str, float]] = {
    **{kind: weight for kind, weight in TORMENT.items() if kind not in ("backup", "restore",
                                                                        "trim", "clock")},
    "call": 16, "crash": 0.7,
}  # fmt: skip
_FAULTS_OF_SERVER: Final = (
    "crash", "restart", "backup", "restore", "trim", "clock", "policy", "disable", "swap",
)  # fmt: skip
_ROWS_AT_START: Final = 8
_PAUSES_MS: Final = (0, 0, 0, 1, 5, 20, 100, 400, 1_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How big a run is, and what may happen in it."""

    weights: Mapping[str, float] = field(default_factory=lambda: TORMENT)
    steps: int = 40
    devices_min: int = 2
    devices_max: int = 5
    #: Addresses that take part; others are made up where there are fewer devices.
    emails: tuple[str, ...] = ()
    #: Part of the devices that run the TypeScript machine.
    typescript_share: float = 0.0


def make_script(definition: AppDefinition, seed: int, plan: Plan) -> Script:
    """Return the script of a seed."""
    return _Maker(definition, seed, plan).make()


def unreachable(definition: AppDefinition) -> list[str]:
    """Return the entities that no script writes, and why."""
    values = Values(definition, ["nobody@example.com"], random.Random(0))  # noqa: S311
    return [
        f"{one.name} (a required field has a pattern that no known text fits)"
        for one in definition.schema.entities.values()
        if one.name != "User" and not values.can_insert(one)
    ]


class _Maker:
    def __init__(self, definition: AppDefinition, seed: int, plan: Plan) -> None:
        self._definition = definition
        self._seed = seed
        self._plan = plan
        self._chance = random.Random(f"script {seed}")  # noqa: S311 -- meant to be repeatable
        self._roles = roles_of(definition)
        self._actors = self._cast()
        emails = [one.email for one in self._actors if one.email is not None]
        self._emails = list(dict.fromkeys(emails))
        self._values = Values(definition, self._emails, self._chance)
        entities = definition.schema.entities.values()
        self._synced = [one for one in entities if one.sync]
        self._insertable = [one for one in entities if self._values.can_insert(one)]
        self._mutations = [
            one
            for one in definition.functions.values()
            if one.kind is FunctionKind.MUTATION and not one.is_internal
        ]
        self._queries = [
            one
            for one in definition.functions.values()
            if one.kind is FunctionKind.QUERY and not one.is_internal
        ]
        #: Entities whose rows decide about others, those first that others decide with most.
        named = [*looked_at(definition), *looked_at(definition), *carriers(definition)]
        self._looked_at = [one for one in named if definition.schema.entities[one] in
                           self._insertable]  # fmt: skip
        self._backups = 0
        self._slots = 0

    def make(self) -> Script:
        first = [
            self._open(actor.name, one, is_narrow=self._chance.random() < 0.3)
            for actor in self._actors
            for one in self._synced
        ]
        # Where rows decide about others there must be some of both before anything is decided.
        count = _ROWS_AT_START if self._looked_at else 0
        first += [self._insert("system_insert", self._actors[0].name) for _ in range(count)]
        if self._queries:  # all of them by everybody: the same calls, and who may share
            first += [self._follow(actor.name) for actor in self._actors for _ in self._queries]
        kinds, weights = self._kinds()
        count = max(1, int(self._plan.steps * self._chance.uniform(0.5, 1.5)))
        steps = [self._step(kind) for kind in self._chance.choices(kinds, weights, k=count)]
        return Script(seed=self._seed, actors=self._actors, steps=[*first, *steps])

    def _kinds(self) -> tuple[list[str], list[float]]:
        given = dict(self._plan.weights)
        if not self._mutations:
            given.pop("call", None)
        if not self._queries:
            for kind in ("follow", "unfollow"):
                given.pop(kind, None)
        if not self._roles:
            given.pop("roles", None)
        if not self._looked_at:
            given.pop("look", None)
        if not timed(self._definition):
            given.pop("wait", None)
        if not self._insertable:
            for kind in ("insert", "system_insert"):
                given.pop(kind, None)
        # Not every run has every fault: rare ones show where others do not hide them.
        calm = {kind for kind in _FAULTS_OF_SERVER if self._chance.random() < 0.5}
        kept = {kind: weight for kind, weight in given.items() if kind not in calm}
        return list(kept), list(kept.values())

    def _cast(self) -> list[Actor]:
        plan, chance = self._plan, self._chance
        count = chance.randint(plan.devices_min, plan.devices_max)
        if chance.random() < 0.03:
            count = min(20, count * 4)
        known = list(plan.emails) or [f"{name}@example.com" for name in _NAMES]
        users = max(1, min(count - 1, len(known), chance.randint(2, 4)))
        roles = {
            email: [one for one in self._roles if chance.random() < 0.3] for email in known[:users]
        }
        actors = []
        for place in range(count):
            email = None if place and chance.random() < 0.1 else known[place % users]
            is_typescript = chance.random() < plan.typescript_share
            actors.append(
                Actor(
                    name=_NAMES[place % len(_NAMES)], email=email,
                    roles=[] if email is None else roles[email],
                    language="typescript" if is_typescript else "python",
                )
            )  # fmt: skip
        return actors

    # --- steps

    def _step(self, kind: str) -> Step:
        actor = self._chance.choice(self._actors).name
        step = self._content(kind, actor)
        return Step(**{**_members(step), "after_ms": self._chance.choice(_PAUSES_MS)})

    def _content(self, kind: str, actor: str) -> Step:  # noqa: C901 -- one for each kind
        chance = self._chance
        match kind:
            case "insert" | "system_insert":
                return self._insert(kind, actor)
            case "update" | "system_update":
                entity = self._any_entity()
                return Step(
                    kind=kind, actor=actor, entity=entity.name, values=self._values.update(entity),
                    more={"row": self._values.row_id(entity.name)},
                )  # fmt: skip
            case "delete" | "system_delete":
                entity = chance.choice(self._insertable or self._synced)
                row = self._values.row_id(entity.name)
                self._values.forget(entity.name, row)
                return Step(kind=kind, actor=actor, entity=entity.name, more={"row": row})
            case "look":
                return self._look(actor)
            case "policy":
                entity = chance.choice(self._synced)
                texts = other_policies(self._definition, entity.name, self._roles)
                return Step(kind=kind, entity=entity.name, more={"read": chance.choice(texts)})
            case "disable":
                ms = chance.choice((50, 2_000, 20_000))
                return Step(kind=kind, more={"email": chance.choice(self._emails), "ms": ms})
            case "wait":
                return Step(kind=kind, more={"ms": chance.choice((1_000, 5_000, 20_000, 120_000))})
            case "call":
                function = chance.choice(self._mutations)
                args = self._values.arguments(function)
                return Step(kind=kind, actor=actor, fn=function.name, args=args)
            case "roles":
                roles = [one for one in self._roles if chance.random() < 0.4]
                email = chance.choice(self._emails)
                return Step(kind=kind, more={"email": email, "roles": roles})
            case "sign_in" | "swap":
                return Step(kind=kind, actor=actor, more={"email": chance.choice(self._emails)})
            case "open":
                return self._open(actor, chance.choice(self._synced), is_narrow=True)
            case "follow":
                return self._follow(actor)
            case "close" | "unfollow":
                slot = chance.randint(1, max(1, self._slots))
                return Step(kind=kind, actor=actor, more={"slot": slot})
            case "kill" | "hold":
                return Step(
                    kind=kind, actor=actor, more={"ms": chance.choice((0, 50, 3_000, 40_000))}
                )
            case "crash" | "restart":
                return Step(kind=kind, more={"ms": chance.choice((0, 100, 4_000))})
            case "backup":
                self._backups += 1
                return Step(kind=kind)
            case "restore":
                return Step(kind=kind, more={"which": chance.randint(0, self._backups)})
            case "trim":
                return Step(kind=kind, more={"keep": chance.choice((0, 3, 10))})
            case "clock":
                ms = chance.choice((-3_600_000, -20_000, -3_000, -1_000, 1_000))
                return Step(kind=kind, more={"ms": ms})
            case _:
                return Step(kind=kind, actor=actor)

    def _insert(self, kind: str, actor: str, wanted: Entity | None = None) -> Step:
        entity = self._values.first_needed(wanted or self._chance.choice(self._insertable))
        values = self._values.insert(entity)
        row_id = self._values.new_id(entity.name)
        return Step(kind=kind, actor=actor, entity=entity.name, id=row_id, values=values)

    def _look(self, actor: str) -> Step:
        """Return a write to a row that decides who sees others."""
        chance = self._chance
        entity = self._definition.schema.entities[chance.choice(self._looked_at)]
        writer = chance.choice(("", "system_", "system_"))
        made = self._values.made(entity.name)
        drawn = chance.random() if made else 0.0
        if drawn < 0.45:
            return self._insert(f"{writer}insert", actor, entity)
        row = chance.choice(made)
        if drawn < 0.75 and (values := self._values.update(entity)):
            return Step(
                kind=f"{writer}update", actor=actor, entity=entity.name, values=values,
                more={"row": row},
            )  # fmt: skip
        self._values.forget(entity.name, row)
        return Step(kind=f"{writer}delete", actor=actor, entity=entity.name, more={"row": row})

    def _follow(self, actor: str) -> Step:
        self._slots += 1
        function = self._chance.choice(self._queries)
        args = self._values.arguments(function)
        return Step(
            kind="follow", actor=actor, fn=function.name, args=args, more={"slot": self._slots}
        )

    def _any_entity(self) -> Entity:
        users = self._definition.schema.entities["User"]
        return self._chance.choice([*self._insertable, *self._insertable, users])

    def _open(self, actor: str, entity: Entity, *, is_narrow: bool = False) -> Step:
        self._slots += 1
        more: dict[str, Any] = {"slot": self._slots}
        if is_narrow:
            more["where"] = self._values.where(entity)
            if self._chance.random() < 0.2:
                more["limit"] = self._chance.randint(1, 3)
        return Step(kind="open", actor=actor, entity=entity.name, more=more)


def _members(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in step.__struct_fields__}
