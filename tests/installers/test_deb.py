"""The .deb on a machine that has Debian's Python and none of its packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.installers.machines import Machine, prove_it_works

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("dpkg-deb") is None or not Path("/usr/bin/python3").exists(),
        reason="no Debian, or one without Python",
    ),
]


@pytest.fixture(scope="module")
def deb(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, not compressed: that takes half a minute and changes nothing in it."""
    done = subprocess.run(
        [sys.executable, ROOT / "installers/deb.py", "--wheel", wheel, "--compression", "none",
         "--outdir", tmp_path_factory.mktemp("deb")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def _told(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _dpkg(machine: Machine, *words: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        ["dpkg", f"--root={machine.root}", "--force-not-root", "--force-unsafe-io", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _debian(root: Path) -> Machine:
    """A machine with a list of packages that is empty."""
    machine = Machine(root)
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    return machine


def _bring_python(machine: Machine, depends: list[str]) -> None:
    """Copy the system's Python, and enter the packages that the .deb asks for."""
    status = "".join(_told("dpkg-query", "--status", name) + "\n" for name in depends)
    (machine.root / "var/lib/dpkg/status").write_text(status)
    (python,) = (name for name in depends if name.startswith("python"))
    machine.bring(Path("/usr/bin", python))
    library = machine.root / "usr/lib" / python
    shutil.copytree(Path("/usr/lib", python), library, symlinks=True)
    machine.bring_libraries(Path("/usr/bin", python), *library.glob("lib-dynload/*.so"))
    for line in _told("dpkg-query", "--listfiles", "libgcc-s1").splitlines():
        if ".so." in line:
            machine.bring(Path(line))


def test_it_is_installed_works_and_is_taken_away_whole(deb: Path, tmp_path: Path) -> None:
    """With the packages that it names a project is served; removed, no file of it is left."""
    machine = _debian(tmp_path / "root")
    fields = _told("dpkg-deb", "--field", deb, "Depends")
    _bring_python(machine, [re.split(r"[ (]", one)[0] for one in fields.strip().split(", ")])
    before = machine.files()
    _dpkg(machine, "--install", deb)
    assert machine.run("/usr/bin/pylon", "--version").startswith("pylon, version ")
    prove_it_works(machine, "/usr/bin/pylon")
    _dpkg(machine, "--purge", "pylon-runtime")
    left = {
        name for name in machine.files() - before
        if not name.startswith(("root/", "var/", "tmp/")) and "/__pycache__" not in name
    }  # fmt: skip
    assert left == set()
    assert not (machine.root / "usr/lib/pylon-runtime").exists()
    assert (machine.root / "root/notes/app.py").is_file()


def _enters_the_menu(root: Path) -> None:
    """The entry opens the command that the package brings, by files that it brings."""
    (entry,) = root.glob("usr/share/applications/*.desktop")
    text = entry.read_text()
    (line,) = (one for one in text.splitlines() if one.startswith("Exec="))
    shell, script, command = line.removeprefix("Exec=").split()
    assert (shell, command) == ("/bin/sh", "/usr/bin/pylon")
    assert (root / script.removeprefix("/")).is_file()
    assert (root / "usr/share/icons/hicolor/scalable/apps" / f"{entry.stem}.svg").is_file()
    if shutil.which("desktop-file-validate"):
        assert _told("desktop-file-validate", entry) == ""


def test_the_package_is_in_order(deb: Path, tmp_path: Path) -> None:
    """Root owns all, nothing runs at installation, licences and news are there, sums agree."""
    listed = _told("dpkg-deb", "--contents", deb).splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    assert all(line.endswith("bin/pylon") for line in listed if line.startswith("-rwx"))
    _told("dpkg-deb", "--raw-extract", deb, tmp_path)
    assert {path.name for path in (tmp_path / "DEBIAN").iterdir()} == {"control", "md5sums"}
    assert _told("sh", "-c", f"cd {tmp_path} && md5sum --quiet -c DEBIAN/md5sums") == ""
    papers = tmp_path / "usr/share/doc/pylon-runtime"
    assert {path.name for path in papers.iterdir()} == {"copyright", "changelog.gz", "NEWS.gz"}
    told = (papers / "copyright").read_text()
    assert "Permission is hereby granted" in told
    assert "  aiohttp 3." in told
    _enters_the_menu(tmp_path)
    mentions = subprocess.run(
        ["grep", "-rlF", str(ROOT), tmp_path], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert mentions.stdout == ""
