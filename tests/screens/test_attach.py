"""`pylon attach` for real: over TLS and TCP with its token, and through a real sshd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pexpect
import psutil
import pytest

from pylon.supervisor.claim import supervised
from tests.kept import end, make_project, pylon, record_of, runtimes_of, until
from tests.screens.test_terminal import Terminal
from tests.sshd import SSHD, WHY_NOT, Sshd, pylon_there

pytestmark = pytest.mark.timeout(300)
TOKEN = "a-long-secret-that-is-never-shown"


#: Speaks TLS in front of a port; prints where.
_TLS_PROXY = """
import asyncio, ssl, sys
certificate, key, behind = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
port = 0

async def pump(source, sink):
    while data := await source.read(65536):
        sink.write(data.replace(b"localhost:%d" % port, b"localhost:%s" % behind.encode()))
        await sink.drain()
    sink.close()

async def pass_on(reader, writer):
    far = await asyncio.open_connection("127.0.0.1", int(behind))
    await asyncio.gather(pump(reader, far[1]), pump(far[0], writer), return_exceptions=True)

async def serve():
    global port
    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await server.serve_forever()

asyncio.run(serve())
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A project in production, with an admin token of its own, and its address."""
    project = make_project(tmp_path / "kept")
    process = _serve(project)
    try:
        until(lambda: (found := supervised(project)) is not None and found.state == "running")
        yield project, record_of(project).url
    finally:
        process.terminate()
        process.wait()
        end(project)


def _serve(project: Path, port: str = "0") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pylon", "serve", str(project), "--port", port],
        env={**os.environ, "PYLON_ADMIN_TOKEN": TOKEN}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_production_elsewhere_is_red_read_only_and_comes_back(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for its token without an echo; PROD; locked until W; gone and back with its state."""
    project, url = served
    terminal = Terminal("attach", url, columns=140)
    terminal.until(lambda text: "admin token" in text)
    terminal.press("not-it\r")
    terminal.until(lambda text: "once more" in text)
    terminal.press(TOKEN + "\r")
    terminal.until(lambda text: "PROD" in text and "read-only (W)" in text)
    assert TOKEN not in terminal.text()
    assert f"kept on {url.removeprefix('http://')}  PROD" in terminal.text()
    terminal.press("R")
    terminal.until(lambda text: "PRODUCTION is read-only here" in text)
    terminal.press("W")
    terminal.until(lambda text: "Allow changes to kept on 127.0.0.1" in text)
    terminal.press("y")
    terminal.until(lambda text: "UNLOCKED (W)" in text)
    (pid,) = runtimes_of(project)
    os.kill(record_of(project).pid, signal.SIGSTOP)  # nobody starts it again for now
    os.kill(pid, signal.SIGKILL)
    terminal.until(lambda text: "gone:" in text)
    os.kill(record_of(project).pid, signal.SIGCONT)
    terminal.until(lambda text: "gone:" not in text and "● kept" in text)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)


def test_what_is_wrong_with_a_token_or_an_address_is_said(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with what to do; no message has the token in it."""
    _, url = served
    monkeypatch.setenv("PYLON_ADMIN_TOKEN", TOKEN)
    assert "kept answers at" in pylon("attach", url, "--check").stdout
    secure = url.replace("http://", "https://")
    for address, code, words in (
        (secure, 1, "does not speak https"),
        ("http://127.0.0.1:1", 1, "does not answer"),
        ("https://nobody.invalid", 1, "no host of that name"),
        ("http://chat.example", 2, "anybody on the way reads the admin token"),
        (f"https://{TOKEN}@chat.example", 2, "does not belong into a URL"),
        ("https://chat.example/path", 2, "alone"),
        ("ftp://chat.example", 2, "https:// or ssh://"),
        ("ssh://chat.example", 2, "ssh://HOST/PATH"),
        ("ssh://-oProxyCommand=x/path", 2, "no name for ssh"),
    ):
        done = pylon("attach", address, "--check", code=code)
        assert words in done.stderr, (address, done)
        assert TOKEN not in done.stderr.replace(address, "")
    monkeypatch.setenv("PYLON_ADMIN_TOKEN", "another")
    assert "has another one" in pylon("attach", url, "--check", code=1).stderr
    monkeypatch.delenv("PYLON_ADMIN_TOKEN")
    assert "set PYLON_ADMIN_TOKEN" in pylon("attach", url, "--check", code=1).stderr


def test_a_certificate_is_never_left_unchecked(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nobody vouches for is refused with what to do; with its authority it is taken."""
    _, url = served
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
         str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    proxy = subprocess.Popen(
        [sys.executable, "-c", _TLS_PROXY, str(certificate), str(key), url.rpartition(":")[2]],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert proxy.stdout is not None
    port = int(proxy.stdout.readline())
    try:
        monkeypatch.setenv("PYLON_ADMIN_TOKEN", TOKEN)
        address = f"https://localhost:{port}"
        refused = pylon("attach", address, "--check", code=1)
        assert "the certificate of" in refused.stderr
        assert "SSL_CERT_FILE" in refused.stderr
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert "kept answers at" in pylon("attach", address, "--check").stdout
    finally:
        proxy.terminate()
        proxy.communicate()


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A real sshd; `ssh` on the path uses its keys."""
    if SSHD is None:
        pytest.skip(WHY_NOT)
    made = Sshd(tmp_path / "ssh", {"PYLON_STATE_DIR": os.environ["PYLON_STATE_DIR"]})
    monkeypatch.setenv("PATH", f"{made.client()}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made.start()
    yield made
    made.stop()


def _tunnels(sshd: Sshd) -> list[int]:
    return [
        one.pid for one in psutil.process_iter(["name", "cmdline"])
        if one.info["name"] == "ssh" and str(sshd.folder) in " ".join(one.info["cmdline"] or [])
    ]  # fmt: skip


def test_a_project_behind_ssh_is_shown_and_found_again(
    sshd: Sshd, served: tuple[Path, str], tmp_path: Path
) -> None:
    """No token, no port; a lost connection is said and mended; our ssh ends with the dashboard."""
    project, _ = served
    there = pylon_there(tmp_path)
    terminal = Terminal("attach", sshd.url(project), "--remote-pylon", there, columns=140, lines=30)
    text = terminal.until(lambda text: "PROD" in text and "read-only (W)" in text)
    assert f"kept on {urlsplit(sshd.url(project)).netloc}  PROD" in text
    (first,) = _tunnels(sshd)
    words = " ".join(psutil.Process(first).cmdline())
    assert "ControlMaster=no" in words
    assert TOKEN not in (sshd.folder / "asked").read_text()
    sshd.stop()
    terminal.until(lambda text: "gone: trying again: ssh" in text)
    sshd.start()
    terminal.until(lambda text: "gone:" not in text and "● kept" in text)
    assert len(_tunnels(sshd)) == 1
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
    until(lambda: _tunnels(sshd) == [])


def test_what_fails_through_ssh_is_said(
    sshd: Sshd, served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No runtime, no pylon, a folder that is none, a foreign key, a host that is another."""
    project, _ = served
    url, there = sshd.url(project), pylon_there(tmp_path)

    def said(address: str, pylon_path: str = there) -> str:
        return pylon("attach", address, "--check", "--remote-pylon", pylon_path, code=1).stderr

    ok = pylon("attach", url, "--check", "--remote-pylon", there)
    assert "kept answers at ssh://" in ok.stdout
    assert _tunnels(sshd) == []
    assert "BatchMode=yes" in (sshd.folder / "asked").read_text()
    idle = make_project(tmp_path / "idle one")
    assert "no runtime runs for" in said(sshd.url(idle).replace(" ", "%20"))
    nowhere = said(sshd.url(tmp_path / "nowhere"))
    assert "is no folder\n  ssh://HOST/PATH names the folder of a project there\n" in nowhere
    assert "--remote-pylon" in said(url, "/nowhere/pylon")
    monkeypatch.setenv("PATH", f"{sshd.client(key='other')}:{os.environ['PATH']}")
    assert "Permission denied" in said(url)
    monkeypatch.setenv("PATH", f"{sshd.client()}:{os.environ['PATH']}")
    (sshd.folder / "known").write_text("")
    assert "Host key verification failed" in said(url)
