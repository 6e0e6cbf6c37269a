"""Journals that earlier releases recorded replay to the ends that they had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylon.app.loader import load_app
from pylon.errors import WorkflowDiverged
from pylon.server.storage.workflow_records import StepRecord, StoredRun
from pylon.server.workflows.context import WorkflowContext
from pylon.server.workflows.replay import Replay

HERE = Path(__file__).parent
KEPT = sorted(HERE.glob("*.json"))


def _replay_one(definition: Any, run: dict[str, Any], lines: list[dict[str, Any]]) -> Replay:
    records = [StepRecord(**one) for one in lines]
    replay = Replay(records, run["began_at"], lambda piece: piece())
    names = StoredRun.__dataclass_fields__
    stored = StoredRun(**{**dict.fromkeys(names), "id": "run", "seed": run["seed"]})  # type: ignore[arg-type]
    context = WorkflowContext(stored, definition, replay)
    handler = definition.functions["interpret"].handler
    replay.begin(handler(context, program=run["program"]))
    try:
        while replay.advance():
            pass
    except WorkflowDiverged:
        replay.discard()
        raise
    return replay


def test_there_are_journals_of_this_release() -> None:
    """`python -m tests.replay VERSION` makes them."""
    assert KEPT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_journals_end_as_they_did(path: Path, tmp_path: Path) -> None:
    """Whole ones with the result that was stored; cut anywhere, they go on and ask for the rest."""
    kept = json.loads(path.read_text("utf-8"))
    (tmp_path / "app.py").write_text(kept["app"])
    definition = load_app(tmp_path, generation=1)
    for name, run in kept["runs"].items():
        whole = _replay_one(definition, run, run["journal"])
        assert whole.outcome is not None, name
        assert whole.outcome.error is None, name
        assert json.loads(json.dumps(whole.outcome.value)) == run["result"], name
        ended = [one for one in run["journal"] if one["kind"] != "version"]
        for cut in range(len(run["journal"])):
            part = _replay_one(definition, run, run["journal"][:cut])
            if any(one in ended for one in run["journal"][cut:]):
                assert part.outcome is None, (name, cut)
                assert part.fresh, (name, cut)
            part.discard()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_journal_of_another_shape_is_noticed(path: Path, tmp_path: Path) -> None:
    """Each line renamed in turn, so that the test above can fail."""
    kept = json.loads(path.read_text("utf-8"))
    (tmp_path / "app.py").write_text(kept["app"])
    definition = load_app(tmp_path, generation=1)
    for run in kept["runs"].values():
        for place, line in enumerate(run["journal"]):
            if line["kind"] == "version":
                continue
            bent = [*run["journal"]]
            bent[place] = {**line, "name": f"{line['name']} of another name"}
            with pytest.raises(WorkflowDiverged):
                _replay_one(definition, run, bent)
