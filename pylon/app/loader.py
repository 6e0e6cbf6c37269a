"""The app's module, imported fresh: a new generation, or nothing changed and every mistake.

Source files are compiled each time. A generation that fails to load, for whatever reason, leaves
`sys.modules` as it was.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pylon.app.app import App
from pylon.app.definition import AppDefinition, freeze
from pylon.app.finder import (
    ProjectFinder,
    found_modules,
    project_modules,
    project_sources,
)
from pylon.app.importerrors import import_mistake, syntax_mistake
from pylon.app.importguard import no_background_work
from pylon.app.mistakes import Mistakes
from pylon.errors import LoadFailed, Mistake


def load_app(root: Path, *, generation: int) -> AppDefinition:
    """Import the project's `app` afresh and freeze it.

    A process holds one project at a time: the modules of one that was loaded before, from
    whatever folder, make room. Raises LoadFailed with every mistake; then the modules of the old
    generation are as before.
    """
    root = root.resolve()
    mistakes = Mistakes(root)
    before = project_modules(root) | found_modules()
    path_before = list(sys.meta_path)
    for name in before:
        del sys.modules[name]
    importlib.invalidate_caches()
    try:
        with _project_first(root):
            app = _import_app(root, mistakes)
            return freeze(app, root, generation, mistakes)
    except BaseException as error:
        for name in project_modules(root):
            del sys.modules[name]
        sys.modules.update(before)
        sys.meta_path[:] = path_before
        if isinstance(error, LoadFailed | KeyboardInterrupt):
            raise
        mistakes.add((import_mistake(error, root),))
        raise LoadFailed(mistakes.sorted()) from error


@contextmanager
def _project_first(root: Path) -> Iterator[None]:
    """Find modules in the project first while it is imported, and last from then on.

    Last, because late imports inside functions must find the project's modules too.
    """
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, ProjectFinder)]
    first = ProjectFinder(root)
    sys.meta_path.insert(0, first)
    sys.meta_path.append(ProjectFinder(root, is_last=True))
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        if first in sys.meta_path:
            sys.meta_path.remove(first)


def _import_app(root: Path, mistakes: Mistakes) -> App:
    is_file, is_package = (root / "app.py").is_file(), (root / "app" / "__init__.py").is_file()
    if not is_file and not is_package:
        raise _failed(mistakes, "there is no app.py here", 'write one with app = App("name")')
    if is_file and is_package:
        raise _failed(mistakes, "there are app.py and app/; only one can be the app", None)
    try:
        with no_background_work(root, mistakes):
            module = importlib.import_module("app")
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        mistakes.add((syntax_mistake(error, root),))
        mistakes.add(compile_sources(project_sources(root), root))
        raise LoadFailed(mistakes.sorted()) from error
    except BaseException as error:
        # SystemExit too: an app that exits at import must not take the runtime with it.
        mistakes.add((import_mistake(error, root),))
        raise LoadFailed(mistakes.sorted()) from error
    apps = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    if len(apps) != 1:
        count = "no App" if not apps else "more than one App"
        name = "app.py" if is_file else "app/__init__.py"
        raise _failed(mistakes, f"there is {count} in {name}", 'write app = App("name") once')
    return next(iter(apps.values()))


def _failed(mistakes: Mistakes, message: str, hint: str | None) -> LoadFailed:
    mistakes.add((Mistake(message, file="app.py", hint=hint),))
    return LoadFailed(mistakes.sorted())


def compile_sources(paths: Iterable[Path], root: Path | None = None) -> tuple[Mistake, ...]:
    """Return the syntax errors of Python files, with caret; nothing is run.

    Args:
        paths: the files; what is no Python file is passed over.
        root: what their names are relative to; without it they are named without folders.
    """
    mistakes = []
    for path in paths:
        if path.suffix != ".py" or not path.is_file():
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they are shown when the module is imported
                compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            mistakes.append(syntax_mistake(error, root or path.parent))
        except (ValueError, RecursionError, MemoryError) as error:
            name = path.relative_to(root).as_posix() if root else path.name
            mistakes.append(Mistake(str(error) or type(error).__name__, file=name))
    return tuple(mistakes)
