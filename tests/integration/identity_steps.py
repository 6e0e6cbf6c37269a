"""What people do with who they are, step by step, for a runtime that is killed in the middle.

A step gets everything ready, then returns what is done while the runtime dies and what must hold
after the next start: all of it or nothing.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError

from pylon.client.admin import AdminClient, AdminError
from pylon.server.auth.totp import totp_code
from pylon.testing.served import Answer, Caller
from tests.integration.killing import KilledProject
from tests.integration.oidc_provider import OidcProvider

WORDS, OTHER = "correct horse battery", "another staple entirely"
Rows = Callable[..., list[tuple[Any, ...]]]
#: Done while the runtime dies; what it answered, if it came to that.
Act = Callable[[], Awaitable[Any]]
#: Given what was answered (None: it was cut off) and how to ask the file.
Check = Callable[[Any, Rows], Awaitable[None]]
Step = Callable[["People"], Awaitable[tuple[Act, Check]]]


class People:
    """Those who use one project; everybody is somebody new."""

    def __init__(self, served: KilledProject, provider: OidcProvider) -> None:
        self.served = served
        self.provider = provider
        self._number = 0

    def new(self) -> str:
        """Return an address that nobody had."""
        self._number += 1
        return f"p{self._number}@example.com"

    def again(self, caller: Caller) -> Caller:
        """Return the caller at the runtime of now."""
        return Caller(self.served, caller.token, caller.user_id)

    def code(self, email: str) -> str | None:
        """Return the code of the newest mail to an address."""
        found = None
        for path in sorted((self.served.project / ".pylon" / "outbox").glob("*.eml")):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            if mail["To"] == email and body is not None:
                found = body.get_content().replace("\r\n", "\n").split("\n\n")[1].strip()
        return found

    async def send(self, email: str) -> str:
        """Ask for a code and return it."""
        before = self.code(email)
        answer = await self.served.anonymous().post("/api/auth/magic/send", {"email": email})
        assert answer.status in (200, 202), answer
        end = time.monotonic() + 60
        while (found := self.code(email)) in (None, before):
            assert time.monotonic() < end, "no mail came"
        assert found is not None
        return found

    async def registered(self) -> tuple[str, Caller]:
        """Return somebody with a password."""
        email = self.new()
        given = {"email": email, "password": WORDS}
        made = await self.served.anonymous().post("/api/auth/password/register", given)
        assert made.status in (200, 201), made
        return email, Caller(self.served, made.body["token"], made.body["user_id"])

    async def can_log_in(self, email: str, password: str) -> bool:
        """Tell whether a password opens an account."""
        given = {"email": email, "password": password}
        return (await self.served.anonymous().post("/api/auth/password/login", given)).status == 200


async def cut_off(act: Act) -> Any:
    """Do it; None where the runtime died before it answered."""
    with suppress(OSError, ClientError, TimeoutError, AdminError):
        return await act()
    return None


def _count(rows: Rows, sql: str, *params: Any) -> int:
    return int(rows(f"SELECT count(*) FROM {sql}", params)[0][0])


async def is_in(caller: Caller) -> bool:
    """Tell whether a token works."""
    return (await caller.get("/api/auth/me")).status == 200


# --- the steps


async def send_code(people: People) -> tuple[Act, Check]:
    """A code and the job that mails it are one."""
    email = people.new()

    async def act() -> Answer:
        given = {"email": email}
        return await people.served.anonymous().post("/api/auth/magic/send", given)

    async def check(answer: Any, rows: Rows) -> None:
        codes = _count(rows, "_pylon_codes WHERE email = ?", email)
        assert codes == 1 if answer is not None else codes <= 1
        end = time.monotonic() + 60
        while codes and people.code(email) is None:
            assert time.monotonic() < end, "there is a code, and no mail of it"
            await is_in(people.served.anonymous())

    return act, check


async def sign_up(people: People) -> tuple[Act, Check]:
    """A code is used up exactly where there is an account; there is never a second one."""
    email = people.new()
    given = {"email": email, "code": await people.send(email)}

    async def act() -> Answer:
        return await people.served.anonymous().post("/api/auth/magic/verify", given)

    async def check(answer: Any, rows: Rows) -> None:
        found = rows("SELECT id FROM _pylon_accounts WHERE email = ?", (email,))
        used = _count(rows, "_pylon_codes WHERE email = ? AND used = 1", email)
        assert len(found) == used
        assert len(found) == 1 or answer is None
        for (user_id,) in found:
            assert _count(rows, "_pylon_sessions WHERE user_id = ?", user_id) == 1
        code = await people.send(email)
        again = await people.served.anonymous().post(
            "/api/auth/magic/verify", {"email": email, "code": code}
        )
        assert again.status == 200
        assert found in ([], [(again.body["user_id"],)])

    return act, check


async def register(people: People) -> tuple[Act, Check]:
    """Account, row and password are one."""
    email = people.new()

    async def act() -> Answer:
        given = {"email": email, "password": WORDS}
        return await people.served.anonymous().post("/api/auth/password/register", given)

    async def check(answer: Any, rows: Rows) -> None:
        there = _count(rows, "_pylon_accounts WHERE email = ?", email)
        assert there or answer is None
        assert await people.can_log_in(email, WORDS) is bool(there)

    return act, check


async def change_password(people: People) -> tuple[Act, Check]:
    """The new password counts exactly where the other sessions are over."""
    email, ada = await people.registered()
    given = {"email": email, "password": WORDS}
    other = await people.served.anonymous().post("/api/auth/password/login", given)

    async def act() -> Answer:
        return await ada.post("/api/auth/password/change", {"password": OTHER, "current": WORDS})

    async def check(answer: Any, rows: Rows) -> None:
        is_new = await people.can_log_in(email, OTHER)
        assert is_new or answer is None
        assert await people.can_log_in(email, WORDS) is not is_new
        assert await is_in(Caller(people.served, other.body["token"], None)) is not is_new
        assert await is_in(people.again(ada))

    return act, check


async def make_and_revoke_token(people: People) -> tuple[Act, Check]:
    """What was answered as ended is over."""
    ada = await people.served.login(people.new())
    token = (await ada.post("/api/auth/tokens", {"name": "robot"})).body

    async def act() -> Answer:
        return await ada.ask("DELETE", f"/api/auth/sessions/{token['id']}")

    async def check(answer: Any, rows: Rows) -> None:
        works = await is_in(Caller(people.served, token["token"], None))
        assert works is bool(_count(rows, "_pylon_sessions WHERE id = ?", token["id"]))
        assert not (works and answer is not None)
        assert await is_in(people.again(ada))

    return act, check


async def grant_role(people: People) -> tuple[Act, Check]:
    """Roles and the mark that makes older cursors start over are one."""
    email = people.new()
    ada = await people.served.login(email)

    async def act() -> Any:
        admin = AdminClient.local(people.served.project, people.served.port)
        try:
            return await admin.post("admin/roles", {"user": email, "role": "chief", "grant": True})
        finally:
            await admin.close()

    async def check(answer: Any, rows: Rows) -> None:
        (roles,) = rows("SELECT roles FROM _pylon_accounts WHERE email = ?", (email,))[0]
        marks = _count(rows, "_pylon_meta WHERE key = ?", f"identity {ada.user_id}")
        assert (roles, marks) in (('["chief"]', 1), ("[]", 0))
        assert marks or answer is None
        told = (await people.again(ada).get("/api/auth/me")).body["roles"]
        assert told == (["chief"] if marks else [])

    return act, check


async def delete_account(people: People) -> tuple[Act, Check]:
    """Everything of somebody goes, or nothing."""
    email, ada = await people.registered()
    await ada.insert("Message", text="mine", roomId="r1", ownerId=ada.user_id)

    async def act() -> Answer:
        return await ada.ask("DELETE", "/api/auth/me", {"current": WORDS})

    async def check(answer: Any, rows: Rows) -> None:
        left = [
            _count(rows, f"{table} WHERE {column} = ?", ada.user_id)
            for table, column in (
                ("_pylon_accounts", "id"), ("_pylon_passwords", "user_id"),
                ("_pylon_sessions", "user_id"), ("User", "id"), ("Message", "ownerId"),
            )
        ]  # fmt: skip
        assert left in ([0] * 5, [1] * 5)
        assert not (left[0] and answer is not None)
        assert await people.can_log_in(email, WORDS) is bool(left[0])

    return act, check


async def confirm_factor(people: People) -> tuple[Act, Check]:
    """A factor counts exactly where its recovery codes are stored."""
    _, ada = await people.registered()
    made = (await ada.post("/api/auth/totp", {"current": WORDS})).body
    secret = base64.b32decode(made["secret"] + "=" * (-len(made["secret"]) % 8))

    async def act() -> Answer:
        code = totp_code(secret, int(time.time()) // 30)
        return await ada.post("/api/auth/totp/confirm", {"totp": code})

    async def check(answer: Any, rows: Rows) -> None:
        counts = _count(rows, "_pylon_totp WHERE user_id = ? AND confirmed = 1", ada.user_id)
        codes = _count(rows, "_pylon_recovery WHERE user_id = ?", ada.user_id)
        assert (counts, codes) in ((1, 10), (0, 0))
        assert counts or answer is None

    return act, check


async def upgrade_guest(people: People) -> tuple[Act, Check]:
    """A guest keeps his id and rows; half-way he is still the guest that he was."""
    made = (await people.served.anonymous().post("/api/auth/guest", {})).body
    guest = Caller(people.served, made["token"], made["user_id"])
    email = people.new()
    given = {"email": email, "code": await people.send(email)}

    async def act() -> Answer:
        return await guest.post("/api/auth/magic/verify", given)

    async def check(answer: Any, rows: Rows) -> None:
        found = rows("SELECT id, guest FROM _pylon_accounts WHERE email = ?", (email,))
        assert found in ([], [(guest.user_id, 0)])
        assert found or answer is None
        assert await is_in(people.again(guest)) is not bool(found)

    return act, check


async def come_from_provider(people: People) -> tuple[Act, Check]:
    """Account and link are one, and whoever comes once more comes to the same."""
    email = people.new()
    people.provider.be(f"sub {email}", email)

    async def leave() -> tuple[str, dict[str, str]]:
        left = await people.served.anonymous().get("/api/auth/oauth/test/start")
        assert left.status == 303, left
        back = urlsplit(people.provider.consent(left.headers["Location"]))
        cookie = left.headers["Set-Cookie"].partition(";")[0]
        return f"{back.path}?{back.query}", {"Cookie": cookie}

    path, headers = await leave()

    async def act() -> Answer:
        return await people.served.anonymous().ask("GET", path, headers=headers)

    async def check(answer: Any, rows: Rows) -> None:
        accounts = rows("SELECT id FROM _pylon_accounts WHERE email = ?", (email,))
        sql = "SELECT user_id FROM _pylon_identities WHERE subject = ?"
        assert rows(sql, (f"sub {email}",)) == accounts
        assert accounts or answer is None
        if rows("SELECT 1 FROM _pylon_departures"):
            assert not accounts, "a state is used up before it is of use"
        else:
            replayed = await people.served.anonymous().ask("GET", path, headers=headers)
            assert "error=" in replayed.headers["Location"], "a state is used once"
        people.provider.be(f"sub {email}", email)
        path_, headers_ = await leave()
        again = await people.served.anonymous().ask("GET", path_, headers=headers_)
        assert again.headers["Location"] == "/"
        linked = rows(sql, (f"sub {email}",))
        assert len(linked) == 1
        assert accounts in ([], linked)

    return act, check


async def change_members(people: People) -> tuple[Act, Check]:
    """Somebody goes from a room to another: the rows of both move with the change itself."""
    ada = await people.served.login(people.new())
    member = await ada.insert("Member", roomId="r1", userId=ada.user_id)
    before = (await ada.get("/api/sync/pull")).body["through"]

    async def act() -> Answer:
        path = f"/api/entities/Member/{member['id']}"
        return await ada.ask("PATCH", path, {"roomId": "r2"})

    async def check(answer: Any, rows: Rows) -> None:
        ((room, seq),) = rows("SELECT roomId, _seq FROM Member WHERE id = ?", (member["id"],))
        assert room == "r2" or answer is None
        slices = _count(
            rows, "_pylon_log WHERE kind = 'slice' AND entity = 'Message' AND tx = ?", seq
        )
        assert slices == (2 if room == "r2" else 1)
        pulled = (await people.again(ada).get(f"/api/sync/pull?cursor={before}")).body["changes"]
        moved = {one["where"]["roomId"] for one in pulled if one["kind"] == "refresh"}
        assert moved == ({"r1", "r2"} if room == "r2" else set())

    return act, check


async def write_searched(people: People) -> tuple[Act, Check]:
    """What is found is what stands in the row."""
    ada = await people.served.login(people.new())
    await ada.insert("Member", roomId="r1", userId=ada.user_id)
    row = await ada.insert("Message", text="zebra", roomId="r1", ownerId=ada.user_id)

    async def act() -> Answer:
        return await ada.ask("PATCH", f"/api/entities/Message/{row['id']}", {"text": "okapi"})

    async def check(answer: Any, rows: Rows) -> None:
        ((text,),) = rows("SELECT text FROM Message WHERE id = ?", (row["id"],))
        assert text == "okapi" or answer is None
        for word in ("zebra", "okapi"):
            found = (await people.again(ada).get(f"/api/search/Message?q={word}")).body["rows"]
            assert (row["id"] in [one["id"] for one in found]) is (word == text)

    return act, check


STEPS: tuple[Step, ...] = (
    send_code, sign_up, register, change_password, make_and_revoke_token, grant_role,
    delete_account, confirm_factor, upgrade_guest, come_from_provider, change_members,
    write_searched,
)  # fmt: skip
