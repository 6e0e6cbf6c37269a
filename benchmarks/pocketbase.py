"""The PocketBase side: start it on a temporary folder and give it the twin of the bench app."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load import Connection, request_bytes, until_healthy

OWNER_RULE = "@request.auth.id != '' && @request.body.owner = @request.auth.id"
READ_RULE = "@request.auth.id != ''"
_SUPERUSER = ("bench@example.com", "bench-password-1")


class PocketBase:
    """One PocketBase process with a collection `items`, a user and his token."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.host = f"127.0.0.1:{port}"
        self.token = ""
        self.user_id = ""
        self.start_seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> PocketBase:
        """Start the server, create the collection and sign a user in."""
        binary = str(Path(sys.executable).with_name("pocketbase"))
        folder = str(self.folder / "pb_data")
        subprocess.run(
            [binary, "superuser", "upsert", *_SUPERUSER, "--dir", folder],
            check=True, capture_output=True,
        )  # fmt: skip
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [binary, "serve", f"--http={self.host}", "--dir", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await until_healthy(lambda: self._healthy())
        self.start_seconds = time.perf_counter() - started
        await self._set_up()
        return self

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)

    async def _healthy(self) -> bool:
        line = await Connection("127.0.0.1", self.port).open()
        status, _ = await line.ask(request_bytes("GET", "/api/health", self.host))
        line.close()
        return status == 200

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> dict[str, Any]:
        """Send one JSON request and return the JSON answer."""
        line = await Connection("127.0.0.1", self.port).open()
        text = b"" if body is None else json.dumps(body).encode()
        status, answer = await line.ask(
            request_bytes(method, path, self.host, token=token, body=text)
        )
        line.close()
        if status >= 400:
            raise RuntimeError(f"PocketBase {method} {path}: {status} {answer[:400]!r}")
        return json.loads(answer) if answer else {}

    async def _set_up(self) -> None:
        auth = await self.ask(
            "POST", "/api/collections/_superusers/auth-with-password",
            {"identity": _SUPERUSER[0], "password": _SUPERUSER[1]},
        )  # fmt: skip
        admin = auth["token"]
        await self.ask(
            "PATCH", "/api/settings",
            {"batch": {"enabled": True, "maxRequests": 1000, "timeout": 30}}, admin,
        )  # fmt: skip
        await self.ask(
            "POST", "/api/collections",
            {
                "name": "items", "type": "base",
                "listRule": READ_RULE, "viewRule": READ_RULE, "createRule": OWNER_RULE,
                "updateRule": READ_RULE, "deleteRule": READ_RULE,
                "fields": [
                    {"name": "owner", "type": "text"}, {"name": "title", "type": "text"},
                    {"name": "body", "type": "text", "max": 5000},
                    {"name": "count", "type": "number"},
                ],
            },
            admin,
        )  # fmt: skip
        await self.ask(
            "POST", "/api/collections/users/records",
            {"email": "u@example.com", "password": "12345678", "passwordConfirm": "12345678"},
            admin,
        )  # fmt: skip
        user = await self.ask(
            "POST", "/api/collections/users/auth-with-password",
            {"identity": "u@example.com", "password": "12345678"},
        )  # fmt: skip
        self.token, self.user_id = user["token"], user["record"]["id"]

    def item(self, n: int) -> dict[str, Any]:
        """Return the n-th row's fields."""
        return {"owner": self.user_id, "title": f"title {n}", "body": "x" * 100, "count": n}
