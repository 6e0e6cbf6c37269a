"""Machines to install on: folders of programs for PATH, and whole roots with next to nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.conftest import ROOT

#: How the index of packages is reached is this machine's matter, and so is what it has fetched.
_KEPT: Final = re.compile(r"(PIP|UV|SSL|REQUESTS)_|.*_proxy$", re.IGNORECASE)
_ENTER: Final = """
root=$1; shift
mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 99
exec chroot "$root" /bin/sh -c 'cd /root && exec "$@"' sh "$@"
"""
_COREUTILS: Final = ("sh", "cat", "dirname", "grep", "ln", "mkdir", "mv", "readlink", "rm", "uname")
OPEN_APP: Final = """from pylon import App, Entity

app = App("open")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
"""


def programs(folder: Path, *further: Path) -> Path:
    """Make a folder for PATH with what every system has, and with further programs."""
    folder.mkdir(parents=True)
    for name in _COREUTILS:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    for program in further:
        (folder / program.name).symlink_to(program)
    return folder


def bare_python(folder: Path) -> Path:
    """Return a Python without any packages, under the name that scripts look for."""
    folder.mkdir()
    link = folder / "python3"
    link.symlink_to(Path(sys.executable).resolve())
    return link


def environment(home: Path, path: Path) -> dict[str, str]:
    """Return the environment of a user who has only those programs."""
    kept = {name: value for name, value in os.environ.items() if _KEPT.match(name)}
    cache = Path.home() / ".cache"
    defaults = {
        "UV_CACHE_DIR": str(cache / "uv"), "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_HTTP_RETRIES": "8",  # a network that hiccups is no fault of the script
    }  # fmt: skip
    return defaults | kept | {"HOME": str(home), "PATH": str(path), "SHELL": "/bin/zsh"}


def install_script(given: dict[str, str], *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """Run install.sh under the strictest shell there is; return stdout and stderr."""
    shell = shutil.which("dash") or "/bin/sh"
    done = subprocess.run(
        [shell, ROOT / "installers" / "install.sh", *arguments], env=given, text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stdout, done.stderr


class Machine:
    """A root of its own: glibc, a shell, and what a test puts there. No Python, no packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "dev", "etc", "proc", "root", "tmp"):
            (root / name).mkdir(parents=True)
        for name in ("sh", "readlink"):
            found = shutil.which(name)
            assert found is not None, name
            shutil.copy2(found, root / "bin" / name)
            self.bring_libraries(Path(found))
        (libc,) = (path for path in root.rglob("libc.so.6"))
        for name in ("libm", "libdl", "libpthread", "librt", "libutil", "libresolv"):
            for path in Path("/", libc.parent.relative_to(root)).glob(f"{name}.so.*"):
                shutil.copy2(path, libc.parent / path.name)

    def bring_libraries(self, *files: Path) -> None:
        """Copy what programs and modules load to where it lies here."""
        told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True).stdout
        for place in set(re.findall(r"(/\S+\.so\S*) \(0x", told)):
            target = self.root / place.removeprefix("/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(place, target)

    def bring(self, file: Path) -> None:
        """Copy a file to where it lies here."""
        target = self.root / str(file).removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target, follow_symlinks=False)

    def command(self, *words: str) -> list[str]:
        """Return the command that runs another inside, by someone who has no PATH to speak of."""
        namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
        return [
            "unshare", *namespaces, "sh", "-c", _ENTER, "sh", str(self.root), *words,
        ]  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command inside, and return what it printed."""
        done = subprocess.run(
            self.command(*words), env=_INSIDE, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def files(self) -> set[str]:
        """Return all that is there, seen from the root."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}

    @contextmanager
    def dev(self, command: str, project: str) -> Iterator[tuple[str, Callable[[str], None]]]:
        """Run `pylon dev` inside; yields its address, and a wait for what it prints."""
        process = subprocess.Popen(
            self.command(command, "dev", "--no-tui", "--port", "0", project), env=_INSIDE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        lines: list[str] = []

        def wait(words: str) -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if words in line:
                    return
            raise AssertionError((words, lines))

        try:
            wait("listening on ")
            yield lines[-1].split()[-1], wait
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, (lines, rest)


#: Enough to enter; what is inside has no other folders than these.
_INSIDE: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb"}


def ask(url: str) -> Any:
    """Ask over HTTP."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def prove_it_works(machine: Machine, pylon: str) -> None:
    """A project is made, checked, run, written to, and reloaded with more of the library."""
    assert "created notes" in machine.run(pylon, "new", "notes", "--template", "blank")
    app = machine.root / "root/notes/app.py"
    app.write_text(OPEN_APP)
    assert "no mistakes" in machine.run(pylon, "check", "notes")
    with machine.dev(pylon, "notes") as (url, wait):
        assert ask(f"{url}/api/health")["status"] == "ok"
        made = ("rows", "create", "Note", '{"text": "from outside"}', "--project", "notes")
        machine.run(pylon, *made)
        app.write_text(f"import colorsys, plistlib, wave\n{OPEN_APP}")
        wait("generation 2 live")
        rows = ask(f"{url}/api/entities/Note")["rows"]
        assert [row["text"] for row in rows] == ["from outside"]
        with urllib.request.urlopen(f"{url}/_pylon/client.js", timeout=60) as answer:
            assert b"export" in answer.read()
    refused = machine.run(pylon, "test", "--project", "notes", code=1)
    assert "pytest" in refused
    assert "not installed" in refused
