"""Who may call a function is asked in the transaction that the call is (I60)."""

from __future__ import annotations

from itertools import count

import pytest

from tests.conftest import Serve

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field, index

app = App("rights")


@app.entity(read="true", insert="auth.userId != null", delete="auth.userId == data.userId")
class Seat(Entity):
    room: str
    userId: Ref["User"] = field(on_delete="cascade")

    by_room = index("room", "userId")


@app.entity(read="true")
class Line(Entity):
    room: str


@app.mutation(allow="exists Seat(room == args.room, userId == auth.userId)")
def speak(ctx, room: str) -> None:
    with ctx.as_system():
        ctx.db.insert("Line", room=room)
"""


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_call_is_judged_by_what_the_same_batch_did_before(
    serve: Serve, atomic: bool
) -> None:
    """A right that ends right before the call, in one commit, is over; one that begins, there."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    seat = {"entity": "Seat", "id": "s1", "values": {"room": "r", "userId": ada.user_id}}
    enter = ("pylon.insert", seat)
    leave = ("pylon.delete", {"entity": "Seat", "id": "s1"})
    speak = ("speak", {"room": "r"})

    numbers = count()

    async def push(*steps: tuple[str, dict[str, object]]) -> list[str]:
        operations = [
            {"op_id": f"op-{next(numbers)}", "fn": fn, "args": args} for fn, args in steps
        ]
        given = {"client_id": "c", "atomic": atomic, "operations": operations}
        answer = await ada.post("/api/sync/push", given)
        assert answer.status == 200, answer
        return [one["status"] for one in answer.body["results"]]

    assert await push(enter, speak) == ["applied"] * 2
    assert (await push(leave, speak))[1] == "rejected"
    lines = (await ada.get("/api/entities/Line")).body["rows"]
    assert len(lines) == 1
