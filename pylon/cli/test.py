"""`pylon test`: the project's tests by pytest, with the kit's settings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import click

from pylon.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, CommandFailed, print_json
from pylon.cli.project import find_project, json_option, project_option

#: pytest's own codes that are not 0 or 1: interrupted, its own fault, wrong usage, no tests.
_INTERRUPTED: Final = 2
_USAGE: Final = 4
_NO_TESTS: Final = 5
_STDERR: Final = 2
_SETTINGS: Final = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
_COUNTS: Final = ("tests", "failures", "errors", "skipped")


@click.command(
    short_help="Run the project's tests.", context_settings={"ignore_unknown_options": True}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS]")
@project_option
@json_option
def test(arguments: tuple[str, ...], project_path: str | None, as_json: bool) -> int:
    """Run pytest in the project's folder, with what `pylon.testing` needs; see docs/testing.md.

    What is no option of this command goes to pytest: pylon test -x -k chat
    """
    project = find_project(project_path)
    missing = [name for name in ("pytest", "pytest_asyncio") if not _is_there(name)]
    if missing:
        names = [one.replace("_", "-") for one in missing]
        raise CommandFailed(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not installed",
            f"pip install {' '.join(names)}; for a Pylon of uv, pipx, a package: docs/install.md",
        )
    command = [sys.executable, "-m", "pytest", *_SETTINGS, *arguments]
    if not as_json:
        done = subprocess.run(command, cwd=project, check=False)  # noqa: S603 -- our own
        return _code(done.returncode, project, arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(  # noqa: S603 -- our own
            [*command, f"--junit-xml={report}"], cwd=project, check=False, stdout=_STDERR
        )
        if report.is_file():
            print_json(_told(report, done.returncode))
    return _code(done.returncode, project, arguments)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _code(of_pytest: int, project: Path, arguments: tuple[str, ...]) -> int:
    """Return the exit code for pytest's; raises CommandFailed where no test ran."""
    match of_pytest:
        case 0:
            return 0
        case code if code == _NO_TESTS and arguments:
            raise CommandFailed(
                f"no test of {project.name} is meant by {' '.join(arguments)}",
                "pylon test, without more words, runs all there are",
            )
        case code if code == _NO_TESTS:
            raise CommandFailed(
                f"there are no tests in {project.name}",
                "write them as test_NAME.py, in tests/ say: docs/testing.md",
            )
        case code if code == _USAGE:
            return EXIT_USAGE
        case code if code == _INTERRUPTED:
            return EXIT_INTERRUPTED
        case _:
            return EXIT_FAILED


def _told(report: Path, code: int) -> dict[str, Any]:
    """Return pytest's report as JSON: the counts, and each test that did not pass."""
    root = ElementTree.parse(report).getroot()  # noqa: S314 -- pytest has just written it
    suite = root if root.tag == "testsuite" else root.find("testsuite")
    told: dict[str, Any] = {"ok": code == 0, "failed": []}
    if suite is None:
        return told
    told |= {name: int(suite.get(name, 0)) for name in _COUNTS}
    told["seconds"] = float(suite.get("time", 0))
    for case in suite.iter("testcase"):
        for kind in ("failure", "error"):
            for found in case.iter(kind):
                name = f"{case.get('classname')}.{case.get('name')}"
                told["failed"].append({"test": name, "message": found.get("message")})
    return told
