"""`pylon doctor` as a command: beside a project that stands, that runs, and one elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import stat
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.cli.doctor import doctor_findings
from pylon.cli.doctor_checks import remote_findings
from pylon.clock import SystemClock
from pylon.supervisor.claim import Claim, Record
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("notes")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
"""


def _kinds(text: str) -> dict[str, Any]:
    return {one["kind"]: one for one in jsonvalue.parse(text.encode())["findings"]}


async def test_it_mends_what_is_safe_and_says_the_rest(serve: Serve) -> None:
    """Exit codes are an interface; code of the project runs only when that is asked for."""
    served = await serve(APP, toml="[server]\nport = 0\n")
    await served.stop(signal.SIGTERM)
    project = str(served.project)
    (served.project / ".pylon" / "app.db").chmod(0o644)
    (served.project / "app.py").write_text(APP + "\nopen('ran', 'w')\n")
    pylon = Shell(served)
    said = await pylon("doctor", project, is_for_project=False, code=1)
    assert "warning" in said
    found = _kinds(await pylon("doctor", project, "--fix", "--json", is_for_project=False))
    assert "data-readable" not in found
    assert stat.S_IMODE((served.project / ".pylon" / "app.db").stat().st_mode) == 0o600
    assert not os.path.exists("ran")
    assert "policy-open" not in found
    (served.project / "app.py").write_text(APP.replace("notes", "x") + "\nimport nosuch\n")
    said = await pylon("doctor", project, "--app", is_for_project=False, code=1)
    assert "1 error" in said


async def test_who_supervises_the_project_may_have_its_port(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keeper holds it while the runtime sleeps or starts anew: that is no finding."""
    served = await serve(APP, is_started=False)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        (served.project / "pylon.toml").write_text(f"[server]\nport = {port}\n")
        assert "port-taken" in [one["kind"] for one in await doctor_findings(served.project)]
        claim = Claim(served.project)
        claim.take()
        try:
            now_ms = SystemClock().machine_ms()
            claim.tell(Record(os.getpid(), now_ms, "dev", "127.0.0.1", port, state="asleep"))
            found = [one["kind"] for one in await doctor_findings(served.project)]
        finally:
            claim.release()
        assert "port-taken" not in found


async def test_a_running_app_is_looked_at_by_itself(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the admin surface, with its policies; a wrong token is told from silence."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": "right"})
    found = await remote_findings(served.url, "right", SystemClock())
    kinds = {one["kind"] for one in found}
    assert "policy-open" in kinds
    assert "clock-skew" not in kinds
    (refused,) = await remote_findings(served.url, "wrong", SystemClock())
    assert refused["kind"] == "remote-token"
