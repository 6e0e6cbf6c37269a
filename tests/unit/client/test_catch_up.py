"""Following the live stream over gaps."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.catch_up import GAPS_MAX, CatchUp, PullNext, StartOver
from pylon.client.replica import Replica


def _batch(after: int, through: int, *, more: bool = False) -> dict[str, Any]:
    return {"after": f"e:{after}", "through": f"e:{through}", "changes": [], "more": more}


@pytest.fixture
def replica() -> Replica:
    """An empty replica at e:10."""
    made = Replica()
    made.start_at("e:10")
    return made


def test_what_comes_while_a_pull_is_under_way_waits_and_is_followed(replica: Replica) -> None:
    """The stream is met again without another pull."""
    catch_up = CatchUp(replica)
    assert catch_up.follow(_batch(12, 13)) == PullNext(1, "e:10")
    assert catch_up.follow(_batch(13, 14)) is None
    assert catch_up.pulled(1, _batch(10, 13)) is None
    assert replica.cursor == "e:14"


def test_a_pull_goes_on_while_there_is_more(replica: Replica) -> None:
    """Each page moves the cursor."""
    catch_up = CatchUp(replica)
    catch_up.follow(_batch(12, 13))
    assert catch_up.pulled(1, _batch(10, 11, more=True)) == PullNext(2, "e:11")
    assert catch_up.pulled(2, _batch(11, 13)) is None


def test_a_pull_that_does_not_move_starts_over(replica: Replica) -> None:
    """No loop asks the same question for ever (I36)."""
    catch_up = CatchUp(replica)
    catch_up.follow(_batch(12, 13))
    assert catch_up.pulled(1, _batch(10, 10, more=True)) is StartOver.START_OVER


def test_answers_to_older_pulls_are_ignored(replica: Replica) -> None:
    """A new connection does not listen to the old one's questions."""
    catch_up = CatchUp(replica)
    catch_up.follow(_batch(12, 13))
    catch_up.reset()
    assert catch_up.pulled(1, _batch(10, 13)) is None
    assert replica.cursor == "e:10"


def test_too_many_gaps_start_over(replica: Replica) -> None:
    """A stream that is never met is left."""
    catch_up = CatchUp(replica)
    for at in range(GAPS_MAX):
        move = catch_up.follow(_batch(50, 51))
        assert isinstance(move, PullNext)
        assert catch_up.pulled(move.id, _batch(10 + at, 11 + at)) is None
    assert catch_up.follow(_batch(50, 51)) is StartOver.START_OVER
