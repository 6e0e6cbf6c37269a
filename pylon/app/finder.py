"""Where a project's modules come from: its root, compiled from source each time, without caches."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

#: Folders of a project that hold no code of its own.
FOREIGN_FOLDERS = frozenset(
    {"venv", ".venv", "env", "node_modules", "site-packages", ".pylon", ".git", "__pycache__"}
)
#: Names that a file of the project never stands for, whatever it is called.
_NOT_OURS = sys.stdlib_module_names | {"pylon"}


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles from source each time: a cache of the same second and size would be stale."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class ProjectFinder(importlib.abc.MetaPathFinder):
    """Finds the project's own modules, and only below its root."""

    def __init__(self, root: Path, *, is_last: bool = False) -> None:
        self.root = root
        #: Asked after all others, it also finds folders without `__init__.py`.
        self._is_last = is_last

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that lies in the project."""
        parts = fullname.split(".")
        if parts[0] in _NOT_OURS or FOREIGN_FOLDERS & set(parts):
            return None
        folder = self.root.joinpath(*parts)
        if folder.joinpath("__init__.py").is_file():
            return _spec(fullname, folder / "__init__.py", [str(folder)])
        if folder.with_name(folder.name + ".py").is_file():
            return _spec(fullname, folder.with_name(folder.name + ".py"), None)
        if self._is_last and folder.is_dir() and any(folder.glob("*.py")):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(folder)]
            return spec
        return None


def _spec(
    fullname: str, path: Path, locations: list[str] | None
) -> importlib.machinery.ModuleSpec | None:
    return importlib.util.spec_from_file_location(
        fullname,
        path,
        loader=_SourceLoader(fullname, str(path)),
        submodule_search_locations=locations,
    )


def project_modules(root: Path) -> dict[str, ModuleType]:
    """Return the imported modules whose file, or folder, lies in the project."""
    found = {}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in ("__main__", "pylon") and _lies_in(module, root):
            found[name] = module
    return found


def found_modules() -> dict[str, ModuleType]:
    """Return the imported modules that a ProjectFinder found, whatever project they are of."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _SourceLoader)
    }


def _lies_in(module: ModuleType, root: Path) -> bool:
    path = getattr(module, "__file__", None)
    if path is None:
        folders = getattr(module, "__path__", None)
        path = next(iter(folders), None) if folders is not None else None
    if not isinstance(path, str):
        return False
    try:
        relative = Path(path).relative_to(root)
    except ValueError:
        return False
    return not FOREIGN_FOLDERS & set(relative.parts)


def project_sources(root: Path) -> list[Path]:
    """Return the Python files of the project's own code, in order."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in FOREIGN_FOLDERS]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(found)
