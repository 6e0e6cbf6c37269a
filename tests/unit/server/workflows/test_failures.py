"""What is recorded of a failure, and what is raised of the record."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.errors import Internal, NotFound, Refused, StepFailed, Unauthenticated
from pylon.server.storage.workflow_records import StepRecord
from pylon.server.workflows.failures import failure_text, is_final, opened, path_of, shown


def _record(error: BaseException | None, kind: str = "step", result: str | None = None) -> Any:
    text = None if error is None else failure_text(error)
    return StepRecord(path="1", seq=1, kind=kind, name="x", result=result, error=text)


def _wrapped(error: Exception) -> Internal:
    internal = Internal("it failed")
    internal.__cause__ = error
    return internal


def test_a_refusal_is_raised_as_it_was() -> None:
    """With code, message and details, and the place of its step."""
    with pytest.raises(Refused) as caught:
        opened(_record(Refused("SOLD_OUT", "gone", left=0)))
    assert (caught.value.code, caught.value.message) == ("SOLD_OUT", "gone")
    assert caught.value.details == {"left": 0}
    assert path_of(caught.value) == "1"
    assert path_of(ValueError()) is None


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("broken"), "INTERNAL", "x failed: ValueError: broken"),
        (_wrapped(KeyError("k")), "INTERNAL", "x failed: KeyError: 'k'"),
        (NotFound("no row"), "NOT_FOUND", "x failed: NOT_FOUND: no row"),
    ],
)
def test_other_failures_are_raised_as_the_step_s(error: Exception, code: str, said: str) -> None:
    """What the app's code threw is named, not how it was wrapped."""
    with pytest.raises(StepFailed, match=said) as caught:
        opened(_record(error))
    assert caught.value.step == "x"
    assert caught.value.details["cause"] == code


def test_a_value_comes_back_and_a_vain_wait_is_a_timeout() -> None:
    """Null is a value, too."""
    assert opened(_record(None, result='{"a":[1]}')) == {"a": [1]}
    assert opened(_record(None, result="null")) is None
    error = '{"code":"TIMEOUT","message":"m","details":{},"is_refusal":false}'
    with pytest.raises(TimeoutError, match="no x came"):
        opened(StepRecord(path="1", seq=1, kind="wait", name="x", error=error))


def test_details_that_are_no_json_harm_nothing() -> None:
    """The failure is kept without them."""
    with pytest.raises(Refused) as caught:
        opened(_record(Refused("A", "b", what=object())))
    assert caught.value.details == {}


def test_what_is_tried_again_and_what_is_shown() -> None:
    """Refused and unauthenticated are final; a line says code and message."""
    assert is_final(Refused("A"))
    assert is_final(Unauthenticated())
    assert not is_final(ValueError())
    assert shown(failure_text(Refused("A", "b"))) == "A: b"
    assert shown(failure_text(ValueError("x"))) == "ValueError: x"
    assert shown(None) is None
