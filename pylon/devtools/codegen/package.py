"""The browser client and an app's types as a package for bundlers: no address, no download.

A page that a bundler builds brings its own copy of the client. Each file is written whole or not
at all, and one that says the same already is left alone: bundlers watch them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.devtools.codegen.app import app_types
from pylon.devtools.codegen.files import CannotWrite, folders_below
from pylon.errors import InvalidJson
from pylon.jsonvalue import JsonValue
from pylon.version import __version__

#: The key in package.json by which a folder is known as ours.
_OURS: Final = "writtenByPylonCodegen"
_DIST: Final = Path(__file__).resolve().parents[2] / "client" / "browser" / "dist"
_APP_MARK: Final = "__PYLON_APP__"
_MAP_LINE: Final = re.compile(r"\n//# sourceMappingURL=\S+\s*\Z")
_USE: Final = """\
//   import { connect } from ".";              // typed: connect() is of this app
//   import { useQuery } from "./react";       // typed hooks"""
_INDEX: Final = 'export * from "./client/client.js";\n'
_INDEX_TYPES: Final = """\
import type { AppTypes, ConnectOptions, Database } from "./client/client.js";
import type { App } from "./app.js";
export * from "./client/client.js";
export type { App, RefusalCode } from "./app.js";
/** Returns the database of this app, connected. */
export declare function connect<A extends AppTypes = App>(
  options?: ConnectOptions,
): Promise<Database<A>>;
"""
_TYPED_HOOKS: Final = "useQuery, useRow, useMutation, useLive, useCall, useDatabase"
_HOOKS: Final = "PylonProvider, hooksOf, useAuth, useStatus, useUpload"
_REACT: Final = f"""\
import {{ hooksOf }} from "./client/react.js";
export {{ {_HOOKS} }} from "./client/react.js";
export const {{ {_TYPED_HOOKS} }} = hooksOf();
"""
_REACT_TYPES: Final = f"""\
import type {{ Hooks }} from "./client/react.js";
import type {{ App }} from "./app.js";
export {{ {_HOOKS} }} from "./client/react.js";
export type * from "./client/react.js";
export type {{ App, RefusalCode }} from "./app.js";
declare const hooks: Hooks<App>;
""" + "".join(
    f'export declare const {name}: typeof hooks["{name}"];\n' for name in _TYPED_HOOKS.split(", ")
)


def package_files(definition: AppDefinition, refusals: tuple[str, ...]) -> dict[str, str]:
    """Return the files of the package by path; equal apps give equal texts.

    Raises CannotWrite where the browser client was not built.
    """
    if not (_DIST / "client.d.ts").is_file():
        raise CannotWrite("the browser client is not built (run: make client)")
    files = {
        "package.json": _manifest(definition.name),
        "index.js": _INDEX, "index.d.ts": _INDEX_TYPES,
        "react.js": _REACT, "react.d.ts": _REACT_TYPES,
        "app.d.ts": app_types(definition, refusals, use=_USE),
    }  # fmt: skip
    # Percent-encoded, a name is a name between quotes of any kind.
    name = quote(definition.name, safe="")
    for path in sorted(_DIST.iterdir()):
        if path.suffix in (".js", ".ts", ".css") and not path.name.startswith("dev."):
            text = _MAP_LINE.sub("\n", path.read_text(encoding="utf-8"))
            files[f"client/{path.name}"] = text.replace(_APP_MARK, name)
    return files


def _manifest(app: str) -> str:
    def export(name: str) -> JsonValue:
        return {"types": f"./{name}.d.ts", "default": f"./{name}.js"}

    manifest: JsonValue = {
        "name": "@pylon/app", "version": __version__, "private": True, "type": "module",
        "description": f"The client and the types of {app}.", _OURS: True,
        "sideEffects": ["./client/elements.js"],
        "exports": {
            ".": export("index"), "./react": export("react"),
            "./elements": export("client/elements"),
        },
    }  # fmt: skip
    return f"{jsonvalue.encode_text(manifest)}\n"


def is_package(folder: Path) -> bool:
    """Tell whether `pylon codegen` wrote this folder."""
    try:
        manifest = jsonvalue.parse((folder / "package.json").read_bytes())
    except (OSError, InvalidJson):
        return False
    return isinstance(manifest, dict) and manifest.get(_OURS) is True


def is_current(folder: Path, files: dict[str, str]) -> bool:
    """Tell whether a folder holds just these files."""
    try:
        found = {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in folder.rglob("*")
            if path.is_file()
        }
    except (OSError, UnicodeDecodeError):
        return False
    return found == files


def write_package(folder: Path, files: dict[str, str]) -> bool:
    """Write the package whole; tells whether it was another one before.

    Raises CannotWrite for a folder of somebody else, and for a place that cannot be written to.
    """
    if folder.exists() and not is_package(folder) and (
        not folder.is_dir() or any(folder.iterdir())
    ):  # fmt: skip
        raise CannotWrite(f"{folder} was not written by pylon codegen")
    if is_current(folder, files):
        return False
    try:
        _write_each(folder, files)
    except OSError as error:
        raise CannotWrite(f"{folder} cannot be written: {error.strerror}") from error
    return True


def _write_each(folder: Path, files: dict[str, str]) -> None:
    """Write what differs, then remove what is not of the package any more."""
    for name, text in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.tmp")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    wanted = {folder / name for name in files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)


def generated_packages(root: Path) -> list[Path]:
    """Return the folders of a project that `pylon codegen --package` wrote at some time."""
    return sorted(_packages(root))


def _packages(root: Path) -> Iterator[Path]:
    for folder in folders_below(root):
        if folder != root and is_package(folder):
            yield folder
