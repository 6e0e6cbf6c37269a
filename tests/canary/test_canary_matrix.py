"""H9, the canary matrix: no byte that anybody is sent is one that a slow reading denies him.

Each row, field, secret, job and error has a text of its own. Requests come from the served OpenAPI
and the route table, so that a new route is asked on the day it appears; who may have what is
judged by walking the policies over all states that the rows had meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from pylon import jsonvalue, limits
from pylon.identity import Scope
from pylon.protocol import messages
from pylon.server.auth.rates import RateLimiter
from pylon.server.http.table import make_router
from pylon.testing.paired import world
from tests.canary.crowd import CANARY, OPERATOR, Crowd, Principal
from tests.canary.forms import (
    Form,
    Pools,
    calls,
    described,
    frames,
    from_table,
    of_entity,
    of_files,
    of_operator,
    of_upload,
    some,
    template_of,
    writes,
)
from tests.canary.people import sign_in_and_out
from tests.canary.rows import APP, BREAK_TEXT, MAIL_SETTINGS, POLICY_TEXT, SETTINGS, Mint, planted
from tests.canary.stored import begin_upload, is_there, store_files

#: Who asks for everything; the others ask for each route once.
FULL: Final = ("anonymous", "owner", "member", "ex", "admin", "guest", "scoped")
DEAD: Final = ("disabled", "expired", "leaver")
NAMES: Final = (*FULL, *DEAD, "other", "victim")
#: Ends the runtime: asked by everybody but the operator.
SPARED: Final = frozenset({
    ("POST", "/api/admin/shutdown"), ("POST", "/api/admin/reload"),
    ("POST", "/api/admin/branches/{name}/switch"),
    ("POST", "/api/admin/backups/{name}/restore"),
    # Has every cursor of before start over: tests/integration/test_erasing.py.
    ("POST", "/api/admin/users/{user}/erase"),
    # Says yes to who came by a provider: tests/integration/test_oauth.py.
    ("DELETE", "/api/auth/identities/{provider}"),
})  # fmt: skip
#: Says the same to everybody, or asks for no session.
FOR_ALL: Final = ("/api/auth/", "/api/health", "/api/schema", "/api/openapi.json")
#: Ends the session or the account of who asks: done by somebody of its own.
ENDING: Final = frozenset({
    ("POST", "/api/auth/logout"), ("DELETE", "/api/auth/me"), ("DELETE", "/api/auth/sessions"),
    ("POST", "/api/auth/guest"),
})  # fmt: skip
#: At the normal scale each asks for a part of what he can think of; together they ask for it all.
SCALE: Final = int(os.environ.get("PYLON_TEST_SCALE", "1"))
ONE_OF, SOME_OF = max(1, 6 // SCALE), max(1, 3 // SCALE)
#: Frames that are sent before what comes is waited for.
_AT_ONCE: Final = 12
#: Frames of a reload.
UNSENT: Final = {"schema"}
SCOPE: Final = {"read_only": True, "entities": ["Paper"], "functions": ["counted"]}


class Matrix:
    """One runtime with its rows and people."""

    def __init__(self, crowd: Crowd, *, is_dev: bool, mint: Mint) -> None:
        self.crowd = crowd
        self.is_dev = is_dev
        self.mint = mint
        self.made = crowd.world
        self.services = crowd.services
        self.ids: dict[str, str] = {}
        #: Files by letter and field; and what the owner has under way.
        self.files: dict[tuple[str, str], str] = {}
        self.upload: str | None = None
        self.upload_name = ""
        self.emails: dict[str, str] = {}
        self.rows: dict[str, tuple[str, dict[str, Any]]] = {}
        self.routes = [(one.method, one.path) for one in make_router(is_dev=is_dev).routes]

    async def people(self) -> None:
        """Make everybody, each with an address that only he and the operator know."""
        for name in NAMES:
            if name in ("anonymous", "guest", "scoped"):
                continue
            email = f"{name}-{self.mint.chance.getrandbits(40):010x}@x.example"
            roles = frozenset({"admin"}) if name == "admin" else None
            account = await self.services.accounts.ensure(email, roles)
            days = 0.001 if name == "expired" else None
            issued = await self.services.sessions.issue(account, days=days)
            self.ids[name], self.emails[name] = account.id, email
            await self.crowd.join(name, token=issued.token, user_id=account.id)
            self.crowd.keep(email, name, OPERATOR)
        await self.crowd.join("anonymous")
        guest = await self.crowd.join("guest")
        _, body = await self.crowd.ask(guest, "POST", "/api/auth/guest", {})
        guest.token, guest.user_id = body["token"], body["user_id"]
        owner = self.crowd.people["owner"]
        made = await self.services.people.make_token(self.emails["owner"], scope=SCOPE)
        scope = Scope(True, frozenset({"Paper"}), frozenset({"counted"}))
        await self.crowd.join("scoped", token=made["token"], user_id=owner.user_id, scope=scope)
        self.crowd.keep(self.emails["owner"], "scoped")
        await self.crowd.join(OPERATOR, token=self.services.admin_tokens[0])

    async def plant(self) -> None:
        """Put the rows back as they were."""
        schema, reader = self.made.runtime.services.definitions.current.schema, None
        for row_id, (entity, values) in self.rows.items():
            reader = self.services.database.readers.inline
            found = reader.get(schema.entities[entity], row_id)
            if found is None:
                await self.made.system_insert(entity, id=row_id, **values)
            else:
                changed = {
                    name: value for name, value in values.items()
                    if not is_there(found[name], value)
                    and not schema.entities[entity].by_name[name].immutable
                }  # fmt: skip
                if changed:
                    await self.made.system_update(entity, row_id, **changed)

    def pools(self, one: Principal) -> Pools:
        """Return what a principal tries: his own and others' rows, sessions, addresses."""
        schema = self.services.definitions.current.schema
        ids = {name: [row_id for row_id, (of, _) in self.rows.items() if of == name]
               for name in schema.entities}  # fmt: skip
        ids["User"] = [self.ids["owner"], self.ids["other"]]
        sessions = [each.id for name in ("owner", "member") if one.name != name
                    for each in self.services.sessions.sessions_of(self.ids[name])]  # fmt: skip
        inline, previews = self.services.database.readers.inline, self.services.mail_previews
        jobs = inline.rows("SELECT id FROM _pylon_jobs LIMIT 3")
        found = [str(each[0]) for each in jobs]
        begun = inline.rows("SELECT id FROM _pylon_workflows LIMIT 2")
        runs = [str(each[0]) for each in begun]
        whom = "victim" if one.name == OPERATOR else "owner"
        return Pools(schema, ids, {
            "E": [*schema.entities, "Nope"], "user": [self.ids[whom], self.emails[whom]],
            "name": list(self.services.definitions.current.functions),
            "id": [*sessions[:2], *found, "member"], "job": found, "provider": ["github"],
            "file": list(self.files.values()), "upload": [self.upload], "hook": ["hook"],
            "run": runs, "token": [*previews._pages] if previews is not None else [],
            "seq": [1, 20], "queue": ["default"], "tail": ["client.js", "../app.py"],
            "email": [self.emails[whom]], "where": ['{"id":{"!=":null}}'], "order": ["-id"],
            "limit": [1], "after": ["zzz"], "include": ["owner"], "q": ["alpha"],
            "aggregates": [{"n": {"count": "*"}}], "group": [[]], "name_": ["x"],
        }, self.mint)  # fmt: skip

    async def send(self, one: Principal, form: Form) -> int:
        """Ask, and put back what a write has changed."""
        before = self.services.database.head
        status, _ = await self.crowd.ask(one, form.method, form.path, form.body,
                                         dict(form.headers))  # fmt: skip
        if "/files/uploads/" in form.path and form.method in ("PATCH", "DELETE"):
            await begin_upload(self)
        if self.services.database.head != before:
            async with self.crowd.step(f"after {one.name}: {form.method} {form.path}"):
                await self.plant()
        return status


@asynccontextmanager
async def matrix(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_dev: bool
) -> AsyncIterator[Matrix]:
    """Run the app with everybody in it, and without bounds on how often they ask."""
    (folder / "app.py").write_text(APP)
    (folder / "seed.py").write_text("def seed(ctx):\n    return ctx.db.count('Board')\n")
    (folder / "pylon.toml").write_text(SETTINGS + (MAIL_SETTINGS if is_dev else ""))
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    monkeypatch.setattr(RateLimiter, "demand", lambda *_: None)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    mint = Mint(random.Random(seed))
    address = f"smtp://pylon:{mint.text()[6:]}@localhost:1"
    environment = {"MAIL_URL": address, "OAUTH_SECRET": mint.text()}
    async with world(folder, is_dev=is_dev, environment=environment) as made:
        crowd = Crowd(made)
        crowd.losers = frozenset({"ex", *DEAD})
        for secret in environment.values():
            crowd.keep(secret)
        # Rules are the operator's; `pylon dev` explains them to admins of the app, too.
        crowd.keep(POLICY_TEXT, OPERATOR, *(["admin"] if is_dev else []))
        found = Matrix(crowd, is_dev=is_dev, mint=mint)
        try:
            await found.people()
            found.files = await store_files(found)
            found.rows = planted(mint, found.ids, found.files)
            async with crowd.step("planting"):
                await found.plant()
                await begin_upload(found)
            yield found
        finally:
            await crowd.leave()


async def follow(at: Matrix, one: Principal) -> None:
    """Open whatever stays open, as somebody."""
    schema = at.services.definitions.current.schema
    wanted: list[dict[str, Any]] = [
        {"id": f"f-{fn}-{number}", "fn": fn, "args": args} for number, (fn, args) in enumerate((
            ("listed", {"entity": "Paper"}), ("found", {"entity": "Comment", "id": "comment-ours"}),
            *(("filed", {"id": one}) for one in at.files.values()),
        ))
    ]  # fmt: skip
    for entity in schema.entities.values():
        name, field = entity.name, entity.fields[-1].name
        wanted += [
            {"id": name, "entity": name},
            {"id": f"w-{name}", "entity": name, "order": [f"-{field}"], "limit": 4},
            {"id": f"x-{name}", "entity": name, "where": {field: {"!=": None}}},
        ]
    wanted += [
        {"id": "i1", "entity": "Paper", "include": ["team.seatsByTeam", "commentsByPaper"]},
        {"id": "i2", "entity": "Comment", "include": ["paper.judge", "owner"], "limit": 9},
    ]
    hello = {"type": "hello", "protocol": 1, "client_id": one.name, "subscriptions": wanted}
    await at.crowd.socket(one, "/api/sync/ws", hello)
    # Without windows and neighbours changes are told as they come, and not read from the log.
    plain = [{"id": name, "entity": name} for name in schema.entities]
    one.live = await at.crowd.socket(
        one, "/api/sync/ws", {**hello, "client_id": f"{one.name}-plain", "subscriptions": plain}
    )
    at.crowd.stream(one, "/api/sync/events")
    at.crowd.stream(one, "/_pylon/dev/events")
    ghost = f"/api/admin/ghost/{at.ids['owner']}/api/sync/ws"
    await at.crowd.socket(one, "/api/admin/stream")
    await at.crowd.socket(one, ghost, {**hello, "client_id": f"ghost-{one.name}"})


async def lose_rights(at: Matrix) -> None:
    """Take from the ex-member, the leaver, the disabled and the expired what they had.

    Each has a live socket, a snapshot begun and a replica that is away meanwhile.
    """
    crowd, people = at.crowd, at.crowd.people
    places = {"seat-ex": ("Seat", {"ownerId": None, "teamId": "team", "userId": at.ids["ex"]})}
    for name in DEAD:
        places[f"seat-{name}"] = ("Seat", {"ownerId": None, "teamId": "team",
                                           "userId": at.ids[name]})  # fmt: skip
    async with crowd.step("rights come"):
        for row_id, (entity, values) in places.items():
            await at.made.system_insert(entity, id=row_id, **values)
        await at.services.accounts.ensure(at.emails["ex"], frozenset({"admin"}))
    away: dict[str, tuple[str, str]] = {}
    for name in ("ex", *DEAD):
        async with crowd.step(f"{name} follows"):
            await follow(at, people[name])
            await crowd.quiet()
        _, pulled = await crowd.ask(people[name], "GET", "/api/sync/pull?limit=1000")
        _, page = await crowd.ask(people[name], "GET", "/api/sync/snapshot?entity=Paper")
        assert crowd.seen_rightly[name], f"{name} had nothing to lose"
        away[name] = (pulled["through"], page["next"])
    async with crowd.step("rights go"):
        await at.made.system_delete("Seat", "seat-ex")
        await at.made.system_insert("Ban", id="ban-ex", teamId="team", userId=at.ids["ex"])
        await at.services.accounts.ensure(at.emails["ex"], frozenset())
        await at.services.people.set_disabled(at.emails["disabled"], disabled=True)
        await crowd.request(people["leaver"], "POST", "/api/auth/logout")
        for _ in range(10):  # so that pings are answered meanwhile
            await at.made.advance(9)
            await crowd.quiet()
        for name in ("leaver", "expired"):
            people[name].is_alive = False
    await crowd.settle()
    alive = {name for name, one in people.items() if one.live and not one.live.closed}
    assert alive == {*FULL}, "of the live sockets those of the dead have ended, and no other"
    async with crowd.step("rows change that they had"):
        for row_id, (entity, values) in at.rows.items():
            if entity in ("Paper", "Comment", "Notice"):
                text = next(one for one in ("title", "text") if one in values)
                values[text] = at.mint.text()
                await at.made.system_update(entity, row_id, **{text: values[text]})
        # Out of the view of a team, with a text that it never saw.
        for entity, name in (("Paper", "title"), ("Comment", "text")):
            gone = {name: at.mint.text(), "teamId": "else"}
            await at.made.system_update(entity, f"{entity.lower()}-ours", **gone)
        await crowd.quiet()
        await at.made.system_delete("Comment", "comment-ours")
        await at.made.system_delete("Paper", "paper-ours")
        await crowd.quiet()
        await at.plant()
    await crowd.settle()
    for name, (cursor, after) in away.items():
        await crowd.ask(people[name], "GET", f"/api/sync/pull?cursor={cursor}")
        await crowd.ask(people[name], "GET", f"/api/sync/snapshot?entity=Paper&after={after}")


async def look_at_the_past(at: Matrix, operator: Any, seq: int, board: str) -> None:
    """Have the operator ask what a change did, make it once more elsewhere, and bring it back."""
    admin = "/api/admin"
    for asked in (f"diff?from={seq - 1}", f"diff?from={seq - 1}&entity=Board",
                  f"log-range?from={seq}&to={seq}", f"data/Board?as_of={seq}"):  # fmt: skip
        await at.send(operator, Form("GET", f"{admin}/{asked}"))
    await at.send(operator, Form("POST", f"{admin}/branches", {"name": "past"}))
    body = {"from": seq, "to": seq, "into": "past"}
    await at.send(operator, Form("POST", f"{admin}/log-replay", body))
    await at.send(operator, Form("POST", f"{admin}/branches/past/drop", {"confirm": "past"}))
    await at.send(operator, Form("POST", f"{admin}/data/Board/{board}/restore", {"to": seq}))


async def keep_backups(at: Matrix, operator: Any) -> None:
    """Have the operator make, prove, send and drop a backup."""
    crowd = at.crowd
    _, made = await crowd.ask(operator, "POST", "/api/admin/backups", {})
    path = f"/api/admin/backups/{made['name']}"

    async def done() -> None:
        while (await crowd.ask(operator, "GET", path))[1]["doing"] is not None:
            await asyncio.sleep(0.05)

    await done()
    for what, body in (("verify", {}), ("send", {"to": at.services.config.project.as_uri()})):
        await at.send(operator, Form("POST", f"{path}/{what}", body))
        await done()
    await at.send(operator, Form("POST", f"{path}/drop", {"confirm": made["name"]}))


async def ask_for_everything(at: Matrix, document: dict[str, Any]) -> None:
    """Have each ask for what he can think of; the dead ask for each route once."""
    crowd, operator = at.crowd, at.crowd.people[OPERATOR]
    await at.send(operator, Form("POST", "/api/admin/queues/default/pause", {}))
    args = {"id": "paper-mine", "text": at.mint.text()}
    _, made = await crowd.ask(crowd.people["owner"], "POST", "/api/fn/later", args)
    runs = [
        (await crowd.ask(crowd.people["owner"], "POST", "/api/fn/begun", {"text": text}))[1][
            "value"
        ]
        for text in (at.mint.text(), at.mint.text())
    ]
    for form in of_operator(at.pools(operator), made["value"], runs):
        await at.send(operator, form)
    board = {"values": {"text": at.mint.text()}}
    _, made = await crowd.ask(operator, "POST", "/api/admin/data/Board", board)
    await at.send(operator, Form("POST", "/api/admin/data-undo", {"seq": made["seq"]}))
    await look_at_the_past(at, operator, made["seq"], made["row"]["id"])
    await keep_backups(at, operator)
    await crowd.quiet(60)  # until the run that was signalled has failed
    await at.send(operator, Form("POST", f"/api/admin/workflows/{runs[0]}/retry", {}))
    for form in of_upload(at.pools(crowd.people["owner"])):
        await at.send(crowd.people["owner"], form)
    for name in (*FULL, OPERATOR):
        one = crowd.people[name]
        pools = at.pools(one)
        forms = [*described(pools, document), *from_table(pools, at.routes)]
        if name == OPERATOR:
            forms = [each for each in forms if (each.method, each.path) not in SPARED]
        else:
            forms += [*calls(pools), *of_files(pools)]
            for entity in pools.schema.entities.values():
                forms += [*of_entity(pools, entity), *writes(pools, entity)]
        forms = [each for each in forms if (each.method, each.path) not in ENDING]
        place = 0 if name == OPERATOR else FULL.index(name)
        for form in some(forms, at.routes, of=ONE_OF, from_=place):
            await at.send(one, form)
    for name in FULL:
        await say_everything(at, crowd.people[name])
    for name in DEAD:
        one = crowd.people[name]
        forms = list(described(at.pools(one), document))
        for form in some(forms, at.routes, of=10, from_=0):
            status = await at.send(one, form)
            is_for_all = form.path.startswith(FOR_ALL)
            assert is_for_all or status in (400, 401, 404), (name, form, status)


async def say_everything(at: Matrix, one: Principal) -> None:
    """Send over a socket of his whatever it takes, an unknown frame at last."""
    hello = {"type": "hello", "protocol": 1, "client_id": f"{one.name}-2", "subscriptions": []}
    opened = await at.crowd.socket(one, "/api/sync/ws", hello)
    assert opened is not None
    said = [jsonvalue.encode_text(each) for each in frames(at.pools(one))]
    parts = [said[at_ : at_ + _AT_ONCE] for at_ in range(0, len(said), _AT_ONCE)]
    place = FULL.index(one.name)
    for part in [*parts[place % SOME_OF :: SOME_OF], said[-2:], ['{"type":"all"}']]:
        async with at.crowd.step(f"{one.name} says {part}", one.name, "".join(part)):
            for text in part:
                await opened.send_str(text)
            await at.crowd.quiet()
    async with at.crowd.step(f"after {one.name} said everything"):
        await at.crowd.quiet()
        await at.plant()


@pytest.mark.timeout(600 * SCALE)
@pytest.mark.parametrize("mode", ["serve", "dev"])
async def test_no_canary_reaches_whom_the_reference_denies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """All routes and frames, anonymous to admin, before and after rights went; logs too."""
    for name in ("pylon", "app"):
        caplog.set_level(logging.DEBUG, name)
    async with matrix(tmp_path, monkeypatch, is_dev=mode == "dev") as at:
        crowd = at.crowd
        for name in ("anonymous", "owner", "member", "admin", "guest", "scoped", OPERATOR):
            async with crowd.step(f"{name} follows"):
                await follow(at, crowd.people[name])
                await crowd.quiet()
        await lose_rights(at)
        _, document = await crowd.ask(crowd.people["anonymous"], "GET", "/api/openapi.json")
        await ask_for_everything(at, document)
        await sign_in_and_out(at)
        async with crowd.step("time passes"):
            await at.made.advance(13 * 3600)
        for name in FULL:
            await crowd.ask(crowd.people[name], "GET", "/api/entities/Later")
        rightly = sum(crowd.seen_rightly.values())
        print(f"{len(crowd.answered)} requests, {len(crowd.placed)} canaries in rows")
        print(f"{len(crowd.secrets)} secrets, {rightly} sightings, all of them rightly")
        assert crowd.leaks == [], "\n\n".join(crowd.leaks[:20])
        assert_everybody_asked(at)
        lines = caplog.text + str(list(at.services.observer.lines))
        # A traceback has what the function said; `pylon dev` logs which rule hid a row.
        own = {BREAK_TEXT, *at.emails.values(), *([POLICY_TEXT] if at.is_dev else [])}
        found = set(CANARY.findall(lines)) - own
        assert {one for one in found if one in crowd.placed or one[0] == "c"} == set()
        assert [one for one in {*crowd.secrets} - own if one in lines] == []


def assert_everybody_asked(at: Matrix) -> None:
    """Hold what was asked to the route table: a route that never said yes was not exercised."""
    crowd = at.crowd
    asked: dict[str, set[tuple[str, str]]] = defaultdict(set)
    said_yes = set()
    for who, method, path, status in crowd.answered:
        route = (method, template_of(at.routes, method, path))
        asked[who].add(route)
        if status < 400:
            said_yes.add(route)
    assert {*at.routes} - said_yes - SPARED == set()
    for name in FULL:
        assert {*at.routes} - asked[name] - ENDING == set(), name
    kinds = {each.__struct_config__.tag for each in messages.Downstream.__args__}
    assert kinds - {kind for _, kind in crowd.frames} == UNSENT
    for name in ("owner", "member", "admin", "guest", "scoped", "anonymous", "ex"):
        assert crowd.seen_rightly[name] > 5, (name, crowd.seen_rightly)
