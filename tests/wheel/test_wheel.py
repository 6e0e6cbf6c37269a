"""The wheel as the install script brings it: no checkout, no Node, and the example is served."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.built import wheel_of
from tests.conftest import ROOT
from tests.installers.machines import bare_python, environment, install_script, programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return wheel_of(tmp_path_factory)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has a Python without packages, and neither uv nor pipx."""
    home = tmp_path_factory.mktemp("user")
    return environment(home, programs(home / "programs", bare_python(home / "python")))


@pytest.fixture(scope="module")
def installed(wheel: Path, user: dict[str, str]) -> Path:
    """The folder of commands after the install script has run."""
    out, _ = install_script(user, "--from", wheel)
    assert out.startswith("pylon, version ")
    return Path(user["HOME"], ".local/bin")


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the chat example, made and run by the installed command alone."""
    environment = {
        "PATH": str(installed), "HOME": str(tmp_path), "PYLON_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip
    pylon = str(installed / "pylon")
    subprocess.run(
        [pylon, "new", "mine", "--template", "chat"], cwd=tmp_path, env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    process = subprocess.Popen(
        [pylon, "dev", "--no-tui", "--port", "0", "mine"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("listening on "):
            yield line.split()[-1]
            break
    else:
        pytest.fail("".join(lines))
    process.terminate()
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def test_the_example_is_served_from_the_wheel(served: str) -> None:
    """Page, its script, the client that matches, and its types are all there."""
    assert "/chat.js" in _get(f"{served}/")
    assert "/_pylon/client.js" in _get(f"{served}/chat.js")
    assert "export" in _get(f"{served}/_pylon/client.js")
    assert "connect" in _get(f"{served}/_pylon/client.d.ts")
    assert "useQuery" in _get(f"{served}/_pylon/react.d.ts")
    assert '"status":"ok"' in _get(f"{served}/api/health")


def test_the_wheel_holds_what_users_need_and_nothing_else(wheel: Path) -> None:
    """Client and templates are in; tests, sources of the client, local state and paths are not."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("pylon/client/browser/dist/client.js", "pylon/client/browser/dist/client.d.ts",
                   "pylon/_templates/chat/app.py", "pylon/_templates/chat/web/chat.js",
                   "pylon/_templates/blank/app.py", "pylon/_templates/jobs/mail/moved.txt",
                   "pylon/py.typed"):  # fmt: skip
        assert wanted in names, wanted
    for name in names:
        assert not re.search(r"node_modules|\.pylon/|__pycache__|tests/|\.env$", name), name
    text = b"".join(zipfile.ZipFile(wheel).read(name) for name in names if name.endswith(".js"))
    assert os.fsencode(str(ROOT)) not in text
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_what_was_installed_is_taken_away(installed: Path, user: dict[str, str]) -> None:
    """The command and its environment; the user's other folders stay."""
    out, _ = install_script(user, "--uninstall")
    assert "taken away (venv)" in out
    assert not (installed / "pylon").is_symlink()
    assert not (installed.parent / "share/pylon-runtime").exists()
