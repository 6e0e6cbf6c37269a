"""The package for bundlers: whole, stable, never over somebody else's folder, and it compiles."""

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
from pylon.devtools.codegen.files import CannotWrite
from pylon.devtools.codegen.package import (
    generated_packages,
    is_current,
    package_files,
    write_package,
)
from pylon.devtools.codegen.refusals import refusal_codes

ROOT = Path(__file__).resolve().parents[4]
BROWSER = ROOT / "pylon" / "client" / "browser"
APP = """
from __future__ import annotations
from pylon import App, Entity, Refused, field

app = App("it's \\"mine\\"")


@app.entity(read="true", insert="auth.userId != null")
class Note(Entity):
    body: str
    secret: str = field(default="", read="hasRole('admin')")


@app.mutation(allow="hasRole('editor')", rate="5/minute")
def publish(ctx, id: str) -> int:
    '''Publish a note.'''
    if id == "no":
        raise Refused("NOT_YOURS", "it is not yours")
    raise Refused(code="SOLD_OUT", message="none is left")
"""
PAGE = """
import { connect, type App, type RefusalCode } from "./pylon";
import { useCall, useMutation, useQuery, PylonProvider } from "./pylon/react";

const db = await connect();
const rows: readonly App["entities"]["Note"]["row"][] = db.query("Note").rows;
export const published: number = await db.call("publish", { id: rows[0]?.id ?? "" });
const code: RefusalCode = "SOLD_OUT";
// @ts-expect-error there is no such code
const wrong: RefusalCode = "SOLD";
// @ts-expect-error there is no such entity
db.query("Nope");
export function Notes() {
  const { rows } = useQuery("Note", { order: ["body"] });
  const { insert } = useMutation("Note");
  const { call } = useCall("publish");
  // @ts-expect-error a note's body is a text
  void insert({ body: 1 });
  void insert({ body: "a" }).then(() => call({ id: "b" }));
  return [rows.map((row) => row.body), PylonProvider, code, wrong];
}
"""
CONFIG = {
    "compilerOptions": {
        "strict": True, "noEmit": True, "target": "ES2022", "module": "ESNext", "types": [],
        "moduleResolution": "Bundler", "lib": ["ES2022", "DOM", "DOM.Iterable"],
        "typeRoots": [str(BROWSER / "node_modules" / "@types")],
        "paths": {"react": [str(BROWSER / "node_modules" / "@types" / "react")]},
    },
    "include": ["**/*.ts"],
}  # fmt: skip


@pytest.fixture
def definition(tmp_path: Path) -> Iterator[AppDefinition]:
    """Load the app, and take back what that does to the interpreter."""
    finders, modules = list(sys.meta_path), set(sys.modules)
    project = tmp_path / "mine"
    project.mkdir()
    (project / "app.py").write_text(APP)
    (project / "test_app.py").write_text('raise Refused("OF_A_TEST", "")\n')
    yield load_app(project, generation=1)
    for name in set(sys.modules) - modules:
        if name == "app" or name.startswith("app."):
            del sys.modules[name]
    sys.meta_path[:] = [one for one in finders if not isinstance(one, ProjectFinder)]


def test_it_is_written_once_and_kept_current(definition: AppDefinition) -> None:
    """Written whole; the same again touches nothing; what is of it no more goes; others' stays."""
    root = definition.root
    files = package_files(definition, refusal_codes(root))
    folder = root / "src" / "pylon"
    assert write_package(folder, files)
    assert is_current(folder, files)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert not write_package(folder, files)
    (folder / "client" / "gone.js").write_text("// of an older version\n")
    (folder / "index.js").write_text("// cut off")
    assert write_package(folder, files)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} == {folder / "index.js"}
    assert set(after) == set(before)
    assert generated_packages(root) == [folder]
    own = root / "own"
    own.mkdir()
    (own / "package.json").write_text("{}")
    with pytest.raises(CannotWrite, match="not written by pylon codegen"):
        write_package(own, files)


def test_what_it_says(definition: AppDefinition) -> None:
    """The app's name stands in the client, its refusals and needs in the types; no test's code."""
    files = package_files(definition, refusal_codes(definition.root))
    assert files == package_files(definition, refusal_codes(definition.root))
    assert "it%27s%20%22mine%22" in files["client/client.js"]
    assert not any("sourceMappingURL" in text for text in files.values())
    types = files["app.d.ts"]
    assert 'export type RefusalCode = "NOT_YOURS" | "SOLD_OUT";' in types
    assert "* insert: the caller is signed in\n" in types
    assert "* update: nobody: there is no policy for it\n" in types
    assert "* read of secret: the caller has the role admin\n" in types
    assert "* call: the caller has the role editor\n" in types
    assert "* rate: 5 in 60 s for each caller\n" in types
    manifest = json.loads(files["package.json"])
    assert all(
        one.removeprefix("./") in files
        for entry in manifest["exports"].values()
        for one in entry.values()
    )


@pytest.mark.timeout(600)
def test_a_page_compiles_against_it(definition: AppDefinition) -> None:
    """Typed `connect` and hooks from the folder; wrong names are compile errors."""
    root = definition.root
    write_package(root / "pylon", package_files(definition, refusal_codes(root)))
    (root / "page.ts").write_text(PAGE)
    (root / "tsconfig.json").write_text(json.dumps(CONFIG))
    node = subprocess.run(
        ["sh", str(ROOT / "installers" / "node.sh")], capture_output=True, text=True, check=True
    ).stdout.strip()
    compiler = BROWSER / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        [shutil.which("node", path=node) or "node", str(compiler), "-p", str(root)],
        capture_output=True, text=True, check=False, cwd=root, env={**os.environ, "PATH": node},
    )  # fmt: skip
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
