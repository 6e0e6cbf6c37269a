"""Errors of functions, jobs and workflows: part of the tree that `pylon.errors` draws."""

from __future__ import annotations

from typing import Any

from pylon.errors_base import PylonError


class FunctionTimeout(PylonError):
    """The function went over its time budget; its transaction was rolled back."""

    code = "FUNCTION_TIMEOUT"
    http_status = 503


class StepFailed(PylonError):
    """A step of the workflow failed, and was tried as often as it may be."""

    code = "STEP_FAILED"

    def __init__(self, message: str | None = None, *, step: str = "", **details: Any) -> None:
        super().__init__(message, step=step, **details)
        self.step = step


class WorkflowDiverged(PylonError):
    """The workflow's code asks for something else than its run recorded."""

    code = "WORKFLOW_DIVERGED"
    http_status = 409


class WorkflowMisuse(PylonError):
    """The workflow's code did something that could not be replayed."""

    code = "WORKFLOW_MISUSE"


class WorkflowTooLong(PylonError):
    """The run recorded more steps, or bytes of results, than the limit."""

    code = "WORKFLOW_TOO_LONG"


class JobLost(PylonError):
    """The lease of this attempt has ended: the job was cancelled, or is somebody else's now."""

    code = "JOB_LOST"
    http_status = 409


class RunEnded(PylonError):
    """The run has ended, or is nobody's to go on with: nothing more of it is recorded."""

    code = "WORKFLOW_ENDED"
    http_status = 409


class Cancelled(PylonError):
    """The call was cancelled: its caller left, or took it back."""

    code = "CANCELLED"
    http_status = 499
