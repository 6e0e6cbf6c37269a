"""n and N: the next problem and the one before, on the screen that is seen and beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.ghost import Frame
from pylon.protocol import messages as m
from pylon.tui import functions_tables, health_tables, jobs_tables, run_timeline, tables
from pylon.tui import workflows_tables as flows
from pylon.tui.backups_pane import is_bad_backup
from pylon.tui.doctor_pane import is_bad_finding
from pylon.tui.policies_text import is_bad_policy
from tests.screens.fakes import call, client, figure, job, jobs, queue, queues, run, runs, status
from tests.screens.test_dashboard import opened, until

GOOD = [job(number) for number in (1, 3, 5)]
DEAD = [job(number, state="dead", error="ValueError: no") for number in (2, 4)]
MIXED = jobs(GOOD[0], DEAD[0], GOOD[1], DEAD[1], GOOD[2])


async def test_they_go_from_one_bad_row_to_the_next_and_round() -> None:
    """Up and down over the rows between; at the end it is said, with the other screens."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs"] = MIXED
        # The list of queues is above and has no problem: the counts are of another moment.
        admin.say(status(head=7), queues(queue("default")))
        admin.say({"type": "clients", "clients": [client("ada", lag_changes=4)]})
        await until(app, lambda text: "head 7" in text)
        await pilot.press("6")
        await until(app, lambda text: "1/5" in text)
        for key, place in (("n", 2), ("n", 4), ("N", 2)):
            await pilot.press(key)
            await until(app, lambda text, at=place: f" {at}/5" in text)  # type: ignore[misc]
        await pilot.press("N")
        await until(app, lambda text: " 4/5" in text and "the last one again; others on" in text)
        await pilot.press("n")
        text = await until(app, lambda text: " 2/5" in text and "the first one again" in text)
        assert "others on Clients" in text


async def test_they_pass_over_to_the_other_list_of_the_screen() -> None:
    """A queue with dead jobs is a stop, too."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs"] = MIXED
        admin.say(status(head=7), queues(queue("calm"), queue("default", dead=2)))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("6")
        await until(app, lambda text: "1/5" in text)
        seen = []
        for _ in range(4):
            await pilot.press("n")
            assert app.focused is not None
            seen.append((app.focused.id, app.focused.cursor))  # type: ignore[attr-defined]
        assert seen == [("joblist", 1), ("joblist", 3), ("queues", 1), ("joblist", 1)]


async def test_where_there_is_none_they_go_to_the_next_screen_that_has_one() -> None:
    """Behind this one first, N the other way; on the newest where a list follows its end."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status(head=6))
        await until(app, lambda text: "head 6" in text)
        await pilot.press("n")
        await until(app, lambda text: "no problem in sight" in text)
        lag, calm = client("bob", lag_changes=3, lag_s=9), client("ada")
        failed = {"outcome": "failed", "code": "INTERNAL"}
        calls = [call(1), call(2, **failed), call(3, **failed), call(4)]
        admin.answers["admin/workflows"] = runs(run(1), run(2, state="failed"))
        admin.say(
            status(head=7), {"type": "clients", "clients": [calm, lag]},
            {"type": "calls", "calls": calls},
        )  # fmt: skip
        await until(app, lambda text: "head 7" in text)
        await pilot.press("n")
        await until(app, lambda text: app.pane.id == "clients" and " 2/2" in text)
        await pilot.press("n")
        await until(app, lambda text: "the only problem here; others on Functions" in text)
        await pilot.press("2", "N")
        await until(app, lambda text: app.pane.id == "functions" and " 3/4" in text)
        assert app.focused is not None
        assert app.focused.id == "calllist"
        await pilot.press("n")
        await until(app, lambda text: app.pane.id == "functions" and " 2/4" in text)
        app.state.add_line("error", "error   it broke")
        await pilot.press("2", "N")
        await until(app, lambda text: app.pane.id == "runtime" and "it broke" in text)


async def test_what_a_filter_hides_is_said() -> None:
    """And nothing else is there: esc shows it."""
    async with opened((100, 30)) as (app, admin, pilot):
        lag = client("bob", lag_changes=3)
        admin.say(status(head=7), {"type": "clients", "clients": [client("ada"), lag]})
        await until(app, lambda text: "head 7" in text)
        await pilot.press("4", "slash", *"ada", "enter", "n")
        await until(app, lambda text: "left out by the filter" in text)
        await pilot.press("2", "n")
        await until(app, lambda text: app.pane.id == "clients" and "left out by the filter" in text)
        await pilot.press("escape", "n")
        await until(app, lambda text: " 2/2" in text)


async def test_a_reload_that_failed_comes_first_and_its_text_is_a_stop() -> None:
    """The first line promises it, wherever one is; N stays where it is asked."""
    async with opened((100, 30)) as (app, admin, pilot):
        calm, lag = client("ada"), client("bob", lag_changes=3)
        admin.say(status(head=7), {"type": "clients", "clients": [calm, lag]})
        await until(app, lambda text: "head 7" in text)
        app.take_reload(ok=False, note="app.py: no", plan="", mistakes=("app.py:3:9: no",))
        await pilot.press("4", "N")
        await until(app, lambda text: app.pane.id == "clients" and " 2/2" in text)
        await pilot.press("n")
        await until(app, lambda text: app.pane.id == "health" and "app.py:3:9" in text)
        places = []
        for _ in range(3):
            await pilot.press("n")
            assert app.focused is not None
            places.append(app.focused.id)
        assert places == ["trouble", None, "trouble"]


async def test_a_screen_above_has_its_own() -> None:
    """A ghost's errors, say; N on a client stays its network."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs"] = MIXED
        admin.answers["admin/jobs/job-1"] = {**GOOD[0], "args": {}, "traceback": None}
        admin.say(status(head=7), queues(queue("default", dead=2)))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("6")
        await until(app, lambda text: "1/5" in text)
        await pilot.press("enter")
        await until(app, lambda text: ": Job" in text.splitlines()[0] or "job-1" in text)
        assert len(app.screen_stack) == 2
        await pilot.press("n")  # one job has no list: back to the list, on the first of the bad
        await until(app, lambda text: " 2/5" in text)


@pytest.mark.parametrize(
    ("is_bad", "bad", "good"),
    [
        (tables.is_bad_client, client("a", lag_changes=2), client("a")),
        (tables.is_bad_client, client("a", lag_changes=2, state="catching_up"),
         client("a", lag_changes=2, state="offline")),
        (tables.is_bad_call, call(1, outcome="refused", code="POLICY_DENIED"), call(1)),
        (tables.is_bad_call, call(1, outcome="failed", code="INTERNAL"),
         call(1, outcome="failed", code="CANCELLED")),
        (tables.is_bad_project, {"state": "hung"}, {"state": "asleep"}),
        (tables.is_bad_line, ("error", "error   it broke", ""), ("warning", "it creaks", "")),
        (tables.is_bad_line, ("error", "pylon: no", ""), ("error", "  File \"app.py\"", "")),
        (tables.is_bad_frame, Frame(at="", message=m.ErrorMessage(error={"code": "X"})),
         Frame(at="", message=m.Resync(reason="gap", head="e:9"))),
        (jobs_tables.is_bad_job, job(1, state="dead"), job(1, error="it once failed")),
        (jobs_tables.is_bad_job, job(1, state="scheduled", error="again"),
         job(1, state="scheduled")),
        (jobs_tables.is_bad_queue, queue("q", dead=1), queue("q", cancelled=1)),
        (flows.is_bad_run, run(1, state="diverged"), run(1, state="cancelled")),
        (flows.is_bad_figure, figure("f", failed=1), figure("f", cancelled=1)),
        (flows.is_bad_figure, figure("f", is_declared=False), figure("f", completed=1)),
        (functions_tables.is_bad_function, {"errors": 1}, {"errors": 0}),
        (health_tables.is_bad_row, {"style": "warn"}, {"style": "head"}),
        (run_timeline.is_bad_step, {"style": "plain", "outcome_style": "bad"},
         {"style": "warn", "outcome_style": "plain"}),
        (is_bad_finding, {"level": "warning"}, {"level": "note"}),
        (is_bad_backup, {"state": "proven", "away": [{"state": "failed"}]},
         {"state": "unproven", "away": []}),
        (is_bad_policy, {"flags": [{"is_note": False}]}, {"flags": [{"is_note": True}]}),
    ],
)  # fmt: skip
def test_each_list_knows_its_problems(is_bad: Any, bad: Any, good: Any) -> None:
    """What is only of before, quiet or meant so is none."""
    assert is_bad(bad)
    assert not is_bad(good)
