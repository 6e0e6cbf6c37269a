"""Why a decision fell: the tree with the value of each node, the node that decided, what flips it.

The tree is walked by the reference interpreter, the verdict is the enforced predicate's. Pure: the
rows that an `exists` looks at are asked for through `LookedAt`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pylon import limits
from pylon.policy import ir, reference
from pylon.policy.flips import Flip, flips_of
from pylon.policy.matching import satisfied
from pylon.policy.reference import World, lookup_values
from pylon.policy.scene import LookedAt, Part, Question, Remembered, Scene, Sight
from pylon.policy.slots import walk
from pylon.policy.spelled import spelled, spelled_filter, spelled_value
from pylon.schema.decimals import units_text
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import Row, Schema

ANSWERS = {True: "true", False: "false", None: "unknown"}
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Witness:
    """What an `exists` found, or the nearest row that misses filters."""

    row_id: str
    values: tuple[tuple[str, Any], ...]
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One node with its answer. `kind` is all, any, not, test or exists."""

    kind: str
    text: str
    answer: bool | None
    label: str = ""
    values: tuple[tuple[str, Any], ...] = ()
    items: tuple[Step, ...] = ()
    witness: Witness | None = None
    error: str | None = None
    flip: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer to why."""

    is_allowed: bool
    question: Question
    row_id: str | None
    tree: Step
    decided_by: Step
    flips: tuple[Flip, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of an explanation."""
        question = self.question
        found: dict[str, Any] = {
            "allowed": self.is_allowed,
            "entity": question.entity.name if question.entity is not None else None,
            "id": self.row_id,
            "access": str(question.access or "call"),
            "policy": question.policy.text or None,
            "tree": self._step(self.tree),
            "decided_by": self.decided_by.text,
        }
        if self.flips:
            found["flip"] = self.flips[0].text
        if question.field is not None:
            found["field"] = question.field
        return found

    def _step(self, step: Step) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": step.kind, "text": step.text, "value": ANSWERS[step.answer]
        }  # fmt: skip
        if step.label:
            found["label"] = step.label
        if step is self.decided_by:
            found["decides"] = True
        if step.values:
            found["operands"] = dict(step.values)
        if step.witness is not None:
            one = step.witness
            name = "nearest" if one.misses else "match"
            found[name] = {"id": one.row_id, **dict(one.values)}
            if one.misses:
                found["misses"] = list(one.misses)
        if step.error is not None:
            found["error"] = step.error
        if step.flip is not None:
            found["flip"] = step.flip
        if step.items:
            found["items"] = [self._step(one) for one in step.items]
        return found


def explain(question: Question, scene: Scene, sight: Sight | None = None) -> Explanation:
    """Return why a decision falls as it does."""
    sight = sight or Sight()
    scene = replace(scene, rows=_Seen(Remembered(scene.rows), sight))
    is_allowed = question.is_allowed(scene)
    flips = () if is_allowed else flips_of(question, scene, sight)
    by_leaf: dict[tuple[int, ir.Condition], str] = {}
    for one in flips:
        by_leaf.setdefault(one.leaf, one.text)
    steps = []
    for at, part in enumerate(question.parts(scene)):
        walker = _Walker(part, scene, sight, at, question.schema, by_leaf)
        step = replace(walker.step(part.policy.condition), label=part.label)
        if not (part.is_gate and step.answer is True):
            steps.append(step)
    tree = steps[0]
    if len(steps) > 1:
        text = f"{question.access} is allowed"
        tree = Step("all", text, _all([one.answer for one in steps]), items=tuple(steps))
    row_id = None if scene.row is None else str(scene.row["id"])
    return Explanation(is_allowed, question, row_id, tree, _decider(tree), flips)


def _decider(step: Step) -> Step:
    """Return the first node whose answer alone settled the whole, as judged from left to right."""
    match step.kind:
        case "not":
            return _decider(step.items[0])
        case "all" if step.answer is not True:
            return _decider(next(one for one in step.items if one.answer is step.answer))
        case "any" if step.answer is not False:
            return _decider(next(one for one in step.items if one.answer is step.answer))
        case _:
            return step


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


class _Seen:
    """The looked-at rows; of those that may not be seen only whether there is one."""

    def __init__(self, rows: LookedAt, sight: Sight) -> None:
        self._rows, self._sight = rows, sight

    def find(
        self, node: ir.ExistsNode, values: tuple[Any, ...], without: str | None = None
    ) -> Row | None:
        """Return a row that matches, or None."""
        return self._rows.find(node, values, without)

    def near(self, node: ir.ExistsNode, values: tuple[Any, ...]) -> list[Row]:
        """Return rows that satisfy at least one filter and may be seen."""
        rows = self._rows.near(node, values)
        return [row for row in rows if self._sight.may_see(node.entity, row)]


class _Walker:
    """Walks one part and makes a step of each node."""

    def __init__(
        self, part: Part, scene: Scene, sight: Sight, place: int, schema: Schema,
        flips: dict[tuple[int, ir.Condition], str],
    ) -> None:  # fmt: skip
        self._scene, self._sight, self._place, self._flips = scene, sight, place, flips
        self._schema = schema
        self._world = World(
            identity=scene.identity, data=part.data, old=part.old, new=part.new, now=scene.now,
            args=scene.args, lookup=scene.lookup,
        )  # fmt: skip

    def step(self, node: ir.Condition) -> Step:
        """Return a node's step with those below it."""
        match node:
            case ir.Negation(ir.Conjunction() | ir.Disjunction() | ir.ExistsTest() as item):
                inner = self.step(item)
                answer = None if inner.answer is None else not inner.answer
                return Step("not", spelled(node), answer, items=(inner,))
            case ir.Conjunction(items):
                steps = tuple(self.step(one) for one in items)
                return Step("all", spelled(node), _all([one.answer for one in steps]), items=steps)
            case ir.Disjunction((ir.Member(), ir.Constant(None))):
                return self._test(node)  # a list with a null in it
            case ir.Disjunction(items):
                steps = tuple(self.step(one) for one in items)
                denied = _all([None if one.answer is None else not one.answer for one in steps])
                answer = None if denied is None else not denied
                return Step("any", spelled(node), answer, items=steps)
            case ir.ExistsTest(exists):
                return self._exists(node, exists)
            case _:
                return self._test(node)

    def _test(self, node: ir.Condition) -> Step:
        """Return the step of a comparison or a call; its negation stands with it."""
        values = [one for one in _operands(node) if not isinstance(one, ir.Judged)]
        judged = [one for one in walk(node) if isinstance(one, ir.Judged)]
        try:
            answer, error = reference.evaluate(node, self._world), None
            shown = {spelled_value(one): self._shown(one) for one in values}
        except Exception as failure:  # noqa: BLE001 -- whatever goes wrong denies, and is shown
            answer, error, shown = None, f"{type(failure).__name__}: {failure}", {}
        leaf = node
        while isinstance(leaf, ir.Negation):
            leaf = leaf.item
        return Step(
            "test", spelled(node), answer, error=error, values=tuple(shown.items()),
            items=tuple(self.step(one.condition) for one in judged),
            flip=self._flips.get((self._place, leaf)),
        )  # fmt: skip

    def _exists(self, node: ir.ExistsTest, exists: ir.ExistsNode) -> Step:
        flip = self._flips.get((self._place, node))
        operands = [one for item in exists.filters for one in _operands(item)]
        shown = tuple({spelled_value(one): self._shown(one) for one in operands}.items())
        values = lookup_values(exists, self._world)
        if values is None:
            return Step("exists", spelled(node), None, values=shown, flip=flip)
        found = self._scene.rows.find(exists, values)
        witness = None
        if found is None:
            row = nearest_row(exists, values, self._scene.rows)
            witness = None if row is None else self._witness(exists, values, row)
        elif self._sight.may_see(exists.entity, found):
            witness = self._witness(exists, values, found)
        return Step(
            "exists", spelled(node), found is not None, values=shown, witness=witness, flip=flip
        )

    def _witness(self, node: ir.ExistsNode, values: tuple[Any, ...], row: Row) -> Witness:
        held = satisfied(node, values, row)
        fields = self._schema.entities[node.entity].by_name
        names = dict.fromkeys(one.field for one in node.filters if one.field != "id")
        named = tuple(
            (name, HIDDEN if fields[name].private and self._sight.hides_private
             else to_wire(fields[name], row[name]))
            for name in names
        )  # fmt: skip
        misses = tuple(
            spelled_filter(one) for one, is_held in zip(node.filters, held, strict=True)
            if not is_held
        )  # fmt: skip
        return Witness(str(row["id"]), named, misses)

    def _shown(self, node: ir.Value) -> Any:
        """Return a value as JSON, in the form that clients know."""
        if any(isinstance(one, ir.Column) and one.name in self._sight.hidden for one in walk(node)):
            return HIDDEN
        value = reference.value_of(node, self._world)
        if value is not None and node.type.kind is ir.TypeKind.DECIMAL:
            return units_text(value, node.type.scale)
        return _plain(value)


def nearest_row(node: ir.ExistsNode, values: tuple[Any, ...], rows: LookedAt) -> Row | None:
    """Return the row that satisfies the most filters of an exists; None where none is known.

    Of equals, the one that names the caller is nearer.
    """
    names_caller = [
        any(isinstance(below, ir.Fact) for below in walk(one.value)) for one in node.filters
    ]
    best, best_score = None, (0, 0)
    for row in rows.near(node, values):
        held = satisfied(node, values, row)
        mine = sum(map(all, zip(held, names_caller, strict=True)))
        if (sum(held), mine) > best_score:
            best, best_score = row, (sum(held), mine)
    return best


def _operands(node: Any) -> list[Any]:
    """Return the values that a test asks for, literals left out."""
    found: list[Any] = []
    match node:
        case ir.Negation(item):
            return _operands(item)
        case ir.Cmp(_, left, right):
            found = [left, right]
        case ir.Absent(value) | ir.Holds(value):
            found = [value]
        case ir.Member(value, items):
            found = [value, *items]
        case ir.MemberOf(value, of):
            found = [value, of]
        case ir.TextTest(_, text, part):
            found = [text, part]
        case ir.Disjunction((first, _)):
            return _operands(first)
        case ir.FactHolds(slot):
            found = [_fact_of(slot)]
        case ir.ExistsFilter():
            found = list(node.value if isinstance(node.value, tuple) else (node.value,))
        case _:
            return []
    return [one for one in found if one is not None and not isinstance(one, ir.Const)]


def _fact_of(slot: ir.Slot) -> ir.Value | None:
    kinds = {
        ir.SlotKind.HAS_USER: ir.SlotKind.USER_ID, ir.SlotKind.HAS_EMAIL: ir.SlotKind.EMAIL,
        ir.SlotKind.HAS_ANY_ROLE: ir.SlotKind.ROLES,
    }  # fmt: skip
    kind = kinds.get(slot.kind)
    if kind is None:
        return None
    is_list = kind is ir.SlotKind.ROLES
    return ir.Fact(ir.Slot(kind), ir.ValueType(ir.TypeKind.LIST if is_list else ir.TypeKind.TEXT))


def _plain(value: Any) -> Any:
    """Return a row value as JSON."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, int) and abs(value) > limits.SAFE_INTEGER_MAX:
        return str(value)
    return list(value) if isinstance(value, tuple) else value
