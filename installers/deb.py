"""A package for Debian and Ubuntu, built from the wheel: `make deb`.

Debian's own packages of Textual and aiohttp are older than Pylon needs, so it brings all packages
in a virtual environment under /usr/lib/pylon-runtime, whose interpreter is the system's. Modules in
C are made for one minor version of Python, so that is what it depends on. Nothing runs when it is
installed or removed, and nothing appears in its folders later: removing it leaves nothing.
"""

from __future__ import annotations

import argparse
import email.parser
import email.utils
import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Final

from contents import (
    LAUNCHER,
    ROOT,
    compile_all,
    glibc_needed,
    install,
    run,
    stop,
    version_of,
    wheel_of,
    write_program,
)  # fmt: skip

PACKAGE: Final = "pylon-runtime"
_HOME: Final = Path("usr/lib") / PACKAGE
_CONTROL: Final = """\
Package: {package}
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {kibibytes}
Depends: python{python}, libc6 (>= {glibc}), libgcc-s1, tzdata
Recommends: ca-certificates
Section: web
Priority: optional
Description: one process for side projects, with a dashboard in the terminal
 Database, API, realtime sync, jobs and files in one process on one SQLite
 file, and a dashboard in the terminal that shows every write happen.
 .
 The command is pylon. All Python packages that it needs are inside.
"""
_ENTRY: Final = """
import sys
from pathlib import Path, PurePosixPath
sys.path.insert(0, sys.argv[1])
from pylon.desktop import entry
from pylon.desktop.install import launch_script
made = entry.installation(PurePosixPath("/usr/share"), ("/usr/bin/pylon",), launch_script())
for file in made.files:
    path = Path(sys.argv[2] + str(file.path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
"""
_COPYRIGHT: Final = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Pylon
Comment: Packages that Pylon needs are inside, each with its licence in its own folder
 under /{home}/lib:
{packages}

Files: *
Copyright: {holder}
License: Expat
{licence}
"""


def main() -> None:
    """Build the package."""
    parser = argparse.ArgumentParser(description="Build a .deb of Pylon from its wheel.")
    parser.add_argument("--wheel", help="the wheel (built from the checkout if left out)")
    parser.add_argument("--python", default="/usr/bin/python3", help="the Python of the system")
    parser.add_argument("--outdir", default=str(ROOT / "dist"), help="where it goes (dist)")
    parser.add_argument("--maintainer", default="Pylon <noreply@pylon.invalid>", help="NAME <MAIL>")
    parser.add_argument("--compression", default="xz", help="as dpkg-deb names it")
    given = parser.parse_args()
    if shutil.which("dpkg-deb") is None:
        stop("dpkg-deb is not there", "build it on Debian or Ubuntu, or install dpkg")
    python = Path(given.python)
    if not python.is_file():
        stop(f"there is no {python}", "apt-get install python3, or name it by --python")
    wheel = wheel_of(given.wheel)
    staged = ROOT / "build" / "deb"
    shutil.rmtree(staged, ignore_errors=True)
    version = run(
        python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])",
        remedy="name another Python by --python",
    ).strip()  # fmt: skip
    if tuple(map(int, version.split("."))) < (3, 11):
        stop(
            f"{python} is {version}",
            "Pylon needs 3.11: build on a newer release, or use make bundle",
        )
    _fill(staged, wheel, python, version)
    _describe(staged, wheel, version, given.maintainer)
    architecture = _architecture()
    outdir = Path(given.outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    target = outdir / f"{PACKAGE}_{version_of(wheel)}_{architecture}.deb"
    run(
        "dpkg-deb", "--root-owner-group", f"-Z{given.compression}", "--build", staged, target,
        remedy="see dpkg-deb's words",
    )  # fmt: skip
    shutil.rmtree(staged)
    print(target)


def _fill(staged: Path, wheel: Path, python: Path, version: str) -> None:
    """Lay out the environment and the command."""
    home = staged / _HOME
    packages = home / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    install(wheel, python, packages)
    compile_all(python, staged, packages)
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    write_program(home / "bin" / "pylon", LAUNCHER % "")
    (home / "bin" / "python3").symlink_to(f"../../../bin/python{version}")
    command = staged / "usr" / "bin" / "pylon"
    command.parent.mkdir()
    command.symlink_to(f"../lib/{PACKAGE}/bin/pylon")
    _enter_menu(staged, packages, python)
    for path in (staged, *staged.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _enter_menu(staged: Path, packages: Path, python: Path) -> None:
    """Lay out the entry of the applications menu, as Pylon itself makes it for one user."""
    run(
        python, "-I", "-c", _ENTRY, packages, staged,
        remedy="try pylon desktop install from the same wheel",
    )  # fmt: skip


def _describe(staged: Path, wheel: Path, version: str, maintainer: str) -> None:
    """Write what Debian wants to know about a package, and what its users do."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    holder = next(line for line in text.splitlines() if line.startswith("Copyright"))
    papers = staged / "usr/share/doc" / PACKAGE
    papers.mkdir(parents=True)
    (papers / "copyright").write_text(
        _COPYRIGHT.format(
            home=_HOME, holder=holder.removeprefix("Copyright").replace("(c)", "").strip(),
            packages="\n".join(f"  {line}" for line in _licences(staged)),
            licence="\n".join(f" {line or '.'}" for line in text.strip().splitlines()),
        ),
        encoding="utf-8",
    )  # fmt: skip
    _write_gzip(papers / "NEWS.gz", (ROOT / "CHANGELOG.md").read_bytes())
    _write_gzip(
        papers / "changelog.gz",
        f"{PACKAGE} ({version_of(wheel)}) unstable; urgency=medium\n\n"
        "  * What changed is in NEWS.gz.\n\n"
        f" -- {maintainer}  {email.utils.formatdate(wheel.stat().st_mtime)}\n".encode(),
    )
    overrides = staged / "usr/share/lintian/overrides" / PACKAGE
    overrides.parent.mkdir(parents=True)
    overrides.write_text(
        "# Compiled for good, so that nothing appears later and no script has to clear it away.\n"
        f"{PACKAGE}: package-installs-python-pycache-dir *\n"
    )
    files = sorted(path for path in staged.rglob("*") if path.is_file() and not path.is_symlink())
    control = staged / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        _CONTROL.format(
            package=PACKAGE, version=version_of(wheel), architecture=_architecture(),
            maintainer=maintainer, python=version, glibc=glibc_needed(staged / _HOME),
            kibibytes=sum(-(-path.stat().st_size // 1024) for path in files),
        )
    )  # fmt: skip
    (control / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
            f"{path.relative_to(staged)}\n"
            for path in files
        )
    )
    for path in (papers, control, overrides.parent):
        for one in path.iterdir():
            one.chmod(0o644)


def _licences(staged: Path) -> list[str]:
    """Return a line for each package inside: its name, version and licence as it says itself."""
    lines = []
    for path in sorted(staged.rglob("*.dist-info/METADATA")):
        told = email.parser.Parser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        licence = told["License-Expression"] or (told["License"] or "see there").split("\n")[0]
        lines.append(f"{told['Name']} {told['Version']}: {licence}")
    return lines


def _architecture() -> str:
    return run("dpkg", "--print-architecture", remedy="install dpkg").strip()


def _write_gzip(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main()
