"""Commands against a running runtime: what they print, as lines and as JSON."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from pylon import jsonvalue
from pylon.client.admin import AdminClient
from pylon.supervisor import registry
from tests.conftest import Serve
from tests.shell import Shell


async def test_reports_are_lines_and_json(serve: Serve) -> None:
    """tail, cursors, query, call and users say the same in both forms."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="general")
    await ada.insert("Message", channelId=channel["id"], body="hi \x1b[31m")
    pylon = Shell(served)
    lines = await pylon("tail", "--no-follow")
    assert "insert" in lines
    assert "Message" in lines
    last = jsonvalue.parse((await pylon("tail", "--no-follow", "--json")).splitlines()[-1].encode())
    assert (last["entity"], last["user"]) == ("Message", "ada@example.com")
    only = await pylon("tail", "--no-follow", "--entity", "Channel", "--since", "0")
    assert len(only.splitlines()) == 1
    table = await pylon("query", "Message", 'contains(body, "hi")')
    assert "hi" in table
    assert "\x1b" not in table
    rows = jsonvalue.parse((await pylon("query", "Message", "--json")).encode())
    assert rows["rows"][0]["body"] == "hi \x1b[31m"
    assert "nme" in await pylon("query", "Channel", "nme == null", code=1)
    counts = jsonvalue.parse(
        (await pylon("call", "unreadCounts", "--as", "ada@example.com")).encode()
    )
    assert counts == {channel["id"]: 0}
    assert "ada@example.com" in await pylon("users")
    assert "did you mean unreadCounts?" in await pylon("call", "unreadCount", code=1)


async def test_a_cursor_shows_what_its_client_has_not_stored(serve: Serve) -> None:
    """The lag of a client that left is listed change by change."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="general")
    socket = await ada.sync({"id": "s", "entity": "Message"}, client_id="my-browser")
    welcome = await socket.until("welcome")
    await socket.send({"type": "stored", "cursor": welcome["head"]})
    pylon = Shell(served)
    for _ in range(40):
        listed = jsonvalue.parse((await pylon("cursors", "--json")).encode())
        if listed and listed[0]["cursor"] == welcome["head"]:
            break
    assert listed[0]["state"] == "live"
    await socket.close()
    for n in range(3):
        await ada.insert("Message", channelId=channel["id"], body=f"{n}")
    unseen = jsonvalue.parse((await pylon("cursors", "my-browser", "--unseen", "--json")).encode())
    assert [one["entity"] for one in unseen] == ["Message"] * 3
    assert "there is no client" in await pylon("cursors", "nobody", code=1)


async def test_tokens_roles_and_links_work_beside_the_runtime(serve: Serve) -> None:
    """A token signs in at once; a role reaches the running app; a link works once."""
    served = await serve("examples/chat")
    pylon = Shell(served)
    token = (await pylon("token", "ada@example.com", "--days", "1")).strip()
    me = await served.anonymous().ask(
        "GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"}
    )
    assert me.body["email"] == "ada@example.com"
    assert "moderator" in await pylon("roles", "grant", "ada@example.com", "moderator")
    me = await served.anonymous().ask(
        "GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"}
    )
    assert me.body["roles"] == ["moderator"]
    assert "no roles" in await pylon("roles", "revoke", "ada@example.com", "moderator")
    assert "there is no account" in await pylon("roles", "revoke", "eve@example.com", "x", code=1)
    link = (await pylon("login-link", "ada@example.com")).strip()
    assert (await served.anonymous().get(link[link.index("/auth/") :])).status == 200
    used = {"t": link.partition("t=")[2]}
    first = await served.anonymous().post("/api/auth/link", used)
    assert "pylon_session=" in first.headers.get("Set-Cookie", "")
    assert (await served.anonymous().post("/api/auth/link", used)).status == 401
    assert await pylon("token", "nobody", code=1)


async def test_interrupting_a_tail_ends_with_130(serve: Serve) -> None:
    """Ctrl+C is no failure and prints no traceback."""
    served = await serve("examples/chat")
    await served.login("ada@example.com")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "tail", "--project", str(served.project),
        env={**os.environ, "PYLON_STATE_DIR": str(served.state), "PYTHONFAULTHANDLER": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    stuck = asyncio.get_running_loop().call_later(60, process.send_signal, signal.SIGABRT)
    line = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    stuck.cancel()  # else what it says is where it was stuck
    assert process.returncode == 130, (line, err)
    assert b"Traceback" not in err


async def test_a_migration_is_shown_and_applied(serve: Serve) -> None:
    """The plan has counts; applying it makes a copy first; a running project is refused."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    await ada.insert("Channel", name="general")
    app = served.project / "app.py"
    text = app.read_text().replace("    isPrivate: bool = False\n", "")
    text = text.replace("data.isPrivate == false", "true")
    app.write_text(text.replace("isPrivate == false", "name != null"))

    async def migrate(*options: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", "migrate", str(served.project), *options,
            env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    code, text = await migrate()
    assert code == 0, text
    assert "1 row has a value" in text
    code, text = await migrate("--apply")
    assert code == 1
    assert "is running" in text
    await served.stop()
    code, text = await migrate("--apply", "--json")
    assert code == 0, text
    assert '"applied":true' in text
    assert list((served.project / ".pylon" / "branches").iterdir())
    code, text = await migrate()
    assert "nothing to do" in text


async def test_a_client_is_shown_with_what_it_has_not_seen(serve: Serve) -> None:
    """cursors CLIENT says all about one; --unseen lists its changes, cleaned, and as JSON whole."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Channel"}, client_id="ada-1")
    await socket.until("snapshot")
    channel = await ada.insert("Channel", name="general\x1b")
    pylon = Shell(served)
    about = await pylon("cursors", "ada-1")
    assert "ada@example.com" in about
    assert "s: Channel" in about
    lines = await pylon("cursors", "ada-1", "--unseen")
    assert channel["id"] in lines
    assert "\x1b" not in lines
    unseen = jsonvalue.parse((await pylon("cursors", "ada-1", "--unseen", "--json")).encode())
    assert [one["row"]["name"] for one in unseen] == ["general\x1b"]
    assert "there is no client nobody" in await pylon("cursors", "nobody", code=1)
    await socket.close()


async def test_a_ghost_prints_frames_and_what_it_holds(serve: Serve) -> None:
    """From a snapshot it holds all; from a cursor it gets what came after, or starts over."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    bob = await served.login("bob@example.com")
    first = await ada.insert("Channel", name="general")
    await bob.insert("Channel", name="secret", isPrivate=True)
    second = await ada.insert("Channel", name="later")
    pylon = Shell(served)
    ghost = ("ghost", "--as", "ada@example.com", "--entity", "Channel", "--no-follow")
    whole = await pylon(*ghost)
    assert "welcome" in whole
    assert "replica: Channel 2 (rows)" in whole
    since = await pylon(*ghost, "--cursor", str(first["_seq"]))
    assert second["id"] in since
    assert "replica: Channel 1 (rows)" in since
    lines = (await pylon(*ghost, "--cursor", "other:1", "--rows", "--json")).splitlines()
    frames = [jsonvalue.parse(line.encode()) for line in lines]
    assert [one["frame"]["type"] for one in frames[:3]] == ["welcome", "resync", "snapshot"]
    assert {row["name"] for row in frames[-1]["replica"]["Channel"]} == {"general", "later"}
    assert "no cursor" in await pylon(*ghost, "--cursor", "x", code=1)
    assert "there is no account" in await pylon("ghost", "--as", "nobody@x.y", code=1)
    assert "there are: " in await pylon(
        "ghost", "--as", "anonymous", "--entity", "Nope", "--no-follow", code=1
    )
    assert "ghost.came as ada@example.com" in served.output


async def test_a_runtime_stopped_from_elsewhere_ends_its_supervisor(tmp_path: Path) -> None:
    """`pylon serve` ends with 0 when the owner's surface stops its runtime, and starts no other."""
    (tmp_path / "app.py").write_text("from pylon import App\n\napp = App('short')\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "serve", str(tmp_path), "--port", "0",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert (await process.stdout.readline()).startswith(b"listening on ")
        admin = AdminClient.local(tmp_path)
        await admin.post("admin/shutdown", {})
        await admin.close()
        _, said = await process.communicate()
    assert process.returncode == 0, said
    assert b"Traceback" not in said
    assert registry.running_runtime(tmp_path) is None
