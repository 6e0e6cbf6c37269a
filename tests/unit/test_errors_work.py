"""Errors of work: what a workflow's code may tell them apart by."""

from __future__ import annotations

from pylon.errors import Conflict, FunctionTimeout, RunEnded, StepFailed


def test_a_step_that_failed_names_itself_to_the_workflow_and_to_callers() -> None:
    """`step` is an attribute for the code that catches it, and a detail of what travels."""
    failed = StepFailed("the mail server is away", step="notify", tries=3)
    assert failed.step == "notify"
    assert failed.to_wire()["details"] == {"step": "notify", "tries": 3}


def test_a_timeout_is_no_reason_to_send_the_same_again() -> None:
    """It would take as long again: unlike what is only for the moment, it is not transient."""
    assert not FunctionTimeout.is_transient
    assert FunctionTimeout.http_status == 503
    assert RunEnded.http_status == Conflict.http_status
