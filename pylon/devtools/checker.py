"""The warm child that tries a new version of the app before the runtime sees it.

`python -m pylon.devtools.checker ROOT` reads one line per request and answers one JSON line.
It is single-threaded and has Pylon imported; for each request it forks, so that a version that
hangs, exits or crashes at import harms nobody, and what it imported is gone with the fork.
Where there is no fork (Windows), each check is a fresh interpreter.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pylon import jsonvalue
from pylon.app.loader import load_app
from pylon.errors import LoadFailed

#: A version that does not finish importing within this time does not run.
CHECK_SECONDS = 3
_READ_BYTES = 65_536


def main(arguments: list[str]) -> int:
    """Serve checks until standard input ends."""
    root = Path(arguments[0])
    sys.stdout.write('{"ready":true}\n')
    sys.stdout.flush()
    for _ in sys.stdin:
        answer = check_in_fork(root)
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
    return 0


def check_in_fork(root: Path) -> str:
    """Return the JSON verdict of a fork that loads the app, or why it gave none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _check_and_exit(root, writing)
    os.close(writing)
    answer = bytearray()
    with os.fdopen(reading, "rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            answer += chunk
    _, status = os.waitpid(child, 0)
    if answer:
        return answer.decode()
    return jsonvalue.encode_text({"ok": False, "mistakes": [_why_silent(status)]})


def _check_and_exit(root: Path, writing: int) -> None:
    """Load the app in this fork, write the verdict, and leave without running exit handlers."""
    signal.alarm(CHECK_SECONDS)
    # What the app prints at import must not reach the pipe of answers.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    try:
        verdict = check(root)
    except SystemExit as leaving:
        verdict = {"ok": False, "mistakes": [f"the app called exit({leaving.code}) at import"]}
    os.write(writing, jsonvalue.encode(verdict))
    os.close(writing)
    os._exit(0)


def check(root: Path) -> dict[str, object]:
    """Load the app in this process and say what is wrong with it."""
    try:
        definition = load_app(root, generation=0)
    except LoadFailed as failure:
        return {"ok": False, "mistakes": [mistake.render() for mistake in failure.mistakes]}
    return {"ok": True, "mistakes": [], "hash": definition.hash}


def _why_silent(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGALRM:
            return (
                f"importing the app took longer than {CHECK_SECONDS} s\n"
                "  hint: move work out of module level into a function or @app.on_start"
            )
        return f"importing the app crashed the interpreter ({signal.Signals(number).name})"
    return (
        f"the app ended the interpreter at import (exit code {os.waitstatus_to_exitcode(status)})"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
