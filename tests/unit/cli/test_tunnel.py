"""What the far side of `pylon attach ssh://` may say: it is another machine, and may lie."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import pytest

from pylon.cli.attach import origin_of
from pylon.cli.output import CommandFailed
from pylon.cli.tunnel import Tunnel, find_door, place_of


@asynccontextmanager
async def _tunnel(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> AsyncIterator[Tunnel]:
    """Yield an open tunnel; `script` is what ssh does, with `$socket` as what it brings."""
    ssh = folder / "ssh"
    find = """for one in "$@"; do case "$one" in /*:/*) socket="${one%%:*}";; esac; done"""
    ssh.write_text(f"#!/bin/sh\n{find}\n{script}\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    door = {"socket": "/run/admin.sock", "port": 4321}
    tunnel = Tunnel(place_of("ssh://far.example/srv/chat"), door, folder)
    await tunnel.open(is_batch=True)
    keeping = asyncio.create_task(tunnel.keep_open())
    try:
        yield tunnel
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await tunnel.close()


async def test_an_ssh_that_says_much_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try at a runtime that is down makes it say a line; unread, they would stop it."""
    script = (
        'touch "$socket"\nhead -c 1000000 /dev/zero | tr "\\0" x >&2\n'
        f"touch {shlex.quote(str(tmp_path))}/through\nexec sleep 60"
    )
    async with _tunnel(tmp_path, monkeypatch, script), asyncio.timeout(10):
        while not (tmp_path / "through").exists():
            await asyncio.sleep(0.02)


async def test_why_ssh_is_refused_stays_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends, and the next is refused: what ssh said of that is what is told."""
    again = shlex.quote(str(tmp_path / "again"))
    script = (
        f"if [ -e {again} ]; then echo 'Permission denied (publickey).' >&2; exit 255; fi\n"
        f'touch {again} "$socket"\nsleep 0.3'
    )
    async with _tunnel(tmp_path, monkeypatch, script) as tunnel, asyncio.timeout(10):
        while "Permission denied" not in await tunnel.look(is_first=True):
            await asyncio.sleep(0.02)


def _far_side_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, socket: Any = None, port: Any = 4321,
    token: Any = None,
) -> dict[str, Any]:  # fmt: skip
    said = json.dumps({"socket": socket, "port": port, "token": token})
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\necho welcome\necho {shlex.quote(said)}\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return find_door(place_of("ssh://far.example/srv/chat"), "pylon", is_batch=True)


def test_a_door_is_taken_as_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket in a folder with any usual name, or a port with its token."""
    path = "/home/zoë/.local/state/pylon/run/0a1b/admin.sock"
    assert _far_side_says(tmp_path, monkeypatch, path)["socket"] == path
    assert _far_side_says(tmp_path, monkeypatch, token="a-b_c")["token"] == "a-b_c"


@pytest.mark.parametrize(
    "said",
    [{"socket": "/run/${PYLON_ADMIN_TOKEN}"}, {"socket": "/run/%u"}, {"socket": "/a:/b"},
     {"socket": "relative"}, {"socket": ["/a"]}, {"socket": "/a\nb"}, {"port": "4321"},
     {"port": 0}, {"port": 65_536}, {"port": True}, {"token": "a\r\nCookie: b"}, {"token": 5}],
    ids=str,
)  # fmt: skip
def test_the_far_side_cannot_ask_ssh_for_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    """Our ssh would put a variable of this machine into such a path, and send it there."""
    with pytest.raises(CommandFailed, match="is no answer"):
        _far_side_says(tmp_path, monkeypatch, **said)


@pytest.mark.parametrize("parse", [origin_of, place_of])
def test_what_is_no_address_is_wrong_usage(parse: Any) -> None:
    """A bracket that opens and closes nothing, a port that is none: said, and no fault."""
    for rest in ("[1.example/x", "a]b/x", "[::zz]/x", "host:port/x"):
        with pytest.raises(click.UsageError):
            parse(f"{'https' if parse is origin_of else 'ssh'}://{rest}")
