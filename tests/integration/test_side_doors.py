"""Names and texts of a request that try to become SQL, and tokens that try to stay somewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pylon import jsonvalue
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES

#: What SQLite knows beside a field's own name, or would take for one, and what ends a name.
NAMES = (
    "rowid", "oid", "_rowid_", "_wire", "scar", "TEXT", "Text", "tExt", "t.text", "main.text",
    '"text"', 'text"', '"', "`text`", "[text]", "'text'", "text--", "text/**/", "text;", "te xt",
    "text COLLATE NOCASE", "text DESC", "1", "*", "count(*)", "(SELECT 1)", "random()",
    'text" OR 1=1 --', "text) FROM _pylon_sessions --", "$.text", "text.x", "text\u0000",
    "te\u0301xt", "ｔｅｘｔ", "__proto__", "constructor", "?1", ":now", "@x", "",
)  # fmt: skip
ENTITIES = (
    "sqlite_master", "sqlite_schema", "_pylon_log", "_pylon_sessions", "_pylon_accounts", "NOTE",
    "note", '"Note"', "Note;", "Note t, _pylon_sessions", "Note_fts", "main.Note", "temp.Note",
    "Note\u0000", "Ｎｏｔｅ", "__proto__",
)  # fmt: skip


def _json(value: Any) -> str:
    return quote(jsonvalue.encode_text(value))


async def _asked_by(one: Caller, name: str, row_id: str) -> list[tuple[int, Any, str | None]]:
    """Put a name wherever a request has the name of a field."""
    listed, path = "/api/entities/Note", quote(name, safe="")
    deep = {"and": [{"not": {name: {"!=": None}}}]}
    subscription = [{"id": "s", "entity": "Note", "order": [name], "limit": 1}]
    counted = {"aggregates": {"n": {"count": "*"}}}
    asked = [
        ("GET", f"{listed}?where={_json({name: 1})}", None),
        ("GET", f"{listed}?order=id,-{path}", None),
        ("GET", f"{listed}?include={path}.owner", None),
        ("POST", "/api/query/Note", {"where": deep}),
        ("POST", "/api/query/Note", {"where": {"text": {name: "x"}}}),
        ("POST", "/api/query/Note", {"order": [f"-{name}"]}),
        ("POST", "/api/aggregate/Note", {**counted, "group": [name]}),
        ("POST", "/api/aggregate/Note", {"aggregates": {"n": {"max": name}}}),
        ("POST", "/api/aggregate/Note", {"aggregates": {"n": {name: "text"}}}),
        ("POST", "/api/aggregate/Note", {**counted, "where": deep}),
        ("GET", f"/api/search/Note?q=x&where={_json(deep)}", None),
        ("GET", f"/api/sync/snapshot?entity=Note&where={_json(deep)}", None),
        ("GET", f"/api/sync/pull?subscriptions={_json(subscription)}", None),
    ]
    if name != "scar":  # which is private: written, and never asked by
        asked += [
            ("POST", listed, {"text": "x", name: "y"}),
            ("PATCH", f"{listed}/{row_id}", {name: "y"}),
        ]
    answers = [await one.ask(method, path, body) for method, path, body in asked]
    return [
        (answer.status, answer.code, ask[1]) for ask, answer in zip(asked, answers, strict=True)
    ]


async def test_threat_33_a_name_is_a_field_or_it_is_unknown(serve: Serve) -> None:
    """A name that SQLite would take, in whatever place of a request, is the name of nothing.

    Not one is a text for SQLite to compare with, or sorts by something else: all are refused alike.
    """
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    row = await ada.insert("Note", text="hello", scar="secret")
    for name in NAMES:
        answers = await _asked_by(ada, name, row["id"])
        assert [one for one in answers if one[0] != 400] == [], name
    for entity in ENTITIES:
        path = quote(entity, safe="")
        for answer in (
            await ada.get(f"/api/entities/{path}"),
            await ada.get(f"/api/entities/{path}/{row['id']}"),
            await ada.post(f"/api/query/{path}", {}),
            await ada.post(f"/api/aggregate/{path}", {"aggregates": {"n": {"count": "*"}}}),
            await ada.get(f"/api/search/{path}?q=x"),
            await ada.get(f"/api/sync/snapshot?entity={path}"),
            await ada.post(f"/api/entities/{path}", {"text": "x"}),
            await ada.post(f"/api/fn/{path}", {}),
        ):
            assert answer.code in ("NOT_FOUND", "INVALID_JSON"), (entity, answer)
    (kept,) = (await ada.get("/api/entities/Note")).body["rows"]
    assert kept == row


async def test_threat_34_texts_of_filters_are_compared_and_never_read(serve: Serve) -> None:
    """Wildcards match themselves; a filter is as long as a body may be, or refused by its terms."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    texts = ["100%", "a_c", "abc", "*", "[a-z]", "\\", "' OR 1=1 --", '"text"', "NULL", "İ", "ß"]
    for text in texts:
        await ada.insert("Note", text=text)
    for op in ("contains", "startsWith", "==", "in"):
        for text in (*texts, "%", "_", "?", "[a"):
            value: Any = [text] if op == "in" else text
            answer = await ada.post("/api/query/Note", {"where": {"text": {op: value}}})
            want = {"contains": lambda one, t=text: t in one,
                    "startsWith": lambda one, t=text: one.startswith(t)}.get(
                        op, lambda one, t=text: one == t)  # fmt: skip
            assert {one["text"] for one in answer.body["rows"]} == {t for t in texts if want(t)}
    many = [str(n) for n in range(20_000)]
    for where, status in (
        ({"text": {"in": many}}, 200), ({"text": {"not in": many}}, 200),
        ({"or": [{"text": one} for one in many[:101]]}, 400),
        ({"text": {"contains": "a" * 500_000}}, 200),
    ):  # fmt: skip
        answer = await ada.post("/api/query/Note", {"where": where})
        assert answer.status in (status, 400), answer
    deep: Any = {"text": "x"}
    for _ in range(40):
        deep = {"not": deep}
    assert (await ada.post("/api/query/Note", {"where": deep})).status == 400
    assert (await ada.get("/api/health")).status == 200


async def _commands_of(pid: int) -> str:
    """Return the command lines of a process and of its children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if folder.name == str(pid) or parent == str(pid):
                found.append((folder / "cmdline").read_bytes().decode("latin-1"))
        except OSError:
            continue
    return "\n".join(found)


def _everything_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files, by their names."""
    return {str(one.relative_to(folder)): one.read_bytes()
            for one in folder.rglob("*") if one.is_file() and not one.is_symlink()}  # fmt: skip


async def test_threat_44_tokens_are_nowhere_but_with_those_who_hold_them(serve: Serve) -> None:
    """Not in logs, files, their names, backups, arguments of processes, nor what pages pass on.

    Also where somebody put one into an address, or sent it as a name, or a wrong one.
    """
    environment = {"PYLON_ADMIN_TOKEN": "s3cret-of-the-owner-0123456789"}
    served = await serve(NOTES, environment=environment, is_warm=False)
    ada = await served.login("ada@example.com")
    made = (await ada.post("/api/auth/tokens", {"name": "importer"})).body["token"]
    owner = Caller(served, "s3cret-of-the-owner-0123456789", None)
    link = (await owner.post("/api/admin/login-link", {"user": "ada@example.com"})).body["url"]
    one_time = link.partition("t=")[2]
    assert one_time
    assert ada.token is not None
    for token in (ada.token, made, one_time):
        for method, path in (
            ("GET", f"/api/auth/me?token={token}"), ("GET", f"/api/{token}"),
            ("GET", f"/api/entities/Note/{token}"), ("POST", f"/api/fn/{token}"),
            ("DELETE", f"/api/auth/sessions/{token}"), ("GET", f"/api/sync/ws?token={token}"),
            ("GET", f"/auth/link?t={token}"),
        ):  # fmt: skip
            await ada.ask(method, path)
        wrong = Caller(served, f"{token}x", None)
        assert (await wrong.get("/api/auth/me")).status == 401
        assert (await wrong.get("/api/admin/status")).status == 401
    assert (await owner.ask("GET", "/api/admin/backup")).status == 200
    for page in ("/auth/", "/auth/link?t=x"):
        assert (await served.anonymous().get(page)).headers["Referrer-Policy"] == "no-referrer"
    logs = str((await owner.get("/api/admin/logs")).body)
    commands = await _commands_of(served.pid)
    await _stopped(served)
    files = {**_everything_below(served.project), **_everything_below(served.state)}
    assert any(name.endswith("app.db") for name in files)
    for token in (ada.token, made, one_time, "s3cret-of-the-owner-0123456789"):
        assert token not in served.output
        assert token not in logs
        assert token not in commands
        assert [name for name, data in files.items()
                if token in name or token.encode() in data] == []  # fmt: skip


async def _stopped(served: ServedProject) -> None:
    """End the runtime, whose last lines are read then."""
    await served.stop()
    await asyncio.sleep(0)
