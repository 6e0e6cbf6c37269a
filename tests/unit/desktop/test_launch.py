"""The script that finds the user's terminal, with terminals that say how they were called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pylon.desktop import install

SCRIPT = Path(install.__file__).with_name("launch.sh")
#: What a path may hold without a shell ever reading it.
PYLON = ("/opt/a b/$(touch planted)/`id`/py\"lon'", "-P", "%f")
_TOOLS = ("sh", "sed", "tail", "tr", "cat", "stty")


class Machine:
    """A PATH with chosen programs, and a HOME."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in _TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def has(self, *names: str) -> None:
        """Install programs that print their name and arguments, one a line."""
        for name in names:
            self.tell(name, 'printf "%s\\n" "${0##*/}" "$@"')

    def tell(self, name: str, code: str) -> None:
        """Install a program that does something."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o755)

    def launch(self, *arguments: str, said: str = "", **environment: str) -> tuple[int, list[str]]:
        """Run the script; returns its code and what was printed."""
        done = subprocess.run(
            ["/bin/sh", SCRIPT, *arguments], input=said, text=True, cwd=self.home,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            env={"PATH": str(self.bin), "HOME": str(self.home), **environment},
        )  # fmt: skip
        return done.returncode, done.stdout.splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(("terminal", "called"), [
    ("kitty", ["kitty"]),
    ("foot", ["foot"]),
    ("alacritty -o font.size=12", ["alacritty", "-o", "font.size=12", "-e"]),
    ("wezterm", ["wezterm", "start", "--"]),
    ("gnome-terminal", ["gnome-terminal", "--"]),
    ("ptyxis", ["ptyxis", "--new-window", "--"]),
    ("xfce4-terminal", ["xfce4-terminal", "-x"]),
    ("somebodys-own", ["somebodys-own", "-e"]),
])  # fmt: skip
def test_the_terminal_that_the_user_names_comes_first(
    machine: Machine, terminal: str, called: list[str]
) -> None:
    """`$TERMINAL`, with words of its own, and called as it takes commands; all arguments whole."""
    machine.has(terminal.split(maxsplit=1)[0], "xdg-terminal-exec", "x-terminal-emulator", "xterm")
    code, said = machine.launch(*PYLON, TERMINAL=terminal, XDG_CURRENT_DESKTOP="KDE")
    assert (code, said) == (0, [*called, "/bin/sh", str(SCRIPT), "--inside", *PYLON])
    assert not (machine.home / "planted").exists()


def test_then_comes_what_the_desktop_is_set_to(machine: Machine) -> None:
    """Its tool for that, then its settings; before what it brings along."""
    machine.has("konsole", "xfce4-terminal", "foot", "alacritty", "kitty", "gnome-terminal")
    (machine.home / ".config/xfce4").mkdir(parents=True)
    (machine.home / ".config/kdeglobals").write_text("[General]\nTerminalApplication=foot\n")
    (machine.home / ".config/xfce4/helpers.rc").write_text("TerminalEmulator=alacritty\n")
    machine.tell("gsettings", "echo \"'kitty'\"")
    for desktop, chosen in (("KDE", "foot"), ("XFCE", "alacritty"), ("ubuntu:GNOME", "kitty")):
        assert machine.launch(*PYLON, XDG_CURRENT_DESKTOP=desktop)[1][0] == chosen
    machine.has("xdg-terminal-exec")
    assert machine.launch(*PYLON, XDG_CURRENT_DESKTOP="KDE")[1][:2] == [
        "xdg-terminal-exec",
        "/bin/sh",
    ]


@pytest.mark.parametrize(("desktop", "chosen"), [
    ("KDE", "konsole"), ("XFCE", "xfce4-terminal"), ("GNOME", "gnome-terminal"),
    ("sway", "x-terminal-emulator"), ("", "x-terminal-emulator"),
])  # fmt: skip
def test_then_what_the_desktop_brings_along(machine: Machine, desktop: str, chosen: str) -> None:
    """And where it brings none, the system's; settings that name what is gone count for nothing."""
    machine.has("konsole", "xfce4-terminal", "gnome-terminal", "x-terminal-emulator", "xterm")
    machine.tell("gsettings", "echo \"'gone'\"")
    assert machine.launch(*PYLON, TERMINAL="gone", XDG_CURRENT_DESKTOP=desktop)[1][0] == chosen


def test_without_any_terminal_it_says_so_on_the_screen(machine: Machine) -> None:
    """In a dialog or a note of the desktop, and for the log; exit 1."""
    code, said = machine.launch(*PYLON)
    assert code == 1
    assert "set TERMINAL" in said[0]
    machine.has("notify-send")
    code, said = machine.launch(*PYLON)
    assert code == 1
    assert said[1:3] == ["notify-send", "Pylon"]


def test_inside_pylon_runs_from_home_and_leaves_with_it(machine: Machine) -> None:
    """Its arguments go before the words; after exit 0 nobody is asked for anything."""
    machine.tell("pylon", 'pwd; printf "%s\\n" "$@"')
    code, said = machine.launch("--inside", str(machine.bin / "pylon"), "a b")
    assert code == 0
    assert said[-4:] == [*said[-4:-3], "a b", "desktop", "open"]
    assert said[-4].endswith(str(machine.home))
    assert not any("press enter" in one for one in said)


@pytest.mark.parametrize(("does", "code"), [("echo broken >&2; exit 3", 3), ("kill -9 $$", 137)])
def test_a_failing_start_stays_readable_until_enter(machine: Machine, does: str, code: int) -> None:
    """What it said is there, and the code; a killed one's screen is put right first."""
    machine.tell("pylon", does)
    ended, said = machine.launch("--inside", str(machine.bin / "pylon"), said="\n")
    assert ended == code
    assert f"ended with code {code}; press enter to close" in said[-1]
    assert ("broken" in "".join(said)) is (code == 3)
    assert any("\x1b[?1049l" in one for one in said) is (code == 137)


def test_it_waits_for_that_enter(machine: Machine) -> None:
    """The window is not gone before somebody has read it."""
    machine.tell("pylon", "exit 3")
    held = subprocess.Popen(
        ["/bin/sh", SCRIPT, "--inside", str(machine.bin / "pylon")], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": str(machine.bin)},
    )  # fmt: skip
    assert held.stdin is not None
    assert held.stdout is not None
    said = ""
    while "press enter to close" not in said:
        said += held.stdout.read(1)
    assert held.poll() is None
    held.stdin.write("\n")
    held.stdin.close()
    assert held.wait(timeout=20) == 3
    held.stdout.close()


def test_a_pylon_that_is_gone_is_said_with_what_to_do(machine: Machine) -> None:
    """The path that the entry has, and the command that mends it."""
    code, said = machine.launch("--inside", "/gone/pylon", said="\n")
    assert code == 127
    assert "there is no Pylon at /gone/pylon any more" in "".join(said)
    assert "pylon desktop install" in "".join(said)
