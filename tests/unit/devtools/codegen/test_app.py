"""The generated TypeScript of an app: what it says, and what the compiler makes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.app.definition import AppDefinition
from pylon.app.finder import ProjectFinder
from pylon.app.loader import load_app
from pylon.devtools.codegen.app import MARK, app_types
from tests.unit.devtools.codegen.app_of_all_kinds import ALL_KINDS

ROOT = Path(__file__).resolve().parents[4]
BROWSER = ROOT / "pylon" / "client" / "browser"
HERE = Path(__file__).parent
CONFIG = {
    "compilerOptions": {
        "strict": True, "noEmit": True, "target": "ES2022", "module": "ESNext", "types": [],
        "moduleResolution": "Bundler", "lib": ["ES2022", "DOM", "DOM.Iterable"],
        "noUncheckedIndexedAccess": True,
        "exactOptionalPropertyTypes": True, "allowImportingTsExtensions": True,
        "noUnusedLocals": True, "skipLibCheck": True,
        "paths": {"/_pylon/*": [str(BROWSER / "dist" / "*")]},
    },
    "include": ["**/*.ts"],
}  # fmt: skip


@pytest.fixture
def _modules() -> Iterator[None]:
    """Take back what loading an app does to the interpreter."""
    finders, modules = list(sys.meta_path), set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name == "app" or name.startswith("app."):
            del sys.modules[name]
    sys.meta_path[:] = [one for one in finders if not isinstance(one, ProjectFinder)]


@pytest.mark.usefixtures("_modules")
def test_the_examples_types_are_current() -> None:
    """What lies beside the chat's page is what its app says."""
    chat = ROOT / "examples" / "chat"
    text = (chat / "src" / "pylon.gen.ts").read_text(encoding="utf-8")
    assert text == app_types(load_app(chat, generation=1)), (
        "run: pylon codegen examples/chat --out src/pylon.gen.ts"
    )


@pytest.fixture
def definition(tmp_path: Path, _modules: None) -> AppDefinition:
    """Load the app of all kinds."""
    project = tmp_path / "kinds"
    project.mkdir()
    (project / "app.py").write_text(ALL_KINDS)
    return load_app(project, generation=1)


def test_equal_apps_give_equal_texts(definition: AppDefinition) -> None:
    """Nothing of the machine, the day or the order of a set is in the text."""
    text = app_types(definition)
    assert text == app_types(load_app(definition.root, generation=9))
    assert text.startswith(f"{MARK} from the app kinds. Do not edit.\n")
    assert text.endswith("export type RefusalCode = never;\n")


def test_what_is_said_of_rows_writes_and_functions(definition: AppDefinition) -> None:
    """Private fields are written and not read, immutable ones are not patched, hidden is hidden."""
    text = app_types(definition)
    row, app = text.split("export interface App {")
    assert "secret" not in row
    assert app.count("readonly secret: string;") == 1
    assert app.count("readonly secret?: string | undefined;") == 1
    assert app.count("ownerId") == 1
    assert "_hidden" not in text
    assert "/** What there is. *\\/ And more. */\nexport interface Thing {" in row
    assert '  readonly colors: readonly ("red" | "a \\"b\\" */")[];' in row
    assert "export interface Date_ {" in row
    assert "export interface Date__ {" in row
    assert "export interface RefusalCode_ {" in row
    assert "readonly returns: Record<string, Date_>;" in app
    assert "readonly returns: number[];\n      readonly part: number;" in app


@pytest.mark.timeout(600)
def test_mistakes_are_compile_errors_and_nothing_else_is(
    definition: AppDefinition, tmp_path: Path
) -> None:
    """A wrong entity, field, type, filter, function or argument does not compile; the chat does."""
    folder = tmp_path / "page"
    folder.mkdir()
    shutil.copytree(ROOT / "examples" / "chat" / "src", folder / "chat")
    (folder / "pylon.gen.ts").write_text(app_types(definition), encoding="utf-8")
    for name in ("good.ts", "bad.ts"):
        (folder / name).write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "tsconfig.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    node = subprocess.run(
        ["sh", str(ROOT / "installers" / "node.sh")], capture_output=True, text=True, check=True
    ).stdout.strip()
    compiler = BROWSER / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        [str(Path(node) / "node"), str(compiler), "-p", str(folder)],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "PATH": node},
    )  # fmt: skip
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
