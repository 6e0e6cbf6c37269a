"""The matrix of an app's policies and its flags."""

from __future__ import annotations

from pylon.app import matrix
from pylon.app.matrix import MatrixRow, build_matrix
from tests.unit.app.conftest import Load

APP = """
@app.entity(
    read="true",
    insert="isOwner() && data.state == 'new'",
    update="isOwner()",
    delete="isOwner() || hasRole('clerk')",
)
class Order(Entity):
    owner: Ref["User"] = field(default=actor)
    state: Literal["new", "paid"] = "new"
    note: str | None = field(default=None, read="hasRole('clerk') || isOwner()")
    at: datetime = field(default=now)

@app.entity(
    read="data.at <= now || isOwner()",
    insert="auth.userId == 'a' && auth.userId == null",
    update="isOwner() && old.at == new.at",
    delete="hasRole('ghost')",
)
class Post(Entity):
    owner: Ref["User"] = field(default=actor)
    at: datetime = field(default=now)

@app.entity(read="exists Grant(order == data.id, userId == auth.userId) || data.id != data.id")
class Grant(Entity):
    order: Ref["Order"]
    userId: Ref["User"]
    by_order = index("order", "userId")

@app.entity(read="exists Grant(order == data.order, userId == auth.userId)")
class Line(Entity):
    order: str

@app.query
def plain(ctx): ...

@app.query(allow="true")
def public(ctx): ...

@app.query(allow="hasRole('clerk')")
def guarded(ctx): ...

@app.query(internal=True)
def hidden(ctx): ...
"""


def _rows(load: Load, granted: set[str] | None = None) -> dict[str, MatrixRow]:
    return {row.key: row for row in build_matrix(load(APP), granted).rows}


def _flags(row: MatrixRow) -> set[str]:
    return {one.name for one in row.flags}


def test_every_access_and_function_has_its_row(load: Load) -> None:
    """Entities with four accesses each, fields with a policy, functions that can be called."""
    rows = _rows(load)
    assert {"Order.read", "Order.note.read", "User.delete", "plain().call"} <= set(rows)
    assert "hidden().call" not in rows
    assert rows["Order.update"].in_words == "its owner is the caller"
    assert rows["Grant.insert"].in_words == "nobody (no policy)"
    assert _flags(rows["Grant.insert"]) == {matrix.CLOSED}


def test_openness_is_told(load: Load) -> None:
    """To the world, to the world in part, to everybody who is signed in."""
    rows = _rows(load)
    assert _flags(rows["Order.read"]) == {matrix.OPEN, matrix.ALWAYS}
    assert _flags(rows["Post.read"]) == {
        matrix.OPEN_IN_PART, matrix.USES_NOW, matrix.MISSING_INDEX
    }  # fmt: skip
    assert _flags(rows["User.read"]) == {matrix.SIGNED_IN}
    assert _flags(rows["plain().call"]) == {matrix.SIGNED_IN}
    assert _flags(rows["public().call"]) == {matrix.OPEN, matrix.ALWAYS}
    assert _flags(rows["guarded().call"]) == set()


def test_mistakes_are_told(load: Load) -> None:
    """Never true, a missing index, wider on update, different on delete."""
    rows = _rows(load)
    assert _flags(rows["Post.insert"]) == {matrix.NEVER}
    assert _flags(rows["Line.read"]) == {matrix.MISSING_INDEX}
    assert _flags(rows["Order.update"]) == {matrix.WIDER}
    assert _flags(rows["Order.delete"]) == {matrix.DIFFERS}
    assert matrix.DIFFERS in rows["Post.delete"].not_decided


def test_what_looks_at_its_own_entity_is_not_decided(load: Load) -> None:
    """Nothing is claimed of it, and that is said."""
    row = _rows(load)["Grant.read"]
    assert _flags(row) == set()
    assert row.not_decided == [matrix.NEVER, matrix.ALWAYS]


def test_roles_that_nobody_has_and_that_nobody_asks_for(load: Load) -> None:
    """Both are told where there are accounts, with the place in the text; else neither."""
    rows = _rows(load, {"clerk", "boss"})
    assert matrix.UNUSED_ROLE not in _flags(rows["Order.delete"])
    (flag,) = rows["Post.delete"].flags[-1:]
    assert (flag.name, flag.detail, flag.at) == (
        matrix.UNUSED_ROLE, "no account has the role ghost", 9,
    )  # fmt: skip
    assert build_matrix(load(APP), {"clerk", "boss"}).roles_without_policy == ["boss"]
    assert build_matrix(load(APP)).roles_without_policy is None
    assert "clerk" in build_matrix(load(APP)).roles
    assert matrix.UNUSED_ROLE not in _flags(_rows(load)["Post.delete"])
