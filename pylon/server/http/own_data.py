"""What one takes along, and leaving: the export of one's own account, and its deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.identity import Identity
from pylon.server.auth.sessions import identity_of, session_json
from pylon.server.functions.queries import unusable_fields
from pylon.server.http.auth import limit_sign_in
from pylon.server.http.credentials import demand_reproof, own_account
from pylon.server.http.exchange import Exchange, no_content
from pylon.server.http.services import Services
from pylon.server.storage.accounts import Account


async def export(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/export: account, sessions without secrets, and the rows that refer to it."""
    limit_sign_in(exchange)
    account = own_account(exchange)
    parts = export_parts(exchange.services, account)
    first = await anext(parts)
    answer = web.StreamResponse(
        headers={
            "Content-Type": "application/json", "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="export.json"',
            "X-Content-Type-Options": "nosniff", "Server": "Pylon",
        }
    )  # fmt: skip
    await answer.prepare(exchange.request)
    await answer.write(first.encode())
    async for part in parts:
        await answer.write(part.encode())
    return answer


async def export_parts(services: Services, account: Account) -> AsyncIterator[str]:
    """Yield the JSON text of an export, in pieces: it is never whole in memory.

    Rows are those whose references name the user, his User row among them, as far as he may read
    them, without the fields that he does not get.
    """
    head = {
        "exported_at": iso_ms(services.clock.now_ms()),
        "app": services.definitions.current.name,
        "account": services.own_data.account_json(account),
        "sessions": [session_json(one) for one in services.sessions.sessions_of(account.id)],
    }
    yield jsonvalue.encode_text(head)[:-1] + ',"rows":{'
    comma = ""
    identity = identity_of(account)
    for entity, filters in _own(services, identity, account.id):
        yield f'{comma}"{entity}":['
        comma, inner = ",", ""
        async for page in _pages(services, identity, entity, filters):
            yield inner + page
            inner = ","
        yield "]"
    yield "}}"


def _own(
    services: Services, identity: Identity, user_id: str
) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the entities that refer to users, each with the filters of one user's rows."""
    found = []
    definition = services.definitions.current
    for entity in definition.schema.entities.values():
        unusable = unusable_fields(definition, identity, entity)
        filters = [
            {one.name: user_id}
            for one in entity.public_fields
            if one.ref == "User" and one.name not in unusable
        ]
        if entity.name == "User":
            filters.append({"id": user_id})
        if filters:
            found.append((entity.name, filters))
    return found


async def _pages(
    services: Services, identity: Identity, entity: str, filters: list[dict[str, str]]
) -> AsyncIterator[str]:
    """Yield the rows of pages, joined by commas."""
    after = None
    while True:
        text = await services.reads.list_rows(
            identity, entity, where={"or": filters}, limit=limits.LIST_LIMIT_MAX, after=after
        )
        page = jsonvalue.decode_trusted(text)
        if page["rows"]:
            yield ",".join(jsonvalue.encode_text(row) for row in page["rows"])
        after = page["next"]
        if after is None:
            return


async def delete_me(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/auth/me: the account and its User row, by the rules of the references to it."""
    limit_sign_in(exchange)
    account = own_account(exchange)
    body = await exchange.json_object()
    await demand_reproof(exchange, account, body)
    await exchange.services.own_data.delete(account.id, exchange.identity)
    return no_content()
