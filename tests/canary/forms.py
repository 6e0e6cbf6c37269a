"""The requests of the matrix, made from the served OpenAPI, the route table and the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from pylon import jsonvalue
from pylon.schema.model import Entity, FieldKind, Schema
from pylon.schema.relations import relations_of
from tests.canary.rows import Mint

#: Routes that do not end by themselves; sockets and streams are opened apart.
ENDLESS: Final = frozenset({
    "/api/sync/ws", "/api/sync/events", "/_pylon/dev/events", "/api/admin/stream",
    "/api/admin/ghost/{user}/api/sync/ws",
})  # fmt: skip
#: Nobody's field, and nobody's row.
MISSING: Final = "zzz"
_WORDS: Final = ("alpha", "cnry", "alpha cnry", "cn", '"cnry', "cnry* OR alpha", "title:alpha")


@dataclass(frozen=True, slots=True)
class Form:
    """One request."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def template_of(routes: Sequence[tuple[str, str]], method: str, path: str) -> str:
    """Return the path of the route that answers a request, as the table writes it."""
    parts = path.partition("?")[0].split("/")
    wanted = "GET" if method == "HEAD" else method
    for of, template in sorted(routes, key=lambda one: ("..." in one[1], one[1].count("{"))):
        given = template.split("/")
        if given[-1] == "{tail...}":
            given, shortened = given[:-1], parts[: len(given) - 1]
        else:
            shortened = parts
        fits = len(given) == len(shortened) and all(
            one.startswith("{") or one == part for one, part in zip(given, shortened, strict=True)
        )
        if fits and of == wanted:
            return template
    return "none"


@dataclass(frozen=True, slots=True)
class Pools:
    """What stands for the open parts of paths, parameters and bodies."""

    schema: Schema
    #: Ids of rows by entity.
    ids: Mapping[str, Sequence[str]]
    #: By the name of a path's part or of a member of a body; the first is the likeliest.
    values: Mapping[str, Sequence[Any]]
    mint: Mint

    def of(self, name: str) -> Sequence[Any]:
        """Return what to try for a name; a new one gets something, too."""
        return self.values.get(name) or (MISSING,)


def some(
    forms: Sequence[Form], routes: Sequence[tuple[str, str]], *, of: int, from_: int
) -> list[Form]:
    """Return one of so many requests, beginning at another for each who asks; of each route one."""
    met: set[tuple[str, str]] = set()
    found = []
    for place, one in enumerate(forms):
        route = (one.method, template_of(routes, one.method, one.path))
        if route not in met or place % of == from_ % of:
            met.add(route)
            found.append(one)
    return found


def _json(value: Any) -> str:
    return quote(jsonvalue.encode_text(value))


def _asks(one: Entity, name: str) -> tuple[Any, Any]:
    """Return two filters by a field that tell something of its value."""
    known = one.by_name.get(name)
    is_text = known is None or known.kind in (FieldKind.STR, FieldKind.TEXT)
    given = {"not": {name: {"contains": "cnry"}}} if is_text else {"or": [{name: {"!=": None}}]}
    return {name: {"!=": None}}, given


def of_entity(pools: Pools, entity: Entity) -> Iterator[Form]:
    """Yield every way to ask for the rows of an entity, by each of its fields and neighbours."""
    name = entity.name
    for each in [*(one.name for one in entity.fields), MISSING]:
        where, other = _asks(entity, each)
        yield Form("GET", f"/api/entities/{name}?where={_json(where)}")
        yield Form("GET", f"/api/entities/{name}?order={each}&limit=1")
        yield Form("POST", f"/api/query/{name}", {"where": other, "order": [f"-{each}"]})
        yield Form("GET", f"/api/sync/snapshot?entity={name}&where={_json(other)}")
        spec = [{"id": "s", "entity": name, "where": where}]
        yield Form("GET", f"/api/sync/pull?subscriptions={_json(spec)}")
        yield Form("GET", f"/api/search/{name}?q=cnry&where={_json(other)}")
        for body in (
            {"aggregates": {"a": {"min": each}, "b": {"max": each}, "c": {"count": each}}},
            {"aggregates": {"a": {"sum": each}, "b": {"avg": each}}},
            {"group": [each], "where": where, "aggregates": {"n": {"count": "*"}}},
        ):
            yield Form("POST", f"/api/aggregate/{name}", body)
    for relation, leads in relations_of(pools.schema, entity).items():
        further = relations_of(pools.schema, pools.schema.entities[leads.entity])
        for path in (relation, *(f"{relation}.{one}" for one in further)):
            yield Form("GET", f"/api/entities/{name}?include={path}")
        yield Form("POST", f"/api/query/{name}", {"include": [relation], "order": ["-id"]})
        yield Form("GET", f"/api/search/{name}?q=cnry&include={relation}")
        for row_id in pools.ids[name]:
            yield Form("GET", f"/api/entities/{name}/{row_id}?include={relation}")
    for word in _WORDS:
        yield Form("GET", f"/api/search/{name}?q={quote(word)}")


def writes(pools: Pools, entity: Entity) -> Iterator[Form]:
    """Yield tries to change, take and make rows of an entity, by every way in."""
    name = entity.name
    texts = [one.name for one in entity.fields if one.kind in (FieldKind.STR, FieldKind.TEXT)]
    free = [one for one in texts if not entity.by_name[one].immutable and not
            entity.by_name[one].ref]  # fmt: skip
    for row_id in pools.ids[name]:
        path = f"/api/entities/{name}/{row_id}"
        values = {one: pools.mint.text() for one in free[:1]}
        yield Form("PATCH", path, values)
        yield Form("PATCH", path, {MISSING: 1})
        yield Form("DELETE", path, headers={"If-Match": '"1"'})
        args = {"entity": name, "id": row_id}
        for fn, more in (
            ("pylon.update", {"values": values}), ("pylon.insert", {"values": values}),
            ("tried", {"values": values}), ("dropped", {}), ("pylon.delete", {}),
        ):  # fmt: skip
            op = {"op_id": pools.mint.text()[6:], "fn": fn, "args": {**args, **more}}
            yield Form("POST", "/api/sync/push", {"operations": [op, op], "atomic": fn == "tried"})
        yield Form("DELETE", path)
    given: dict[str, Any] = {one: pools.mint.text() for one in free}
    for one in entity.fields:
        if one.ref is not None and not one.immutable:
            given[one.name] = pools.ids[one.ref][0] if one.ref != "User" else pools.of("user")[0]
    yield Form("POST", f"/api/entities/{name}", given)
    yield Form("POST", f"/api/entities/{name}", {**given, "id": pools.ids[name][0]})


def calls(pools: Pools) -> Iterator[Form]:
    """Yield calls of the app's functions, which hand out what their callers may have."""
    text = pools.mint.text
    for name in pools.schema.entities:
        for row_id in (*pools.ids[name], MISSING):
            yield Form("POST", "/api/fn/found", {"entity": name, "id": row_id})
            yield Form("POST", "/api/fn/relayed", {"entity": name, "id": row_id})
        yield Form("POST", "/api/fn/listed", {"entity": name})
        events = {"Accept": "text/event-stream"}
        yield Form("POST", "/api/fn/streamed", {"entity": name}, events)
        for each in (*pools.schema.entities[name].by_name, MISSING):
            where = {"entity": name, "where": f"{each} != null"}
            yield Form("POST", "/api/fn/counted", where)
    asks = ("", "?access=delete", f"?as={pools.of('email')[0]}", "?access=update&values=%7B%7D")
    for name in ("Paper", "Comment", "Notice", "Vault"):
        for row_id in (*pools.ids[name], MISSING):
            for ask in asks:  # there under `pylon dev` alone
                yield Form("GET", f"/api/explain/{name}/{row_id}{ask}")
    for row_id in pools.ids["Paper"]:
        yield Form("POST", "/api/fn/later", {"id": row_id, "text": text()})
    yield Form("POST", "/api/fn/mailed", {"text": text()})
    yield Form("POST", "/api/fn/broken", {})
    yield Form("POST", "/api/fn/inside", {})


def of_files(pools: Pools) -> Iterator[Form]:
    """Yield tries to read, keep and move files: by their ids, and through rows of one's own."""
    octets = {"Content-Type": "application/octet-stream"}
    for file_id in (*pools.of("file"), MISSING):
        path = f"/api/files/{file_id}"
        yield Form("GET", path, headers={"Range": "bytes=0-99"})
        yield Form("GET", path, headers={"Range": "bytes=-20"})
        yield Form("GET", f"{path}?download=1", headers={"If-None-Match": '"0"'})
        yield Form("GET", f"{path}?w=256")
        yield Form("HEAD", path, headers={"Range": "bytes=1-2"})
        yield Form("POST", "/api/fn/filed", {"id": file_id})
        yield Form("POST", "/api/fn/opened", {"id": file_id})
        yield Form("PATCH", f"/api/files/uploads/{file_id}", {}, {**octets, "Upload-Offset": "0"})
        values = {"scan": file_id}
        yield Form("POST", "/api/entities/Letter", values)
        yield Form("PATCH", "/api/entities/Letter/letter-mine", values)
        args = {"entity": "Letter", "id": "letter-mine", "values": {"shut": file_id}}
        yield Form("POST", "/api/fn/tried", args)
        yield Form("DELETE", path)
    yield from of_upload(pools)
    begun = {"Upload-Length": "9", "X-Filename": "x"}
    yield Form("POST", "/api/files?resumable=1", None, begun)


def of_upload(pools: Pools) -> Iterator[Form]:
    """Yield tries to move the owner's upload on, and out of the way."""
    headers = {"Content-Type": "application/octet-stream", "Upload-Offset": "0"}
    for upload in pools.of("upload"):
        yield Form("PATCH", f"/api/files/uploads/{upload}", {}, headers)
        yield Form("DELETE", f"/api/files/uploads/{upload}")


def of_operator(pools: Pools, job: str, runs: Sequence[str]) -> list[Form]:
    """Return what the operator asks for beside what the table says; his `user` is a victim."""
    begun = {"name": "waiting", "args": {"text": pools.mint.text()}}
    user = pools.of("user")[0]
    bodies: dict[str, dict[str, Any]] = {
        "query": {"entity": "Paper", "as": user},
        "call": {"fn": "listed", "args": {"entity": "Paper"}, "as": user},
        "explain": {"entity": "Paper", "id": "paper-theirs", "as": user},
        "roles": {"user": user, "role": "editor"}, "token": {"user": user},
        "login-link": {"user": user}, "invite": {"email": "new@x.example"},
        "clients/member/resync": {}, "clients/guest/disconnect": {},
        "clients/member/network": {}, f"users/{user}/sign-in-as": {},
        f"jobs/{job}/cancel": {}, f"jobs/{job}/retry": {}, "queues/default/resume": {},
        "mail/preview": {"template": "code"}, "clock": {"to": "stop"},
        "sql": {"sql": "SELECT * FROM Paper", "plan": True},
        "workflows": begun, f"workflows/{runs[0]}/signal": {"event": "go"},
        f"workflows/{runs[1]}/cancel": {}, f"workflows/{runs[1]}/rerun": {},
    }  # fmt: skip
    board = {"values": {"text": pools.mint.text()}}
    bodies |= {
        "data/Board/board/update": board, "data/Board/board/delete": {},
        "data-bulk/Board": {"ids": ["board"], "delete": True, "look": True},
        "import": {"op_id": "import-1", "records": [{"entity": "Board", **board}]}, "seed": {},
        "branches": {"name": "copy"}, "branches/copy/drop": {"confirm": "copy"},
    }  # fmt: skip
    gets = (
        "data/Paper/paper-theirs",
        "clients/member",
        f"jobs/{job}",
        "log?after=0&limit=1000",
        "branches-diff?entity=Paper",
        "jobs?limit=1000",
        *(f"workflows/{run}" for run in runs),
    )
    return [
        *(Form("POST", f"/api/admin/{name}", body) for name, body in bodies.items()),
        *(Form("GET", f"/api/admin/{name}") for name in gets),
    ]


def frames(pools: Pools) -> Iterator[dict[str, Any]]:
    """Yield what a client may send over its socket, each with an id of its own."""
    asked = 0
    for entity in pools.schema.entities.values():
        name, text = entity.name, pools.mint.text()
        for each in [*(one.name for one in entity.fields), MISSING]:
            for more in ({"where": _asks(entity, each)[1]}, {"order": [each], "limit": 2}):
                asked += 1
                yield {"type": "subscribe", "id": f"q{asked}", "entity": name, **more}
                yield {"type": "unsubscribe", "id": f"q{asked}"}
        yield {"type": "subscribe", "id": f"h-{name}", "entity": name, "have": {"after": ""}}
        yield {"type": "unsubscribe", "id": f"h-{name}"}
        for row_id in (*pools.ids[name][:3], MISSING):
            asked += 1
            args = {"entity": name, "id": row_id}
            yield {"type": "call", "request_id": f"c{asked}", "fn": "found", "args": args}
            yield {"type": "call", "request_id": f"l{asked}", "fn": "relayed", "args": args}
            yield {"type": "cancel", "request_id": f"l{asked}"}
            operations = [
                {"op_id": f"o{asked}", "fn": "pylon.update", "args": {**args, "values": {}}},
                {"op_id": f"p{asked}", "fn": "tried", "args": {**args, "values": {"text": text}}},
            ]  # fmt: skip
            yield {"type": "push", "request_id": f"p{asked}", "operations": operations}
        yield {"type": "call", "request_id": f"s{asked}", "fn": "streamed",
               "args": {"entity": name}}  # fmt: skip
        yield {"type": "subscribe", "id": f"v-{name}", "fn": "listed", "args": {"entity": name}}
    for file_id in (*pools.of("file"), MISSING):
        args = {"id": file_id}
        yield {"type": "subscribe", "id": f"v-{file_id}", "fn": "filed", "args": args}
        yield {"type": "call", "request_id": f"o-{file_id}", "fn": "opened", "args": args}
    yield {"type": "call", "request_id": "broken", "fn": "broken", "args": {}}
    yield {"type": "ping"}


def described(pools: Pools, document: Mapping[str, Any]) -> Iterator[Form]:
    """Yield for every operation of the OpenAPI a request with what it needs, and one with all."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get(
                "application/json", {}).get("schema")  # fmt: skip
            for given in _paths(pools, path):
                for query in _queries(pools, operation):
                    for body in _bodies(pools, document, schema):
                        yield Form(method.upper(), given + query, body)


def from_table(pools: Pools, routes: Sequence[tuple[str, str]]) -> Iterator[Form]:
    """Yield for every line of the route table a request for each that its path may name."""
    for method, template in routes:
        if template not in ENDLESS:
            for path in _paths(pools, template):
                body = {} if method in ("POST", "PATCH") else None
                yield Form(method, path, body)
                if method == "GET":
                    yield Form("HEAD", path)


def _paths(pools: Pools, template: str) -> list[str]:
    found = [""]
    entity = next((one for one in pools.ids if f"/{one}/" in template + "/"), None)
    for part in template.split("/")[1:]:
        if not part.startswith("{"):
            found = [f"{one}/{part}" for one in found]
        elif entity is not None and part == "{id}":
            found = [f"{one}/{each}" for one in found for each in (*pools.ids[entity], MISSING)]
        else:
            values = pools.of(_pool_of(template, part.strip("{.}")))
            found = [f"{one}/{quote(str(each))}" for one in found for each in values]
    return found


def _pool_of(template: str, name: str) -> str:
    """Return the pool of a path's open part: files, uploads and webhooks have one of their own."""
    if name == "id" and "/files/" in template:
        return "upload" if "/uploads/" in template else "file"
    return "hook" if "/webhooks/" in template else name


def _queries(pools: Pools, operation: Mapping[str, Any]) -> list[str]:
    names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    return ["", *(f"?{name}={quote(str(each))}" for name in names for each in pools.of(name))]


def _bodies(pools: Pools, document: Mapping[str, Any], schema: Any) -> list[Any]:
    if schema is None:
        return [None]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    properties, needed = schema.get("properties", {}), schema.get("required", ())
    return [{name: pools.of(name)[0] for name in names} for names in (needed, properties)]
