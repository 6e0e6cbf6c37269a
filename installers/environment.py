"""The checkout's own environment, `.venv`, for `make`: makes it and installs Pylon into it.

Both take long on a first run, so it says beforehand what it does, and on a terminal what pip is
at and since when. What pip says is shown whole where it fails, and not at all where it doesn't.
It runs on the Python that the user has, before anything is installed: standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_WHAT: Final = {
    "": "Pylon",
    "dev": "what the tests need",
    "bench": "what the measurements need",
}
_TICK_SECONDS: Final = 0.5
_NO_VENV: Final = "Debian and Ubuntu: apt-get install python3-venv"
_NO_PIP: Final = "is the network there? the same command goes on"


class _Step:
    """A line that says what is done; on a terminal with seconds, and what the program says."""

    def __init__(self, words: str, duration: str) -> None:
        self._words = words
        self._duration = duration
        self._began = time.monotonic()
        self._draws = sys.stdout.isatty()
        print(f"{words} ({duration}) …", end="" if self._draws else "\n", flush=True)

    @property
    def seconds(self) -> int:
        return round(time.monotonic() - self._began)

    def draw(self, news: str) -> None:
        if not self._draws:
            return
        line = f"{self._words} … {self.seconds} s  {news or f'({self._duration})'}"
        line = "".join(character if character.isprintable() else " " for character in line)
        sys.stdout.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        sys.stdout.flush()

    def end(self, how: str) -> None:
        start = f"\r\x1b[K{self._words}: " if self._draws else ""
        print(f"{start}{how} after {self.seconds} s", flush=True)


def _run(step: _Step, command: Sequence[str | Path], remedy: str) -> None:
    """Run a program to its end; what it said last stands beside the step meanwhile."""
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 -- our own
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as program:
        lines = program.stdout
        assert lines is not None
        reader = threading.Thread(target=lambda: said.extend(lines), daemon=True)
        # extend() appends line by line, so the last one can be read while more come.
        reader.start()
        while reader.is_alive():
            step.draw(_news(said))
            reader.join(_TICK_SECONDS)
    if program.returncode:
        step.end("failed")
        sys.stdout.flush()
        sys.exit("".join(said) + f"what to do: {remedy}")
    step.end("done")


def _news(said: Sequence[str]) -> str:
    """Return the last line that is about the work, and no warning."""
    for line in reversed(said[-50:]):
        if (words := line.strip()) and not words.startswith(("WARNING", "DEPRECATION", "[notice]")):
            return words
    return ""


def _has_pip(python: Path) -> bool:
    try:
        asked = subprocess.run(  # noqa: S603 -- our own
            (python, "-m", "pip", "--version"), check=False, capture_output=True
        )
    except OSError:  # none there, or its interpreter is gone
        return False
    return asked.returncode == 0


def main(folder: Path, extra: str) -> None:
    """Make the environment where there is none that works, and install."""
    python = folder / "bin" / "python"
    if not _has_pip(python):
        step = _Step(f"making an environment in {folder}", "some ten seconds")
        _run(step, (sys.executable, "-m", "venv", "--clear", folder), _NO_VENV)
    step = _Step(f"installing {_WHAT[extra]} into {folder}", "about a minute")
    what = f".[{extra}]" if extra else "."
    _run(
        step,
        (python, "-m", "pip", "install", "--progress-bar", "off", "--editable", what),
        _NO_PIP,
    )


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
    except KeyboardInterrupt:
        sys.exit("\nbroken off; the same command goes on")
