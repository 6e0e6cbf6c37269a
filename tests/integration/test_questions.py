"""Expansion, aggregates and search over HTTP: each entity behind its own policy."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pylon import jsonvalue, limits
from pylon.testing.served import Caller
from tests.conftest import Serve

APP = """
from __future__ import annotations
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from pylon import App, BigInt, Entity, Ref, Text, actor, field, index, unique

app = App("questions")
IN = "exists Membership(channelId == data.channelId, userId == auth.userId)"
ME = "auth.userId != null"


@app.entity(read="isOwner() || exists Membership(channelId == data.id, userId == auth.userId)",
            insert=ME)
class Channel(Entity):
    name: str
    owner: Ref["User"] = field(default=actor)


@app.entity(read="auth.userId == data.userId || hasRole('all')", insert=ME, delete=ME)
class Membership(Entity):
    channelId: Ref["Channel"] = field(on_delete="cascade")
    userId: Ref["User"]

    one_each = unique("channelId", "userId")


@app.entity(read=IN + " || isOwner()", insert=ME, update=ME, delete=ME)
class Message(Entity):
    channelId: Ref["Channel"] = field(on_delete="cascade")
    authorId: Ref["User"] = field(default=actor)
    answersId: Ref["Message"] | None = field(default=None, on_delete="set_null")
    title: str | None = field(default=None, search=True)
    body: Text
    code: str = ""
    secret: Text | None = field(default=None, private=True)

    by_channel = index("channelId")


@app.entity(read=ME, insert=ME)
class Note(Entity):
    authorId: Ref["User"] = field(default=actor)
    body: Text
    guarded: Text = field(default="", read="hasRole('all')")
    own: str = field(default="", read="auth.userId == data.authorId", search=True)


@app.entity(read="data.hidden == false || hasRole('all')", insert=ME)
class Thing(Entity):
    kind: Literal["a", "b"]
    hidden: bool = False
    n: int | None = None
    big: BigInt | None = None
    price: Decimal | None = field(default=None, scale=2)
    ratio: float | None = None
    day: date | None = None
    at: datetime | None = None
    tags: list[str] = field(default_factory=list)
    scar: int | None = field(default=None, private=True)
"""


async def _query(caller: Caller, entity: str, **body: Any) -> Any:
    answer = await caller.post(f"/api/query/{entity}", body)
    assert answer.status == 200, answer
    return answer.body["rows"]


async def test_rows_come_with_their_neighbours(serve: Serve) -> None:
    """Each hop shows what its own policy lets through; hidden and missing are one answer."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    channel = await ada.insert("Channel", name="one")
    mine = await ada.insert("Membership", channelId=channel["id"], userId=ada.user_id)
    await ada.insert("Membership", channelId=channel["id"], userId=bob.user_id)
    first = await ada.insert("Message", channelId=channel["id"], body="first")
    second = await bob.insert(
        "Message", channelId=channel["id"], body="second", answersId=first["id"]
    )
    user = (await ada.get(f"/api/entities/User/{ada.user_id}")).body
    got = (await ada.get("/api/entities/Message?include=author,channel.members&limit=1")).body
    assert got["rows"] == [{**first, "author": user, "channel": {**channel, "members": [mine]}}], (
        "bob's membership is his to read"
    )
    assert got["next"] is not None
    path = f"/api/entities/Message/{second['id']}?include=answers.authorId,channel.owner"
    one = await bob.get(path)
    assert one.body == {
        **second, "answers": {**first, "author": user}, "channel": {**channel, "owner": user}
    }  # fmt: skip
    assert one.headers["ETag"] == f'"{second["_seq"]}"'
    rows = await _query(ada, "User", include=["messages.answers", "membershipsByUser"],
                        where={"id": bob.user_id})  # fmt: skip
    assert rows[0]["messages"] == [{**second, "answers": first}]
    assert rows[0]["membershipsByUser"] == []
    await ada.ask("DELETE", f"/api/entities/Membership/{mine['id']}")
    assert (await _query(ada, "Message", include=["channel.members", "answers"])) == [
        {**first, "channel": {**channel, "members": []}, "answers": None}
    ]
    nobody = await _query(served.anonymous(), "Thing", include=[])
    assert nobody == []


async def test_a_path_that_is_none_says_what_there_is(serve: Serve) -> None:
    """Unknown names, private fields and too many hops are refused, a missing row before them."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    for path, hint in (
        ("autor", "did you mean author?"), ("channel.memberz", "did you mean channel.members?"),
        ("title", "there are channel, author"), ("", None), ("author.", None), ("__proto__", None),
        ('author"; DROP', None), ("channel.id", None),
    ):  # fmt: skip
        answer = await ada.post("/api/query/Message", {"include": [path]})
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), path
        assert answer.body["error"]["details"] == {"field": "include"}
        if hint is not None:
            assert answer.body["error"]["hint"].startswith(hint)
    for include in ("author", {"author": 1}, [1], [["author"]]):
        answer = await ada.post("/api/query/Message", {"include": include})
        assert answer.code == "INVALID_ARGUMENT", include
    deep = ".".join(["answers"] * limits.INCLUDE_HOPS_MAX)
    assert (await ada.get(f"/api/entities/Message?include={deep}")).status == 200
    assert (await ada.get(f"/api/entities/Message?include={deep}.answers")).status == 400
    many = [".".join(["answers"] * 5 + [one]) for one in ("author", "channel", "messages")]
    many += [".".join(["messages"] * 5 + [one]) for one in ("author", "channel", "answers")]
    many += [".".join(["author", "messages", "channel", "messages", one]) for one in
             ("author", "channel", "answers", "messages")]  # fmt: skip
    assert (await ada.post("/api/query/Message", {"include": many})).status == 400
    assert (await ada.get("/api/entities/Message/none?include=nonsense")).status == 404


async def test_what_is_included_has_a_bound(serve: Serve) -> None:
    """More rows than an answer holds are refused, not cut short."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="one")
    operations = [
        {"op_id": f"o{at}", "fn": "pylon.insert", "args": {"entity": "Message", "values": {
            "channelId": channel["id"], "body": "x"}}} for at in range(200)
    ]  # fmt: skip
    answer = await ada.post("/api/sync/push", {"client_id": "c", "operations": operations})
    assert {one["status"] for one in answer.body["results"]} == {"applied"}
    refused = await ada.post(
        "/api/query/Message", {"include": ["channel.messages.channel.messages"]}
    )
    assert refused.code == "PAYLOAD_TOO_LARGE"
    assert "limit" in refused.body["error"]["hint"]
    page = await _query(ada, "Message", include=["channel.messages"], limit=3)
    assert [len(one["channel"]["messages"]) for one in page] == [200] * 3


async def test_aggregates_are_exact_and_see_what_the_caller_sees(serve: Serve) -> None:
    """Sums beyond 64 bits and decimals keep every digit; absent values follow SQL."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    huge = str(2**63 - 1)
    await ada.insert("Thing", kind="a", n=1, big=huge, price="0.10", ratio=0.5, day="2026-01-02")
    await ada.insert("Thing", kind="a", n=2, big=huge, price="0.20", at="2026-01-02T03:04:05.006Z")
    await ada.insert("Thing", kind="b", n=2, big="-7", price="-0.01", tags=["x"])
    await ada.insert("Thing", kind="b", hidden=True, n=1000, big="1", scar=7)

    async def ask(caller: Caller, **body: Any) -> Any:
        answer = await caller.post("/api/aggregate/Thing", body)
        assert answer.status == 200, answer
        return answer.body["rows"]

    asked = {
        "rows": {"count": "*"}, "with": {"count": "ratio"}, "total": {"sum": "n"},
        "mean": {"avg": "n"}, "bigs": {"sum": "big"}, "prices": {"sum": "price"},
        "price": {"avg": "price"}, "least": {"min": "price"}, "last": {"max": "at"},
        "first": {"min": "day"}, "ratio": {"avg": "ratio"}, "lists": {"count": "tags"},
        "bigMean": {"avg": "big"},
    }  # fmt: skip
    assert await ask(ada, aggregates=asked) == [{
        "rows": 3, "with": 1, "total": 5, "mean": 5 / 3, "bigs": str(2 * (2**63 - 1) - 7),
        "prices": "0.29", "price": "0.09666667", "least": "-0.01",
        "last": "2026-01-02T03:04:05.006Z", "first": "2026-01-02", "ratio": 0.5, "lists": 3,
        "bigMean": "6148914691236517202.333333",
    }]  # fmt: skip
    assert await ask(ada, group=["kind"], aggregates={"rows": {"count": "*"}}) == [
        {"kind": "a", "rows": 2}, {"kind": "b", "rows": 1}
    ]  # fmt: skip
    assert await ask(ada, group=["n", "hidden"], where={"kind": "b"},
                     aggregates={"s": {"sum": "ratio"}}) == [
        {"n": 2, "hidden": False, "s": None}
    ]  # fmt: skip
    none = await ask(ada, where={"n": 9}, aggregates=asked)
    assert none == [{**dict.fromkeys(asked), "rows": 0, "with": 0, "lists": 0}]
    assert await ask(ada, where={"n": 9}, group=["n"], aggregates=asked) == []
    assert await ask(served.anonymous(), aggregates={"n": {"sum": "n"}}) == [{"n": 5}]


async def test_a_wrong_question_for_aggregates_is_said_to_be_one(serve: Serve) -> None:
    """A private field and an unknown one in the same words; nothing becomes SQL."""
    ada = await (await serve(APP)).login("ada@example.com")
    count = {"n": {"count": "*"}}
    texts = set()
    for name in ("scar", "nope"):
        for body in ({"group": [name], "aggregates": count}, {"aggregates": {"x": {"sum": name}}},
                     {"aggregates": {"x": {"count": name}}}, {"aggregates": {"x": {"max": name}}},
                     {"aggregates": count, "where": {name: 1}}):  # fmt: skip
            answer = await ada.post("/api/aggregate/Thing", body)
            assert answer.code == "INVALID_ARGUMENT", body
            texts.add(jsonvalue.encode_text(answer.body).replace(name, "?"))
    assert len(texts) == 1
    for body in (
        {}, {"aggregates": {}}, {"aggregates": []}, {"aggregates": {"n": "count"}},
        {"aggregates": {"n": {"count": "*", "sum": "n"}}}, {"aggregates": {"n": {"sum": "*"}}},
        {"aggregates": {"n": {"median": "n"}}}, {"aggregates": {"n": {"sum": "kind"}}},
        {"aggregates": {"n": {"max": "hidden"}}}, {"aggregates": {"n": {"min": "tags"}}},
        {"aggregates": {'n"': {"count": "*"}}}, {"aggregates": {"": {"count": "*"}}},
        {"aggregates": count, "group": ["n"]}, {"aggregates": count, "group": ["kind", "kind"]},
        {"aggregates": count, "group": "kind"}, {"aggregates": count, "group": ["tags"]},
        {"aggregates": count, "limit": 5}, {"aggregates": {"n": {"count": 1}}},
        {"aggregates": {f"n{at}": {"count": "*"} for at in range(limits.AGGREGATES_MAX + 1)}},
        {"aggregates": count, "group": ['kind" FROM "User']},
    ):  # fmt: skip
        answer = await ada.post("/api/aggregate/Thing", body)
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), body
    assert (await ada.post("/api/aggregate/Nope", {"aggregates": count})).status == 404
    await ada.insert("Thing", kind="a", n=2**53 - 1, ratio=1.7e308)
    await ada.insert("Thing", kind="a", n=2**53 - 1, ratio=1.7e308)
    for name in ("n", "ratio"):
        answer = await ada.post("/api/aggregate/Thing", {"aggregates": {"x": {"sum": name}}})
        assert answer.code == "INVALID_ARGUMENT", name


async def _found(caller: Caller, text: str, more: str = "", entity: str = "Message") -> list[str]:
    """Return the bodies of what a search finds, in order."""
    answer = await caller.get(f"/api/search/{entity}?q={quote(text, safe='')}{more}")
    assert answer.status == 200, (text, answer)
    assert list(answer.body) == ["rows"]
    return [row["body"] for row in answer.body["rows"]]


async def test_search_finds_words_in_what_the_caller_may_read(serve: Serve) -> None:
    """All words, the last as a beginning, whatever the case and the accents; best rows first."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    channel = await ada.insert("Channel", name="one")
    await ada.insert("Membership", channelId=channel["id"], userId=ada.user_id)

    async def say(body: str, **more: Any) -> dict[str, Any]:
        return await ada.insert("Message", channelId=channel["id"], body=body, **more)

    await say("Grüße aus dem Café, ein langer Satz mit vielen anderen Wörtern darin")
    once = await say("a plain word", title="Cafe Cafe", code="uncharted", secret="unspoken")
    last = await say("nothing of the kind")
    assert len(await _found(ada, "CAFÉ")) == 2
    assert (await _found(ada, "CAFÉ"))[0] == "a plain word", "twice in a short title"
    assert await _found(ada, "cafe pla") == ["a plain word"], "in any field, all words"
    assert await _found(ada, "caf") != []
    assert await _found(ada, "caf plain") == [], "only the last word is a beginning"
    assert await _found(ada, "uncharted") == [], "a str is not searched unless it says so"
    assert await _found(ada, "unspoken") == [], "nor is what is private"
    assert await _found(ada, "cafe", '&where={"title":{"!=":null}}') == ["a plain word"]
    assert len(await _found(ada, "cafe", "&limit=1")) == 1
    assert await _found(bob, "cafe") == []
    assert await _found(served.anonymous(), "cafe") == []
    for text in ("", " ", "-", "*", '"', "...", "\U0001f600"):
        assert await _found(ada, text) == [], text
    await ada.ask("PATCH", f"/api/entities/Message/{once['id']}", {"title": None})
    assert len(await _found(ada, "cafe")) == 1
    assert await _found(ada, "plain") == ["a plain word"]
    await ada.ask("DELETE", f"/api/entities/Message/{last['id']}")
    assert await _found(ada, "nothing") == []
    answer = await ada.get("/api/search/Message?q=plain&include=author,channel.members")
    assert answer.body["rows"][0]["channel"]["members"][0]["userId"] == ada.user_id
    for path in ("Message", "Message?q=a&order=id", "Message?q=%00", f"Message?q={'a' * 1001}",
                 "Message?q=a&limit=0", "Message?q=a&where=[]", "Thing?q=a", "Channel?q=one",
                 "Message?q=a&where={%22secret%22:1}", "Message?q=" + "a+" * 33):  # fmt: skip
        refused = await ada.get(f"/api/search/{path}")
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT"), path
    assert (await ada.get("/api/search/Nope?q=a")).status == 404


async def test_what_people_type_is_never_syntax(serve: Serve) -> None:
    """Quotes, operators and names of columns find words or nothing, and never an error."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="one")
    await ada.insert("Message", channelId=channel["id"], body="near and or not c0 title body")
    texts = ['"' * 1000, 'near(and or, 2)', 'c0:near', 'c0 : near', 'NOT near', 'near NOT or',
             '"near" AND', '^near', 'near*', '(near', '{c0}:near', "near' OR 1=1 --", "near -or",
             'near + and', 'a"b"c near', '\\', '%', "near\u0001", "*" * 900, "rowid:1", "rank",
             "NEAR NEAR NEAR", '"; DROP TABLE Message; --']  # fmt: skip
    for text in texts:
        await _found(ada, text)
    for text in ("near AND or", "NOT near", "^near", "near*", '"near"', "near -or", "(near",
                 "title : near", "NEAR"):  # fmt: skip
        assert len(await _found(ada, text)) == 1, text


async def test_a_field_is_searched_for_those_only_who_get_it(serve: Serve) -> None:
    """By words in it, alone or beside others, nobody else learns what it holds."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    answer = await served.anonymous().post(
        "/api/auth/dev/login", {"email": "all@example.com", "roles": ["all"]}
    )
    everything = Caller(served, answer.body["token"], answer.body["user_id"])
    await ada.insert("Note", body="plain text", guarded="hush text", own="mine")
    await ada.insert("Note", body="text of more", guarded="nothing")

    async def found(caller: Caller, text: str) -> list[str]:
        return await _found(caller, text, entity="Note")

    assert await found(ada, "hush") == await found(ada, "plain hush") == []
    assert await found(ada, "mine") == [], "who gets it differs from row to row"
    assert await found(everything, "hush plain") == ["plain text"]
    assert await found(ada, "text") == ["plain text", "text of more"]
    rows = (await everything.get("/api/search/Note?q=plain&include=author.notes")).body["rows"]
    assert ["own" in one for one in (rows[0], *rows[0]["author"]["notes"])] == [False] * 3
    assert rows[0]["guarded"] == "hush text"
