"""What can be done to runs of workflows: signal, cancel, retry, rerun; each asked about first."""

from __future__ import annotations

import shlex
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidJson
from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.dialogs import Prompt
from pylon.tui.saying import say
from pylon.tui.verbs import Verb
from pylon.tui.workflows_tables import title_of

#: What can be done to runs, in the list and on a run's own screen.
RUN_VERBS: Final = (
    Verb("s", "run('signal')", "Send it a signal", brief="Signal",
         id="runs.signal", cli="workflows signal"),
    Verb("c", "run('cancel')", "Cancel it for good, with its children", brief="Cancel",
         id="runs.cancel", cli="workflows cancel"),
    Verb("r", "run('retry')", "Retry it: failed, diverged or between two tries", brief="Retry",
         id="runs.retry", cli="workflows retry"),
    Verb("e", "run('rerun')", "Rerun it, from the step under the cursor (development)",
         brief="Rerun", id="runs.rerun", cli="workflows rerun"),
)  # fmt: skip
Run = dict[str, Any]
_ENDED: Final = ("completed", "failed", "cancelled")
_RETRIED: Final = {
    "failed": "It goes on at the step whose failure ended it.",
    "diverged": "Its code is held against its journal anew.",
}


def _mistake(text: str) -> str:
    """Return what is wrong with a line of JSON; empty where nothing is."""
    try:
        jsonvalue.parse(text.encode())
    except InvalidJson as error:
        return f'{error.message}; a text stands in quotes, such as "yes"'
    return ""


class WorkflowActions(Acting):
    """The owner's hand on the runs of one dashboard's app."""

    part = "workflows"

    def _do(self, run: Run, verb: str, body: dict[str, Any], command: str, done: Done) -> None:
        async def step() -> str:
            path = f"admin/workflows/{self._admin.quoted(str(run['id']))}/{verb}"
            made = await self._admin.post(path, body)
            is_new = made["id"] != run["id"]
            words = f"a new run {made['id']} is {made['state']}" if is_new else (
                f"it is {made['state']}"
            )  # fmt: skip
            return f"{words}\n$ pylon workflows {command}"

        self.run(f"{verb} {title_of(run)}", step, done)

    def signal(self, run: Run, done: Done) -> None:
        """Hand a run a signal: its name, its data as JSON, and a question."""
        if run["state"] in _ENDED:
            say(self._app, f"it has ended: it is {run['state']}")
            return
        awaited = [str(one["name"]) for one in run.get("waits", []) if one["kind"] == "wait"]
        known = next((one for one in awaited if clean(one) == one), "")

        def named(event: str | None) -> None:
            if event:
                self._app.push_screen(
                    Prompt(f"Signal {event!r} to {title_of(run)}: its data, as JSON", "null",
                           _mistake, takes_nothing=True),
                    lambda text: None if text is None else self._send(run, event, text, done),
                )  # fmt: skip

        self._app.push_screen(
            Prompt(f"Signal {title_of(run)}", "the name that it waits for", value=known,
                   suggestions=awaited),
            named,
        )  # fmt: skip

    def _send(self, run: Run, event: str, text: str, done: Done) -> None:
        data = text or "null"
        body = {"event": event, "data": jsonvalue.parse(data.encode())}
        command = f"signal {run['id']} {shlex.quote(event)} {shlex.quote(data)}"
        self.ask(f"Send {clean(event)} {clean(data)[:200]} to {title_of(run)}?",
                 lambda: self._do(run, "signal", body, command, done))  # fmt: skip

    def cancel(self, run: Run, done: Done) -> None:
        """End a run for good, after a question."""
        if run["state"] in _ENDED:
            say(self._app, f"it has ended: it is {run['state']}")
            return
        self.ask(
            f"Cancel {title_of(run)}, with its children? That is final: nothing more of it runs,"
            " no finally either.",
            lambda: self._do(run, "cancel", {}, f"cancel {run['id']}", done),
        )

    def retry(self, run: Run, done: Done) -> None:
        """Have a run try now what failed or did not fit, after a question."""
        if run["state"] in ("completed", "cancelled"):
            say(self._app, f"it can't go on: it is {run['state']}")
            return
        what = _RETRIED.get(run["state"], "A step between two tries does not wait for the next.")
        self.ask(f"Retry {title_of(run)} now? {what}",
                 lambda: self._do(run, "retry", {}, f"retry {run['id']}", done))  # fmt: skip

    def rerun(self, run: Run, step: str | None, done: Done) -> None:
        """Start a new run with what this one recorded before a step; in development only."""
        if not self.is_dev:
            say(self._app, "only `pylon dev` reruns: what steps did would be done once more",
                seconds=5)  # fmt: skip
            return
        where = "its beginning" if step is None else f"step {clean(step)}"
        option = "" if step is None else f" --from {shlex.quote(step)}"
        self.ask(
            f"Rerun {title_of(run)} from {where}? A new run takes what was recorded before it;"
            " from there on everything is done once more.",
            lambda: self._do(run, "rerun", {"from": step}, f"rerun {run['id']}{option}", done),
        )
