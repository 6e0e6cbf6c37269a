"""What the far side of `pylon attach ssh://` may say: it is another machine, and may lie."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from pylon.cli.attach import origin_of
from pylon.cli.output import CommandFailed
from pylon.cli.tunnel import find_door, place_of


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
