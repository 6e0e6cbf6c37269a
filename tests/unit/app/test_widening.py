"""What a new version lets anonymous callers do that the one before did not."""

from __future__ import annotations

import pytest

from pylon.app.widening import policy_texts, widenings
from tests.unit.app.conftest import Load

APP = """
@app.entity(read="{read}", insert="{insert}")
class Note(Entity):
    owner: Ref["User"] = field(default=actor)
    is_public: bool = False
    secret: str{secret} = ""

@app.query{query}
def ask(ctx, name: str): ...

@app.query(internal=True)
def hidden(ctx): ...
"""
BEFORE = {"read": "isOwner() || data.is_public == true", "insert": "isOwner()",
          "secret": " = field(private=True, default=''); other: str", "query": ""}  # fmt: skip


def _gained(load: Load, **changes: str) -> list[str]:
    before = policy_texts(load(APP.format(**BEFORE)))
    found = widenings(before, load(APP.format(**{**BEFORE, **changes}), generation=2))
    return [f"{one.subject}.{one.access}" for one in found]


@pytest.mark.parametrize(
    ("changes", "gained"),
    [
        ({}, []),
        ({"read": "true"}, ["Note.read"]),
        ({"read": "isOwner() || data.is_public != null"}, ["Note.read"]),
        ({"read": "isOwner()"}, []),
        ({"read": "auth.userId != null"}, []),
        ({"read": "data.is_public == true && auth.userId == null"}, []),
        ({"read": "!(isOwner() || !(data.is_public == true))"}, []),
        ({"insert": "hasRole('admin') || auth.userId != null"}, []),
        ({"insert": "auth.userId == null"}, ["Note.insert"]),
        ({"query": "(allow='true')"}, ["ask().call"]),
        ({"query": "(allow='args.name == null')"}, ["ask().call"]),
        ({"query": "(allow='isOwner()')".replace("isOwner()", "auth.userId != null")}, []),
        ({"secret": " = ''; other: str"}, ["Note.secret.read"]),
        ({"secret": " = ''; other: str", "read": "isOwner()"}, []),
        ({"secret": " = field(read='true', default=''); other: str"}, ["Note.secret.read"]),
        ({"secret": " = field(read='isOwner()', default=''); other: str"}, []),
    ],
)
def test_only_what_anonymous_callers_may_gain_is_told(
    load: Load, changes: dict[str, str], gained: list[str]
) -> None:
    """Others' gains and everybody's losses are not, nor what is the same in other words."""
    assert _gained(load, **changes) == gained


def test_a_text_that_no_longer_compiles_counts_as_a_widening(load: Load) -> None:
    """Unless the new policy is closed to anonymous callers anyhow."""
    before = policy_texts(load(APP.format(**BEFORE)))
    renamed = APP.replace("is_public", "open")
    open_one = load(renamed.format(**{**BEFORE, "read": "data.open == true"}), generation=2)
    (found,) = widenings(before, open_one)
    assert found.before == BEFORE["read"]
    closed = load(renamed.format(**{**BEFORE, "read": "isOwner()"}), generation=3)
    assert widenings(before, closed) == []


def test_a_new_entity_that_is_open_is_a_widening(load: Load) -> None:
    """There was nothing to read before."""
    before = policy_texts(load("@app.entity\nclass Other(Entity):\n    name: str\n"))
    found = widenings(before, load(APP.format(**BEFORE), generation=2))
    assert [one.render() for one in found] == [
        "Note read  app.py:9\n  before: nobody\n"
        "  now:    its owner is the caller or its is_public is true"
    ]


def test_a_field_policy_that_is_taken_away_is_a_widening(load: Load) -> None:
    """Where the rows are open, what guarded a field of theirs is compared, too."""
    guarded = {**BEFORE, "secret": " = field(read='hasRole(\\'a\\')', default=''); other: str"}
    before = policy_texts(load(APP.format(**guarded)))
    plain = load(APP.format(**{**BEFORE, "secret": " = ''; other: str"}), generation=2)
    (found,) = widenings(before, plain)
    assert (found.subject, found.before) == ("Note.secret", "the caller has the role a")
    assert found.now == "whoever reads the row"
    assert widenings(before, load(APP.format(**guarded), generation=3)) == []


def test_a_private_field_that_is_renamed_into_an_open_one_is_a_widening(load: Load) -> None:
    """It holds what the private one held."""
    before = policy_texts(load(APP.format(**BEFORE)))
    renamed = APP.replace(
        "secret: str{secret}", "told: str = field(renamed_from='secret')\n    o: str"
    )
    (found,) = widenings(before, load(renamed.format(**BEFORE), generation=2))
    assert (found.subject, found.before) == ("Note.told", "private")
