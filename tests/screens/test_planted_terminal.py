"""I99 by place: in a pseudo-terminal each text that somebody may choose is seen, and not obeyed.

What `tests/planted.py` planted is looked for by its word on each screen that shows it, on a wide
terminal: no column is left out there. The same run holds texts as long as they may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import pytest

from pylon.tui.registry import SCREENS
from tests.planted import fill, plant, spoil, text, word
from tests.recorded import Recorded, foreign, left_behind
from tests.screens.test_hostile_terminal import ESC, go

pytestmark = [pytest.mark.timeout(300), pytest.mark.pair]

_Sights = Mapping[str, tuple[tuple[str, str], ...]]
#: What is pressed on each screen, and the words that are seen then: none is pressed for the first.
SIGHTS: Final[_Sights] = {
    "projects": (("", "dir sup"), ("i", "dir sup"), (ESC, "dir")),
    "log": (
        ("", "ttl"), (f"/{word('ttl')}\r", "ttl"), ("\r", "ttl big fct"), (ESC, "ttl"),
        ("L", "ttl big fct"), (ESC, "ttl"), ("w", ""), (ESC, "ttl"), ("t", "ttl"), ("d", ""),
        (ESC, "ttl"), (ESC, "ttl"), (ESC, "ttl"),
    ),
    "data": (
        ("", ""), ("\r", "ttl big fct"), ("i", "ttl big fct"), (ESC, "ttl"), ("e", "ttl fct"),
        (ESC, "ttl"), ("L", "ttl"), (ESC, "ttl"),
    ),
    "clients": (("", "cli"), ("\r", "cli"), (ESC, "cli")),
    "functions": (
        ("", "src jer"), ("/things\r", ""), ("\r", "fnd arg fol"), (ESC, ""), (ESC, "src"),
        ("/refuse\r", ""), ("\r", "alw cod msg"), (ESC, ""), (ESC, "src"),
    ),
    "jobs": (
        ("", "jky jer"), (f"/{word('jky')}\r", "jky"), ("\r", "jky jrg jrs prg"), (ESC, "jky"),
        (ESC, "jer"), ("\t", "jer"), ("P", "jer"), ("y", "jer"),
    ),
    "workflows": (
        ("", "wky sig wer"), (f"/{word('wky')}\r", "wky"), ("\r", "wky stp sig"),
        ("v", "wrg wrs"), (ESC, "stp"), (ESC, "wky"), (ESC, "wer"),
    ),
    "policies": (("", "pol"), ("\r", "pol"), (ESC, "pol")),
    "users": (("", "rol"), ("\r", "rol dev tok"), (ESC, "rol")),
    "mail": (("", "sub"), ("\r", "sub bod"), (ESC, "sub")),
    "files": (("", "fil"), ("\r", "fil"), (ESC, "fil")),
    "backups": (("", "bkd"), ("\r", "bwy bkd bto btb"), (ESC, "bkd")),
    "health": (("", ""), (f"/{word('fol')}\r", "fol"), (ESC, "")),
    "doctor": (("", ""),),
    "schema": (("", "def"), ("\r", "def"), (ESC, "def")),
    "branches": (("", "brw bro"),),
    "settings": (
        ("", "bfd env evn"), (f"/{word('evn')}\r", "evn"), ("\r", "evn"), (ESC, "evn"),
        (ESC, "env"),
    ),
    "runtime": (
        ("", "lin err mil"), (f"/{word('mil')}\r", "mil"), ("\r", "mil"), (ESC, "mil"),
        ("y", "mil"), (ESC, "mil"), (ESC, "lin"),
    ),
    "commands": (("", "dir"), ("\r", "dir"), (ESC, "dir")),
}  # fmt: skip
#: The same once pylon.toml and app.py say what they can't.
SPOILT: Final[_Sights] = {
    "health": (
        ("", "app"), ("\r", "app"), (ESC, "app"), ("n", "app"), ("G", ""), ("y", ""), (ESC, ""),
    ),
    "settings": (("", "set evm"),),
    "doctor": (("", "evm"), ("\r", "evm"), (ESC, "evm")),
}  # fmt: skip
#: What the dashboard's process may take, in bytes.
MEMORY_MAX: Final = 500 * 2**20


async def test_every_text_is_seen_and_none_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every screen, whatever the length; and the terminal is as it was afterwards."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = plant(tmp_path / f"m {text('dir')}", tmp_path / "state")
    try:
        await served.start()
        following = await fill(served)
        try:
            await asyncio.to_thread(_walk, served.project)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        await served.close()


def _walk(project: Path) -> None:
    terminal = Recorded(str(project), columns=200, lines=50)
    terminal.until(lambda text: "● planted" in text)
    _look(terminal, SIGHTS)
    spoil(project)
    terminal.type("R")
    terminal.until(lambda text: "reload failed" in text)
    _look(terminal, SPOILT)
    terminal.type(ESC)
    terminal.quits()
    assert terminal.ends() == 0
    assert left_behind(bytes(terminal.raw)) == []


def _look(terminal: Recorded, sights: _Sights) -> None:
    """Go to each screen and press what is to be pressed; each time all the words are seen."""
    process = psutil.Process(terminal.child.pid)
    for screen in (one for one in SCREENS if one.name in sights):
        go(terminal, screen)
        for keys, words in sights[screen.name]:
            begin = len(terminal.raw)
            terminal.type(keys)
            missing = _seen(terminal, words.split())
            assert not missing, f"{screen.name} {keys!r}: {missing}\n{terminal.text()}"
            assert foreign(bytes(terminal.raw[begin:])) == [], (screen.name, keys)
        assert process.memory_info().rss < MEMORY_MAX, screen.name


def _seen(terminal: Recorded, names: list[str]) -> list[str]:
    """Wait until the words of planted texts are on the screen; returns those that never were."""
    with suppress(AssertionError):
        terminal.until(lambda text: all(word(one) in text for one in names), seconds=30)
        return []
    shown = terminal.text()
    return [one for one in names if word(one) not in shown]
