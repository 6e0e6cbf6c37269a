"""The simulator on apps of its own: many seeds, scripts that once failed, and planted faults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pylon.client.replica import Replica
from pylon.policy.fields import FieldPolicies
from pylon.server import reloading
from pylon.server.storage import transaction
from pylon.server.sync import projection
from pylon.server.sync.hub import Hub
from pylon.server.sync.passing import Passing
from pylon.testing.simulation.campaign import Bench, run_seeds
from pylon.testing.simulation.maker import TURNING, Plan
from pylon.testing.simulation.script import Script

APP = Path(__file__).parent / "app"
#: Here rows come into view and leave it because others change, or because time passes.
VIEWS = APP.parent / "views"
SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
#: Small runs find more in the same time than few long ones.
PLAN = Plan(steps=25, devices_max=4)
#: Half of the devices run the TypeScript machine, in Node.
MIXED = Plan(steps=25, devices_max=4, typescript_share=0.5)

#: Rows that others show and hide, likewise with both machines.
TURNED = Plan(steps=30, devices_max=4, typescript_share=0.25, weights=TURNING)
RUNS = ((APP, 120, PLAN), (APP, 40, MIXED), (VIEWS, 90, TURNED))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(APP)
    yield made
    made.close()


def _told(app: Path, seed: int, plan: Plan, found: object) -> str:
    share = f" --typescript {plan.typescript_share}" if plan.typescript_share else ""
    turning = " --turning" if plan.weights is TURNING else ""
    size = f"--steps {plan.steps} --devices {plan.devices_max}{share}{turning}"
    command = f"python -m pylon.testing.simulation tests/simulation/{app.name}"
    return f"seed {seed}: {found}\n  {command} --seed {seed} {size}"


KEPT = sorted((APP.parent / "kept").rglob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_scripts_that_once_failed_pass(bench: Bench, views: Bench, path: Path) -> None:
    """What was mended stays mended: each file is named by what it found."""
    outcome = (views if path.parent.name == "views" else bench).play(
        msgspec.json.decode(path.read_bytes(), type=Script)
    )
    assert outcome.finding is None, outcome.finding
    assert outcome.changes > 0


@pytest.mark.timeout(600 * SCALE)
def test_all_converge_and_nothing_leaks_or_is_lost() -> None:
    """500 seeds: safety after every step, and agreement after the faults."""
    first = 0 if SCALE == 1 else int.from_bytes(os.urandom(3)) * 1000
    failed, checks, rows = [], 0, 0
    begin = first
    for app, count, plan in RUNS:
        seeds = range(begin, begin + count * SCALE)
        begin = seeds.stop
        for result in run_seeds(app, seeds, plan):
            outcome = result.outcome
            checks, rows = checks + outcome.replicas_checked, rows + outcome.rows_on_wire
            if outcome.finding is not None:
                failed.append(_told(app, result.seed, plan, outcome.finding))
    assert not failed, "\n".join(failed)
    assert checks > 2_500 * SCALE
    assert rows > 2_500 * SCALE


def test_both_machines_do_the_same_in_a_run(bench: Bench) -> None:
    """A device with the TypeScript machine says and shows what one with Python's does."""
    for seed in (4, 9):
        plans = [replace(PLAN, typescript_share=share) for share in (0.0, 1.0)]
        scripts = [bench.script(seed, plan) for plan in plans]
        assert {one.language for one in scripts[1].actors} == {"typescript"}
        python, typescript = [bench.play(one) for one in scripts]
        assert python.finding is typescript.finding is None
        assert python.trace == typescript.trace
        assert python.rows_on_wire > 0


def test_equal_seeds_give_equal_runs(bench: Bench) -> None:
    """A seed is all that a run depends on: what the server sent is the same, byte for byte."""
    for seed in (3, 5):
        script = bench.script(seed, PLAN)
        first, second = bench.play(script), bench.play(script)
        assert first.rows_on_wire > 0
        assert first == second


# --- faults planted on purpose: the simulator must see each ------------------------------


def _finds(bench: Bench, promise: str = "") -> bool:
    """Tell whether one of the first seeds finds a promise broken: this one, or any."""
    for seed in range(120):
        finding = bench.play(bench.script(seed, PLAN)).finding
        if finding is not None and (not promise or finding.promise == promise):
            return True
    return False


def test_rows_sent_without_asking_the_policy_are_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live events that everybody gets are found on the wire."""

    def blind(record: Any, *, is_newest: bool, judge: Any, wire: Any) -> str | None:
        return real(record, is_newest=is_newest, judge=lambda row: (True, True), wire=wire)

    real = projection.project
    monkeypatch.setattr("pylon.server.sync.view.project", blind)
    assert _finds(bench, "no row or field on the wire that a policy denies")


def test_fields_sent_without_asking_their_policy_are_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live change that tells everybody a guarded field is found on the wire."""

    def open_to_all(*asked: Any) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(FieldPolicies, "hidden", open_to_all)
    assert _finds(bench, "no row or field on the wire that a policy denies")


def _tell(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any, str], str]) -> None:
    """Have every live change told otherwise."""
    real = projection.text_of

    def spoiled(record: Any, kind: str, **members: Any) -> str:
        return spoil(record, real(record, kind, **members))

    for module in ("projection", "subscription_index"):
        monkeypatch.setattr(f"pylon.server.sync.{module}.text_of", spoiled)


def test_private_fields_on_the_wire_are_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that only private fields hold is found in any byte to a client."""

    def spoil(record: Any, text: str) -> str:
        secret = (record.after or {}).get("hidden")
        return text.replace('"row":{', f'"row":{{"hidden":"{secret}",') if secret else text

    _tell(monkeypatch, spoil)
    assert _finds(bench, "no private field on the wire")


# --- and some of what other rows decide --------------------------------------------------


@pytest.fixture(scope="module")
def views() -> Iterator[Bench]:
    made = Bench(VIEWS)
    yield made
    made.close()


def _finds_turned(views: Bench) -> bool:
    plan = replace(TURNED, typescript_share=0.0)
    outcomes = (views.play(views.script(seed, plan)) for seed in range(80))
    return any(one.finding is not None for one in outcomes)


def test_slices_by_the_image_after_alone_are_seen(
    views: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A membership that is moved or removed takes rows along only if the log says so."""
    real = transaction.slices_of

    def forward_only(rules: Any, changes: Any) -> Any:
        return real(rules, [(entity, None, after) for entity, _, after in changes])

    monkeypatch.setattr(transaction, "slices_of", forward_only)
    assert _finds_turned(views)


def test_edited_policies_that_replicas_do_not_hear_of_are_seen(
    views: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload that changes who sees what, and is not in the log, is found out."""

    async def unheard(database: Any, rules: Any, meanings: Any) -> list[str]:
        database.slice_rules = rules
        return []

    monkeypatch.setattr(reloading, "use_policies", unheard)
    assert _finds_turned(views)


def test_time_that_nobody_follows_is_seen(views: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies over now that are not asked again as time passes are found out."""

    async def asleep(self: Passing) -> list[Any]:
        return []

    monkeypatch.setattr(Passing, "step", asleep)
    assert _finds_turned(views)


def test_rows_that_left_the_view_and_stay_are_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not say which row went out of view is found out."""

    def spoil(record: Any, text: str) -> str:
        return text.replace(record.row_id, "nobody") if '"cause":"hidden"' in text else text

    _tell(monkeypatch, spoil)
    assert _finds(bench)


def test_a_client_that_bridges_gaps_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes any batch, whatever it follows, is found out."""
    real = Replica.apply

    def trusting(self: Replica, batch: Any) -> str:
        return real(self, {**batch, "after": self.cursor or batch["after"]})

    def lossy(self: Hub, connection: Any, wrote: Any = ()) -> None:
        connection.judged = connection.subscriber.cursor = self._database.head

    monkeypatch.setattr(Replica, "apply", trusting)
    monkeypatch.setattr(Hub, "flush", lossy)
    assert _finds(bench)


def test_roles_that_change_unheard_are_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that goes on for who the caller was is found out."""
    monkeypatch.setattr(Hub, "_identity_changed", lambda self, connection: None)
    assert _finds(bench)


def test_a_forgotten_log_entry_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catch-up that leaves out the first entry after a cursor is found out."""
    from pylon.server.storage import sync_select

    real = sync_select.catch_up

    def late(connection: Any, entity: Any, after: int, *rest: Any) -> Any:
        return real(connection, entity, after + 1, *rest)

    def late_text(connection: Any, entity: Any, after: int, *rest: Any) -> Any:
        return real_text(connection, entity, after + 1, *rest)

    real_text = sync_select.catch_up_text
    monkeypatch.setattr(sync_select, "catch_up", late)
    monkeypatch.setattr(sync_select, "catch_up_text", late_text)
    assert _finds(bench)
