"""How a failure is recorded, and what is raised of it where the workflow's code waits.

What is raised is the same in every replay: it comes of the record alone.
"""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import PylonError, Refused, StepFailed, Unauthenticated
from pylon.server.functions.failures import AppFailed, said_of
from pylon.server.storage.workflow_records import StepKind, StepRecord

_TEXT_MAX: Final = 2_000
_PATH: Final = "failed_path"


def failure_text(error: BaseException, *, step: str | None = None) -> str:
    """Return the record of a failure: JSON with code, message, details, and whether it refuses.

    Args:
        error: what was raised.
        step: the path of the step whose failure ended a run.
    """
    cause = error.__cause__ if isinstance(error, PylonError) and error.__cause__ else error
    found: dict[str, Any]
    if isinstance(cause, AppFailed):
        found = {"code": "INTERNAL", "message": cause.said, "is_refusal": False}
    elif isinstance(cause, PylonError):
        found = {**cause.to_wire(), "is_refusal": isinstance(cause, Refused)}
    else:
        found = {"code": "INTERNAL", "message": said_of(cause), "is_refusal": False}
    found["message"] = str(found["message"])[:_TEXT_MAX]
    found.setdefault("details", {})
    if step is not None:
        found["step"] = step
    try:
        return jsonvalue.encode_text(found)
    except (TypeError, ValueError, OverflowError):  # an app's own details may be anything
        return jsonvalue.encode_text({**found, "details": {}})


def is_final(error: BaseException) -> bool:
    """Tell whether trying again is of no use."""
    return isinstance(error, Refused | Unauthenticated)


def shown(error: str | None) -> str | None:
    """Return a recorded failure as one line."""
    if error is None:
        return None
    found = jsonvalue.decode_trusted(error)
    return (
        found["message"] if found["code"] == "INTERNAL" else f"{found['code']}: {found['message']}"
    )


def opened(record: StepRecord) -> Any:
    """Return the value of an ended record, or raise what it says."""
    if record.error is None:
        return None if record.result is None else jsonvalue.decode_trusted(record.result)
    found = jsonvalue.decode_trusted(record.error)
    if record.kind == StepKind.WAIT and found["code"] == "TIMEOUT":
        raise TimeoutError(f"no {record.name} came in time")
    raised: PylonError
    if found["is_refusal"]:
        raised = Refused(found["code"], found["message"])
        raised.details = found["details"]
    else:
        what = found["message"] if found["code"] == "INTERNAL" else (
            f"{found['code']}: {found['message']}"
        )  # fmt: skip
        raised = StepFailed(f"{record.name} failed: {what}", step=record.name, cause=found["code"])
    setattr(raised, _PATH, record.path)
    raise raised


def path_of(error: BaseException) -> str | None:
    """Return the path of the step whose failure an exception is."""
    return getattr(error, _PATH, None)
