"""The whole shop in a second: `pytest -o asyncio_mode=auto`."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from pylon.testing import ServerRefused, running

HERE = Path(__file__).parent
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(300_000)


async def _ordered(ada, **values):
    file = await ada.upload(PICTURE, name="summer.png")
    return await ada.call(
        "order", **{"title": "Summer", "picture": file["id"], "copies": 2, **values}
    )


async def test_an_order_goes_from_the_till_to_the_post():
    async with running(HERE) as rt:
        ada = await rt.user("ada@example.com")
        staff = await rt.user("stan@example.com", roles=["staff"])
        order = await _ordered(ada)
        await rt.settled()
        assert [row.state for row in ada.rows("Order")] == ["paid"]
        await staff.call("packed", orderId=order)
        await rt.settled()
        assert ada.rows("Order")[0].state == "packed"
        await rt.travel("+6h")
        await rt.settled()
        (row,) = ada.rows("Order")
        assert row.state == "sent"
        assert row.note.startswith("receipt")


async def test_what_nobody_packs_is_given_back():
    async with running(HERE) as rt:
        ada = await rt.user("ada@example.com")
        await _ordered(ada)
        await rt.settled()
        await rt.travel("+4d")
        await rt.settled()
        assert ada.rows("Order")[0].state == "given up"
        staff = await rt.user("stan@example.com", roles=["staff"])
        with pytest.raises(ServerRefused) as refused:
            await staff.call("packed", orderId=ada.rows("Order")[0].id)
        assert refused.value.code == "NOT_OPEN"


async def test_orders_are_their_owners():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        order = await _ordered(ada)
        await rt.settled()
        assert bob.rows("Order") == []
        with pytest.raises(ServerRefused) as refused:
            await bob.call("packed", orderId=order)
        assert refused.value.code == "POLICY_DENIED"
        with pytest.raises(ServerRefused) as refused:
            await bob.call("order", title="Mine", picture=ada.rows("Order")[0].picture["id"])
        assert refused.value.code in ("NO_PICTURE", "INVALID_ARGUMENT")


async def test_five_open_orders_are_enough():
    async with running(HERE) as rt:
        ada = await rt.user("ada@example.com")
        for _ in range(5):
            await _ordered(ada)
        with pytest.raises(ServerRefused) as refused:
            await _ordered(ada)
        assert refused.value.code == "TOO_MANY_ORDERS"
        assert sum((await ada.call("board")).values()) == 5


async def test_a_week_makes_seven_reports():
    async with running(HERE) as rt:
        staff = await rt.user("stan@example.com", roles=["staff"])
        await rt.travel("+7d")
        await rt.settled()
        assert [row.orders for row in staff.rows("Report")] == [0] * 7


async def test_the_warehouse_packs_by_a_signed_call(monkeypatch):
    monkeypatch.setenv("WAREHOUSE_SECRET", "s3cret")
    async with running(HERE) as rt:
        ada = await rt.user("ada@example.com")
        body = json.dumps({"orderId": await _ordered(ada)}).encode()
        await rt.settled()
        signature = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        url = "/api/webhooks/warehouse"
        headers = {"X-Hub-Signature-256": signature, "X-Delivery": "d1"}
        forged = {**headers, "X-Hub-Signature-256": f"{signature[:-1]}!"}
        assert (await rt.request("POST", url, data=body, headers=forged))[0] == 401
        for _ in range(2):  # it is sent twice, and packed once
            assert (await rt.request("POST", url, data=body, headers=headers))[0] == 204
        await rt.settled()
        assert ada.rows("Order")[0].state == "packed"
