"""`python -m tests.tour`: walk through docs/tour.md and draw its pictures into docs/pictures."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pylon.tui.picture import svg_of
from tests.tour.script import PICTURES, TOUR, Picture, read
from tests.tour.stage import Stage


def main() -> int:
    """Do each step, then write the pictures: all of them, or none."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tour")))
        for name in ("desk", "state"):
            (folder / name).mkdir()
        stage = Stage(folder / "desk", folder / "state")
        stack.callback(stage.close)
        steps = read(TOUR.read_text(encoding="utf-8"))
        for step in steps:
            stage.do(step)
        PICTURES.mkdir(exist_ok=True)
        for step in steps:
            if isinstance(step, Picture):
                drawn = svg_of(stage.pictures[step.file], title=step.words)
                (PICTURES / step.file).write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
