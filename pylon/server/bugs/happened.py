"""What went wrong before a report was made: failures and lines of the log, in known words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pylon import jsonvalue, limits_keeping, paths
from pylon.clock import iso_ms
from pylon.errors import InvalidJson
from pylon.schema.masking import is_secret_name
from pylon.schema.pseudonyms import Pseudonyms
from pylon.server.bugs.words import Words, is_our_code
from pylon.server.storage.bug_rows import FailedWork, Refusal

#: Of a log, so much of its end is looked at.
_TAIL_BYTES = 1 << 20


class Happened:
    """Failures and lines as they may be shown on."""

    def __init__(self, pseudonyms: Pseudonyms, words: Words) -> None:
        self._pseudonyms = pseudonyms
        self._words = words

    def failures(
        self, jobs: Iterable[FailedWork], runs: Iterable[FailedWork], refused: Iterable[Refusal],
        calls: Iterable[Mapping[str, Any]],
    ) -> dict[str, Any]:  # fmt: skip
        """Return jobs, runs, refused operations, and the calls that a runtime remembers."""
        return {
            "jobs": [self._work(one) for one in jobs],
            "workflows": [self._work(one) for one in runs],
            "refusals": [
                {"at": iso_ms(one.at_ms), "user": self._principal(one.principal),
                 "error": self._error(one.error)}
                for one in refused
            ],
            "functions": [self._call(one) for one in calls],
        }  # fmt: skip

    def cause(self, cause: str | None) -> str | None:
        """Return what asked for something: doors, functions, jobs by their names and ids."""
        return None if cause is None else self._words.text(cause, is_ours=True)

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: call.get(name) for name in ("name", "kind", "at", "outcome", "code")}
        error = self._error({"code": call.get("code"), "message": call.get("error") or ""})
        return {**told, "cause": self.cause(call.get("cause")), "error": error["message"]}

    def _principal(self, principal: str) -> str:
        kind, colon, who = principal.partition(":")
        return f"{kind}:{self._pseudonyms.id(who)}" if colon else self._pseudonyms.id(kind)

    def _error(self, error: Mapping[str, Any]) -> dict[str, Any]:
        code, message = str(error.get("code", "")), str(error.get("message", ""))
        is_ours = is_our_code(code)
        return {
            "code": self._words.text(code, is_ours=True),
            "message": self._words.text(message, is_ours=is_ours),
        }

    def _work(self, one: FailedWork) -> dict[str, Any]:
        args = None if one.args is None else jsonvalue.decode_trusted(one.args)
        return {
            "id": one.id, "name": one.name, "state": one.state, "at": iso_ms(one.at_ms),
            "args": None if args is None else self._args(args),
            "user": one.user_id and self._pseudonyms.id(one.user_id),
            "attempt": one.attempt, "cause": self.cause(one.cause),
            "error": one.error and self._words.text(one.error),
            "traceback": one.traceback and self._words.text(one.traceback),
        }  # fmt: skip

    def _args(self, args: Any) -> Any:
        if not isinstance(args, dict):
            return self._pseudonyms.json(args)
        # Names of arguments are the function's own; what is called like a secret is one.
        return {
            name: self._pseudonyms.json(one, keeps=not is_secret_name(name))
            for name, one in args.items()
        }

    def log_lines(self, project: Path) -> list[str]:
        """Return the last lines of the runtime's log; none where there is no log."""
        try:
            with paths.runtime_log_path(project).open("rb") as stream:
                end = stream.seek(0, 2)
                stream.seek(max(0, end - _TAIL_BYTES))
                found = stream.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return []
        if end > _TAIL_BYTES:
            found = found[1:]  # the end of a line says less than it may give away
        shown = [one for one in found if one][-limits_keeping.BUG_LINES_MAX :]
        return [self._line(one) for one in shown]

    def _line(self, line: str) -> str:
        if line.startswith('{"level":'):
            try:
                made = jsonvalue.parse(line.encode())
            except InvalidJson:
                return self._words.text(line)
            if isinstance(made, dict):
                return jsonvalue.encode_text(self._words.value(made))
        return self._words.text(line)
