"""A runtime as the dashboard sees it, told by the test what to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, BinaryIO

from pylon.client.admin import AdminClient, AdminError
from pylon.client.ghost import Frame
from pylon.clock import SystemClock

_BEGAN = time.monotonic()
AT = "2026-11-24T12:00:00.000Z"
_STATUS_SECONDS = 0.5


class PutForward(SystemClock):
    """The machine's clock, put forward by the test."""

    ahead = 0.0

    def monotonic(self) -> float:
        """Return the time of now, and what it was put forward by."""
        return super().monotonic() + self.ahead


#: What screens ask again and again; a test that is not about it leaves it out.
_LOOKED_AT = ("admin/health", "admin/backups", "admin/doctor")


class ScriptedAdmin(AdminClient):
    """An admin client whose stream and answers come from the test."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")
        self.messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        #: Of those, what was posted.
        self.posted: list[str] = []
        self.answers: dict[str, Any] = {}
        #: The last status comes again and again, as from a runtime: a slow machine must not look
        #: like a dead one. Not where a test is about silence.
        self.repeats = True

    def say(self, *messages: dict[str, Any]) -> None:
        """Have these come over the stream."""
        for one in messages:
            self.messages.put_nowait(one)

    async def stream(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what the test says."""
        last: dict[str, Any] | None = None
        came = 0.0
        while True:
            try:
                async with asyncio.timeout(_STATUS_SECONDS):
                    message = await self.messages.get()
            except TimeoutError:
                if last is not None and self.repeats:
                    yield {**last, "uptime_s": last["uptime_s"] + time.monotonic() - came}
                continue
            if message is None:
                raise AdminError("the stream ended")
            if message["type"] == "status":
                last, came = message, time.monotonic()
            yield message

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Answer as told."""
        self.asked.append((path, params))
        return self._answer(path, params)

    async def post(
        self, path: str, body: dict[str, Any], *, is_patient: bool = False
    ) -> dict[str, Any]:
        """Answer as told."""
        self.asked.append((path, body))
        self.posted.append(path)
        return self._answer(path, body)

    async def call(
        self, name: str, args: dict[str, Any], user: str | None = None,
        on_part: Callable[[Any], None] | None = None,
    ) -> Any:  # fmt: skip
        """Answer as told."""
        return (await self.post("admin/call", {"fn": name, "args": args, "as": user}))["value"]

    def _answer(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, raise it, or call it with what was given."""
        if path in _LOOKED_AT and path not in self.answers:
            raise AdminError("the test does not tell it")
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = answer(given) if callable(answer) else answer
        return found

    async def download(self, path: str, target: BinaryIO) -> str:
        """Write the answer as told."""
        self.asked.append((path, {}))
        target.write(self._answer(path, {})["data"])
        return ""


def status(**changed: Any) -> dict[str, Any]:
    """Return a status message."""
    return {
        "type": "status", "app": "chat", "version": "1", "environment": "dev", "generation": 1,
        "schema": "abc", "project": "/p", "host": "127.0.0.1", "port": 4321, "pid": 77,
        "epoch": "e", "head": 0, "horizon": 0, "clients": 0, "writes": 0, "batches": 0,
        "commit_ms": 0.2, "errors": 0, "calls": 0, "loop_lag_ms": 0.4,
        "uptime_s": round(3.0 + time.monotonic() - _BEGAN, 1),
        "memory_mb": 52.0, "synchronous": "full", "sqlite": "3.45.0", "journal_mode": "wal",
        "has_wal_reset_fault": False, "database_bytes": 4096, "wal_bytes": 0, "health": "ok",
        "at": AT, **changed,
    }  # fmt: skip


def change(seq: int, **changed: Any) -> dict[str, Any]:
    """Return a change of the log's tail."""
    return {
        "seq": seq, "tx": seq, "at": AT, "entity": "Message", "row_id": f"row-{seq}",
        "kind": "insert", "user": "ada@example.com", "cause": "ws", "operation_id": None,
        # Rows here say their own name, so that tests find them in the list.
        "effect": changed.get("row_id", f"row-{seq}"), **changed,
    }  # fmt: skip


def changes(*found: dict[str, Any], dropped: int = 0) -> dict[str, Any]:
    """Return a message with changes."""
    return {"type": "changes", "changes": list(found), "dropped": dropped}


def client(name: str, **changed: Any) -> dict[str, Any]:
    """Return a client."""
    return {
        "connection_id": name, "client_id": f"client-{name}", "user_id": "u",
        "email": f"{name}@example.com", "address": "127.0.0.1", "user_agent": "Browser",
        "state": "live", "cursor": "e:7", "sent": 7, "lag_changes": 0, "lag_s": 0.0,
        "queued_bytes": 0, "subscriptions": [], "connected_at": AT, "last_seen": AT,
        "pending": 0, "round_trip_ms": None, "is_ghost": False, "network": None, **changed,
    }  # fmt: skip


def call(number: int, **changed: Any) -> dict[str, Any]:
    """Return a call of a function."""
    return {
        "id": number, "name": "markRead", "kind": "mutation", "user": "ada@example.com", "at": AT,
        "ms": 1.5, "wait_ms": 0.5, "run_ms": 1.0, "outcome": "done", "code": None, "rows_read": 4,
        "rows_written": 1, "statements": 2, "error": None, "cause": "http", "parent": None,
        "followers": None, **changed,
    }  # fmt: skip


def mail(number: int, **changed: Any) -> dict[str, Any]:
    """Return a mail that was sent."""
    return {
        "id": f"m{number}", "to": "ada@example.com", "subject": "Your code", "at": AT,
        "text": "Your code: ABC", "code": "GVSMX5Y5", **changed,
    }  # fmt: skip


def user(name: str, **changed: Any) -> dict[str, Any]:
    """Return an account as the list has it."""
    email = f"{name}@example.com"
    return {
        "id": f"id-{name}", "email": email, "roles": [], "state": "active", "disabled": False,
        "is_guest": False, "is_proven": True, "created_at": AT, "sessions": 1, "tokens": 0,
        "last_seen": AT, "key": email, **changed,
    }  # fmt: skip


def users(*found: dict[str, Any], following: str | None = None, total: int = 0) -> dict[str, Any]:
    """Return a page of accounts."""
    return {"users": list(found), "next": following, "total": total or len(found)}


def login(number: str, **changed: Any) -> dict[str, Any]:
    """Return a session, or a token."""
    return {
        "id": f"s-{number}", "kind": "session", "name": None, "current": False, "created_at": AT,
        "expires_at": "2027-01-01T00:00:00.000Z", "last_seen": AT, "device": number, "scope": None,
        **changed,
    }  # fmt: skip


def about_user(name: str, *sessions: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return all that the runtime tells of one account."""
    return {
        "user_id": f"id-{name}", "email": f"{name}@example.com", "roles": [], "state": "active",
        "disabled": False, "is_guest": False, "is_proven": True, "created_at": AT,
        "password": False, "totp": False, "recovery_left": 0, "identities": [],
        "sessions": list(sessions), "connections": 0, **changed,
    }  # fmt: skip


def details(one: dict[str, Any], *unseen: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return what the runtime tells of one client."""
    return {
        "client": one,
        "unseen": {"after": one["cursor"], "through": "e:9", "changes": list(unseen),
                   "more": False},
        "next": {"kind": "nothing"}, **changed,
    }  # fmt: skip


class ScriptedGhost:
    """A ghost that gets the frames which the test sends."""

    def __init__(self, on_frame: Callable[[Frame], None]) -> None:
        self.on_frame = on_frame
        self.opened: list[str | None] = []
        self.is_closed = False
        self.held: dict[str, list[dict[str, Any]]] = {}
        self.state = "live"
        self.cursor = "e:9"

    async def open(self, *, cursor: str | None = None) -> None:
        """Note where it was to begin."""
        self.opened.append(cursor)

    async def close(self) -> None:
        """Note that it left."""
        self.is_closed = True

    def counts(self) -> dict[str, int]:
        """Return what the test says that it holds."""
        return {name: len(rows) for name, rows in self.held.items()}

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """Return the rows that the test says it holds."""
        return self.held[entity]


def queue(name: str, **changed: Any) -> dict[str, Any]:
    """Return a queue with its counts."""
    return {
        "queue": name, "concurrency": 10, "per_second": None, "paused_at": None, "scheduled": 0,
        "available": 0, "running": 0, "completed": 0, "cancelled": 0, "dead": 0, **changed,
    }  # fmt: skip


def queues(
    *found: dict[str, Any], version: int = 1, completed: int = 0, failed: int = 0,
    schedules: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return a message about queues."""
    return {
        "type": "jobs", "version": version, "queues": list(found), "schedules": list(schedules),
        "ended": {"completed": completed, "failed": failed},
    }  # fmt: skip


def job(number: int, **changed: Any) -> dict[str, Any]:
    """Return a job as the list has it."""
    return {
        "id": f"job-{number}", "name": "ship", "queue": "default", "state": "completed",
        "user": "u-ada", "priority": 0, "due_at": AT, "key": None, "attempt": 1, "attempts": 11,
        "created_at": AT, "started_at": AT, "ended_at": AT, "error": None, "progress": None,
        "progress_text": None, "cause": "http", **changed,
    }  # fmt: skip


def jobs(*found: dict[str, Any], following: int | None = None) -> dict[str, Any]:
    """Return a page of jobs."""
    return {"jobs": list(found), "next": following, "queues": [], "schedules": []}


def figure(name: str, **changed: Any) -> dict[str, Any]:
    """Return a workflow with the counts of its runs."""
    return {
        "name": name, "is_declared": True, "running": 0, "parked": 0, "diverged": 0,
        "completed": 0, "failed": 0, "cancelled": 0, **changed,
    }  # fmt: skip


def run(number: int, **changed: Any) -> dict[str, Any]:
    """Return a run of a workflow as the list has it."""
    return {
        "id": f"run-{number}", "name": "fulfil", "state": "parked", "key": None, "user": "u-ada",
        "created_at": AT, "ended_at": None, "wake_at": None, "steps": 1, "error": None,
        "cause": "http", "origin": None, "waits": [], **changed,
    }  # fmt: skip


def wait(step: str, kind: str, name: str, **changed: Any) -> dict[str, Any]:
    """Return what a run waits for."""
    return {
        "step": step, "kind": kind, "name": name, "since": AT, "until": None, "run": None,
        "attempt": 0, **changed,
    }  # fmt: skip


def runs(
    *found: dict[str, Any], figures: tuple[dict[str, Any], ...] = (), following: int | None = None
) -> dict[str, Any]:
    """Return a page of runs."""
    return {"runs": list(found), "next": following, "workflows": list(figures)}


def record(step: str, name: str, **changed: Any) -> dict[str, Any]:
    """Return a line of a journal."""
    return {
        "step": step, "seq": 1, "kind": "step", "name": name, "fn": name, "args": {}, "attempt": 1,
        "failures": 0, "begun_at": AT, "ended_at": AT, "due_at": None, "result": None,
        "error": None, "place": "app.py:7", "run": None, **changed,
    }  # fmt: skip


def about_run(one: dict[str, Any], *journal: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return all that the runtime tells of one run."""
    return {
        **one, "args": {}, "result": None, "details": None, "traceback": None, "parent": None,
        "bytes": 0, "lost": 0, "signals": [], "journal": list(journal), **changed,
    }  # fmt: skip


def stored(number: int, **changed: Any) -> dict[str, Any]:
    """Return a file as the list has it."""
    return {
        "id": f"file-{number}", "url": f"/api/files/file-{number}", "size": 2048,
        "type": "image/png", "sha256": "ab" * 32, "name": "cat.png", "state": "owned", "since": AT,
        "created_at": AT, "uploader": "u-ada", "email": "ada@example.com", "leaves_at": None,
        "owners": [{"entity": "Doc", "row_id": "row-1", "field": "file"}], **changed,
    }  # fmt: skip


def files(
    *found: dict[str, Any], uploads: tuple[dict[str, Any], ...] = (), following: str | None = None,
    count: int | None = None, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return a page of files with totals, quotas and open uploads."""
    states = {
        name: {"files": sum(one["state"] == name for one in found),
               "bytes": sum(one["size"] for one in found if one["state"] == name)}
        for name in ("fresh", "owned", "released")
    }  # fmt: skip
    size = sum(one["size"] for one in found)
    return {
        "files": list(found), "next": following, "uploads": list(uploads),
        "totals": {**states, "files": len(found) if count is None else count, "bytes": size,
                   "blobs": 1, "stored_bytes": size, "uploads": len(uploads)},
        "by_uploader": [{"uploader": one["uploader"], "email": one["email"], "files": 1,
                         "bytes": one["size"]} for one in found[:2]],
        "settings": {"max_mb": 10, "quota_mb": 0, "total_mb": 0, "backend": "disk", **settings},
    }  # fmt: skip


def argument(name: str, schema: dict[str, Any], type_: str, **more: Any) -> dict[str, Any]:
    """Return an argument: required, unless a default is given."""
    return {
        "name": name, "type": type_, "schema": schema, "required": "default" not in more, **more,
    }  # fmt: skip


def function(name: str, *arguments: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a function with its counts."""
    types = ", ".join(f"{one['name']}: {one['type']}" for one in arguments)
    return {
        "name": name, "kind": "mutation", "signature": f"{name}({types}): string", "doc": None,
        "arguments": list(arguments), "returns": "string", "part": None, "internal": False,
        "built_in": False, "timeout_s": 0.2, "rate": None, "queue": None, "allow": None,
        "allow_in_words": "whoever is signed in", "place": "app.py:12", "running": 0, "calls": 0,
        "errors": 0, "refused": 0, "per_minute": 0, "p50_ms": None, "p99_ms": None, "rows_read": 0,
        "rows_written": 0, "last_at": None, "last_error": None,
        "live": None, "followed": [], **changed,
    }  # fmt: skip


def functions(*found: dict[str, Any]) -> dict[str, Any]:
    """Return a message with all functions."""
    return {"type": "functions", "functions": list(found)}


def waiting(plan: str, hash_: str) -> dict[str, Any]:
    """Return the schema of an app of which a migration waits."""
    return {
        "entities": [], "counts_uses": True, "clients": 0, "data": [],
        "plan": {"text": plan, "hash": hash_, "blockers": []},
    }  # fmt: skip
