"""`seed.py` beside the app: `def seed(ctx)`, or `async def seed(ctx)`, loaded anew each time."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pylon.app.importerrors import import_mistake, syntax_mistake
from pylon.errors import LoadFailed, Mistake, NotFound

SEED_FILE: Final = "seed.py"
_MODULE: Final = "_pylon_seed"


def seed_path(root: Path) -> Path:
    """Return where a project's seed.py is; raises NotFound where there is none."""
    path = root / SEED_FILE
    if not path.is_file():
        raise NotFound(
            f"there is no {SEED_FILE} in {root.name}",
            hint=f'write def seed(ctx): ctx.db.insert("Note", body="hi") into {SEED_FILE}',
        )
    return path


def load_seed(root: Path) -> Callable[[Any], Any]:
    """Run a project's seed.py and return its `seed`, while the app is loaded.

    Raises NotFound where there is no such file, LoadFailed with the place of what is wrong.
    """
    path = seed_path(root)
    seed: Any = run_file(path, root, _MODULE).get("seed")
    if not callable(seed) or len(inspect.signature(seed).parameters) != 1:
        raise LoadFailed(
            (Mistake("there is no function seed", file=SEED_FILE, hint="def seed(ctx): …"),)
        )
    found: Callable[[Any], Any] = seed
    return found


def run_file(path: Path, root: Path, name: str) -> dict[str, Any]:
    """Run a file beside a project's app, as the module `name`; returns what it defines.

    Raises LoadFailed with the place of what is wrong.
    """
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102 -- the project's own code
    except SyntaxError as error:
        raise LoadFailed((syntax_mistake(error, root),)) from error
    except Exception as error:
        raise LoadFailed((import_mistake(error, root),)) from error
    finally:
        del sys.modules[name]
    return vars(module)
