"""`pylon simulate`: the simulator on somebody's own app."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pylon import jsonvalue
from pylon.cli.main import cli
from pylon.testing import replay
from pylon.testing.simulation.campaign import run_seeds
from pylon.testing.simulation.findings import Finding
from pylon.testing.simulation.maker import EVERYDAY, Plan

CHAT = Path(__file__).parents[2] / "examples" / "chat"
SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
LEAKY = """
from __future__ import annotations

from pylon import App, Entity, actor, field

app = App("diary")


@app.entity(read="isOwner()", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Page(Entity):
    ownerId: str = field(default=actor, immutable=True)
    title: str = ""
    pin: str = field(default="", private=True)


@app.mutation
def peek(ctx, pageId: str) -> str | None:
    with ctx.as_system():
        page = ctx.db.get("Page", pageId)
        return page.pin if page is not None else None
"""


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(LEAKY)
    return tmp_path


def _simulate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *arguments])


@pytest.mark.timeout(600 * SCALE)
def test_chat_passes() -> None:
    """The example that everybody begins with: some seeds, or 200 and more at night."""
    seeds = range(30 if SCALE == 1 else 200 * SCALE)
    results = list(run_seeds(CHAT, seeds, Plan(weights=EVERYDAY)))
    failed = [f"{one.seed}: {one.outcome.finding}" for one in results if one.outcome.finding]
    assert not failed, "\n".join(failed)
    assert len(results) == len(seeds)
    assert sum(one.outcome.replicas_checked for one in results) > 10 * len(results)


@pytest.mark.timeout(600)
def test_what_holds_is_counted() -> None:
    """Exit 0, and how much was looked at."""
    done = _simulate(str(CHAT), "--seeds", "4", "--first", "0", "--json")
    assert done.exit_code == 0, done.output
    told = jsonvalue.parse(done.stdout.encode())
    assert (told["ok"], told["app"], told["seeds"], told["first"]) == (True, "chat", 4, 0)
    assert told["changes"] > 0
    assert told["replicas_checked"] > 0


@pytest.mark.timeout(600)
def test_what_fails_is_shrunk_and_kept(diary: Path, tmp_path: Path) -> None:
    """A private field that a function hands out is found, in few steps, as a test of its own."""
    kept = tmp_path / "test_found.py"
    done = _simulate(str(diary), "--seeds", "40", "--first", "0", "--json", "--save", str(kept))
    assert done.exit_code == 1
    told = jsonvalue.parse(done.stdout.encode())
    assert told["promise"] == "no private field on the wire"
    kinds = [one["kind"] for one in told["script"]["steps"]]
    assert len(kinds) <= 4
    assert kinds.count("call") == 1
    found = runpy.run_path(str(kept))
    with pytest.raises(Finding, match="no private field on the wire"):
        next(value for name, value in found.items() if name.startswith("test_"))()
    (diary / "app.py").write_text(LEAKY.replace("return page.pin if page", "return '' if page"))
    replay(diary, found["SCRIPT"])


@pytest.mark.timeout(600)
def test_one_seed_is_told_aloud(diary: Path) -> None:
    """A single run says each step and each message."""
    done = _simulate(str(diary), "--seed", "2", "--as", "ann@example.com", "--as", "bob@x.org")
    assert "step 0" in done.stdout
    assert "welcome" in done.stdout
    assert "ann@example.com" in done.stdout


@pytest.mark.timeout(600)
def test_what_is_not_compared_is_said(diary: Path) -> None:
    """Entities whose policies ask the time are named, before the run begins."""
    source = LEAKY.replace('read="isOwner()"', 'read="data.at <= now"').replace(
        '    title: str = ""', "    at: datetime"
    )
    (diary / "app.py").write_text(
        f"from __future__ import annotations\n{source}".replace(
            "from pylon", "from datetime import datetime\nfrom pylon", 1
        ).replace("\nfrom __future__ import annotations\n", "\n", 1)
    )
    done = _simulate(str(diary), "--seeds", "1", "--first", "0")
    assert done.stderr.startswith("Page: shown or hidden as time passes"), done.stderr


def test_an_app_with_mistakes_is_not_run(tmp_path: Path) -> None:
    """Mistakes are told as by `pylon check`."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('x')\nimport nonsense\n")
    done = _simulate(str(tmp_path))
    assert done.exit_code != 0
    assert "nonsense" in str(done.exception)
