"""The app's module, imported fresh: a new generation, or nothing changed and every mistake.

Source files are compiled each time: a stale `.pyc` of the same second would bring the old
version back. A generation that fails to load leaves `sys.modules` as it was.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from pylon.app.app import App
from pylon.app.definition import AppDefinition, freeze
from pylon.errors import LoadFailed, Mistake

_FOREIGN_FOLDERS = frozenset({"venv", ".venv", "node_modules", "site-packages", ".pylon"})


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles from source each time and writes no cache."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _ProjectFinder(importlib.abc.MetaPathFinder):
    """Finds the project's own modules, and only below its root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that lies in the project."""
        folder = self._root.joinpath(*fullname.split("."))
        for candidate, is_package in ((folder / "__init__.py", True), (folder.with_suffix(".py"),
                                                                       False)):  # fmt: skip
            if candidate.is_file():
                return importlib.util.spec_from_file_location(
                    fullname,
                    candidate,
                    loader=_SourceLoader(fullname, str(candidate)),
                    submodule_search_locations=[str(folder)] if is_package else None,
                )
        return None


def load_app(root: Path, *, generation: int) -> AppDefinition:
    """Import the project's `app` afresh and freeze it.

    Raises LoadFailed with every mistake; then the modules of the old generation are as before.
    """
    root = root.resolve()
    before = _project_modules(root)
    for name in before:
        del sys.modules[name]
    importlib.invalidate_caches()
    finder = _ProjectFinder(root)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.meta_path.insert(0, finder)
    try:
        return freeze(_import_app(root), root, generation)
    except BaseException:
        for name in _project_modules(root):
            del sys.modules[name]
        sys.modules.update(before)
        raise
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.meta_path.remove(finder)
        # Late imports inside functions must find the project's modules too.
        if not any(isinstance(one, _ProjectFinder) and one._root == root for one in sys.meta_path):
            sys.meta_path.append(finder)


def _import_app(root: Path) -> App:
    try:
        module = importlib.import_module("app")
    except SyntaxError as error:
        raise LoadFailed((_syntax_mistake(error, root),)) from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise LoadFailed((_import_mistake(error, root),)) from error
    apps = [value for value in vars(module).values() if isinstance(value, App)]
    if len(apps) != 1:
        count = "no" if not apps else "more than one"
        raise LoadFailed(
            (Mistake(f"there is {count} App in app.py", file="app.py",
                     hint='write app = App("name") once'),)
        )  # fmt: skip
    return apps[0]


def compile_sources(paths: Iterable[Path]) -> tuple[Mistake, ...]:
    """Return the syntax errors of Python files, with caret; nothing is run."""
    mistakes = []
    for path in paths:
        if path.suffix != ".py" or not path.is_file():
            continue
        try:
            compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
        except SyntaxError as error:
            mistakes.append(_syntax_mistake(error, path.parent))
        except ValueError as error:
            mistakes.append(Mistake(str(error), file=path.name))
    return tuple(mistakes)


def _project_modules(root: Path) -> dict[str, ModuleType]:
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path is None or name == "__main__":
            continue
        try:
            relative = Path(path).relative_to(root)
        except ValueError:
            continue
        if not _FOREIGN_FOLDERS & set(relative.parts) and not name.startswith("pylon"):
            found[name] = module
    return found


def _syntax_mistake(error: SyntaxError, root: Path) -> Mistake:
    text = (error.text or "").rstrip("\n")
    stripped = text.lstrip()
    excerpt = None
    if stripped:
        column = max(0, (error.offset or 1) - 1 - (len(text) - len(stripped)))
        excerpt = f"    {stripped}\n    {' ' * column}^"
    return Mistake(
        error.msg or "not Python",
        file=_relative(error.filename or "app.py", root),
        line=error.lineno,
        column=error.offset,
        excerpt=excerpt,
    )


def _import_mistake(error: BaseException, root: Path) -> Mistake:
    """Return the mistake at the innermost line of the project's own code."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if not frames:
        return Mistake(message, file="app.py")
    last = frames[-1]
    excerpt = f"    {last.line}\n    ^" if last.line else None
    return Mistake(message, file=_relative(last.filename, root), line=last.lineno, excerpt=excerpt)


def _relative(filename: str, root: Path) -> str:
    try:
        return Path(filename).relative_to(root).as_posix()
    except ValueError:
        return Path(filename).name
