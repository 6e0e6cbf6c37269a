"""What a page has a reader copy works: parts of apps, commands, and the mail of jobs.md."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest

from pylon.app.loader import load_app
from pylon.cli.main import COMMANDS, cli
from pylon.testing import running
from tests.docs.test_docs import DOCS, PAGES, ROOT

_BROWSER: Final = ROOT / "pylon" / "client" / "browser"
_MODULE: Final = r'<script type="module">\n(.*?)</script>'
#: Round a part of an app: what it may count on, unless it says so itself.
_HEAD: Final = """
from __future__ import annotations

from pylon import App, Entity, File, Ref, Text, index

app = App("part")
"""
_NEIGHBOURS: Final = {
    "Message": 'class Message(Entity):\n    channelId: str = ""\n',
    "Membership": (
        'class Membership(Entity):\n    channelId: str\n    userId: Ref["User"]\n'
        '    one_each = index("channelId", "userId")\n'
    ),
}


def _fences(text: str, language: str) -> list[str]:
    """Return the blocks of a language; "" for those that name none."""
    found = re.findall(r"^```([a-z]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def _parts() -> Iterator[Any]:
    """Yield the Python blocks that declare something, but are no whole app."""
    for page in PAGES:
        blocks = _fences(page.read_text(encoding="utf-8"), "python")
        for place, block in enumerate(blocks, 1):
            is_whole = re.search(r"^app = App\(", block, flags=re.MULTILINE)
            is_part = re.search(r"^(@app\.\w+.*\n(async )?def|class \w+\(Entity\))", block, re.M)
            if is_part and not is_whole:
                yield pytest.param(block, id=f"{page.stem}-{place}")


@pytest.mark.parametrize("block", list(_parts()))
def test_parts_of_apps_load(block: str, tmp_path: Path) -> None:
    """A class or function of a page is accepted in an app that has what it names."""
    around = [
        f'@app.entity(read="true")\n{text}'
        for name, text in _NEIGHBOURS.items()
        if f"class {name}(" not in block and name in block
    ]
    (tmp_path / "app.py").write_text("\n\n".join([_HEAD, *around, block]), encoding="utf-8")
    definition = load_app(tmp_path, generation=0)
    for name in re.findall(r"^class (\w+)\(Entity\)", block, flags=re.MULTILINE):
        assert name in definition.schema.entities
    for name in re.findall(r"^(?:async )?def (\w+)\(ctx", block, flags=re.MULTILINE):
        assert name in definition.functions


def _words(line: str) -> list[str]:
    """Return the words up to what the shell keeps for itself."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|>;")
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set("&|>;…"), lexer))


def _commands(pattern: str) -> list[Any]:
    """Return what the pages show and the pattern finds, each once."""
    found: dict[str, str] = {}
    for page in PAGES:
        for line in re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            found.setdefault(line, page.stem)
    return [pytest.param(line, id=f"{page}: {line}") for line, page in found.items()]


def _parse(line: str) -> None:
    """Parse a command as the shell would hand it over; raises click.UsageError."""
    _, *words = _words(line)
    if not words or words[0] not in COMMANDS:
        return  # `pylon .`
    name, *rest = words
    command, context = cli.get_command(click.Context(cli), name), None
    while command is not None:
        context = command.make_context(name, rest, parent=context)
        left = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not left:
            return
        found, command, rest = command.resolve_command(context, left)
        name = found or ""


@pytest.mark.parametrize("line", _commands(r"^(?:    (?:\$ )?|\$ )(pylon .+)$"))
def test_commands_to_copy_are_commands(line: str) -> None:
    """Each command that stands on a line of its own has the words and options that it takes."""
    with contextlib.suppress(click.exceptions.Exit):  # --help
        _parse(line)


@pytest.mark.parametrize("line", _commands(r"`(pylon [^`\n]+)`"))
def test_commands_in_sentences_are_commands(line: str) -> None:
    """Each command in backquotes exists with its options, though it may lack what they take."""
    with contextlib.suppress(
        click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, click.MissingParameter,
        click.BadOptionUsage,
    ):  # fmt: skip
        _parse(re.sub(r"\b(SEQ|N)\b", "1", line))


def _scripts() -> dict[str, str]:
    """Return the JavaScript of the pages by a name of its own."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [one for name in ("js", "jsx", "ts", "tsx") for one in _fences(text, name)]
        pages = [one for html in _fences(text, "html") for one in re.findall(_MODULE, html, re.S)]
        for place, block in enumerate([*blocks, *pages]):
            found[f"{page.stem}-{place}.tsx"] = block
    return found


def test_scripts_of_the_pages_can_be_read(tmp_path: Path) -> None:
    """Each block of JavaScript parses."""
    for name, block in _scripts().items():
        (tmp_path / name).write_text(block, encoding="utf-8")
    names = sorted(one.name for one in tmp_path.glob("*.tsx"))
    assert names
    done = subprocess.run(
        [_BROWSER / "node_modules" / ".bin" / "esbuild", *names, "--format=esm", "--outdir=out",
         "--log-level=error"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_scripts_of_the_pages_ask_for_what_the_client_has() -> None:
    """Each `db.name(` and `db.auth.name(` there and in client.md is a method of the client."""
    sources = (_BROWSER / "src").rglob("*.ts")
    methods = "\n".join(one.read_text(encoding="utf-8") for one in sources)
    asked = {
        name
        for block in [*_scripts().values(), (DOCS / "client.md").read_text(encoding="utf-8")]
        for name in re.findall(r"\bdb\.(?:auth\.)?(\w+)\(", block)
    }
    assert {"query", "insert", "upload", "live", "stream"} <= asked
    assert [
        one
        for one in sorted(asked)
        if not re.search(rf"^  (async |readonly )?\*?{one}( = )?[<(]", methods, re.M)
    ] == []


async def test_what_jobs_md_shows_sends_its_mail(tmp_path: Path) -> None:
    """The app, the template and its sample of the page fit each other."""
    text = (DOCS / "jobs.md").read_text(encoding="utf-8")
    app = next(one for one in _fences(text, "python") if "app = App(" in one)
    template = next(one for one in _fences(text, "") if one.startswith("Subject:"))
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "placed.txt").write_text(template, encoding="utf-8")
    async with running(tmp_path) as rt:
        ada = await rt.user("ada@example.com")
        assert await ada.call("place", note="ring twice")
