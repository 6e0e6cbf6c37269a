"""What a checker says when something is not as it should be."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self


class Finding(AssertionError):
    """A promise did not hold: which one, for whom, and what was seen instead."""

    def __init__(self, promise: str, message: str) -> None:
        super().__init__(f"{promise}: {message}")
        self.promise = promise
        self.message = message

    def __reduce__(self) -> tuple[type[Finding], tuple[str, str]]:
        return Finding, (self.promise, self.message)  # it travels between processes


class LoggedErrors(logging.Handler):
    """Keeps the failures that the runtime logs about itself, and the rest of its log quiet."""

    #: An exception of the app's own code is the app's affair: its caller gets INTERNAL.
    _OURS = ("pylon.http", "pylon.sync", "pylon.storage", "pylon.policy", "pylon.client")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []
        self._logger = logging.getLogger("pylon")
        self._before = self._logger.propagate

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error with its exception."""
        if record.name.startswith(self._OURS):
            error = record.exc_info[1] if record.exc_info else None
            self.errors.append(error or RuntimeError(record.getMessage()))

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        self._logger.propagate = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._logger.removeHandler(self)
        self._logger.propagate = self._before
