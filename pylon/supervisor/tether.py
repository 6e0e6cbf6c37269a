"""Runs a program that must not outlive us: `python tether.py PROGRAM ARGUMENT …`.

It is started in a session of its own. Standard input is the tether: when it ends, because whoever
started us stopped us or was killed, the program and all that it started are ended. When the
program ends, so do we, with its code. Runs by its path, in a Python without packages: it must
start at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

_SECONDS_TO_END = 3.0


def main(command: list[str]) -> int:
    """Run the program; returns its exit code, 127 where it could not be started."""
    # For the program, which gets them by itself; a handler, unlike "ignore", is not inherited.
    signal.signal(signal.SIGTERM, _leave_alone)
    signal.signal(signal.SIGINT, _leave_alone)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 -- its setting
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    letting_go = threading.Event()
    threading.Thread(target=_end_with_input, args=(child, letting_go), daemon=True).start()
    code = child.wait()
    # What it left running, and ourselves where nobody waits for our code any more.
    os.killpg(0, signal.SIGKILL if letting_go.is_set() else signal.SIGTERM)
    return code


def _leave_alone(_number: int, _frame: object) -> None:
    """Take a signal and do nothing."""


def _end_with_input(child: subprocess.Popen[bytes], letting_go: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    letting_go.set()
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
