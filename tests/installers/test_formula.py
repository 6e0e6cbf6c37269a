"""The formula for Homebrew, and the source archive that Homebrew builds from."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.installers.machines import environment, programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _run(*command: str | Path, **given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False,
        env=given.get("env"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    done = _run("-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.tar.gz")
    return found


def test_the_formula_names_all_that_is_needed(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """Ruby that can be read, the archive's own sum, and an address with a sum for each package."""
    done = _run(
        ROOT / "installers/formula.py", "--wheel", wheel, "--sdist", sdist, "--outdir", tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    file = Path(done.stdout.strip())
    text = file.read_text()
    _can_be_read(file)
    version = wheel.name.split("-")[1]
    assert f"/v{version}/pylon_runtime-{version}.tar.gz" in text
    assert hashlib.sha256(sdist.read_bytes()).hexdigest() in text
    found = re.findall(r'resource "(\S+)" do\n    url "https?://\S+"\n    sha256 "(\w{64})"', text)
    named = {name for name, _ in found}
    assert len(found) == len(named) == text.count("  resource ")
    metadata = zipfile.ZipFile(wheel).read(f"pylon_runtime-{version}.dist-info/METADATA").decode()
    needed = {
        re.split(r"[^\w-]", one)[0].lower()
        for one in Parser().parsestr(metadata).get_all("Requires-Dist", [])
        if "extra ==" not in one and "win32'" not in one.replace("!= 'win32'", "")
    } | {"uvloop"}
    assert needed <= named
    assert "tzdata" not in named  # of Windows alone
    assert len(re.findall(r'desc ".{10,80}"', text)) == 1


def _can_be_read(file: Path) -> None:
    import tree_sitter
    import tree_sitter_ruby

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_ruby.language()))
    assert not parser.parse(file.read_bytes()).root_node.has_error
    assert parser.parse(file.read_bytes().replace(b"\nend\n", b"\n")).root_node.has_error
    if (ruby := shutil.which("ruby")) is not None:
        subprocess.run([ruby, "-c", file], check=True, capture_output=True)


def test_archives_of_two_versions_are_refused(wheel: Path, tmp_path: Path) -> None:
    """A formula of one version with the sum of another would never install."""
    other = tmp_path / "pylon_runtime-99.0.tar.gz"
    other.touch()
    done = _run(ROOT / "installers/formula.py", "--wheel", wheel, "--sdist", other)
    assert done.returncode == 1
    assert "is not of version" in done.stderr
    assert "what to do" in done.stderr


def test_a_wheel_from_the_archive_is_the_same_and_needs_no_node(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    """Whoever builds from the archive has the built client and the chat's page in it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    given = environment(tmp_path, programs(tmp_path / "bin"))
    done = _run(
        "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source, env=given
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(built).namelist()) == set(zipfile.ZipFile(wheel).namelist())
