"""The pace of an import: by what others wait for it."""

from __future__ import annotations

from itertools import pairwise

from pylon.client.import_pace import PIECES_MAX, RUN_MS, TURN_MS, ImportPace, Load, Turn


def _after(
    pace: ImportPace, piece_ms: float, *, others: int, commit_ms: float = 2.0, turns: int = 30
) -> Turn:
    """Have pieces take so long for some turns; returns what comes next."""
    turn = ImportPace.FIRST
    for _ in range(turns):
        run_ms = piece_ms * turn.pieces
        turn = pace.step(Load(run_ms, run_ms + commit_ms, others, 0), turn.pieces)
    return turn


def test_a_fast_machine_gets_as_much_as_fits_and_no_rest() -> None:
    """Also while others write: what they wait for is short."""
    assert _after(ImportPace(), 1.0, others=3) == Turn(PIECES_MAX, 0.0)


def test_a_slower_machine_gets_less_at_once() -> None:
    """So that it is stored in the time that it takes on a fast one."""
    turn = _after(ImportPace(), 3.0, others=3)
    assert turn.pieces * 3.0 <= RUN_MS < (turn.pieces + 1) * 3.0
    assert turn.rest_s == 0.0


def test_a_slow_commit_makes_it_rest_and_no_smaller() -> None:
    """Fewer rows would wait as long for it; the longer it takes, the longer the rest, bounded."""
    slow = _after(ImportPace(), 1.0, others=1, commit_ms=60.0)
    slower = _after(ImportPace(), 1.0, others=1, commit_ms=2_000.0)
    assert slow.pieces == slower.pieces == PIECES_MAX
    assert 0 < slow.rest_s < slower.rest_s <= 0.25


def test_where_the_least_takes_too_long_it_rests_for_others() -> None:
    """Alone it does not rest at all."""
    turn = _after(ImportPace(), 2 * TURN_MS, others=1)
    assert turn.pieces == 1
    assert turn.rest_s > 0
    assert _after(ImportPace(), 2 * TURN_MS, others=0) == Turn(1, 0.0)


def test_it_shrinks_at_once_and_grows_by_one() -> None:
    """What made it slow may not be over; a machine that is fast again is used again."""
    pace = ImportPace()
    turn = _after(pace, 1.0, others=1)
    after = pace.step(Load(200.0, 200.0, 1, 0), turn.pieces)
    assert after.pieces < turn.pieces
    sizes = [after.pieces]
    for _ in range(20):
        after = pace.step(Load(1.0 * after.pieces, 5.0, 1, 0), after.pieces)
        sizes.append(after.pieces)
    assert all(later - earlier <= 1 for earlier, later in pairwise(sizes))
    assert sizes[-1] == turn.pieces


def test_who_wrote_a_moment_ago_is_thought_to_write_again() -> None:
    """And is forgotten after some turns without anybody; those that wait count, too."""
    pace = ImportPace()
    _after(pace, 60.0, others=1)
    assert pace.step(Load(60.0, 60.0, 0, 0), 1).rest_s > 0
    assert _after(pace, 60.0, others=0).rest_s == 0
    assert pace.step(Load(60.0, 60.0, 0, 4), 1).rest_s > 0
