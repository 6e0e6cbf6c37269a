"""Who is making a branch: known as long as the process lives, and not longer."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from pylon.server.storage.making import claimed, making_folder, sweep_making

MAKER = """
import sys, time
from pathlib import Path
from pylon.server.storage.making import claimed, making_folder
branches = Path(sys.argv[1])
with claimed(branches, "try") as is_mine:
    making_folder(branches, "try").mkdir()
    print(is_mine, flush=True)
    time.sleep(600)
"""


def test_what_another_process_makes_is_left_alone_until_it_is_killed(tmp_path: Path) -> None:
    """A start sweeps beside it; once it is dead, what it left half made goes, its lock too."""
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as maker:
        try:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "True\n"
            making_folder(tmp_path, "left").mkdir()
            sweep_making(tmp_path)
            assert making_folder(tmp_path, "try").is_dir()
            assert not making_folder(tmp_path, "left").exists()
            with claimed(tmp_path, "try") as is_mine:
                assert not is_mine
        finally:
            maker.kill()
    sweep_making(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_makes_a_branch_of_a_name(tmp_path: Path) -> None:
    """The next one may once it is done; another name is nobody's matter."""
    names = ("a", "a", "b")
    with ExitStack() as stack:
        got = [stack.enter_context(claimed(tmp_path, one)) for one in names]
        assert got == [True, False, True]
    with claimed(tmp_path, "a") as again:
        assert again
