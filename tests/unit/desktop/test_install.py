"""Installing, mending and removing: exactly what was installed, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from pylon import paths
from pylon.desktop import install as installing
from pylon.desktop.entry import installation
from pylon.desktop.files import (
    ID,
    DesktopFolder,
    DesktopShortcut,
    DesktopTaken,
    Installation,
    PlannedFile,
    Shortcut,
)
from pylon.desktop.install import install, own_command, read_record, remove, states

COMMAND = ("/opt/pylon",)


def _plan(folder: Path, command: tuple[str, ...] = COMMAND) -> Installation:
    return installation(PurePosixPath(folder), command, installing.launch_script())


def _tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(one.relative_to(folder)): one.read_bytes() if one.is_file() else None
        for one in folder.rglob("*")
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with things of others, some in folders that an entry uses, too."""
    folder = tmp_path / "share"
    (folder / "applications").mkdir(parents=True)
    (folder / "applications/other.desktop").write_text("[Desktop Entry]\n")
    (folder / "icons/hicolor/48x48/apps").mkdir(parents=True)
    (folder / "icons/hicolor/48x48/apps/other.png").write_text("png")
    return folder


def test_what_is_removed_is_exactly_what_was_installed(data: Path) -> None:
    """Also the folders that were made for it, and no other."""
    before = _tree(data)
    done = install(_plan(data), COMMAND)
    assert len(done.done) == 5
    assert set(states(read_record()).values()) == {"ok"}  # type: ignore[arg-type]
    assert (data / f"applications/{ID}.desktop").stat().st_mode & 0o777 == 0o644
    removed = remove()
    assert set(removed.done) == set(done.done)
    assert _tree(data) == before
    assert read_record() is None
    assert remove() == installing.Change((), ())


def test_again_changes_nothing_and_mends_what_is_broken(data: Path) -> None:
    """A second one writes no file; one that is missing, changed or outdated is put right."""
    install(_plan(data), COMMAND)
    after = _tree(data)
    stamp = (data / "pylon/launch.sh").stat().st_mtime_ns
    assert install(_plan(data), COMMAND).done == ()
    assert (data / "pylon/launch.sh").stat().st_mtime_ns == stamp
    (data / "pylon/launch.sh").unlink()
    entry = data / f"applications/{ID}.desktop"
    entry.write_text("[Desktop Entry]\n")
    assert set(states(read_record()).values()) == {"ok", "missing", "changed"}  # type: ignore[arg-type]
    assert len(install(_plan(data), COMMAND).done) == 2
    assert _tree(data) == after
    moved = install(_plan(data, ("/moved/pylon",)), ("/moved/pylon",))
    assert moved.done == (str(entry),)
    assert "/moved/pylon" in entry.read_text()
    assert read_record().command == ("/moved/pylon",)  # type: ignore[union-attr]


def test_what_somebody_changed_stays_until_it_is_forced(data: Path) -> None:
    """It is named, and the rest goes."""
    before = _tree(data)
    install(_plan(data), COMMAND)
    entry = data / f"applications/{ID}.desktop"
    entry.write_text(entry.read_text() + "NoDisplay=true\n")
    change = remove()
    assert (len(change.done), change.left) == (4, (str(entry),))
    assert _tree(data).keys() - before.keys() == {f"applications/{ID}.desktop"}
    assert remove(is_forced=True).done == (str(entry),)
    assert _tree(data) == before


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_not_ours_is_not_written_over(data: Path, kind: str) -> None:
    """Refused with what to do, and nothing at all is written."""
    entry = data / f"applications/{ID}.desktop"
    if kind == "file":
        entry.write_text("mine")
    elif kind == "link":
        entry.symlink_to(data / "applications/other.desktop")
    else:
        entry.mkdir()
    before = _tree(data)
    with pytest.raises(DesktopTaken) as caught:
        install(_plan(data), COMMAND)
    assert str(entry) in caught.value.message
    assert caught.value.hint
    assert _tree(data) == before
    assert read_record() is None


def test_what_a_failure_leaves_can_be_removed(data: Path) -> None:
    """A file where a folder is wanted: said with the path, and remove takes back the first part."""
    (data / "icons/hicolor/scalable").write_text("not a folder")
    before = _tree(data)
    with pytest.raises(DesktopFolder) as caught:
        install(_plan(data), COMMAND)
    assert "scalable" in caught.value.message
    assert "XDG_DATA_HOME" in (caught.value.hint or "")
    assert (data / "pylon/launch.sh").exists()
    remove()
    assert _tree(data) == before


def test_where_nothing_could_be_written_nothing_is_installed(data: Path) -> None:
    """The first file already fails: no entry is said to be there."""
    (data / "pylon").write_text("not a folder")
    before = _tree(data)
    with pytest.raises(DesktopFolder):
        install(_plan(data), COMMAND)
    assert _tree(data) == before
    assert read_record() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said(data: Path) -> None:
    """The code says what to do."""
    data.chmod(0o500)
    try:
        with pytest.raises(DesktopFolder):
            install(_plan(data), COMMAND)
    finally:
        data.chmod(0o700)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"command": 3}'])
def test_a_lost_record_is_no_loss(data: Path, text: str) -> None:
    """Files that are as they would be written are taken over; remove then knows them again."""
    install(_plan(data), COMMAND)
    paths.desktop_file().write_text(text)
    assert read_record() is None
    assert install(_plan(data), COMMAND).done == ()
    assert len(remove().done) == 5


def test_files_of_an_older_version_go(data: Path) -> None:
    """What a plan has no more is removed by the next installation."""
    plan = _plan(data)
    older = PlannedFile(PurePosixPath(data / "pylon/old.txt"), b"old")
    install(Installation((*plan.files, older)), COMMAND)
    install(plan, COMMAND)
    assert not (data / "pylon/old.txt").exists()
    assert str(older.path) not in read_record().files  # type: ignore[union-attr]


def test_readers_of_menu_and_theme_are_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caches are made anew where there are any, and none is made; the theme has a new time."""
    tools = tmp_path / "tools"
    tools.mkdir()
    said = tmp_path / "said"
    for name in ("update-desktop-database", "gtk-update-icon-cache"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{said}"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    theme = data / "icons/hicolor"
    os.utime(theme, (1, 1))
    install(_plan(data), COMMAND)
    assert not said.exists()
    assert theme.stat().st_mtime > 1
    (data / "applications/mimeinfo.cache").touch()
    (theme / "icon-theme.cache").touch()
    remove()
    assert said.read_text().splitlines() == [
        f"update-desktop-database -q {data}/applications",
        f"gtk-update-icon-cache -q -t -f {theme}",
    ]


def test_a_shortcut_is_made_by_the_system_once(tmp_path: Path) -> None:
    """By a program that gets its values from the environment; made anew when these change."""
    link = tmp_path / "menu" / "Pylon.lnk"

    def planned(target: str, code: str = 'echo "$TARGET" > "$LINK"') -> Installation:
        maker = ("/bin/sh", "-c", code)
        values = (("LINK", str(link)), ("TARGET", target))
        return Installation((), Shortcut(PurePosixPath(link), maker, values))

    with pytest.raises(DesktopShortcut) as caught:
        install(planned("/a", "echo no such thing; exit 4"), COMMAND)
    assert "no such thing" in caught.value.message
    assert install(planned("/a'$(id)"), COMMAND).done == (str(link),)
    assert link.read_text() == "/a'$(id)\n"
    assert install(planned("/a'$(id)"), COMMAND).done == ()
    assert install(planned("/b"), COMMAND).done == (str(link),)
    remove()
    assert not link.parent.exists()


def test_the_command_is_the_one_by_which_pylon_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that an installer keeps stays a link; else what lies beside the interpreter."""
    tool = tmp_path / "tools/pylon"
    tool.parent.mkdir()
    tool.touch()
    link = tmp_path / "bin" / "pylon"
    link.parent.mkdir()
    link.symlink_to(tool)
    python = str(tool.with_name("python"))
    assert own_command(str(link), python) == (str(link),)
    assert own_command("/x/pylon/__main__.py", python) == (str(tool),)
    assert own_command("/gone/pylon", python) == (str(tool),)
    link.chmod(0o755)
    monkeypatch.setenv("PATH", str(link.parent))
    assert own_command("/x/pylon/__main__.py", python) == (str(link),)
    link.unlink()
    link.write_text("another")
    link.chmod(0o755)
    assert own_command("/x/pylon/__main__.py", python) == (str(tool),)
    alone = str(tmp_path / "python3")
    assert own_command("/x/pylon/__main__.py", alone) == (alone, "-P", "-m", "pylon")
    (tmp_path / "pylon.exe").touch()
    found = own_command(str(tmp_path / "pylon"), alone, "win32")
    assert found == (str(tmp_path / "pylon.exe"),)


def test_the_record_is_the_users_alone(data: Path) -> None:
    """Its file is 0600, like all of the state folder."""
    install(_plan(data), COMMAND)
    assert paths.desktop_file().stat().st_mode & 0o777 == 0o600
