"""`python -m pylon.testing.warm_runtime FD`: runtimes that start in a tenth of a second, for tests.

Imports everything once and then forks a runtime for each message on the datagram socket FD: JSON
{"arguments": […], "environment": {…}, "folder": …, "umask": …, "limits": {…}} with two descriptors,
for what the runtime prints and for telling of it. Tells `started PID` and `ended CODE` (negative:
the signal). Whoever closes the second descriptor ends the runtime; whoever closes standard input
ends them all.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

import pylon.server.__main__ as runtime
from pylon.testing import crash_points

#: Messages carry a whole environment.
MESSAGE_BYTES_MAX = 262_144
#: A runtime keeps it from its app later.
_exit_now: Final = os._exit


class WarmRuntimes:
    """Forks runtimes, and tells of each how it ended."""

    def __init__(self, asks: socket.socket) -> None:
        self._asks = asks
        self._poll = select.poll()
        #: Who is told of a runtime, by its process.
        self._told: dict[int, socket.socket] = {}
        self._wakes, self._is_woken = os.pipe()
        os.set_blocking(self._is_woken, False)
        for descriptor in (asks.fileno(), self._wakes):
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(0, 0)  # nothing is asked for, so only its end wakes it

    def run(self) -> None:
        """Fork runtimes until standard input ends, and end them with it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._is_woken, warn_on_full_buffer=False)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == 0:
                    for pid in self._told:
                        os.kill(pid, signal.SIGTERM)
                    return
                if descriptor == self._asks.fileno():
                    self._fork()
                elif descriptor == self._wakes:
                    os.read(self._wakes, 4_096)
                    self._reap()
                else:
                    self._end(descriptor)

    def _fork(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._asks, MESSAGE_BYTES_MAX, 2)
        output, tells = descriptors
        pid = os.fork()
        if pid == 0:
            for one in (self._asks.fileno(), self._wakes, self._is_woken, tells):
                os.close(one)
            for told in self._told.values():
                told.close()
            _become_runtime(json.loads(message), output)  # noqa: TID251 -- from our own driver
        os.close(output)
        told = self._told[pid] = socket.socket(fileno=tells)
        self._poll.register(told, 0)
        _tell(told, f"started {pid}")

    def _reap(self) -> None:
        """Tell of all that ended: one signal may stand for several."""
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            told = self._told.pop(pid)
            with suppress(KeyError):  # who closed it is not waited for any more
                self._poll.unregister(told)
            _tell(told, f"ended {os.waitstatus_to_exitcode(status)}")
            told.close()

    def _end(self, descriptor: int) -> None:
        """End the runtime that nobody wants to hear of any more."""
        self._poll.unregister(descriptor)
        for pid, told in self._told.items():
            if told.fileno() == descriptor:
                os.kill(pid, signal.SIGTERM)


def _tell(told: socket.socket, text: str) -> None:
    with suppress(OSError):
        told.sendall(f"{text}\n".encode())


def _become_runtime(asked: dict[str, Any], output: int) -> None:
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, place)
        os.close(output)
        os.chdir(asked["folder"])
        os.umask(asked["umask"])
        for number, bounds in asked["limits"].items():
            resource.setrlimit(int(number), tuple(bounds))
        os.environ.clear()
        os.environ.update(asked["environment"])
        if (crash_at := os.environ.pop(crash_points.VARIABLE, None)) is not None:
            crash_points.arm(crash_at)
        code = runtime.main([*asked["arguments"], "--detach"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        _exit_now(code)


if __name__ == "__main__":
    with suppress(ImportError):
        import uvloop  # noqa: F401 -- what a runtime imports only when it runs
    gc.freeze()
    WarmRuntimes(socket.socket(fileno=int(sys.argv[1]))).run()
