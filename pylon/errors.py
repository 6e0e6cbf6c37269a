"""The one error tree.

PylonError
├── BadRequest                  no well-formed HTTP, or not what the path takes
├── InvalidJson                 the body or frame is not strict JSON
├── InvalidArgument             a value, field, filter or argument is wrong; details name it
├── Unauthenticated             nobody is signed in, and somebody must be
├── InvalidSignature            a webhook was not signed by whom it says
├── PolicyDenied                the policy says no
├── ForbiddenOrigin             a browser page of another origin asked
├── NotFound                    missing, or not readable by the caller: the same answer
├── MethodNotAllowed
├── Conflict                    unique index, restricted delete, stale version, reused operation id
├── ResyncRequired              the cursor cannot be continued; details carry the reason
├── NotRetained                 the change log was trimmed beyond what is asked for
├── PayloadTooLarge
│   ├── TransactionTooLarge
│   └── QuotaExceeded           the caller's files would be more than he may have
├── RequestTimeout              the request did not arrive in time
├── UnsupportedMedia
├── Misdirected                 the Host header is not one of ours
├── Refused                     an answer that the app chose to give; its own code
├── RateLimited                 with `retry_after_s`
├── OperationExpired            an operation id older than its memory
├── Aborted                     another operation of the same atomic batch was rejected
├── UpgradeRequired             the client speaks another protocol version
├── ProviderFailed              a sign-in by a provider did not come to its end; carries the reason
├── Internal                    an exception nobody expected; details carry an id, never internals
├── Unavailable                 retry with the same operation id; details carry the reason
├── FunctionTimeout             a function went over its budget and was rolled back
├── StepFailed                  a step of a workflow failed, as its code sees it
├── WorkflowDiverged            a workflow's code no longer fits what its run recorded
├── WorkflowMisuse              a workflow's code did what can't be replayed
├── WorkflowTooLong             a run recorded more than the limit
├── JobLost                     a job is not this attempt's any more
├── RunEnded                    a run of a workflow has ended, or is another process's
├── Cancelled                   whoever called has left, or takes the call back
├── AddressInUse                another program has the port
├── ConfigError                 a setting is wrong
└── AppError                    mistakes in an app's definition, with positions
    (LoadFailed: all of them at once)

What travels is `to_wire()`. A class's docstring is its default message.

Each is imported from here. What does not live here: the root (`errors_base`), mistakes of a project
(`errors_app`), and errors of functions, jobs and workflows (`errors_work`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pylon.errors_app import AppError, ConfigError, LoadFailed, Mistake
from pylon.errors_base import PylonError
from pylon.errors_work import (
    Cancelled,
    FunctionTimeout,
    JobLost,
    RunEnded,
    StepFailed,
    WorkflowDiverged,
    WorkflowMisuse,
    WorkflowTooLong,
)

__all__ = [
    "Aborted", "AddressInUse", "AppError", "BadRequest", "Cancelled", "ConfigError",
    "Conflict", "ForbiddenOrigin", "FunctionTimeout", "Internal", "InvalidArgument",
    "InvalidJson", "InvalidSignature", "JobLost", "LoadFailed", "MethodNotAllowed",
    "Misdirected", "Mistake", "NotFound", "NotRetained", "OperationExpired",
    "PayloadTooLarge", "PolicyDenied", "ProviderFailed", "PylonError", "QuotaExceeded",
    "RateLimited", "Refused", "RequestTimeout", "ResyncRequired", "RunEnded", "StepFailed",
    "TransactionTooLarge", "Unauthenticated", "Unavailable", "UnsupportedMedia",
    "UpgradeRequired", "WorkflowDiverged", "WorkflowMisuse", "WorkflowTooLong",
]  # fmt: skip


class BadRequest(PylonError):
    """This is no well-formed HTTP request."""

    code = "BAD_REQUEST"
    http_status = 400


class InvalidJson(PylonError):
    """The body is not strict JSON."""

    code = "INVALID_JSON"
    http_status = 400
    ws_close_code = 4400


class InvalidArgument(PylonError):
    """A value is not what is asked for."""

    code = "INVALID_ARGUMENT"
    http_status = 400


class Unauthenticated(PylonError):
    """Sign in first."""

    code = "UNAUTHENTICATED"
    http_status = 401


class InvalidSignature(PylonError):
    """The signature is missing or wrong."""

    code = "INVALID_SIGNATURE"
    http_status = 401


class PolicyDenied(PylonError):
    """The policy does not allow this."""

    code = "POLICY_DENIED"
    http_status = 403


class ForbiddenOrigin(PylonError):
    """Requests from this origin are refused."""

    code = "FORBIDDEN_ORIGIN"
    http_status = 403


class NotFound(PylonError):
    """There is no such thing, or you may not see it."""

    code = "NOT_FOUND"
    http_status = 404


class MethodNotAllowed(PylonError):
    """This path does not take that method."""

    code = "METHOD_NOT_ALLOWED"
    http_status = 405

    def __init__(self, message: str | None = None, *, allow: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allow = tuple(sorted(allow))


class Conflict(PylonError):
    """The write conflicts with what is stored."""

    code = "CONFLICT"
    http_status = 409


class ResyncRequired(PylonError):
    """The cursor cannot be continued; start again from a snapshot."""

    code = "RESYNC_REQUIRED"
    http_status = 410


class NotRetained(PylonError):
    """The change log does not reach back so far any more."""

    code = "NOT_RETAINED"
    http_status = 410


class PayloadTooLarge(PylonError):
    """The request is larger than the limit."""

    code = "PAYLOAD_TOO_LARGE"
    http_status = 413
    ws_close_code = 1009


class TransactionTooLarge(PayloadTooLarge):
    """One transaction changes more rows or bytes than the limit."""

    code = "TRANSACTION_TOO_LARGE"


class QuotaExceeded(PayloadTooLarge):
    """Your files would be more than you may have; delete some."""

    code = "QUOTA_EXCEEDED"


class RequestTimeout(PylonError):
    """The request did not arrive in time."""

    code = "REQUEST_TIMEOUT"
    http_status = 408


class UnsupportedMedia(PylonError):
    """Send application/json."""

    code = "UNSUPPORTED_MEDIA"
    http_status = 415


class Misdirected(PylonError):
    """The Host header is not one this runtime answers for."""

    code = "MISDIRECTED"
    http_status = 421


class Refused(PylonError):
    """The app refused."""

    http_status = 422

    def __init__(self, code: str, message: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.code = code


class RateLimited(PylonError):
    """Too many requests; wait."""

    code = "RATE_LIMITED"
    http_status = 429
    is_transient = True

    def __init__(
        self, message: str | None = None, *, retry_after_s: float = 1.0, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class OperationExpired(PylonError):
    """The operation id is older than the memory of operations; it is never applied again."""

    code = "OPERATION_EXPIRED"
    http_status = 409


class Aborted(PylonError):
    """Another operation of the same atomic batch was rejected."""

    code = "ABORTED"
    http_status = 409


class UpgradeRequired(PylonError):
    """This runtime speaks another protocol version; reload the page."""

    code = "UPGRADE_REQUIRED"
    http_status = 426
    ws_close_code = 4400


class Internal(PylonError):
    """Something went wrong here; the log has the details under this id."""

    code = "INTERNAL"
    http_status = 500


class Unavailable(PylonError):
    """Not available at the moment; retry with the same operation id."""

    code = "UNAVAILABLE"
    http_status = 503
    is_transient = True


class ProviderFailed(PylonError):
    """The sign-in by a provider did not come to its end."""

    code = "PROVIDER_FAILED"
    http_status = 502

    def __init__(self, message: str | None = None, *, reason: str = "provider") -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


class AddressInUse(PylonError):
    """Another program has the port."""

    code = "ADDRESS_IN_USE"
    http_status = 503
