"""Somebody who brings files to a runtime that is killed over and over, and what must hold then.

A file is wholly there, with the right bytes, once, and counted; or it is not there at all, and can
be sent again or gone on with. Nothing is left lying: no piece, no bytes, no picture (I77-I80).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import sqlite3
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from pylon.client.admin import AdminClient, AdminError
from pylon.server.storage import files
from pylon.testing.file_crash_points import IMAGING, RESUMING, SWEEPING
from pylon.testing.served import Answer, Caller
from tests.integration.files_app import FILES
from tests.integration.killing import KilledProject

BYTES = "application/octet-stream"
_CUT = (OSError, ClientError, TimeoutError, ConnectionError, AdminError)


@dataclass(slots=True)
class Owed:
    """An upload that has no answer yet."""

    data: bytes
    #: Of one in one request: the operation id that it is repeated by.
    key: str | None = None
    #: Of one in pieces, once it is known.
    url: str | None = None


class UploadWorld:
    """One project over many kills."""

    def __init__(self, folder: Path, seed: int, *, toml: str = "") -> None:
        self.chance = random.Random(seed)
        project = folder / "app"
        project.mkdir(parents=True)
        (project / "app.py").write_text(FILES)
        if toml:
            (project / "pylon.toml").write_text(toml)
        self.served = KilledProject(project, folder / "state")
        self.ada: Caller
        self.user_id = ""
        #: By id: the bytes of each file that was answered, or whose upload was finished later.
        self.files: dict[str, bytes] = {}
        self.owed: list[Owed] = []
        #: Uploads that were begun, or not: nobody was told.
        self.unheard = 0
        self.kills = 0
        #: A file that is to go, while nobody knows yet how far that came.
        self._going: str | None = None
        self._keys = self._pictures = 0

    @property
    def folder(self) -> Path:
        """Return where the files lie."""
        return self.served.project / ".pylon" / "files"

    async def found(self) -> None:
        """Start, and sign in."""
        await self.served.start()
        self.ada = await self.served.login("ada@example.com")
        assert self.ada.user_id is not None
        self.user_id = self.ada.user_id

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask as the owner."""
        socket = next((self.served.state / "run").glob("*/admin.sock"))
        admin = AdminClient("http://127.0.0.1", socket_path=socket)
        try:
            return await (admin.get(path) if method == "GET" else admin.post(path, body))
        finally:
            await admin.close()

    # --- what is done

    def bytes(self) -> bytes:
        """Return what a file is made of: new, of one chunk or several, or that of another file."""
        if self.files and self.chance.random() < 0.2:
            return self.chance.choice(list(self.files.values()))
        return self.chance.randbytes(self.chance.choice([1, 5_000, 300_000, 700_000]))

    async def bring(self, data: bytes | None = None) -> None:
        """Bring a file in one request."""
        self._keys += 1
        owed = Owed(self.bytes() if data is None else data, key=f"upload-{self._keys}")
        self.owed.append(owed)
        await self._bring(owed)

    async def _bring(self, owed: Owed) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(owed.data), 100_000):
                yield owed.data[start : start + 100_000]
                await asyncio.sleep(0)

        assert owed.key is not None
        async with self.served.session.post(
            f"{self.served.url}/api/files", data=chunks(),
            headers={**self.ada.headers, "X-Filename": "a.bin", "Content-Type": BYTES,
                     "Idempotency-Key": owed.key},
        ) as answer:  # fmt: skip
            self._answered(owed, answer.status, await answer.json())

    def _answered(self, owed: Owed, status: int, body: Any) -> None:
        assert status == 201, body
        assert body["sha256"] == hashlib.sha256(owed.data).hexdigest()
        assert self.files.get(body["id"], owed.data) == owed.data
        self.files[body["id"]] = owed.data
        self.owed.remove(owed)

    async def begin(self, data: bytes | None = None) -> Owed:
        """Begin an upload in pieces."""
        data = data or self.chance.randbytes(self.chance.choice([5_000, 300_000, 700_000]))
        self.unheard += 1
        answer = await self.ada.ask(
            "POST", "/api/files?resumable=1",
            headers={"Upload-Length": str(len(data)), "X-Filename": "a.bin", "Content-Type": BYTES},
        )  # fmt: skip
        assert answer.status == 201, answer
        self.unheard -= 1
        owed = Owed(data, url=answer.body["url"])
        self.owed.append(owed)
        return owed

    async def go_on(self, owed: Owed, pieces: int = 100) -> None:
        """Send the next pieces of an upload, from where the runtime says it is."""
        assert owed.url is not None
        shown = await self.ada.get(owed.url)
        assert shown.status == 200, shown
        offset = shown.body["offset"]
        assert 0 <= offset <= len(owed.data)
        for _ in range(pieces):
            answer = await self._patch(owed, offset, owed.data[offset : offset + 270_000])
            if answer.status == 201:
                self._answered(owed, 201, answer.body)
                return
            assert answer.status == 200, answer
            offset = answer.body["offset"]

    async def _patch(self, owed: Owed, offset: int, data: bytes) -> Answer:
        assert owed.url is not None
        headers = {"Upload-Offset": str(offset), "Content-Type": BYTES}
        return await self.ada.ask("PATCH", owed.url, data=data, headers=headers)

    async def bring_in_pieces(self) -> None:
        """Begin an upload, and send all of it."""
        await self.go_on(await self.begin())

    async def own_and_drop(self) -> None:
        """Put a file into a row, delete that, and sweep: the file is to go."""
        file_id = self._going = next(reversed(self.files))
        doc = await self.ada.insert("Doc", file=file_id)
        gone = await self.ada.ask("DELETE", f"/api/entities/Doc/{doc['id']}")
        assert gone.status == 204
        del self.files[file_id]
        self._going = None
        await self.admin("POST", "admin/files/sweep", {"now": True})

    async def look_at_picture(self) -> None:
        """Bring a picture, and look at it in another width."""
        self._pictures += 1
        data = _picture(self._pictures)
        answer = await self.ada.ask(
            "POST", "/api/files", data=data,
            headers={"X-Filename": "a.png", "Content-Type": "image/png"},
        )  # fmt: skip
        assert answer.status == 201, answer
        self.files[answer.body["id"]] = data
        shown = await self.ada.get(f"{answer.body['url']}?w=64")
        assert shown.status == 200, shown

    # --- killing

    async def cut(self, work: Awaitable[Any]) -> None:
        """Do something until the connection ends."""
        with suppress(*_CUT):
            await work

    async def kill_at(self, label: str, number: int, *, is_whole: bool) -> None:
        """Start, do what passes a point, and die where it is passed for the n-th time."""
        await self._prepare(label)
        await self.served.stop(signal.SIGKILL)
        code = await self.served.start_until(f"{label}:{number}")
        if code is None:
            works = self._works(label, is_whole=is_whole)
            working = asyncio.create_task(self._repeat(works))
            assert await self.served.killed(30), f"{label}:{number} is not passed"
            await working
        self.kills += 1

    async def _prepare(self, label: str) -> None:
        """Have there be what a point is passed with."""
        if label in SWEEPING:
            await self.look_at_picture()
            (self.folder / "tmp" / "left-behind").write_bytes(b"x")
        elif label.startswith("file.resume"):
            await self.go_on(await self.begin(self.chance.randbytes(700_000)), 1)

    def _works(self, label: str, *, is_whole: bool) -> Any:
        if label in SWEEPING:
            return self.own_and_drop
        if label in IMAGING:
            return self.look_at_picture
        if label in RESUMING:
            return self._resume_all
        return self.bring if is_whole else self.bring_in_pieces

    async def _resume_all(self) -> None:
        for owed in [one for one in self.owed if one.url is not None]:
            await self.go_on(owed)
        await self.go_on(await self.begin(self.chance.randbytes(700_000)), 1)

    async def _repeat(self, work: Any) -> None:
        with suppress(*_CUT):
            for _ in range(20):
                await work()

    async def kill_at_random(self) -> None:
        """Work in four ways at once, and die at no chosen moment."""
        await self.served.start()
        load = [
            asyncio.create_task(self._repeat(one))
            for one in (self.bring, self.bring, self.bring_in_pieces, self.look_at_picture)
        ]
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        await self.served.stop(signal.SIGKILL)
        await asyncio.gather(*load)
        self.kills += 1

    # --- what must hold

    async def check(self) -> None:
        """Start; send again what had no answer; then look at everything there is."""
        await self.served.start()
        self._adopt()
        await self._let_go()
        for owed in list(self.owed):
            await (self._bring(owed) if owed.url is None else self.go_on(owed))
        await self.admin("POST", "admin/files/sweep", {"now": True})
        verified = await self.admin("GET", "admin/files-verify?hash=1")
        assert verified["ok"], verified
        assert verified["orphans"] == 0, verified
        with closing(self._database()) as database:
            rows = dict(database.execute("SELECT id, sha256 FROM _pylon_files").fetchall())
            hashes = {one: hashlib.sha256(data).hexdigest() for one, data in self.files.items()}
            assert rows == hashes, "each file once, and none that nobody brought"
            uploads = database.execute(
                "SELECT id, length FROM _pylon_uploads WHERE file IS NULL"
            ).fetchall()
            assert len(uploads) <= self.unheard
            used = files.used_bytes(database, self.user_id)  # type: ignore[arg-type]
        assert used == sum(map(len, self.files.values())) + sum(size for _, size in uploads)
        left = {one.name for one in (self.folder / "tmp").iterdir()}
        assert left <= {name for name, _ in uploads}
        pictures = {one.name.partition("-")[0] for one in (self.folder / "images").iterdir()}
        assert pictures <= set(hashes.values()), "no picture of a file that is gone"
        await self._read_some()

    async def _let_go(self) -> None:
        """Go on where a file was to go: once a row had it, it goes with that row."""
        file_id, self._going = self._going, None
        if file_id is None:
            return
        with closing(self._database()) as database:
            docs = database.execute(
                'SELECT id FROM "Doc" WHERE instr(file, ?)', (file_id,)
            ).fetchall()
            was_owned = database.execute(
                "SELECT 1 FROM _pylon_log WHERE entity = 'Doc' AND instr(after, ?)", (file_id,)
            ).fetchone()
        for (doc,) in docs:
            gone = await self.ada.ask("DELETE", f"/api/entities/Doc/{doc}")
            assert gone.status == 204, gone
        if was_owned:
            del self.files[file_id]

    def _adopt(self) -> None:
        """Know of pictures whose answer was lost: they were brought without an operation id."""
        made = [_picture(one) for one in range(1, self._pictures + 1)]
        known = {hashlib.sha256(one).hexdigest(): one for one in made}
        with closing(self._database()) as database:
            for one, sha256 in database.execute("SELECT id, sha256 FROM _pylon_files").fetchall():
                if one not in self.files and sha256 in known:
                    self.files[one] = known[sha256]

    def _database(self) -> sqlite3.Connection:
        path = self.served.project / ".pylon" / "app.db"
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    async def _read_some(self) -> None:
        for one in self.chance.sample(list(self.files), min(3, len(self.files))):
            async with self.served.session.get(
                f"{self.served.url}/api/files/{one}", headers=self.ada.headers
            ) as answer:
                assert await answer.read() == self.files[one]

    async def let_expire(self) -> None:
        """Have all that was begun and never heard of be old: it goes, with what it counted."""
        assert await self.served.stop() == 0
        path = self.served.project / ".pylon" / "app.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("UPDATE _pylon_uploads SET expires_at = 0 WHERE file IS NULL")
            database.commit()
        self.unheard = 0
        await self.check()


def _picture(number: int) -> bytes:
    """Return a small PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    size = 96
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    lines = (b"\0" + number.to_bytes(2, "big") * (size // 2)) * size
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) \
        + chunk(b"IEND", b"")  # fmt: skip
