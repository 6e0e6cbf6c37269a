"""What is asked of a supervisor: by the dev session, and by others of the user at its door."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pylon import limits
from pylon.supervisor.door import SupervisorRefused
from pylon.supervisor.lifecycle import Event, ProcessState

if TYPE_CHECKING:
    from pylon.supervisor.supervisor import Supervisor

_UP: Final = (ProcessState.RUNNING, ProcessState.FAILED)
_START_SECONDS: Final = 60.0
#: Where no runtime answers, and a save may mend what ails it.
_SILENT: Final = (
    ProcessState.FAILED, ProcessState.HUNG, ProcessState.BACKING_OFF, ProcessState.STARTING,
)  # fmt: skip
#: A start that takes longer may be held by what was just mended.
_STARTING_SECONDS: Final = 3.0
#: So long a save waits for a runtime that could not start.
_SAVED_SECONDS: Final = 30.0
_REASON_MAX: Final = 200


async def answer(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked, and return the supervisor's record after it.

    Raises SupervisorRefused and AdminError saying why not, TimeoutError as SupervisorRefused.
    """
    try:
        await _do(supervisor, request)
    except TimeoutError:
        raise SupervisorRefused(
            f"{supervisor.project.name} is still {supervisor.state}", hint="pylon projects list"
        ) from None
    return asdict(supervisor.record)


async def _do(supervisor: Supervisor, request: dict[str, Any]) -> None:
    match request.get("do"):
        case "status":
            return
        case "wake":
            await supervisor.step(Event.START_ASKED)
            await supervisor.until(*_UP, timeout_s=_START_SECONDS)
        case "restart":
            await supervisor.restart(str(request.get("why", "asked for elsewhere"))[:_REASON_MAX])
            await supervisor.until(*_UP, timeout_s=_START_SECONDS)
        case "sleep":
            await supervisor.doze()
            await supervisor.until(
                ProcessState.ASLEEP, ProcessState.RUNNING, timeout_s=limits.DRAIN_SECONDS * 2
            )
        case "stop":
            await supervisor.step(Event.STOP_ASKED)
            await supervisor.until(ProcessState.STOPPED, timeout_s=limits.DRAIN_SECONDS * 2)
        case other:
            raise SupervisorRefused(f"a supervisor does not know {str(other)[:40]!r}")


async def reload_or_start(supervisor: Supervisor, *, consent: bool) -> dict[str, Any]:
    """Load the app anew where its runtime answers; start it with what was saved where it does not.

    A runtime that starts may have read the app before that was saved.

    Raises AdminError, and TimeoutError where it does not start.
    """
    if supervisor.state is ProcessState.STARTING:
        with suppress(TimeoutError):
            await supervisor.until(*_UP, timeout_s=_STARTING_SECONDS)
    if supervisor.state not in _SILENT:
        # Patient: a migration may take long, and one that hangs is ended by its supervisor.
        body = {"consent": consent}
        return await supervisor.admin.post("admin/reload", body, is_patient=True)
    await supervisor.restart("the app was saved")
    is_good = await supervisor.until(*_UP, timeout_s=_SAVED_SECONDS) is ProcessState.RUNNING
    return {
        "ok": is_good, "generation": 1, "ms": 0.0, "plan": "",
        "mistakes": [] if is_good else [f"the runtime did not start: {supervisor.lifecycle.why}"],
    }  # fmt: skip
