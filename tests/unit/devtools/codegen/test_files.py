"""Which files of a project are generated, and that each is written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.devtools.codegen.app import MARK
from pylon.devtools.codegen.files import CannotWrite, generated_files, write_generated


def test_generated_files_are_found_by_their_first_line(tmp_path: Path) -> None:
    """Below any folder of the project's own; not in packages, not what somebody else wrote."""
    for name, text in {
        "web/pylon.gen.ts": MARK, "src/a/types.gen.ts": MARK, "web/other.gen.ts": "// mine",
        "node_modules/x/pylon.gen.ts": MARK, ".pylon/pylon.gen.ts": MARK, "web/pylon.ts": MARK,
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "web" / "loop").symlink_to(tmp_path)
    found = [one.relative_to(tmp_path).as_posix() for one in generated_files(tmp_path)]
    assert found == ["src/a/types.gen.ts", "web/pylon.gen.ts"]


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """No half a file, and a reason."""
    (tmp_path / "web").write_text("a file")
    with pytest.raises(CannotWrite):
        write_generated(tmp_path / "web" / "pylon.gen.ts", MARK)
    (tmp_path / "folder.gen.ts").mkdir()
    with pytest.raises(CannotWrite):
        write_generated(tmp_path / "folder.gen.ts", MARK)
