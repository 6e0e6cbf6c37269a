"""New projects: what they hold, and that nothing is written anywhere else."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pylon.devtools.scaffold import ScaffoldError, create_project, templates
from pylon.limits_files import IMAGE_WIDTHS
from tests.conftest import ROOT


def test_the_templates_are_found() -> None:
    """Each that comes with Pylon has a line that says what it is."""
    found = {one.name: one.summary for one in templates()}
    assert {"blank", "chat", "jobs"} <= set(found)
    assert all(found.values())


def test_pages_ask_for_widths_that_there_are() -> None:
    """Each `?w=` in the page of a template or example is one that pictures are served in."""
    pages = [
        one
        for folder in ("templates", "examples")
        for one in (ROOT / folder).rglob("*")
        if one.suffix in (".html", ".js", ".ts") and "node_modules" not in one.parts
    ]
    asked = {int(w) for one in pages for w in re.findall(r"\?w=(\d+)", one.read_text("utf-8"))}
    assert asked
    assert asked <= set(IMAGE_WIDTHS)


def test_a_project_starts_without_local_state(tmp_path: Path) -> None:
    """A new project has its app, its page and a .gitignore, and no database of ours."""
    target = create_project(tmp_path, "notes", "blank")
    assert (target / "app.py").is_file()
    assert (target / "web" / "index.html").is_file()
    assert ".pylon/" in (target / ".gitignore").read_text()
    assert not (target / ".pylon").exists()


@pytest.mark.parametrize("template", [one.name for one in templates()])
def test_the_app_has_the_name_of_its_project(tmp_path: Path, template: str) -> None:
    """People who sign in read the name that was chosen, not the template's."""
    app = create_project(tmp_path, "my-shop.2", template) / "app.py"
    assert 'app = App("my-shop.2", version=' in app.read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/tmp/x",
        "a/b",
        "..",
        ".",
        "",
        "-x",
        ".hidden",
        "a\\b",
        "a\x00b",
        "x" * 65,
        "a\n",
        "é",
    ],
)
def test_hostile_names_are_refused(tmp_path: Path, name: str) -> None:
    """A name that could leave the folder creates nothing."""
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ScaffoldError):
        create_project(inside, name, "blank")
    assert list(inside.iterdir()) == []
    assert list(tmp_path.iterdir()) == [inside]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A folder that is not empty, or a link, stays as it is."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("full", "link"):
        with pytest.raises(ScaffoldError):
            create_project(tmp_path, name, "blank")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_unknown_template_names_those_there_are(tmp_path: Path) -> None:
    """The hint lists the templates."""
    with pytest.raises(ScaffoldError) as caught:
        create_project(tmp_path, "x", "nope")
    assert "blank" in (caught.value.hint or "")


@pytest.mark.parametrize("was_there", [False, True])
def test_a_full_disk_leaves_no_half_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    """What was written goes, and an empty folder that was there stays; why is said once."""
    copied = []

    def copy(source: str, target: str, **_: Any) -> None:
        Path(target).write_text("half")
        copied.append(target)
        if len(copied) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", source, None, target)

    # A default of its own: the name in the module is looked up no more.
    monkeypatch.setattr(shutil.copytree, "__defaults__", (False, None, copy, False, False))
    if was_there:
        (tmp_path / "shop").mkdir()
    with pytest.raises(ScaffoldError) as failed:
        create_project(tmp_path, "shop", "blank")
    assert failed.value.message == f"{tmp_path / 'shop'} can't be written: No space left on device"
    assert len(copied) > 1
    assert list(tmp_path.rglob("*")) == ([tmp_path / "shop"] if was_there else [])
