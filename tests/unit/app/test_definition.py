"""freeze(): an app as a whole, and every mistake of it at once with place and nearest name."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from pylon.errors import LoadFailed
from pylon.identity import Identity, IdentityKind
from pylon.schema.model import Access, DefaultKind, FieldKind, OnDelete
from tests.unit.app.conftest import FIRST, Load, Mistaken

NOW = "2026-11-23T12:00:00.000Z"
ENTITY = "@app.entity\nclass Message(Entity):\n"

#: What stands in the body of an entity, where in its line the mistake is, and what is said.
IN_BODY = [
    ("    body: Txt", 11, "Message.body: Txt is not defined", "did you mean Text?"),
    ("    at: datetme", 9, "Message.at: datetme is not defined", "did you mean datetime?"),
    ("    body: set[str]", 11, "Message.body: set[str] is not a type", "there are str, Text"),
    ("    body: str | int", 11, "Message.body: a field has one type", None),
    ("    body: list[bytes]", 11, "Message.body: a list can't hold bytes", None),
    ("    body: list[str | None]", 11, "Message.body: a list can't hold", None),
    ("    body: Literal[1]", 11, "Message.body: a Literal field has texts only", None),
    ("    owner: Ref", 12, "Message.owner: Ref names its entity", 'write Ref["Channel"]'),
    ('    owner: Ref["Usr"]', 5, "Message.owner refers to Usr, which is no entity",
     "did you mean User?"),
    ("    id: str", 5, "Message.id: the name id is reserved", None),
    ("    _seq: int", 5, "Message._seq: the name _seq is reserved", None),
    ("    Not: str", 5, "Message.Not: the name Not is reserved", None),
    ("    rowid: int", 5, "Message.rowid: the name rowid is reserved", None),
    ("    _hidden: str", 5, "Message._hidden: a field's name has letters", None),
    ("    größe: int", 5, "Message.größe: a field's name has letters", None),
    ("    a: int; A: int", 13, "Message.A differs from a by case only", None),
    ("    a: int = 1; a: int = 2", 17, "Message.a is given twice", None),
    ("    count: int = 'three'", 18, "bad default 'three': count must be an integer", None),
    ("    count: int = None", 18, "the default is None", "add | None"),
    ("    count: int = field(min=1, default=0)", 31, "count must be at least 1", None),
    ("    price: Decimal = field(scale=2, default=1.5)", 37, "price must be a Decimal", None),
    ("    price: Decimal = Decimal('1.555')", 22, "more than 0 digits", None),
    ("    state: Literal['a'] = 'b'", 27, "state must be one of a", None),
    ("    at: datetime = datetime(2026, 1, 1)", 20, "must say its offset", None),
    ("    day: date = now", 17, "default=now is for datetime", None),
    ("    count: int = actor", 18, "default=actor is for", None),
    ("    body: str = field(max_lenght=3)", 23, "field() has no max_lenght",
     "did you mean max_length?"),
    ("    body: str = field(unique='yes')", 23, "unique is True or False", None),
    ("    body: str = field(max_length=-1)", 23, "max_length is a whole number", None),
    ("    body: str = field(min=1)", 23, "min and max are for numbers", None),
    ("    count: int = field(min_length=1)", 24, "lengths are for texts", None),
    ("    body: str = field(pattern='[')", 23, "no regular expression", None),
    ("    count: int = field(min=2, max=1)", 24, "min is above max", None),
    ("    body: str = field(on_delete='cascad')", 23, "on_delete is restrict, cascade",
     "did you mean cascade?"),
    ("    body: str = field(on_delete='cascade')", 23, "on_delete is for Ref fields", None),
    ("    owner: Ref['User'] = field(on_delete='set_null')", 32, "set_null needs a field",
     "add | None"),
    ("    body: str = field(read='true', private=True)", 23, "nobody reads a private field", None),
    ("    body: str = field(read='data.bodi == null')", 29, "Message has no field bodi", "body"),
    ("    count: int = field(search=True)", 24, "search is for texts", None),
    ("    body: str = field(search=1)", 23, "search is True or False", None),
    ("    body: Text = field(search=True, private=True)", 24, "a private field can't be searched",
     None),
    ("    extra: Json = field(index=True)", 25, "a json field can't have an index", None),
    ("    body: str = field(renamed_from='body')", 23, "renamed from body, which still exists",
     None),
    ("    body: str = field(default_factory=lambda: 1)", 23, "bad default: body must be", None),
    ("    body: str = field(default_factory=lambda: 1 / 0)", 23,
     "default_factory failed: ZeroDivisionError", None),
    (r"    body: Literal['\ud800']", 11, "the choice '\\ud800' must not hold lone", None),
    (r"    body: str = field(doc='\ud800')", 23, "doc must not hold lone surrogates", None),
    ("    body: Literal['a', None]", 11, "a Literal field has texts only", "| None"),
    ("    body: File = field(index=True)", 24, "a file field can't have an index", None),
    ("    body: File = field(default='f1')", 24, "a file has no default", None),
    ("    body: list[File]", 11, "a list can't hold File", None),
    ("    body: User", 11, "User is not defined", "from pylon import User"),
    ("    body: str; by_body = index(body)", 32, "name 'body' is not defined", 'write "body"'),
    ("    body = field()", 5, "Message.body has no annotation", "body: str"),
    ("    body = str", 5, "Message.body is set to a type", "body: str"),
    ("    body = Text", 5, "Message.body is set to a type", "body: Text"),
    ("    body = Text()", 12, "TypeError", "body: Text"),
    ("    body: str; by_body = index('bdy')", 32, "there is no field bdy", "did you mean body?"),
    ("    body: str; by_body = index()", 16, "an index needs a field", None),
    ("    body: str; by_body = unique('body', 'body')", 33, "body is there twice", None),
    ("    tags: list[str]; by_tags = index('tags')", 38, "a list field can't have an index", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "column", "message", "hint"), IN_BODY)
def test_mistakes_in_a_body(
    mistaken: Mistaken, line: str, column: int, message: str, hint: str | None
) -> None:
    """Each wrong field, default, keyword or index is named with file, line, column and advice."""
    (found,) = mistaken(f"{ENTITY}    good: str = ''\n{line}\n")
    assert found.startswith(f"app.py:{FIRST + 3}:{column}: ")
    assert message in found
    assert (hint or "") in found
    assert ("hint:" in found) is (hint is not None)


@pytest.mark.parametrize(
    ("keywords", "column", "message", "hint"),
    [
        ("read=\"data.bdy == 'a'\"", 19, "Message.read: Message has no field bdy",
         "did you mean body?"),
        ("insert='data.count == 1 && auth.usrId == null'", 40, "auth has no usrId",
         "did you mean userId?"),
        ("update='data.count == true'", 21, "number is never equal to true or false", None),
        ("delete='hasRol(1)'", 21, "there is no function hasRol", "did you mean hasRole?"),
        ("read='exists Messag(count == 1)'", 19, "there is no entity Messag",
         "did you mean Message?"),
        ("read='exists Message(count == 1)'", 19, "exists on Message has no index",
         'by_count = index("count")'),
        ("read='data.count =='", 32, "the expression ends too early", None),
        ("read='isOwner()'", 19, "isOwner() needs exactly one field", "auth.userId == data.FIELD"),
        ("reed='true'", 19, "@app.entity has no reed", "did you mean read?"),
        ("read=1", 18, "the policy read is a text", None),
        ("sync=1", 18, "sync is True or False", None),
    ],
)  # fmt: skip
def test_mistakes_in_policies(
    mistaken: Mistaken, keywords: str, column: int, message: str, hint: str | None
) -> None:
    """A policy's mistake stands at its word in the app's own source."""
    text = f"@app.entity({keywords})\nclass Message(Entity):\n    body: str\n    count: int\n"
    (found,) = mistaken(text)
    assert found.startswith(f"app.py:{FIRST}:{column}: ")
    assert message in found
    assert (hint or "") in found


def test_the_line_inside_a_long_policy_is_found(mistaken: Mistaken) -> None:
    """In a policy of several lines the mistake has the line it stands on."""
    text = '''@app.entity(
    read="""
        data.count == 1
        || data.cuont == 2
    """,
)
class Message(Entity):
    count: int
'''
    (found,) = mistaken(text)
    assert found.splitlines() == [
        f"app.py:{FIRST + 3}:12: Message.read: Message has no field cuont",
        "    || data.cuont == 2", "       ^", "  hint: did you mean count?",
    ]  # fmt: skip


def test_the_place_inside_joined_and_escaped_texts_is_found(mistaken: Mistaken) -> None:
    """A policy of several literals, with escapes or raw, is told of at the place of the file."""
    text = r'''@app.entity(
    read="data.count == 1 "
         "|| data.cuont == 2"
         r" || data.coutn == 2",
    update="data.count == 1 \n || " + 'data.cuont == 2',
    delete="""data.body == '\t' \
        || data.bdy == 'a'
        || data.bod == 'a'""",
)
class Message(Entity):
    count: int
    body: str
'''
    places = [one.split(" ")[0] for one in mistaken(text)]
    assert places == [
        f"app.py:{FIRST + line}:{column}:"
        for line, column in ((2, 14), (3, 16), (4, 40), (6, 12), (7, 12))
    ]


def test_a_policy_by_name_is_told_of_where_its_text_stands(mistaken: Mistaken) -> None:
    """A name leads to its text; what is put together stands where it is given."""
    text = """WHO = "auth.userId == data.nope"
TWICE = "true"
TWICE = "data.nope == 1"
@app.entity(read=WHO, insert=f"{WHO}", update=TWICE)
class Message(Entity):
    count: int
"""
    places = [one.split(" ")[0] for one in mistaken(text)]
    assert places == [
        f"app.py:{FIRST + line}:{column}:" for line, column in ((0, 23), (3, 30), (3, 47))
    ]


def test_the_app_itself_has_its_place(load: Load) -> None:
    """A wrong name or version of the App is told at the line that makes it."""
    text = 'from pylon import App\n\napp = App("", version="\\n")\n'
    with pytest.raises(LoadFailed) as failed:
        load(text, is_whole=True)
    assert [(one.file, one.line) for one in failed.value.mistakes] == [("app.py", 3)] * 2


def test_a_policy_without_its_name(mistaken: Mistaken) -> None:
    """A policy needs the name of its access."""
    (found,) = mistaken('@app.entity("true")\nclass Message(Entity):\n    body: str\n')
    assert found.startswith(f"app.py:{FIRST}:1: @app.entity takes each policy by its name")


EVERYTHING = """
@app.entity(read="exists Membership(chanelId == data.id)", insert="auth.userId == data.autorId")
class Message(Entity):
    channelId: Ref["Chanel"]
    authorId: Ref["User"] = field(default=actor, immutabel=True)
    body: Txt
    count: int = "three"
    id: str
    by_channel = index("chanelId")

@app.entity(read="data.x == 'a'")
class Message(Entity):
    x: int
    to: Ref["Nobody"]

@app.entity
class message(Entity):
    x: int

@app.entity
class Channel(Entity):
    name: str

class Forgotten(Entity):
    name: str

@app.query(allow="args.z == 1", timeot=1)
async def listed(ctx, a: Nope, *rest): ...

@app.mutation
def listed(x): ...

@app.webhook
async def later(ctx): ...

@app.on_start
def started(ctx): ...
"""


def test_everything_is_told_at_once(mistaken: Mistaken) -> None:
    """One load shows every mistake, by line, whatever kind it is and however many."""
    found = mistaken(EVERYTHING)
    lines = [int(one.split(":")[1]) - FIRST for one in found]
    assert lines == sorted(lines)
    for line, message in (
        (1, "there is no entity Membership"), (1, "Message has no field autorId"),
        (3, "refers to Chanel"), (4, "field() has no immutabel"), (5, "Txt is not defined"),
        (6, "bad default 'three'"), (7, "the name id is reserved"), (8, "no field chanelId"),
        (10, "number is never equal to text"), (11, "Message is declared twice"),
        (13, "refers to Nobody"), (16, "message and Message differ by case only"),
        (23, "Forgotten lacks @app.entity"), (26, "there is no argument z"),
        (26, "@app.query has no timeot"), (27, "a query is def"), (27, "Nope is not defined"),
        (27, "*args and **kwargs"), (30, "the first parameter is ctx"),
    ):  # fmt: skip
        assert any(at == line and message in one for at, one in zip(lines, found, strict=True)), (
            line, message, found,
        )  # fmt: skip
    text = "\n".join(found)
    assert "webhook" in text
    assert "started: a hook is async def" in text


def test_a_mistake_is_told_once(mistaken: Mistaken) -> None:
    """What only follows from a field's own mistake is not told beside it."""
    text = "@app.entity(read=\"data.body == 'a' || isOwner()\")\nclass Message(Entity):\n"
    (found,) = mistaken(text + '    body: Txt\n    owner: Ref["User"] = field(default=actor)\n')
    assert "Txt is not defined" in found


GOOD = '''
class Color(Enum):
    RED = "red"

@app.entity(read="auth.userId != null", insert="isOwner()", sync=False)
class Note(Entity):
    """What somebody wrote."""
    ownerId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    text: Text = field(max_length=10, search=True)
    big: BigInt | None
    price: Decimal | None = field(scale=2, default=None)
    color: Color = Color.RED
    tags: list[str] = field(default_factory=list)
    at: datetime = field(default=now)
    day: date | None = field(default=None, index=True)
    extra: dict | None = None
    secret: str | None = field(default=None, private=True)
    by_text = unique("ownerId", "text")

@app.query(allow="true")
def notes(ctx, since: datetime | None = None) -> list[Note]:
    """All notes."""
    return ctx.db.list(Note)

@app.mutation(internal=True)
def _sweep(ctx): ...

@app.on_start
async def started(ctx): ...
'''


def test_a_good_app_is_frozen(load: Load) -> None:
    """Entities, policies, functions and hooks are what the app declared, and do not change."""
    definition = load(GOOD, generation=7)
    assert (definition.name, definition.version, definition.generation) == ("test", "1", 7)
    note = definition.schema.entities["Note"]
    kinds = {one.name: one.kind for one in note.fields}
    assert kinds == {
        "ownerId": FieldKind.REF, "text": FieldKind.TEXT, "big": FieldKind.BIGINT,
        "price": FieldKind.DECIMAL, "color": FieldKind.ENUM, "tags": FieldKind.LIST,
        "at": FieldKind.DATETIME, "day": FieldKind.DATE, "extra": FieldKind.OBJECT,
        "secret": FieldKind.STR,
    }  # fmt: skip
    assert note.by_name["ownerId"].on_delete is OnDelete.CASCADE
    assert note.by_name["color"].default is not None
    assert note.by_name["color"].default.value == "red"
    assert note.by_name["at"].default is not None
    assert note.by_name["at"].default.kind is DefaultKind.NOW
    assert note.by_name["big"].nullable
    assert not note.sync
    assert note.doc == "What somebody wrote."
    assert [(one.name, one.fields, one.unique) for one in note.indexes] == [
        ("by_text", ("ownerId", "text"), True), ("day", ("day",), False)
    ]  # fmt: skip
    assert definition.functions["notes"].doc == "All notes."
    assert definition.functions["_sweep"].is_internal
    assert len(definition.on_start) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.name = "other"  # type: ignore[misc]


def test_policies_are_closed_where_nothing_is_said(load: Load) -> None:
    """An entity without a policy for an access is closed for it."""
    policies = load(GOOD).policies
    somebody = Identity(kind=IdentityKind.USER, user_id="u1", roles=frozenset({"admin"}))
    row: dict[str, Any] = {"id": "n", "ownerId": "u1"}
    assert policies.get("Note", Access.READ).allows(somebody, row, now=NOW)
    assert policies.get("Note", Access.INSERT).allows(somebody, row, now=NOW)
    assert not policies.get("Note", Access.UPDATE).allows(somebody, row, now=NOW)
    assert not policies.get("Nothing", Access.READ).allows(somebody, row, now=NOW)


def test_the_manifest_tells_what_clients_may_know(load: Load) -> None:
    """Private fields, internal functions and policy texts stay in the server."""
    manifest = load(GOOD).manifest
    (note,) = [one for one in manifest.entities if one.name == "Note"]
    assert "secret" not in [one.name for one in note.fields]
    assert [one.name for one in manifest.functions] == ["notes"]
    assert "isOwner" not in repr(manifest)


def test_equal_apps_have_equal_hashes(load: Load) -> None:
    """The hash follows what clients see, not comments or policies."""
    one = load(GOOD).hash
    assert load(GOOD + "# a comment\n").hash == one
    assert load(GOOD.replace("isOwner()", "auth.isAdmin")).hash == one
    assert load(GOOD.replace("big: BigInt", "big: int")).hash != one


def test_user_is_there_without_being_declared(load: Load) -> None:
    """The public face of an account exists in every app, with its two policies."""
    definition = load("")
    user = definition.schema.entities["User"]
    assert [one.name for one in user.fields] == ["name", "avatar"]
    read = definition.policies.get("User", Access.READ)
    update = definition.policies.get("User", Access.UPDATE)
    somebody = Identity(kind=IdentityKind.USER, user_id="u1")
    assert read.allows(somebody, {"id": "u2"}, now=NOW)
    assert not read.allows(Identity(kind=IdentityKind.ANONYMOUS), {"id": "u2"}, now=NOW)
    assert update.allows(somebody, {"id": "u1"}, now=NOW)
    assert not update.allows(somebody, {"id": "u2"}, now=NOW)
    assert not definition.policies.get("User", Access.DELETE).allows(
        somebody, {"id": "u1"}, now=NOW
    )  # fmt: skip


def test_an_app_may_declare_its_own_user(load: Load, mistaken: Mistaken) -> None:
    """Its fields replace the built-in ones; since a User is made at sign-in, none is required."""
    text = "@app.entity(read='true')\nclass User(Entity):\n    nick: str | None\n"
    assert [one.name for one in load(text).schema.entities["User"].fields] == ["nick"]
    (found,) = mistaken(text.replace("str | None", "str"))
    assert "User.nick: a User is made at sign-in, so this needs a default" in found
    (found,) = mistaken("@app.entity\nclass user(Entity):\n    a: int = 1\n")
    assert "user and User differ by case only" in found


def test_advice_does_not_stop_the_load(load: Load) -> None:
    """A missing index on the row's own side is told as a warning."""
    text = (
        "@app.entity(read='exists User(id == data.ownerId)')\n"
        "class Note(Entity):\n    ownerId: str\n"
    )
    (advice,) = load(text).warnings
    assert 'by_ownerId = index("ownerId")' in advice


def test_a_text_is_searched_unless_it_says_otherwise(load: Load) -> None:
    """A str only if it says so, and nothing that is private."""
    body = (
        "    a: Text\n    b: Text = field(search=False)\n    c: str\n"
        "    d: str = field(search=True)\n    e: Text = field(private=True)\n    f: Text | None\n"
    )
    searched = load(ENTITY + body).schema.entities["Message"].searched_fields
    assert [one.name for one in searched] == ["a", "d", "f"]


@pytest.mark.parametrize("least", ["-1", '"2"', "True", "1.5", "2 ** 60"])
def test_the_least_build_is_an_integer(load: Load, least: str) -> None:
    """What pages compare it with is one."""
    text = f'from pylon import App\n\napp = App("a", min_client={least})\n'
    with pytest.raises(LoadFailed) as failed:
        load(text, is_whole=True)
    (mistake,) = failed.value.mistakes
    assert (mistake.line, "min_client" in mistake.message) == (3, True)


def test_pages_hear_of_another_least_build(load: Load) -> None:
    """It stands in the manifest, and moves its hash; where none is asked for, nothing is there."""
    found = [
        load(f'from pylon import App\n\napp = App("a"{text})\n', is_whole=True).manifest
        for text in ("", ", min_client=0", ", min_client=2")
    ]
    assert found[0] == found[1]
    assert found[2].min_client == 2
    assert found[2].hash != found[0].hash
    assert b"min_client" not in msgspec.json.encode(found[0])
