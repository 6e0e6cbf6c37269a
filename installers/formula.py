"""A formula for Homebrew, written at a release: `make formula`.

It names a source archive with its sum for each package that Pylon needs, as the resolver finds them
now, so it is made for a release and kept in the tap, not here. Homebrew builds from sources.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

from contents import ROOT, run, stop, tool, version_of, wheel_of

PACKAGE: Final = "pylon-runtime"
#: The Python that Homebrew builds with, and what is compiled needs beside it.
_PYTHON: Final = "3.13"
_LOCKED: Final = """
[project]
name = "formula"
version = "0"
requires-python = ">=3.11"
dependencies = ["{package} @ {wheel}"]
[tool.uv]
package = false
environments = [
  "sys_platform == 'darwin' and python_full_version >= '{python}'",
  "sys_platform == 'linux' and python_full_version >= '{python}'",
]
"""
_FORMULA: Final = """\
class PylonRuntime < Formula
  include Language::Python::Virtualenv

  desc "{description}"
  homepage "{homepage}"
  url "{url}"
  sha256 "{sha256}"
  license "MIT"

  depends_on "pkgconf" => :build
  depends_on "rust" => :build # watchfiles, cryptography
  depends_on "openssl@3"
  depends_on "python@{python}"

  uses_from_macos "libffi"

{resources}

  def install
    virtualenv_install_with_resources
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/pylon --version")
    ENV["PYLON_STATE_DIR"] = testpath/"state"
    system bin/"pylon", "new", "notes", "--template", "blank"
    assert_match "no mistakes", shell_output("#{{bin}}/pylon check notes 2>&1")
  end
end
"""
_RESOURCE: Final = """\
  resource "{name}" do
    url "{url}"
    sha256 "{sha256}"
  end"""


def main() -> None:
    """Write the formula."""
    parser = argparse.ArgumentParser(description="Write Homebrew's formula for a release.")
    parser.add_argument("--wheel", help="the wheel (built from the checkout if left out)")
    parser.add_argument("--sdist", help="the source archive (built likewise)")
    parser.add_argument("--url", help="where that archive can be got (the project's releases)")
    parser.add_argument("--outdir", default=str(ROOT / "dist"), help="where it goes (dist)")
    given = parser.parse_args()
    wheel = wheel_of(given.wheel)
    version = version_of(wheel)
    sdist = Path(given.sdist) if given.sdist else _sdist()
    if not sdist.is_file():
        stop(f"there is no {sdist}", "name a source archive, or leave --sdist out to build one")
    if sdist.name != f"pylon_runtime-{version}.tar.gz":
        stop(f"{sdist.name} is not of version {version}", "give archives of one version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    homepage = project["urls"]["Changelog"].split("/blob/")[0]
    text = _FORMULA.format(
        description=_description(project["description"]), homepage=homepage,
        url=given.url or f"{homepage}/releases/download/v{version}/{sdist.name}",
        sha256=hashlib.sha256(sdist.read_bytes()).hexdigest(), python=_PYTHON,
        resources="\n\n".join(
            _RESOURCE.format(name=one["name"], **_source(one)) for one in _needed(wheel)
        ),
    )  # fmt: skip
    target = Path(given.outdir) / f"{PACKAGE}.rb"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(target)


def _sdist() -> Path:
    folder = ROOT / "build" / "sdist"
    shutil.rmtree(folder, ignore_errors=True)
    run(
        sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT,
        remedy="see the words of the build",
    )  # fmt: skip
    (sdist,) = folder.glob("pylon_runtime-*.tar.gz")
    return sdist


def _needed(wheel: Path) -> list[dict[str, Any]]:
    """Return what the resolver locks for a wheel on macOS and Linux, by name."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(
            _LOCKED.format(package=PACKAGE, wheel=wheel.as_uri(), python=_PYTHON)
        )
        run(
            tool("uv"), "lock", "--quiet", "--python", sys.executable, "--project", folder,
            remedy="look at the network and at the index of packages",
        )  # fmt: skip
        locked = tomllib.loads((Path(folder) / "uv.lock").read_text(encoding="utf-8"))
    found = [one for one in locked["package"] if one["name"] not in ("formula", PACKAGE)]
    names = [one["name"] for one in found]
    if twice := {name for name in names if names.count(name) > 1}:
        stop(f"locked in two versions: {', '.join(sorted(twice))}", "narrow it in pyproject.toml")
    return sorted(found, key=lambda one: str(one["name"]))


def _source(package: dict[str, Any]) -> dict[str, str]:
    """Return the address and the sum of a package's source archive.

    A wheel without compiled parts is as good to Homebrew, where a package has no such archive.
    """
    pure = [one for one in package.get("wheels", []) if one["url"].endswith("-py3-none-any.whl")]
    given = ([package["sdist"]] if "sdist" in package else []) + pure
    found = next((one for one in given if str(one.get("hash", "")).startswith("sha256:")), None)
    if found is None:
        stop(
            f"{package['name']} has neither a source archive nor a pure wheel with a sum",
            "bring it as a formula of Homebrew",
        )
    return {"url": found["url"], "sha256": found["hash"].removeprefix("sha256:")}


def _description(text: str) -> str:
    """Return a description as Homebrew wants it: 80 characters at most, no full stop."""
    first = re.split(r"[:.]", text)[1 if ":" in text else 0].strip()
    return (first[0].upper() + first[1:])[:80]


if __name__ == "__main__":
    main()
