"""`python -m pylon.testing.warm_runtime`: runtimes that start in a tenth of a second, to be killed.

Imports everything once and then forks a runtime for each line of JSON on standard input:
{"arguments": […], "environment": {…}}. Says `started PID` and `ended PID CODE` (negative: the
signal); in between stands what the runtime prints. One at a time. Ends with its standard input, as
the runtimes do.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
import threading

import pylon.server.__main__ as runtime
from pylon.testing import crash_points


def main() -> int:
    """Fork runtimes until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Unbuffered: what was read ahead would be in the child too.
    asks = io.FileIO(0, closefd=False)
    while line := asks.readline():
        asked = json.loads(line)  # noqa: TID251 -- from our own driver
        child = os.fork()
        if child == 0:
            _become_runtime(asked)
        _say(f"started {child}")
        _, status = os.waitpid(child, 0)
        _say(f"ended {child} {os.waitstatus_to_exitcode(status)}")
    return 0


def _become_runtime(asked: dict[str, object]) -> None:
    code = 70
    try:
        environment, arguments = asked["environment"], asked["arguments"]
        assert isinstance(environment, dict)
        assert isinstance(arguments, list)
        _end_with_standard_input()
        os.environ.update(environment)
        crash_points.arm(os.environ.pop(crash_points.VARIABLE, ""))
        code = runtime.main([*arguments, "--detach"])
    finally:
        sys.stdout.flush()
        os._exit(code)


def _end_with_standard_input() -> None:
    """Have a runtime stop when the driver is gone, without reading what is not for it."""
    driver = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # loops make it non-blocking, which would be the driver's pipe too
    poll = select.poll()
    poll.register(driver, 0)

    def watch() -> None:
        poll.poll()  # nothing is asked for, so only the other end's closing wakes it
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
