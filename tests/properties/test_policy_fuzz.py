"""Anything at all as a policy: no crash, no hang, nothing allowed by mistake, one answer."""

from __future__ import annotations

import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.properties import policy_fuzz

_INPUTS = 100_000 * int(os.environ.get("PYLON_TEST_SCALE", "1"))
_SHARES = 8


@pytest.mark.timeout(900)
def test_no_text_crashes_hangs_or_is_answered_in_two_ways() -> None:
    """100,000 texts: each is refused with mistakes, or means one thing in every reading."""
    logging.getLogger("pylon.policy").setLevel(logging.CRITICAL)  # errors are meant
    try:
        with ProcessPoolExecutor(
            min(os.cpu_count() or 1, _SHARES), multiprocessing.get_context("spawn"),
            initializer=_quiet,
        ) as pool:  # fmt: skip
            shares = list(pool.map(policy_fuzz.run, range(_SHARES), [_INPUTS // _SHARES] * _SHARES))
    finally:
        logging.getLogger("pylon.policy").setLevel(logging.NOTSET)
    assert [one for share in shares for one in share.wrong] == []
    assert sum(share.inputs for share in shares) == _INPUTS
    assert sum(share.compiled for share in shares) > _INPUTS // 100
    assert sum(share.asked for share in shares) > 2_000  # by two callers each


def _quiet() -> None:
    logging.getLogger("pylon.policy").setLevel(logging.CRITICAL)
