"""Production starts and reloads that would let anonymous callers do more than before."""

from __future__ import annotations

import asyncio
import os
import sys

from pylon.client.admin import AdminClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations
from pylon import App, Entity

app = App("tiny")

@app.entity(read="auth.userId != null", insert="auth.userId != null")
class Thing(Entity):
    name: str

@app.query(allow="hasRole('clerk')")
def count(ctx): return ctx.db.count("Thing")
"""
OPEN = APP.replace('read="auth.userId != null"', 'read="true"')
OPENER = OPEN.replace("hasRole('clerk')", "true")


async def _reloads_are_held_to_it(served: ServedProject) -> None:
    token = next(served.state.glob("run/*/token")).read_text().strip()
    admin = AdminClient(served.url, token=token)
    app = served.project / "app.py"
    app.write_text(OPENER)
    answer = await admin.post("admin/reload", {})
    assert answer["ok"] is False
    assert "count() call" in answer["mistakes"][0]
    assert (await served.anonymous().get("/api/entities/Thing")).body["rows"] == []
    app.write_text(APP.replace("auth.userId != null", "hasRole('clerk')"))
    assert (await admin.post("admin/reload", {}))["ok"] is True
    app.write_text(APP)  # wider again, for people who are signed in: no matter
    assert (await admin.post("admin/reload", {}))["ok"] is True
    await admin.close()


async def test_widening_stops_the_start_until_it_is_meant(serve: Serve) -> None:
    """A reload too; it names access, place, old and new, changes nothing, and is said once only."""
    served = await serve(APP, mode="serve", extra=("--accept-policy-change",))
    await _reloads_are_held_to_it(served)
    await served.stop()
    app = served.project / "app.py"
    app.write_text(OPEN + "\n@app.entity\nclass More(Entity):\n    name: str\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "serve", str(served.project), "--port", "0", "--migrate",
        env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    said = err.decode()
    assert "Thing read  app.py:7\n  before: the caller is signed in\n  now:    always" in said
    assert said.count("pylon serve --accept-policy-change") == 1, "there is no second try"
    app.write_text(OPEN)  # nothing was migrated meanwhile: what is left is the policy alone
    extra = ("--accept-policy-change",)
    willing = ServedProject(served.project, served.state, mode="serve", extra=extra)
    await willing.start()
    assert await willing.stop() == 0
    plain = ServedProject(served.project, served.state, mode="serve")
    await plain.start()
    await plain.close()
