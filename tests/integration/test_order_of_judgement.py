"""Which of several faults is said: 401, 404, INVALID_*, POLICY_DENIED, CONFLICT, in this order.

One row per request that has more than one; what is said first says nothing of what comes after.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.apps import NOTES

APP = (
    NOTES
    + """

@app.mutation(allow="true")
def anybody(ctx, n: int) -> int:
    return n


@app.mutation(allow="hasRole('admin')")
def admins(ctx, n: int) -> int:
    return n


@app.mutation(allow="args.n > 3")
def large(ctx, n: int) -> int:
    return n
"""
)
UNAUTHENTICATED, MISSING, INVALID, BROKEN, DENIED, CONFLICT = (
    (401, "UNAUTHENTICATED"), (404, "NOT_FOUND"), (400, "INVALID_ARGUMENT"), (400, "INVALID_JSON"),
    (403, "POLICY_DENIED"), (409, "CONFLICT"),
)  # fmt: skip
BAD_KEY = {"Idempotency-Key": "a b"}
BAD_MATCH, OLD_MATCH = {"If-Match": "x"}, {"If-Match": '"1"'}
Row = tuple[str, str, str, Any, dict[str, str], tuple[int, str]]
#: who, method, path, body (bytes as they are), headers, answer. {own}, {hidden}: Ada's notes.
ROWS: list[Row] = [
    ("nobody", "POST", "/api/entities/Note", b"{", {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/entities/Nope", {}, {}, UNAUTHENTICATED),
    ("nobody", "PATCH", "/api/entities/Note/none", b"{", BAD_MATCH, UNAUTHENTICATED),
    ("nobody", "DELETE", "/api/entities/Note/{own}", None, BAD_KEY, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/shout", b"{", {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/shout", {"bogus": 1}, {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/admins", {"n": "x"}, {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/large", {"n": "x"}, {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/large", {"n": 1}, {}, UNAUTHENTICATED),
    ("nobody", "POST", "/api/fn/anybody", {"n": "x"}, {}, INVALID),
    ("nobody", "POST", "/api/fn/anybody", b"{", {}, BROKEN),
    ("nobody", "POST", "/api/fn/pylon.insert", b"{", {}, UNAUTHENTICATED),
    ("stranger", "GET", "/api/entities/Nope?bogus=1", None, {}, UNAUTHENTICATED),
    ("stranger", "GET", "/api/entities/Note?limit=x", None, {}, UNAUTHENTICATED),
    ("stranger", "POST", "/api/query/Nope", b"{", {}, UNAUTHENTICATED),
    ("stranger", "GET", "/api/sync/pull?limit=0&cursor=x", None, {}, UNAUTHENTICATED),
    ("stranger", "GET", "/api/sync/snapshot?bogus=1", None, {}, UNAUTHENTICATED),
    ("stranger", "GET", "/api/sync/events?cursor=x", None, {}, UNAUTHENTICATED),
    ("stranger", "POST", "/api/sync/push", b"{", {}, UNAUTHENTICATED),
    ("stranger", "POST", "/api/fn/nope", b"{", {}, UNAUTHENTICATED),
    ("ada", "GET", "/api/entities/Nope?bogus=1", None, {}, MISSING),
    ("ada", "GET", "/api/entities/Nope?where={", None, {}, MISSING),
    ("ada", "POST", "/api/query/Nope", b"{", {}, MISSING),
    ("ada", "GET", "/api/sync/snapshot?entity=Nope&where={&bogus=1", None, {}, MISSING),
    ("ada", "POST", "/api/entities/Nope", b"{", BAD_KEY, MISSING),
    ("ada", "PATCH", "/api/entities/Note/none", b"{", {}, MISSING),
    ("ada", "PATCH", "/api/entities/Note/none", {"bogus": 1}, BAD_MATCH, MISSING),
    ("ada", "DELETE", "/api/entities/Note/none", None, BAD_MATCH, MISSING),
    ("ada", "DELETE", "/api/entities/Note/none", None, BAD_KEY, MISSING),
    ("ada", "POST", "/api/fn/nope", b"{", BAD_KEY, MISSING),
    ("ada", "POST", "/api/fn/hidden", {"bogus": 1}, {}, MISSING),
    ("bob", "PATCH", "/api/entities/Note/{hidden}", b"{", {}, MISSING),
    ("bob", "PATCH", "/api/entities/Note/{hidden}", {"bogus": 1}, OLD_MATCH, MISSING),
    ("bob", "DELETE", "/api/entities/Note/{hidden}", None, OLD_MATCH, MISSING),
    ("bob", "PATCH", "/api/entities/Note/{own}", {"bogus": 1}, OLD_MATCH, INVALID),
    ("bob", "PATCH", "/api/entities/Note/{own}", {"ownerId": "x"}, OLD_MATCH, INVALID),
    ("bob", "PATCH", "/api/entities/Note/{own}", {"rank": 1}, BAD_MATCH, INVALID),
    ("bob", "DELETE", "/api/entities/Note/{own}", None, BAD_KEY, INVALID),
    ("bob", "PATCH", "/api/entities/Note/{own}", b"{", OLD_MATCH, BROKEN),
    ("bob", "POST", "/api/entities/Note", {"text": "", "ownerId": "{ada}"}, {}, INVALID),
    ("bob", "POST", "/api/fn/admins", {"n": "x"}, {}, INVALID),
    ("bob", "POST", "/api/fn/admins", {"n": 1}, {}, DENIED),
    ("bob", "PATCH", "/api/entities/Note/{own}", {"rank": 1}, OLD_MATCH, DENIED),
    ("bob", "DELETE", "/api/entities/Note/{own}", None, OLD_MATCH, DENIED),
    ("bob", "POST", "/api/entities/Note", {"text": "x", "id": "{hidden}", "ownerId": "{ada}"}, {},
     DENIED),
    ("bob", "POST", "/api/entities/Note", {"text": "x", "groupId": "none", "ownerId": "{ada}"}, {},
     DENIED),
    ("bob", "POST", "/api/entities/Note", {"text": "x", "id": "{hidden}"}, {}, CONFLICT),
    ("ada", "PATCH", "/api/entities/Note/{own}", {"rank": 1}, OLD_MATCH, CONFLICT),
    ("ada", "DELETE", "/api/entities/Note/{own}", None, OLD_MATCH, CONFLICT),
]  # fmt: skip


def _insert(**args: Any) -> dict[str, Any]:
    return {"fn": "pylon.insert", "args": args}


def _update(**args: Any) -> dict[str, Any]:
    return {"fn": "pylon.update", "args": args}


def _delete(**args: Any) -> dict[str, Any]:
    return {"fn": "pylon.delete", "args": args}


#: who, operation, code.
OPERATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("nobody", _insert(bogus=1), "UNAUTHENTICATED"),
    ("nobody", _insert(entity="Nope", values={}), "UNAUTHENTICATED"),
    ("nobody", _update(entity="Note", id="none", values=5), "UNAUTHENTICATED"),
    ("nobody", {"fn": "nope", "args": {}}, "UNAUTHENTICATED"),
    ("nobody", {"fn": "shout", "args": {"bogus": 1}}, "UNAUTHENTICATED"),
    ("nobody", {"fn": "double", "args": {}}, "UNAUTHENTICATED"),
    ("nobody", {"fn": "admins", "args": {"n": 1}}, "UNAUTHENTICATED"),
    ("nobody", {"op_id": "a b", **_insert(entity="Note", values={})}, "UNAUTHENTICATED"),
    ("nobody", {"fn": "anybody", "args": {"n": "x"}}, "INVALID_ARGUMENT"),
    ("bob", _insert(entity="Nope", bogus=1), "NOT_FOUND"),
    ("bob", _update(entity="Note", id="none", values=5, bogus=1), "NOT_FOUND"),
    ("bob", _update(entity="Note", id="{hidden}", values={"bogus": 1}, if_seq="x"), "NOT_FOUND"),
    ("bob", _delete(entity="Note", id="{hidden}", if_seq="x"), "NOT_FOUND"),
    ("bob", {"fn": "hidden", "args": {"bogus": 1}}, "NOT_FOUND"),
    ("bob", {"fn": "double", "args": {}}, "INVALID_ARGUMENT"),
    ("bob", _insert(bogus=1), "INVALID_ARGUMENT"),
    ("bob", _update(entity="Note"), "INVALID_ARGUMENT"),
    ("bob", _update(entity="Note", id="{own}", values={}, bogus=1), "INVALID_ARGUMENT"),
    ("bob", _delete(entity="Note", id="{own}", if_seq="x"), "INVALID_ARGUMENT"),
    ("bob", _delete(entity="Note", id="{own}", if_seq=1), "POLICY_DENIED"),
    ("ada", _delete(entity="Note", id="{own}", if_seq=1), "CONFLICT"),
]


def _filled(value: Any, names: dict[str, str]) -> Any:
    match value:
        case str():
            for name, text in names.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        case dict():
            return {key: _filled(one, names) for key, one in value.items()}
        case _:
            return value


async def test_the_first_of_several_faults_is_said(serve: Serve) -> None:
    """Requests and pushed operations with several faults each, and what they are answered."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    callers = {
        "ada": ada, "bob": bob, "nobody": served.anonymous(),
        "stranger": Caller(served, "no-token", None),
    }  # fmt: skip
    own = await ada.insert("Note", text="own")
    hidden = await ada.insert("Note", text="hidden", secret=True)
    names = {"own": own["id"], "hidden": hidden["id"], "ada": str(ada.user_id)}
    head = (await ada.get("/api/health")).body["head"]
    for who, method, path, body, headers, expected in ROWS:
        is_raw = isinstance(body, bytes)
        answer = await callers[who].ask(
            method, _filled(path, names), None if is_raw else _filled(body, names),
            data=body if is_raw else None, headers=headers,
        )  # fmt: skip
        assert (answer.status, answer.code) == expected, (who, method, path, body, answer.body)
    for number, (who, operation, code) in enumerate(OPERATIONS):
        pushed = {"op_id": f"o{number}", **_filled(operation, names)}
        answer = await callers[who].post("/api/sync/push", {"operations": [pushed]})
        (result,) = answer.body["results"]
        assert (result["status"], result["error"]["code"]) == ("rejected", code), (who, operation)
        assert result["seq"] is None
    assert (await ada.get("/api/health")).body["head"] == head, "nothing of it was stored"


async def test_parameters_are_known_and_well_formed(serve: Serve) -> None:
    """A name spelled wrongly is no name left out; a number is a number, a cursor a cursor."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    for path in (
        "/api/entities/Note?limt=5", "/api/entities/Note?limit=5&limit=5",
        "/api/sync/pull?curser=0", "/api/sync/pull?limit=00", "/api/sync/pull?limit=0",
        "/api/sync/pull?limit=1001", "/api/sync/pull?limit=", "/api/sync/pull?limit=1.0",
        "/api/sync/pull?limit=%D9%A1", "/api/sync/snapshot", "/api/sync/events?limit=5",
        "/api/sync/snapshot?entity=Note&limit=5", "/api/entities/Note?limit=010",
        "/api/entities/Note?limit=0", "/api/entities/Note?limit=1001",
        "/api/entities/Note?include=x",
    ):  # fmt: skip
        assert (await ada.get(path)).code == "INVALID_ARGUMENT", path
    for text in ("", "00", "-1", ":1", "a:", "a:-1", "a:01", "a:1.0", "a:1e3", "a:%2B1", "a:%201",
                 "a:%EF%BC%91", "a%20b:1", "a:1:2", "a:9007199254740992", "a" * 33 + ":1",
                 "a:99999999999999999999"):  # fmt: skip
        answer = await ada.get(f"/api/sync/pull?cursor={text}")
        assert answer.code == "INVALID_ARGUMENT", text
    for limit in (0, 1001, -1, 1.5, "5", True):
        answer = await ada.post("/api/query/Note", {"limit": limit})
        assert answer.code == "INVALID_ARGUMENT", limit
    for path in ("/api/sync/pull?limit=1", "/api/sync/pull?limit=1000", "/api/sync/pull?cursor=0",
                 "/api/entities/Note?limit=1000"):  # fmt: skip
        assert (await ada.get(path)).status == 200, path
    wellformed = await ada.get("/api/sync/pull?cursor=other:9007199254740991")
    assert (wellformed.status, wellformed.code) == (410, "RESYNC_REQUIRED")


async def test_numbers_beyond_the_database_are_no_error_of_the_server(serve: Serve) -> None:
    """In a filter they are compared, in a page's key they are refused."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    await ada.insert("Note", text="x", ratio=1.5)
    for value, count in ((9_999_999_999_999_999_999, 0), (-9_999_999_999_999_999_999, 1)):
        answer = await ada.post("/api/query/Note", {"where": {"ratio": {">": value}}})
        assert (answer.status, len(answer.body["rows"])) == (200, count)
    await ada.insert("Note", text="y")
    page = (await ada.get("/api/entities/Note?limit=1&order=rank")).body
    key = json.loads(base64.urlsafe_b64decode(page["next"] + "=" * (-len(page["next"]) % 4)))
    for value in (2**63, -(2**63) - 1, 9_999_999_999_999_999_999):
        forged = base64.urlsafe_b64encode(json.dumps([key[0], value, key[2]]).encode()).decode()
        answer = await ada.get(f"/api/entities/Note?limit=1&order=rank&after={forged.rstrip('=')}")
        assert answer.code == "INVALID_ARGUMENT", value
