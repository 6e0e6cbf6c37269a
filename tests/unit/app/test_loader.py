"""Fresh imports: a new generation after an edit, the old one kept where the new one fails."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from pylon.app.finder import ProjectFinder
from pylon.app.loader import load_app
from pylon.errors import LoadFailed
from tests.unit.app.conftest import FIRST, HEAD, Load, Mistaken

ONE = HEAD + "from parts import WORD\n@app.query\ndef word(ctx) -> str:\n    return WORD\n"


def _project(root: Path, word: str = "one") -> Path:
    (root / "app.py").write_text(ONE)
    (root / "parts.py").write_text(f"WORD = {word!r}\n")
    return root


def test_an_edit_is_seen_at_once(load: Load, tmp_path: Path) -> None:
    """A module of the same size and second is read again, and so is what it imports."""
    _project(tmp_path)
    first = load_app(tmp_path, generation=1)
    assert first.functions["word"].handler(None) == "one"
    (tmp_path / "parts.py").write_text("WORD = 'two'\n")
    second = load_app(tmp_path, generation=2)
    assert second.functions["word"].handler(None) == "two"
    assert first.functions["word"].handler(None) == "one"
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.py", "def broken(:\n"),
        ("app.py", HEAD + "1 / 0\n"),
        ("app.py", HEAD + "@app.entity\nclass A(Entity):\n    a: Nope\n"),
        ("app.py", HEAD + "raise SystemExit(3)\n"),
        ("parts.py", "import nothing_of_that_name\n"),
    ],
)
def test_a_failed_load_leaves_the_old_generation(
    load: Load, tmp_path: Path, name: str, text: str
) -> None:
    """Whatever goes wrong, the modules of the running generation are as they were."""
    first = load_app(_project(tmp_path), generation=1)
    modules = {one: sys.modules[one] for one in ("app", "parts")}
    finders = list(sys.meta_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(LoadFailed) as failed:
        load_app(tmp_path, generation=2)
    assert failed.value.mistakes[0].file == name
    assert {one: sys.modules[one] for one in ("app", "parts")} == modules
    assert sys.meta_path == finders
    assert first.functions["word"].handler(None) == "one"
    _project(tmp_path, "two")
    assert load_app(tmp_path, generation=2).functions["word"].handler(None) == "two"


def test_a_first_load_that_fails_leaves_nothing(load: Load, tmp_path: Path) -> None:
    """Modules of a project that never loaded do not stay behind."""
    _project(tmp_path)
    (tmp_path / "app.py").write_text(ONE + "1 / 0\n")
    with pytest.raises(LoadFailed):
        load_app(tmp_path, generation=1)
    assert not {"app", "parts"} & set(sys.modules)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("x = undefnd\nundefined = 1\n", 0, "NameError: name 'undefnd'", None),
        ("x = printt\n", 0, "NameError: name 'printt'", "did you mean print?"),
        ("import jsn\n", 0, "ModuleNotFoundError", "did you mean json?"),
        ("import keep_it_secret\n", 0, "ModuleNotFoundError", "installed where Pylon runs?"),
        ("from json import loadz\n", 0, "ImportError", "did you mean load?"),
        ("x = app.entitty\n", 0, "has no entitty", "did you mean entity?"),
        ("import json\njson.dmps\n", 1, "AttributeError", "did you mean dumps?"),
        ("def f():\n    return 1 / 0\nf()\n", 1, "ZeroDivisionError: division by zero", None),
        ("raise SystemExit(3)\n", 0, "the app calls exit(3) while imported", None),
        ("a = (1,\n", 0, "was never closed", None),
        ("if True:\nx = 1\n", 1, "expected an indented block", None),
    ],
)
def test_what_goes_wrong_at_import_has_its_line(
    mistaken: Mistaken, text: str, line: int, message: str, hint: str | None
) -> None:
    """The mistake stands at the innermost line of the project, with advice for the usual ones."""
    (found,) = mistaken(text)
    assert found.startswith(f"app.py:{FIRST + line}:")
    assert message in found
    assert (hint or "") in found


def test_every_file_with_a_syntax_error_is_named(load: Load, tmp_path: Path) -> None:
    """One file that is not Python does not hide the next."""
    _project(tmp_path)
    (tmp_path / "parts.py").write_text("def (:\n")
    (tmp_path / "more.py").write_text("x = = 1\n")
    with pytest.raises(LoadFailed) as failed:
        load_app(tmp_path, generation=1)
    assert [one.file for one in failed.value.mistakes] == ["more.py", "parts.py"]


def test_there_is_one_app(tmp_path: Path, load: Load, mistaken: Mistaken) -> None:
    """No app.py, two places for it, no App and two Apps are each told."""

    def told() -> str:
        with pytest.raises(LoadFailed) as failed:
            load_app(tmp_path, generation=1)
        return failed.value.mistakes[0].render()

    assert "there is no app.py here" in told()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("x = 1\n")
    assert "no App in app/__init__.py" in told()
    (tmp_path / "app.py").write_text(HEAD)
    assert "only one can be the app" in told()
    (tmp_path / "app" / "__init__.py").unlink()
    assert "more than one App" in mistaken('second = App("second")\n')[0]


def test_the_same_app_under_two_names_is_one(load: Load) -> None:
    """An App that is bound twice is no second App."""
    assert load("again = app\n").name == "test"


def test_another_project_takes_the_place_of_the_first(load: Load, tmp_path: Path) -> None:
    """A process that loads a second folder gets that folder's app, not the one it knows."""
    one, two = tmp_path / "one", tmp_path / "two"
    for root in (one, two):
        root.mkdir()
        (root / "app.py").write_text(f'from pylon import App\napp = App("{root.name}")\n')
    assert load_app(one, generation=1).name == "one"
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, ProjectFinder)]
    assert load_app(two, generation=1).name == "two"
    assert load_app(one, generation=2).name == "one"


def test_late_imports_find_the_project(load: Load, tmp_path: Path) -> None:
    """An import inside a function finds the project's modules after the load too."""
    (tmp_path / "late.py").write_text("WORD = 'late'\n")
    definition = load("@app.query\ndef word(ctx):\n    import late\n    return late.WORD\n")
    assert definition.functions["word"].handler(None) == "late"


def test_the_standard_library_is_never_shadowed(load: Load, tmp_path: Path) -> None:
    """A file of the project called like a module of Python does not stand for it."""
    (tmp_path / "json.py").write_text("raise RuntimeError\n")
    assert load("import json\njson.dumps({})\n").name == "test"


def test_threads_at_module_level_are_refused(mistaken: Mistaken) -> None:
    """What a module starts would outlive its generation, so it is not started."""
    before = threading.active_count()
    text = "import threading\nthreading.Thread(target=print).start()\n"
    (found,) = mistaken(text)
    assert found.startswith(f"app.py:{FIRST + 1}:")
    assert "a thread is started at module level" in found
    assert "@app.on_start" in found
    assert threading.active_count() == before


async def test_tasks_at_module_level_are_refused(mistaken: Mistaken) -> None:
    """A task that is made while the module is imported on a running loop is cancelled."""
    text = (
        "import asyncio\nasync def forever():\n    await asyncio.sleep(9)\n"
        "task = asyncio.get_running_loop().create_task(forever())\n"
    )
    (found,) = mistaken(text)
    assert "a task is started at module level (forever)" in found


def test_packages_of_a_project_are_found(load: Load, tmp_path: Path) -> None:
    """Entities may live in modules of their own, and their mistakes are named there."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "items.py").write_text(
        "from pylon import Entity\nfrom registry import app\n"
        "@app.entity(read='data.nme == 1')\nclass Item(Entity):\n    name: str\n"
    )
    (tmp_path / "registry.py").write_text('from pylon import App\napp = App("shop")\n')
    with pytest.raises(LoadFailed) as failed:
        load("from registry import app\nimport shop.items\n", is_whole=True)
    (found,) = failed.value.mistakes
    assert found.render().startswith("shop/items.py:3:19: Item.read: Item has no field nme")
