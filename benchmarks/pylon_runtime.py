"""The Pylon side: a runtime in serve mode, durability full, on a copy of the bench app."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load import Connection, request_bytes, until_healthy

_APP = Path(__file__).parent / "app"
#: With it no start would be that of an installed Pylon, which is compiled.
_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE",)


class PylonRuntime:
    """One runtime process with a user and his API token."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.host = f"127.0.0.1:{port}"
        self.token = ""
        self.user_id = ""
        self.start_seconds = 0.0
        self.admin_token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> PylonRuntime:
        """Start the runtime on a fresh database and mint a token."""
        project = self.folder / "project"
        if not project.exists():
            shutil.copytree(_APP, project, ignore=shutil.ignore_patterns(".pylon", "__pycache__"))
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "pylon.server", "--project", str(project),
                "--mode", "serve", "--migrate", "--port", str(self.port), "--detach",
            ],
            env={
                **{name: one for name, one in os.environ.items() if name not in _LEFT_OUT},
                "PYLON_STATE_DIR": str(self.folder / "state"),
                "PYLON_ADMIN_TOKEN": self.admin_token,
                "PYLON_FILES_MAX_MB": "2000",
            },
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        await until_healthy(lambda: self._healthy())
        self.start_seconds = time.perf_counter() - started
        made = await self.ask(
            "POST", "/api/admin/token", {"user": "u@example.com", "days": 1}, self.admin_token
        )
        self.token, self.user_id = made["token"], made["user_id"]
        return self

    async def stop(self) -> None:
        """End the process cleanly."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)

    async def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask the admin surface."""
        return await self.ask(method, f"/api/admin/{path}", body, self.admin_token)

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
            request_bytes(method, path, self.host, token=token or self.token, body=text)
        )
        line.close()
        if status >= 400:
            raise RuntimeError(f"Pylon {method} {path}: {status} {answer[:400]!r}")
        return json.loads(answer) if answer else {}

    def item(self, n: int) -> dict[str, Any]:
        """Return the n-th row's fields."""
        return {"ownerId": self.user_id, "title": f"title {n}", "body": "x" * 100, "count": n}
