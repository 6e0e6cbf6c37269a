"""The bundle on a machine that has glibc and a shell, and neither Python nor packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.installers.machines import Machine, prove_it_works

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="bundles are built on Linux"),
]
#: Of other systems, or left out on purpose (installers/bundle.py says why).
_NOT_THERE = {
    "_dbm", "_gdbm", "_tkinter", "nis", "readline", "tkinter", "turtle", "turtledemo", "idlelib",
    "_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound",
    "_wmi",
}  # fmt: skip
_COMPILED = "aiohttp argon2.low_level cryptography.x509 msgspec psutil uvloop watchfiles yarl"
_IMPORT_ALL = f"""
import importlib, sys
failed = []
for name in sorted(sys.stdlib_module_names - {{"antigravity", "this"}}) + "{_COMPILED}".split():
    try:
        importlib.import_module(name)
    except ImportError:
        failed.append(name)
print(*failed)
print(*sys.path)
"""


@pytest.fixture(scope="module")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A bare machine with the bundle unpacked in /opt and linked into /bin."""
    machine = Machine(tmp_path_factory.mktemp("bundle") / "root")
    done = subprocess.run(
        [sys.executable, ROOT / "installers/bundle.py", "--wheel", wheel, "--no-archive",
         "--outdir", machine.root / "opt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = Path(done.stdout.strip())
    (machine.root / "bin/pylon").symlink_to(f"/opt/{built.name}/pylon")
    return machine


def test_it_works_without_python_on_the_machine(machine: Machine) -> None:
    """Version, a project made and checked, served, written to and reloaded, through a link."""
    assert machine.run("/bin/pylon", "--version").startswith("pylon, version ")
    prove_it_works(machine, "/bin/pylon")


def test_the_whole_standard_library_is_there(machine: Machine) -> None:
    """An app may import any module but the named ones; nothing outside is looked at."""
    (opt,) = (machine.root / "opt").iterdir()
    python = f"/opt/{opt.name}/python/bin/python3"
    failed, path = machine.run(python, "-I", "-c", _IMPORT_ALL).splitlines()[-2:]
    assert set(failed.split()) <= _NOT_THERE
    assert all(place.startswith(f"/opt/{opt.name}/") for place in path.split())


def test_its_menu_entry_opens_its_own_command(machine: Machine) -> None:
    """By its name on PATH; not the bare interpreter, which would lack what the command sets."""
    (opt,) = (machine.root / "opt").iterdir()
    assert "Pylon is in" in machine.run(f"/opt/{opt.name}/pylon", "desktop", "install")
    (entry,) = machine.root.glob("root/.local/share/applications/*.desktop")
    assert " /bin/pylon\n" in entry.read_text()
    machine.run(f"/opt/{opt.name}/pylon", "desktop", "remove")


def test_it_says_what_it_needs_and_how_it_goes_away(machine: Machine) -> None:
    """The folder explains itself, and has the licences of what is in it."""
    (opt,) = (machine.root / "opt").iterdir()
    text = (opt / "README.txt").read_text()
    assert "glibc 2." in text
    assert "delete the folder" in text
    assert "MIT" in (opt / "LICENSE").read_text()
    assert "PYTHON SOFTWARE FOUNDATION" in (opt / "python/LICENSE.txt").read_text().upper()
