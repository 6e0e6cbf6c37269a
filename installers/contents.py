"""What the .deb and the bundle share: the wheel, what it needs beside it, and the launcher."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[1]
#: Starts Pylon beside the interpreter that it lies with, wherever that is and through links.
LAUNCHER: Final = """#!/bin/sh
set -eu
self=$0
case $self in */*) ;; *) self=./$self ;; esac
while [ -L "$self" ]; do
  link=$(PATH=${PATH-}:/usr/bin:/bin && readlink "$self")
  case $link in /*) self=$link ;; *) self=${self%%/*}/$link ;; esac
done
home=$(cd "${self%%/*}" && pwd -P)
%s# -P: the folder where one happens to be is no place to import from.
exec "$home/python3" -P -m pylon "$@"
"""
_GLIBC: Final = re.compile(rb"GLIBC_2\.(\d+)")


def stop(what: str, remedy: str) -> NoReturn:
    """End with what is wrong and what to do."""
    sys.exit(f"{Path(sys.argv[0]).name}: {what}\n  what to do: {remedy}")


def run(*command: str | Path, remedy: str, **options: Path) -> str:
    """Run a program and return what it printed; end with its words where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 -- our own
            command, check=False, text=True, capture_output=True, cwd=options.get("cwd")
        )
    except FileNotFoundError:
        stop(f"there is no {command[0]}", remedy)
    if done.returncode:
        stop(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}", remedy)
    return done.stdout


def tool(name: str) -> Path:
    """Return a program of the environment that this runs in, or of the system."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        stop(f"{name} is not there", f"install it beside Pylon: pip install {name}")
    return Path(found)


def wheel_of(given: str | None) -> Path:
    """Return the given wheel, or the checkout's, built now."""
    if given is not None:
        wheel = Path(given).resolve()
        if not wheel.is_file():
            stop(f"there is no {given}", "name a wheel, or leave --wheel out to build one")
        return wheel
    folder = ROOT / "build" / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
        remedy="make wheel says more",
    )  # fmt: skip
    (wheel,) = folder.glob("pylon_runtime-*.whl")
    return wheel


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


def install(wheel: Path, python: Path, target: Path, *further: str) -> None:
    """Put the wheel and all that it needs into a folder, for that Python, compiled.

    The compiled files are never checked against their sources: where root owns the folder nobody
    else could renew them, and where root runs Pylon nothing new appears in it.
    """
    run(
        tool("uv"), "pip", "install", "--quiet", "--python", python, "--target", target, wheel,
        *further, remedy="look at the network and at the index of packages",
    )  # fmt: skip
    if shutil.which("strip"):
        run("strip", "--strip-unneeded", *target.rglob("*.so"), remedy="repair binutils")
    # Their starters name this machine's folders; Pylon has its own.
    shutil.rmtree(target / "bin", ignore_errors=True)
    for name in (".lock", "CACHEDIR.TAG", ".gitignore"):
        (target / name).unlink(missing_ok=True)
    for record in target.glob("*.dist-info/direct_url.json"):
        record.unlink()


def compile_all(python: Path, root: Path, *folders: Path) -> None:
    """Compile folders for a Python, for good (see `install`), by names as seen from a root."""
    run(
        python, "-I", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash",
        "-s", root, "-p", "/", *folders, remedy="a file of a package is no Python of that version",
    )  # fmt: skip


def glibc_needed(folder: Path) -> str:
    """Return the oldest glibc that has what the programs and libraries in a folder ask for."""
    newest = 17
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and is_elf(path):
            found = _GLIBC.findall(path.read_bytes())
            newest = max([newest, *map(int, found)])
    return f"2.{newest}"


def is_elf(path: Path) -> bool:
    """Say whether a file is a program or library of Linux."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def write_program(path: Path, text: str) -> None:
    """Write a file that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
