"""Templates to a new project: copies files into a fresh folder, and never outside it (I102)."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pylon.errors import PylonError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", re.ASCII)
#: What a template folder may hold that a project must not start with.
_LEFT_OUT = shutil.ignore_patterns(
    ".pylon",
    "__pycache__",
    "node_modules",
    "*.pyc",
    ".env",
    "tsconfig.tsbuildinfo",
    "package-lock.json",
    ".pytest_cache",
)
#: The name of a template's app; a project's name has nothing that a string would have to escape.
_APP = re.compile(r'^app = App\("[^"]*"', re.MULTILINE)
GITIGNORE = ".pylon/\n.env\n__pycache__/\nnode_modules/\n*-bug-*.zip\n"


class ScaffoldError(PylonError):
    """The project could not be created."""

    code = "SCAFFOLD_FAILED"


@dataclass(frozen=True, slots=True)
class Template:
    """One folder that a project can start from; `summary` is the first line of its README."""

    name: str
    folder: Path
    summary: str


def templates() -> tuple[Template, ...]:
    """Return the templates that this installation brings."""
    found: dict[str, Template] = {}
    for home in _template_homes():
        if not home.is_dir():
            continue
        for folder in sorted(home.iterdir()):
            if (folder / "app.py").is_file() and folder.name not in found:
                found[folder.name] = Template(folder.name, folder, _summary(folder))
    return tuple(sorted(found.values(), key=lambda one: one.name))


def create_project(parent: Path, name: str, template_name: str) -> Path:
    """Create `parent/name` from a template and return it.

    Raises ScaffoldError for a name that is no plain folder name, an unknown template, or a
    folder that is there already and not empty, and OSError where it can't be made: nothing is left
    then.
    """
    against = _objection(parent, name)
    if against is not None:
        raise against
    chosen = next((one for one in templates() if one.name == template_name), None)
    if chosen is None:
        names = ", ".join(one.name for one in templates()) or "none"
        raise ScaffoldError(f"there is no template {template_name!r}", hint=f"there are: {names}")
    target = parent.resolve() / name
    was_there = target.is_dir()
    try:
        _write(chosen, target, name)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if was_there:
            target.mkdir(exist_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # it does not say where
            raise ScaffoldError(
                f"{target} can't be written: {_refused(error)}",
                hint="make room on that disk, or make the project on another one",
            ) from error
        raise
    return target


def _write(chosen: Template, target: Path, name: str) -> None:
    shutil.copytree(chosen.folder, target, symlinks=False, ignore=_LEFT_OUT, dirs_exist_ok=True)
    _call_it(target / "app.py", name)
    ignored = target / ".gitignore"
    own = ignored.read_text(encoding="utf-8") if ignored.is_file() else ""
    ignored.write_text(GITIGNORE + own, encoding="utf-8")


def _refused(error: OSError) -> str:
    """Return why; of many files that could not be copied, for the first."""
    if not isinstance(error, shutil.Error):
        return error.strerror or str(error)
    *_, why = error.args[0][0]  # (from, to, `[Errno 28] No space left on device: …`)
    return str(why).partition("] ")[2].partition(": ")[0] or str(why)


def _call_it(app: Path, name: str) -> None:
    """Give an app the project's name: it stands on the sign-in page, in mails, in the header."""
    text = app.read_text(encoding="utf-8")
    app.write_text(_APP.sub(f'app = App("{name}"', text, count=1), encoding="utf-8")


def objection(parent: Path, name: str) -> str:
    """Return what stands against a project of this name in a folder; empty where nothing does."""
    against = _objection(parent, name)
    return "" if against is None else f"{against.message}: {against.hint}"


def _objection(parent: Path, name: str) -> ScaffoldError | None:
    if not _NAME.match(name) or name.endswith("."):
        return ScaffoldError(
            f"{name!r} cannot be a project's name",
            hint="letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    target = parent.resolve() / name
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        return ScaffoldError(f"{target} is in the way", hint="choose another name")
    if target.is_dir() and any(target.iterdir()):
        return ScaffoldError(
            f"{target} is not empty", hint="choose another name or an empty folder"
        )
    return None


def _template_homes() -> tuple[Path, ...]:
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent
    # In a wheel the templates lie inside the package; in a checkout beside it, where the chat
    # template is the chat example itself.
    return (package / "_templates", checkout / "templates", checkout / "examples")


def _summary(folder: Path) -> str:
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    lines = [line.strip() for line in readme.read_text(encoding="utf-8").splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), "")
