"""A real sshd on loopback for tests: own keys and configuration, a high port, ended by number."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin")
WHY_NOT = "there is no sshd: apt-get install openssh-server"


class Sshd:
    """One server, and an `ssh` in a folder that knows its keys."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        for name in ("host", "user", "other"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                check=True,
            )
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        settings = "".join(f" {name}={value}" for name, value in environment.items())
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/authorized\nPidFile {folder}/pid\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            f"PermitRootLogin yes\nLogLevel VERBOSE\nSetEnv{settings}\n"
        )
        self.is_known()
        self._process: subprocess.Popen[bytes] | None = None

    def is_known(self) -> None:
        """Have the client know the server's key."""
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {key}\n")

    def client(self, *, key: str = "user") -> Path:
        """Return a folder with an `ssh` that uses the test's own keys, and the system's ssh."""
        folder = self.folder / f"bin-{key}"
        folder.mkdir(exist_ok=True)
        real = shutil.which("ssh", path="/usr/bin:/bin:/usr/local/bin")
        script = folder / "ssh"
        script.write_text(
            f'#!/bin/sh\nprintf "%s " "$@" >> {self.folder}/asked; echo >> {self.folder}/asked\n'
            f"exec {real} -F none -i {self.folder}/{key} -o IdentitiesOnly=yes"
            f' -o UserKnownHostsFile={self.folder}/known -o StrictHostKeyChecking=yes "$@"\n'
        )
        script.chmod(0o755)
        return folder

    def start(self) -> None:
        """Start it, and return when it answers."""
        # Debian's sshd wants this folder; where it can't be made the test says so.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        assert SSHD is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=log
            )
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End it, and the connections that it made: they are its children."""
        if self._process is None:
            return
        import psutil

        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        self._process.wait()
        self._process = None
        for one in family:
            try:
                if one.name().startswith("sshd"):
                    one.terminate()
            except psutil.NoSuchProcess:
                continue

    def url(self, project: Path) -> str:
        """Return the address of a project there."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{project}"


def pylon_there(folder: Path) -> str:
    """Return a `pylon` as the far side has it."""
    script = folder / "pylon-there"
    script.write_text(
        f'#!/bin/sh\necho "welcome to this machine"\nexec {sys.executable} -m pylon "$@"\n'
    )
    script.chmod(0o755)
    return str(script)
