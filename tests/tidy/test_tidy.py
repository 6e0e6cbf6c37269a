"""The tree checks itself: sizes, homes of libraries and of SQL, docstrings, leftovers."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pylon"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LINES_MAX = 400
FUNCTION_LINES_MAX = 70

#: Files over the limit, with what they have now. This list may only shrink.
LINES_RATCHET: dict[str, int] = {}
#: Functions over the limit, as "file::name". This list may only shrink.
FUNCTION_RATCHET: dict[str, int] = {}

#: Deciding modules whose tests stand in the file of another subject. This list may only shrink.
TESTED_ELSEWHERE = {
    "identity.py": "unit/policy/test_predicate.py",
    "policy/ast.py": "unit/policy/test_grammar.py",
    "policy/ir.py": "unit/policy/test_typecheck.py",
    "policy/names.py": "unit/policy/test_typecheck.py",
    "policy/proposals.py": "unit/policy/test_flips.py",
    "policy/reference.py": "properties/test_policy_agreement.py",
    "policy/rowflips.py": "unit/policy/test_flips.py",
    "policy/scene.py": "unit/policy/test_explain.py",
    "policy/types.py": "unit/policy/test_typecheck.py",
    "protocol/codec.py": "integration/test_strictness.py",
    "protocol/manifest.py": "unit/app/test_definition.py",
    "protocol/messages.py": "unit/devtools/codegen/test_wire.py",
    "protocol/version.py": "unit/devtools/codegen/test_wire.py",
    "schema/constraints.py": "unit/schema/test_fieldtypes.py",
    "schema/decimals.py": "unit/schema/test_fieldtypes.py",
    "schema/describe.py": "unit/schema/test_diff.py",
    "schema/fingerprint.py": "unit/schema/test_diff.py",
    "schema/jsontree.py": "unit/schema/test_fieldtypes.py",
    "schema/model.py": "unit/schema/test_validate.py",
    "schema/times.py": "unit/schema/test_fieldtypes.py",
    "server/sync/frames.py": "unit/server/sync/test_pump.py",
    "server/sync/subscription.py": "integration/test_sync_socket.py",
    "server/sync/subscription_index.py": "unit/server/sync/test_pump.py",
}

#: Where each library is at home; nowhere else is it imported.
LIBRARY_HOMES = {
    "pyparsing": ("policy/grammar.py",),
    "textual": ("tui/", "testing/grid.py"),
    "watchfiles": ("devtools/watch.py",),
    "sqlite3": ("sqlite.py",),
    "aiosqlite": ("sqlite.py",),
    "hypothesis": ("testing/strategies.py",),
    "click": ("cli/",),
    "cronsim": ("app/schedule.py",),
    "aiosmtplib": ("server/mail/smtp.py",),
    "jinja2": ("server/mail/templates.py", "cli/studio.py"),
}


def _relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_file_has_one_subject_and_says_which(path: Path) -> None:
    """Each module opens with a docstring and stays under the line limit."""
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return
    assert ast.get_docstring(_tree(path)), "a module's first line says what lives here"
    lines = text.count("\n")
    assert lines <= LINES_RATCHET.get(_relative(path), LINES_MAX)


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_functions_are_short(path: Path) -> None:
    """No function is longer than the limit."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{_relative(path)}::{node.name}"
            assert length <= FUNCTION_RATCHET.get(name, FUNCTION_LINES_MAX), name


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_libraries_stay_at_home(path: Path) -> None:
    """Each third-party library is imported in its home only."""
    here = _relative(path)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            modules = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [(node.module or "").partition(".")[0]]
        else:
            continue
        for module in modules:
            homes = LIBRARY_HOMES.get(module)
            assert homes is None or here.startswith(homes), f"{module} in {here}"


_SQL = re.compile(
    r"^\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|CREATE\s+(TABLE|INDEX|UNIQUE)\s|ALTER\s+TABLE\s)",
    re.DOTALL,
)


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_sql_is_written_in_storage_only(path: Path) -> None:
    """SQL text lives under server/storage and in the policy's SQL compiler."""
    here = _relative(path)
    if here.startswith(("server/storage/", "policy/", "sqlite.py", "client/store")):
        return
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not _SQL.match(node.value), f"{here}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_no_leftovers(path: Path) -> None:
    """No note to ourselves stays in the code."""
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_states_its_fact(path: Path) -> None:
    """Each test has a docstring of its own."""
    for node in ast.walk(_tree(path)):
        is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        )
        if is_test:
            assert ast.get_docstring(node), f"{path.name}:{node.lineno} {node.name}"


def _deciding_modules() -> list[str]:
    """Return the modules of the contract that keeps deciding apart from doing."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (pure,) = (one for one in contracts if one["name"].startswith("Sans-I/O"))
    found: list[Path] = []
    for name in pure["source_modules"]:
        path = ROOT / name.replace(".", "/")
        found += path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return sorted(_relative(path) for path in found if path.read_text(encoding="utf-8").strip())


@pytest.mark.parametrize("name", _deciding_modules())
def test_what_decides_is_tested_by_its_own_file(name: str) -> None:
    """A pure module has its test at the same place of tests/unit, or the list says where."""
    place = Path(name)
    own = ROOT / "tests" / "unit" / place.parent / f"test_{place.name}"
    if name in TESTED_ELSEWHERE:
        assert not own.exists(), f"{name} has its own test now: take it off the list"
        assert (ROOT / "tests" / TESTED_ELSEWHERE[name]).is_file()
    else:
        assert own.is_file(), f"{name} wants {own.relative_to(ROOT)}"


def test_the_list_of_tests_elsewhere_names_what_is_there() -> None:
    """No line of it is about a module that is gone."""
    assert set(TESTED_ELSEWHERE) - set(_deciding_modules()) == set()


def test_nothing_machine_bound_is_committed() -> None:
    """No file that git tracks names a package registry or a path of one machine."""
    import subprocess

    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    hosts = re.compile(
        rb"registry\.npm" + rb"js|files\.python" + rb"hosted|/work/" + rb"main|/root/\."
    )
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file():
            assert not hosts.search(path.read_bytes()), name
