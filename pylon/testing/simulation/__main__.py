"""`python -m pylon.testing.simulation PROJECT --seed N`: plays one seed of the simulator, aloud.

What a failing seed of Pylon's own simulation prints. For an app, `pylon simulate` says more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from pylon import jsonvalue
from pylon.testing.simulation.campaign import Bench
from pylon.testing.simulation.maker import TORMENT, TURNING, Plan


def main(arguments: list[str] | None = None) -> int:
    """Play a seed; returns 1 where a promise broke."""
    parser = argparse.ArgumentParser(prog="python -m pylon.testing.simulation", description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--devices", type=int, default=Plan().devices_max, help="at most")
    parser.add_argument("--typescript", type=float, default=0.0, help="share of the devices")
    parser.add_argument("--turning", action="store_true", help="rows mostly come and go by others")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the script as JSON")
    parser.add_argument("--shrink", action="store_true", help="print the shortest failing script")
    given = parser.parse_args(arguments)
    bench = Bench(given.project)
    plan = Plan(
        steps=given.steps, devices_max=given.devices, typescript_share=given.typescript,
        weights=TURNING if given.turning else TORMENT,
    )  # fmt: skip
    say = print if not given.shrink else None
    script = bench.script(given.seed, plan)
    outcome = bench.play(script, say)
    if outcome.finding is not None and given.shrink:
        script = bench.shrink(script)
        sys.stdout.write("".join(f"{jsonvalue.encode_text(one)}\n" for one in script.actors))
        sys.stdout.write("".join(f"{jsonvalue.encode_text(one)}\n" for one in script.steps))
        outcome = bench.play(script)
    bench.close()
    if given.keep is not None:
        given.keep.write_bytes(msgspec.json.format(jsonvalue.encode(script), indent=1) + b"\n")
    sys.stdout.write(f"{outcome.finding or 'every promise held'}\n")
    return 0 if outcome.finding is None else 1


if __name__ == "__main__":
    sys.exit(main())
