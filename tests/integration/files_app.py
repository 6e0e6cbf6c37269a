"""An app with files, in this process behind a real socket, and callers who bring and take them."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from pylon import jsonvalue
from pylon.server.http.connections import PatientServer
from pylon.server.http.gate import Gate, known_names
from pylon.server.http.table import make_router
from pylon.testing import running
from pylon.testing.harness import Running

_LARGE_BYTES: Final = 1_000_000
FILES = """
from __future__ import annotations

from typing import Literal

from pylon import App, Entity, File, Ref, actor, field

app = App("files")


@app.entity(
    read="auth.userId == data.ownerId || data.shared == true",
    insert="auth.userId == data.ownerId", update="auth.userId == data.ownerId",
    delete="auth.userId == data.ownerId || hasRole('moderator')",
)
class Doc(Entity):
    ownerId: Ref["User"] = field(default=actor)
    title: str = ""
    shared: bool = False
    file: File | None = None
    draft: File | None = field(default=None, read="auth.userId == data.ownerId")
    secret: File | None = field(default=None, private=True)


@app.entity(read="auth.userId != null", insert="auth.userId != null", update="true", delete="true")
class Picture(Entity):
    image: File
    docId: Ref["Doc"] | None = field(default=None, on_delete="cascade")


@app.entity(
    read="data.proof != null", insert="data.proof != null", update="auth.userId != null",
    delete="false",
)
class Claim(Entity):
    proof: File | None = None


@app.query
def files_of(ctx) -> list[Doc]:
    return ctx.db.list(Doc)


@app.query
def name_of(ctx, doc: str) -> str | None:
    found = ctx.db.get(Doc, doc)
    return found and found.file and f"{found.file.name} {found.file.size} {found.file.type}"


@app.query
def known(ctx, file: str) -> File | None:
    return ctx.files.get(file)


@app.mutation
def drop(ctx, file: str, fail: bool = False) -> None:
    ctx.files.delete(file)
    if fail:
        raise RuntimeError


@app.action
async def shout(ctx, file: str, doc: str, chunked: bool = False) -> File:
    if chunked:
        async with ctx.files.open(file, 1) as chunks:
            text = b"".join([chunk async for chunk in chunks]).decode()
    else:
        text = (await ctx.files.read(file)).decode()
    made = await ctx.files.create(text.upper(), name="../loud.txt", type="text/plain")
    await ctx.run(put, doc=doc, file=made.id)
    return made


@app.action
async def as_system(ctx, file: str) -> str:
    with ctx.as_system():
        return (await ctx.files.read(file)).decode()


@app.mutation
def put(ctx, doc: str, file: str | None) -> Doc:
    return ctx.db.update(Doc, doc, file=file)
"""


@dataclass(frozen=True, slots=True)
class Got:
    """What came back, with the body as bytes and, where it is JSON, as a value."""

    status: int
    headers: Any
    data: bytes
    body: Any

    @property
    def code(self) -> str | None:
        """Return the code of an error."""
        return self.body["error"]["code"] if isinstance(self.body, dict) and "error" in self.body \
            else None  # fmt: skip

    def json(self) -> Any:
        """Return the body as JSON."""
        return jsonvalue.parse(self.data)


class Person:
    """Somebody who talks to the runtime over HTTP."""

    def __init__(self, front: Front, token: str | None, user_id: str | None) -> None:
        self.front, self.token, self.user_id = front, token, user_id

    async def ask(self, method: str, path: str, data: Any = None, **headers: str | None) -> Got:
        """Send one request; a header's name has `_` for `-`, None leaves it out."""
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        given |= {key.replace("_", "-"): one for key, one in headers.items() if one is not None}
        if isinstance(data, dict):
            data = jsonvalue.encode(data)
            given.setdefault("Content-Type", "application/json")
        if isinstance(data, bytes) and len(data) > _LARGE_BYTES:
            data = io.BytesIO(data)  # in chunks: one large one would hold the loop up
        async with self.front.session.request(
            method, self.front.url + path, data=data, headers=given, allow_redirects=False
        ) as answer:
            raw = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "") and raw
            value = jsonvalue.parse(raw) if is_json and answer.status not in (200, 206) else None
            if is_json and value is None and not path.startswith("/api/files/"):
                value = jsonvalue.parse(raw)
            return Got(answer.status, answer.headers, raw, value)

    async def upload(
        self, data: bytes, name: str = "a.txt", kind: str = "text/plain", **headers: str
    ) -> dict[str, Any]:
        """Bring a file; returns its object."""
        got = await self.ask(
            "POST", "/api/files", data, X_Filename=name, Content_Type=kind, **headers
        )
        assert got.status == 201, got
        assert got.body["sha256"] == hashlib.sha256(data).hexdigest()
        found: dict[str, Any] = got.body
        return found

    async def insert(self, entity: str, **values: Any) -> dict[str, Any]:
        """Insert a row; returns it."""
        got = await self.ask("POST", f"/api/entities/{entity}", values)
        assert got.status == 201, got
        found: dict[str, Any] = got.body
        return found

    async def status_of(self, file_id: str) -> int:
        """Return what a GET of a file answers; a HEAD must answer the same."""
        got = await self.ask("GET", f"/api/files/{file_id}")
        assert (await self.ask("HEAD", f"/api/files/{file_id}")).status == got.status
        part = await self.ask("GET", f"/api/files/{file_id}", Range="bytes=0-0")
        assert part.status == (206 if got.status == 200 else got.status)
        return got.status


class Front:
    """The runtime's HTTP side on a real socket."""

    def __init__(self, rt: Running, session: aiohttp.ClientSession, port: int) -> None:
        self.rt, self.session, self.port = rt, session, port
        self.url = f"http://127.0.0.1:{port}"

    @property
    def folder(self) -> Path:
        """Return where the files lie."""
        return self.rt.runtime.services.files.store.folder

    def blobs(self) -> list[str]:
        """Return the hashes of what lies on disk."""
        return sorted(one.name for one in (self.folder / "blobs").glob("*/*"))

    def leftovers(self) -> list[str]:
        """Return what is in `tmp/`."""
        return sorted(one.name for one in (self.folder / "tmp").iterdir())

    async def person(self, email: str, *, roles: frozenset[str] = frozenset()) -> Person:
        """Return somebody who is signed in."""
        services = self.rt.runtime.services
        user = await services.accounts.ensure(email, roles)
        issued = await services.sessions.issue(user)
        return Person(self, issued.token, user.id)

    def nobody(self) -> Person:
        """Return somebody who is not signed in."""
        return Person(self, None, None)

    async def sweep(self, seconds: float = 0.0) -> None:
        """Have time pass and the sweeper look."""
        await self.rt.advance(seconds)
        services = self.rt.runtime.services
        await services.files.sweeper.sweep(now_ms=services.clock.now_ms(), is_full=True)


@asynccontextmanager
async def files_front(folder: Path, *, app: str = FILES, toml: str = "") -> AsyncIterator[Front]:
    """Run an app with files and serve it on a socket."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(app)
    if toml:
        (folder / "pylon.toml").write_text(toml)
    async with (
        running(folder) as rt,
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session,
    ):
        services = rt.runtime.services
        gate = Gate(services, make_router(is_dev=True), is_local_socket=False)
        server = PatientServer(gate.handle)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        hosts, origins = known_names("127.0.0.1", port, ())
        services.known_hosts |= hosts  # replicas come over the network in memory
        services.known_origins |= origins
        try:
            yield Front(rt, session, port)
        finally:
            listening.close()
            server.pre_shutdown()
            await server.shutdown(0.0)
