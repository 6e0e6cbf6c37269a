"""The app of macOS, as far as another system can look at it: lists parsed, scripts run."""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path, PurePosixPath

from pylon.desktop.install import launch_script
from pylon.desktop.mac import installation


def _files(folder: Path, command: tuple[str, ...]) -> dict[str, bytes]:
    planned = installation(PurePosixPath(folder), command, launch_script(), "1.2.3")
    for one in planned.files:
        path = Path(one.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.content)
        path.chmod(0o755 if one.is_program else 0o644)
    return {Path(one.path).relative_to(folder).as_posix(): one.content for one in planned.files}


def test_the_list_of_properties_names_what_is_there(tmp_path: Path) -> None:
    """Program and icon exist under the names that it gives; version and identifier are ours."""
    files = _files(tmp_path, ("/opt/pylon",))
    found = plistlib.loads(files["Pylon.app/Contents/Info.plist"])
    assert f"Pylon.app/Contents/MacOS/{found['CFBundleExecutable']}" in files
    assert files[f"Pylon.app/Contents/Resources/{found['CFBundleIconFile']}"].startswith(b"icns")
    assert found["CFBundleShortVersionString"] == "1.2.3"
    assert found["CFBundleIdentifier"] == "io.github.pylon-runtime.Pylon"
    assert found["CFBundlePackageType"] == "APPL"


def test_the_command_runs_pylon_from_any_path(tmp_path: Path) -> None:
    """Quotes, dollars and spaces in the path of Pylon, and in that of the app, are just that."""
    program = tmp_path / 'it\'s $(touch planted) "so"' / "pylon"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "ran $*"\n')
    program.chmod(0o755)
    folder = tmp_path / "my `apps` $HOME"
    _files(folder, (str(program),))
    done = subprocess.run(
        [folder / "Pylon.app/Contents/Resources/Pylon.command"], capture_output=True, text=True,
        cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "ran desktop open" in done.stdout
    assert not (tmp_path / "planted").exists()


def test_the_program_opens_the_command_beside_it(tmp_path: Path) -> None:
    """With `open`, here replaced by what prints its argument."""
    _files(tmp_path, ("/opt/pylon",))
    program = tmp_path / "Pylon.app/Contents/MacOS/pylon"
    program.write_text(program.read_text().replace("/usr/bin/open", "/bin/echo"))
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    command = Path(done.stdout.strip())
    assert command.resolve() == tmp_path / "Pylon.app/Contents/Resources/Pylon.command"
    assert command.stat().st_mode & 0o111
