"""The TypeScript machine in Node, over a pipe: one process for all machines of a bench.

Each question is answered before anything else happens, so that a run stays a matter of its seed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.testing.simulation.machines import Seen

#: No step draws more numbers than this.
_DRAWN_AHEAD: Final = 4
_ROOT: Final = Path(__file__).parents[3]
_BROWSER: Final = _ROOT / "pylon" / "client" / "browser"
_ENTRANCE: Final = _BROWSER / "test" / "machine-over-pipe.ts"
_BUNDLE: Final = _BROWSER / "node_modules" / ".cache" / "machine-over-pipe.mjs"


class NodeMachines:
    """A Node process that holds machines."""

    def __init__(self) -> None:
        folder = subprocess.run(  # noqa: S603 -- our own script
            ["sh", str(_ROOT / "installers" / "node.sh")],  # noqa: S607 -- the tree's own script
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        self._bundle(folder)
        self._process = subprocess.Popen(  # noqa: S603 -- our own program
            [f"{folder}/node", str(_BUNDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._count = 0

    @staticmethod
    def _bundle(folder: str) -> None:
        sources = [_ENTRANCE, *(_BROWSER / "src").glob("*.ts")]
        newest = max(one.stat().st_mtime for one in sources)
        if _BUNDLE.exists() and _BUNDLE.stat().st_mtime >= newest:
            return
        _BUNDLE.parent.mkdir(exist_ok=True)
        beside = _BUNDLE.with_suffix(f".{os.getpid()}.mjs")
        esbuild = _BROWSER / "node_modules" / "esbuild" / "bin" / "esbuild"
        subprocess.run(  # noqa: S603 -- our own program
            [str(esbuild), str(_ENTRANCE), "--bundle", "--platform=node", "--format=esm",
             f"--outfile={beside}", "--log-level=error"],
            check=True, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        )  # fmt: skip
        beside.replace(_BUNDLE)  # another process may be reading it

    def make(self, random: Callable[[], float]) -> NodeMachine:
        """Return a new machine."""
        self._count += 1
        return NodeMachine(self, self._count, random)

    def ask(self, question: Any) -> Any:
        """Ask, and wait for the answer."""
        into, out = self._pipes
        into.write(jsonvalue.encode(question) + b"\n")
        into.flush()
        line = out.readline()
        if not line:
            raise RuntimeError(f"the machine in Node ended with {self._process.wait()}")
        answer = jsonvalue.decode_trusted(line)
        if "failed" in answer:
            raise RuntimeError(f"the machine in Node failed: {answer['failed']}")
        return answer

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        return into, out

    def close(self) -> None:
        """End the process."""
        into, out = self._pipes
        into.close()
        self._process.wait()
        out.close()


class NodeMachine:
    """One machine in Node; chance is drawn here, a few numbers ahead."""

    def __init__(self, machines: NodeMachines, number: int, random: Callable[[], float]) -> None:
        self._machines = machines
        self._number = number
        self._random = random
        self._drawn: list[float] = []
        self._ask({"type": "new"})

    def _ask(self, question: dict[str, Any]) -> Any:
        return self._machines.ask({"machine": self._number, **question})

    def step(self, event: ev.Event) -> list[ev.Command]:
        """Take what happened; return what to do about it."""
        while len(self._drawn) < _DRAWN_AHEAD:
            self._drawn.append(self._random())
        answer = self._ask({"type": "step", "event": event, "random": self._drawn})
        del self._drawn[: answer["used"]]
        return msgspec.convert(answer["commands"], list[ev.Command])

    def seen(self) -> Seen:
        """Return what it shows of itself now."""
        return msgspec.convert(self._ask({"type": "seen"}), Seen)

    def base(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the confirmed rows in sight, by id."""
        rows = self._ask({"type": "rows", "entity": entity, "of": "base"})["rows"]
        return {row["id"]: row for row in rows}

    def view(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the rows as apps see them, by id."""
        rows = self._ask({"type": "rows", "entity": entity, "of": "view"})["rows"]
        return {row["id"]: row for row in rows}

    def followed(self, subscription_id: str) -> tuple[Any] | None:
        """Return None: what it follows is not asked of it (`Device.can_follow`)."""
        return None
