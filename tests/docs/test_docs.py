"""The documentation is held to the code: every command, error, setting and limit has its place."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest

import pylon
from pylon import limits, limits_branches, limits_data, limits_files, limits_keeping, limits_live
from pylon.app.loader import load_app
from pylon.cli.main import COMMANDS, cli
from pylon.errors import PylonError, Refused
from pylon.server.config import load_config
from pylon.server.settings_table import SETTINGS

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
#: What people read: every page of docs/, and the Markdown files that stand around it.
PAGES: Final = (
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "DECISIONS.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
    *sorted((ROOT / "templates").glob("*/README.md")),
    *sorted((ROOT / "pylon").glob("*/SPEC.md")),
    *sorted((ROOT / "pylon").glob("*/*/SPEC.md")),
)
LINES_MAX: Final = 200
#: Codes that stand for themselves in no heading: an app's own, and a base without one.
NO_HEADING: Final = frozenset({""})


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _pages(name: str) -> str:
    """Return a page and those that go on with its subject: NAME.md, then each NAME-….md."""
    rest = sorted(one for one in DOCS.glob(f"{name}-*.md"))
    return "".join(one.read_text(encoding="utf-8") for one in (DOCS / f"{name}.md", *rest))


def _sections(text: str) -> dict[str, str]:
    """Return the text below each `## heading`."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


# --- commands ----------------------------------------------------------------------------


def _commands() -> list[str]:
    """Return the commands without importing what they need until a test asks."""
    return list(COMMANDS)


def _loaded(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from parameter.opts
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _options(one)


@pytest.mark.parametrize("name", _commands())
def test_every_command_has_its_paragraph_and_every_option_its_name(name: str) -> None:
    """`## pylon NAME` in the pages of commands names each option of the command."""
    paragraph = _sections(_pages("commands")).get(f"pylon {name}")
    assert paragraph is not None, f"no page of commands has a ## pylon {name}"
    command = _loaded(name)
    missing = [one for one in _options(command) if f"`{one}" not in paragraph]
    assert missing == []
    if isinstance(command, click.Group):
        assert [one for one in command.commands if f"pylon {name} {one}" not in paragraph] == []


def test_no_paragraph_is_about_a_command_that_is_gone() -> None:
    """Each `## pylon NAME` is a command of the table."""
    headings = [one for one in _sections(_pages("commands")) if one.startswith("pylon ")]
    assert [one.removeprefix("pylon ") for one in headings] == _commands()


# --- errors ------------------------------------------------------------------------------


def _import_everything() -> None:
    for module in pkgutil.walk_packages(pylon.__path__, "pylon."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _errors(base: type[PylonError] = PylonError) -> Iterator[type[PylonError]]:
    for one in base.__subclasses__():
        yield one
        yield from _errors(one)


def _documented_errors() -> dict[str, type[PylonError]]:
    """Return the errors of the product by their code; the first of a code stands for it."""
    _import_everything()
    found: dict[str, type[PylonError]] = {}
    for one in _errors():
        is_ours = one.__module__.startswith("pylon.")
        if is_ours and one is not Refused and one.code not in NO_HEADING:
            found.setdefault(one.code, one)
    return found


def test_every_error_has_its_paragraph_with_its_status() -> None:
    """`## CODE` in errors.md begins with the status that HTTP answers, where it is one's own."""
    sections = _sections(_pages("errors"))
    wrong = []
    for code, error in _documented_errors().items():
        paragraph = sections.get(code)
        if paragraph is None:
            wrong.append(f"{code} has no paragraph")
            continue
        stated = re.match(r"\s*(\d{3})\b", paragraph)
        has_own = "http_status" in vars(error) or error.http_status != PylonError.http_status
        if has_own and (stated is None or int(stated[1]) != error.http_status):
            wrong.append(f"{code} is {error.http_status}")
        if not has_own and stated is not None and int(stated[1]) != PylonError.http_status:
            wrong.append(f"{code} has no status of its own")
    assert wrong == []


def test_no_paragraph_is_about_an_error_that_is_gone() -> None:
    """Each heading of errors.md is a code, or the class of the app's own refusals."""
    known = {*_documented_errors(), "Refused"}
    assert [one for one in _sections(_pages("errors")) if one not in known] == []


def test_transient_errors_are_called_so() -> None:
    """What may be sent again says `transient`, and nothing else does."""
    sections = _sections(_pages("errors"))
    for code, error in _documented_errors().items():
        assert ("transient" in sections[code]) is error.is_transient, code


# --- settings and limits -----------------------------------------------------------------


def _table(text: str) -> dict[str, list[str]]:
    """Return the cells of each table row by the word in backquotes that it begins with."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        found = re.match(r"\| `([^`]+)`[^|]*\|(.*)\|$", line)
        if found:
            rows[found[1]] = [cell.strip() for cell in found[2].split("|")]
    return rows


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_stands_with_its_default(key: str) -> None:
    """The row of a setting in settings.md shows its default as TOML."""
    row = _table(_text("settings.md")).get(key)
    assert row is not None, f"docs/settings.md has no {key}"
    assert tomllib.loads(f"value = {row[0].strip('`')}")["value"] == SETTINGS[key].default


def test_no_setting_is_described_that_does_not_exist() -> None:
    """Each `section.key` at the head of a row is a setting."""
    described = {one for one in _table(_text("settings.md")) if re.fullmatch(r"\w+\.\w+", one)}
    assert described - set(SETTINGS) == set()


def _constants() -> dict[str, Any]:
    return {
        name: value
        for name, value in {
            **vars(limits),
            **vars(limits_branches),
            **vars(limits_data),
            **vars(limits_files),
            **vars(limits_keeping),
            **vars(limits_live),
        }.items()
        if name.isupper() and isinstance(value, int | float)
    }


@pytest.mark.parametrize("name", [one for one in _constants() if one not in ("KIB", "MIB")])
def test_every_limit_stands_with_its_value(name: str) -> None:
    """The row of a limit in the pages of limits shows the number that is in force."""
    row = _table(_pages("limits")).get(name)
    assert row is not None, f"no page of limits has {name}"
    assert row[0] == str(_constants()[name])


def test_no_limit_is_described_that_does_not_exist() -> None:
    """Each row of the pages of limits is a constant, and a setting that it names exists."""
    for name, row in _table(_pages("limits")).items():
        assert name in _constants(), name
        for key in re.findall(r"`(\w+\.\w+)`", row[-1]):
            assert key in SETTINGS, key


def test_units_are_explained_with_their_values() -> None:
    """KIB and MIB are said where the sizes are."""
    text = _pages("limits")
    assert "`KIB` = 1024" in text
    assert f"`MIB` = {limits.MIB}" in text


# --- examples ----------------------------------------------------------------------------


def _python_apps() -> list[Any]:
    found = []
    for page in PAGES:
        blocks = _fences(page.read_text(encoding="utf-8"), "python")
        apps = [one for one in blocks if re.search(r"^app = App\(", one, flags=re.MULTILINE)]
        found += [
            pytest.param(one, id=f"{_name(page)}-{place}") for place, one in enumerate(apps, 1)
        ]
    return found


@pytest.mark.parametrize("source", _python_apps())
def test_examples_of_apps_load(source: str, tmp_path: Path) -> None:
    """Each block that makes an App loads without a mistake."""
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    assert load_app(tmp_path, generation=0).name


def test_there_are_examples_of_apps() -> None:
    """app.md itself has at least one."""
    assert any("docs/app.md" in str(one.id) for one in _python_apps())


@pytest.mark.parametrize(
    "page",
    [one.name for one in DOCS.glob("*.md") if "\n```toml\n" in one.read_text(encoding="utf-8")],
)
def test_examples_of_settings_are_accepted(page: str, tmp_path: Path) -> None:
    """Each TOML block parses and passes as a project's pylon.toml."""
    blocks = _fences(_text(page), "toml")
    assert blocks
    for block in blocks:
        (tmp_path / "pylon.toml").write_text(block, encoding="utf-8")
        named = re.findall(r"env:(\w+)", block)
        environment = dict.fromkeys(named, "Chat <hi@chat.example>")
        config = load_config(tmp_path, is_dev=False, flags={}, environment=environment)
        for section, keys in tomllib.loads(block).items():
            for key, value in keys.items():
                if "env:" not in str(value):
                    assert config[f"{section}.{key}"] == value


def test_examples_of_json_parse() -> None:
    """Each JSON block is JSON."""
    for page in PAGES:
        for block in _fences(page.read_text(encoding="utf-8"), "json"):
            json.loads(block)


def test_every_route_is_in_the_table_of_the_api() -> None:
    """Each path of the router, but the owner's and the client's files, is in the three pages."""
    from pylon.server.http.table import make_router

    text = _text("api.md") + _text("api-identity.md") + _text("files.md")
    text = text.replace("/Message", "/{E}").replace("/fn/order", "/fn/{name}")
    missing = [
        f"{one.method} {one.path}"
        for one in make_router(is_dev=True).routes
        if not one.path.startswith(("/api/admin/", "/_pylon/"))
        and f"{one.method} {one.path}" not in text
    ]
    assert missing == []


def test_every_route_of_the_owner_is_named() -> None:
    """api.md names each path below /api/admin/ but the one that only `pylon dev` asks for."""
    from pylon.server.http.table import make_router

    text = _sections(_text("api.md"))["For the owner"]
    names = {
        one.path.removeprefix("/api/admin/")
        for one in make_router(is_dev=False).routes
        if one.path.startswith("/api/admin/")
    }
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_every_public_name_of_an_app_is_explained() -> None:
    """What `from pylon import …` offers is in app.md or in reload.md."""
    text = _text("app.md") + _text("reload.md")
    unexplained = {"PylonError", "__version__"}
    assert [name for name in set(pylon.__all__) - unexplained if name not in text] == []


def test_every_keyword_of_a_field_is_explained() -> None:
    """Each keyword of field() is in the table of app.md, but the one that is refused."""
    from dataclasses import fields

    from pylon.app.fields import FieldSpec

    text = _text("app.md")
    names = [one.name for one in fields(FieldSpec) if one.name != "read"]
    assert [name for name in names if f"`{name}=" not in text] == []


# --- security --------------------------------------------------------------------------


def test_each_threat_has_tests_that_there_are() -> None:
    """The table of security.md has the rows 18 to 56, and a test named for one is in its row."""
    table = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", _text("security.md"), re.MULTILINE)
    assert [int(number) for number, _ in table] == list(range(18, 57))
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = {number: re.findall(r"`(test_\w+\.py)::(\w+)`", cell) for number, cell in table}
    assert [number for number, tests in named.items() if not tests] == []
    for file, test in (one for tests in named.values() for one in tests):
        places = [path for path in (ROOT / "tests").rglob(file) if f"def {test}(" in
                  path.read_text("utf-8")]  # fmt: skip
        assert places, f"{file}::{test} is gone"
    for file, text in files.items():
        for test, number in re.findall(r"def (test_threat_(\d+)_\w+)\(", text):
            assert (file, test) in named[number], f"row {number} of security.md lacks {test}"


# --- the pages themselves ----------------------------------------------------------------


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(text), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", one.lower()) for one in headings)
    return {one.strip().replace(" ", "-") for one in plain}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link and picture is a file, and each anchor a heading of it."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        is_there = path.is_file()
        if is_there and anchor:
            is_there = anchor in _anchors(path.read_text(encoding="utf-8"))
        if not is_there:
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """README links each page of docs/."""
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", (ROOT / "README.md").read_text("utf-8")))
    assert {_name(one) for one in DOCS.glob("*.md")} - linked == set()


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=_name)
def test_a_page_is_short(page: Path) -> None:
    """A page of docs/ has at most 200 lines and one title."""
    text = page.read_text(encoding="utf-8")
    assert text.count("\n") <= LINES_MAX
    assert len(re.findall(r"^# ", _prose(text), flags=re.MULTILINE)) == 1


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_page_names_a_machine(page: Path) -> None:
    """No path of one machine, and no address of a package registry, is in what people read."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/|site-packages|\.pyenv", text)
    assert not re.search("registry" + r"\.npm|files\.python" + "hosted", text)
