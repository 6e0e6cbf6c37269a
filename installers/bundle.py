"""A folder with Pylon and a Python of its own, for a Linux that has none: `make bundle`.

It holds a whole interpreter with its standard library, not a frozen program: an app may import
whatever the library has, `pylon dev` starts its runtime by `sys.executable` as everywhere, and
what is seen in a traceback is there to read. The interpreter is copied from the one that builds,
with the libraries of the system that it needs; only glibc is expected on the other machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contents import (
    LAUNCHER,
    ROOT,
    compile_all,
    glibc_needed,
    install,
    is_elf,
    run,
    stop,
    tool,
    version_of,
    wheel_of,
    write_program,
)  # fmt: skip

#: Left out of the standard library: tests, and what needs a desktop.
_NO_FOLDERS: Final = (
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter",
    "turtledemo", "config-*", "turtle.py", "EXTERNALLY-MANAGED",
)  # fmt: skip
#: Left out because of what they are linked to: readline and the dbm ones to libraries whose
#: licence is not for a folder under Pylon's (dbm.dumb remains), tkinter to X11, nis to Kerberos.
_NO_MODULES: Final = (
    "readline",
    "_gdbm",
    "_dbm",
    "_tkinter",
    "nis",
    "_test*",
    "_xxtest*",
    "_ctypes_test*",
)
#: Of the system: belongs to its kernel and its C library.
_SYSTEM: Final = re.compile(
    r"(ld-linux.*|ld64.*|linux-(vdso|gate)|lib(c|m|dl|pthread|rt|util|resolv|anl|nss_.*))\.so"
)
_LDD: Final = re.compile(r"^\s*(\S+) => (\S+) \(0x|^\s*(\S+) => not found", re.MULTILINE)
_PROBE: Final = """
import json, site, sys, sysconfig
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2], "lib": sys.platlibdir,
    "stdlib": sysconfig.get_path("stdlib"),
    "site": site.getsitepackages(["@"])[-1].removeprefix("@/"),
}))
"""
_ENVIRONMENT: Final = """\
# Another Python's settings and packages are not for this one.
unset PYTHONHOME
export PYTHONNOUSERSITE=1
# Where this system has its certificates is not where the one that built has them.
if [ -z "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ]; then
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \\
    /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -r "$file" ] || continue
    export SSL_CERT_FILE="$file"
    break
  done
fi
"""
_README: Final = """Pylon {version}, with a Python {python} of its own

Run it: ./pylon --help. For a command on PATH: ln -s "$PWD/pylon" ~/.local/bin/pylon
It needs Linux on {machine} with glibc {glibc} or newer, and no Python. It may lie anywhere.
Take it away: delete the folder and that link. Projects and ~/.local/state/pylon stay.
Packages for your app: put them into a folder and name that in PYTHONPATH; see docs/install.md.
Licences: LICENSE is Pylon's, python/LICENSE.txt Python's; packages have theirs in .dist-info.
"""


@dataclass(frozen=True)
class Base:
    """The interpreter that is copied."""

    program: Path
    version: str
    stdlib: Path
    #: Where its packages and its libraries lie, seen from its prefix.
    site: str
    lib: str


def main() -> None:
    """Build the bundle, and the archive of it."""
    parser = argparse.ArgumentParser(description="Build a folder with Pylon and its own Python.")
    parser.add_argument("--wheel", help="the wheel (built from the checkout if left out)")
    parser.add_argument("--python", default=sys.executable, help="the Python that is copied")
    parser.add_argument("--outdir", default=str(ROOT / "dist"), help="where it goes (dist)")
    parser.add_argument("--no-archive", action="store_true", help="the folder only")
    given = parser.parse_args()
    if sys.platform != "linux":
        stop(
            "bundles are built on Linux, for Linux",
            "use install.sh, install.ps1 or the formula here",
        )
    base = _base_of(given.python)
    wheel = wheel_of(given.wheel)
    name = f"pylon-{version_of(wheel)}-linux-{platform.machine()}"
    folder = Path(given.outdir).resolve() / name
    shutil.rmtree(folder, ignore_errors=True)
    build(wheel, base, folder)
    print(folder)
    if not given.no_archive:
        archive = folder.with_name(f"{name}.tar.gz")
        with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
            tar.add(folder, arcname=name)
        print(archive)


def build(wheel: Path, base: Base, folder: Path) -> None:
    """Build the bundle's folder."""
    home = folder / "python"
    library = home / base.lib / f"python{base.version}"
    shutil.copytree(
        base.stdlib, library, symlinks=False, ignore_dangling_symlinks=True,
        ignore=shutil.ignore_patterns(*_NO_FOLDERS, *(f"{one}.*so" for one in _NO_MODULES)),
    )  # fmt: skip
    program = home / "bin" / f"python{base.version}"
    program.parent.mkdir()
    shutil.copy2(base.program, program)
    (home / "bin" / "python3").symlink_to(program.name)
    # A system without time zones is no reason for an app without schedules.
    install(wheel, base.program, home / base.site, "tzdata")
    _bring_libraries(home, program, home / base.lib)
    compile_all(program, folder, library, home / base.site)
    # Beside the interpreter, where Pylon looks for the command that it is called by.
    write_program(program.with_name("pylon"), LAUNCHER % _ENVIRONMENT)
    (folder / "pylon").symlink_to("python/bin/pylon")
    shutil.copy2(ROOT / "LICENSE", folder / "LICENSE")
    _bring_licence(base, home)
    (folder / "README.txt").write_text(
        _README.format(
            version=version_of(wheel), python=base.version, machine=platform.machine(),
            glibc=glibc_needed(folder),
        ),
        encoding="utf-8",
    )  # fmt: skip


def _base_of(python: str) -> Base:
    """Ask the interpreter behind a Python, which may be an environment's, about itself."""
    found = shutil.which(python)
    if found is None:
        stop(f"there is no {python}", "name a Python of 3.11 or newer by --python")
    program = Path(found).resolve()
    told: dict[str, Any] = json.loads(
        run(program, "-I", "-c", _PROBE, remedy="name another Python by --python")
    )
    return Base(program, told["version"], Path(told["stdlib"]), told["site"], told["lib"])


def _bring_libraries(home: Path, program: Path, folder: Path) -> None:
    """Copy the system's libraries beside the interpreter, and have it look there first.

    The old kind of run path, on the program alone, holds for all that is loaded later, packages'
    modules too, as long as none of them names a path of its own.
    """
    modules = [path for path in home.rglob("*.so*") if is_elf(path)]
    copied = []
    for name, source in sorted(_needed([program, *modules], home).items()):
        shutil.copy2(source, folder / name)
        copied.append(folder / name)
    library = program.name.removeprefix("python")
    ours = [path for path in modules if f"python{library}/lib-dynload" in str(path)]
    if shutil.which("strip"):
        run("strip", "--strip-unneeded", program, *copied, remedy="repair binutils")
    patch = tool("patchelf")
    run(patch, "--remove-rpath", *ours, *copied, remedy="see patchelf's words")
    run(
        patch, "--force-rpath", "--set-rpath", f"$ORIGIN/{os.path.relpath(folder, program.parent)}",
        program, remedy="see patchelf's words",
    )  # fmt: skip


def _needed(programs: list[Path], home: Path) -> dict[str, Path]:
    """Return what programs load that is neither the system's own nor in the bundle already."""
    needed: dict[str, Path] = {}
    for name, place, missing in _LDD.findall(
        run("ldd", *programs, remedy="install ldd (libc-bin)")
    ):
        if missing and not _SYSTEM.match(missing):
            # A package's own library is found once its loader is there.
            if not any(home.rglob(missing)):
                stop(f"{missing} is needed and not there", "install the library, or another Python")
        elif name and not _SYSTEM.match(name) and home not in Path(place).resolve().parents:
            needed[name] = Path(place).resolve()
    return needed


def _bring_licence(base: Base, home: Path) -> None:
    """Put Python's licence beside the copy of it."""
    for place in (
        base.stdlib / "LICENSE.txt",
        Path(f"/usr/share/doc/python{base.version}/copyright"),
        Path(f"/usr/share/doc/libpython{base.version}-minimal/copyright"),
    ):
        if place.is_file():
            shutil.copy2(place, home / "LICENSE.txt")
            return
    stop("Python's licence is not found", f"put it at {base.stdlib / 'LICENSE.txt'}")


if __name__ == "__main__":
    main()
