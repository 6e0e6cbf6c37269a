"""Completion: what is offered fits, what fits is offered, values of enums too."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pylon.errors import InvalidArgument
from pylon.policy.completing import Known, known_of
from pylon.policy.completion import Offer, complete
from pylon.policy.filters import compile_filter_text
from pylon.policy.grammar import GrammarError, parse
from pylon.policy.ir import TypeKind
from pylon.schema.model import Entity
from tests.unit.policy.schemas import MESSAGE, SCHEMA


def _described(entity: Entity) -> dict[str, Any]:
    return {
        "name": entity.name,
        "fields": [
            {"name": one.name, "kind": one.kind.value, "ref": one.ref, "private": one.private,
             "choices": list(one.choices),
             "default": None if one.default is None else one.default.kind.value}
            for one in entity.fields
        ],
    }  # fmt: skip


KNOWN: Known = known_of([_described(one) for one in SCHEMA.entities.values()], "Message")
#: What somebody types where only he knows what.
TYPED = {
    TypeKind.NUMBER: "3", TypeKind.TEXT: "'x'", TypeKind.DECIMAL: "1.5",
    TypeKind.DATE: "'2026-01-01'", TypeKind.DATETIME: "'2026-01-01T00:00:00Z'",
}  # fmt: skip


def words(line: str, cursor: int | None = None) -> list[str]:
    """Return what is offered, without spaces around."""
    return [
        one.text.strip() for one in complete(line, len(line) if cursor is None else cursor, KNOWN)
    ]


@pytest.mark.parametrize(
    ("line", "wanted", "unwanted"),
    [
        ("", ["id", "authorId", "state", "auth.", "exists", "not", "isOwner()"], ["secret", "&&"]),
        ("st", ["state", "startsWith("], ["count"]),
        ("STA", ["state", "startsWith("], ["count"]),
        ("state ", ["==", "!=", "in", "not in"], ["&&", "state"]),
        ("state", ["==", "in"], []),
        ("state == ", ["'sent'", "'edited'", "null"], ["true", "'x'"]),
        ("state == 'e", ["'edited'"], ["'sent'"]),
        ('state != "', ['"sent"', '"edited"'], []),
        ("state in [", ["'sent'"], ["null"]),
        ("state in ['sent', ", ["'edited'"], []),
        ("state in ['sent'", ["]", ","], ["&&"]),
        ("state not ", ["in"], ["=="]),
        ("state == 'sent' ", ["&&", "||"], ["==", ")"]),
        ("(state == 'sent' ", ["&&", ")"], []),
        ("open ", ["==", "&&", "||"], ["<", "in"]),
        ("open == ", ["true", "false"], ["'sent'", "count"]),
        ("count > ", ["days"], ["null", "body", "now"]),
        ("sentAt < ", ["now"], ["null", "count"]),
        ("sentAt < now ", ["-", "+", "&&"], []),
        ("sentAt < now - ", ["days(", "hours("], []),
        ("sentAt < now - days(3) ", ["&&"], ["=="]),
        ("tags ", ["==", "!="], ["<", "in"]),
        ("startsWith(", ["body", "lower("] and ["body"], ["count", "open"]),
        ("startsWith(body, ", ["auth.email"], ["count"]),
        ("startsWith(body, 'a'", [")"], [","]),
        ("startsWith(body, 'a') ", ["&&"], ["=="]),
        ("len(tags) ", ["==", ">"], ["&&"]),
        ("auth.", ["userId", "email", "isAdmin", "roles", "claims"], ["count"]),
        ("auth.u", ["userId"], ["email"]),
        ("authorId == ", ["auth.userId", "null"], ["count"]),
        ("exists ", ["Membership(", "User("], ["count"]),
        ("exists Mem", ["Membership("], ["User("]),
        ("exists Membership(", ["userId", "role"], ["body", "secret"]),
        ("exists Membership(role ", ["==", "in"], ["&&"]),
        ("exists Membership(role == ", ["'owner'"], ["'sent'"]),
        ("exists Membership(role == 'owner'", [")", ","], ["&&"]),
        ("exists Membership(role == 'owner', ", ["userId"], ["body"]),
        ("exists Membership(channelId == channelId) ", ["&&"], []),
        ("!(open) && ", ["state"], []),
        ("data.", ["state"], ["auth."]),
    ],
)  # fmt: skip
def test_what_comes_next_is_offered(line: str, wanted: list[str], unwanted: list[str]) -> None:
    """By where the cursor is, and by the type of what stands before it."""
    found = words(line)
    assert [one for one in wanted if one not in found] == []
    assert [one for one in unwanted if one in found] == []


@pytest.mark.parametrize(
    "line",
    ["nothing ", "state == 'sent' 'x'", "auth.nothing ", "exists Nothing(", "ä", "state == 'a' # c",
     "body == 'a", "count == 3", "]", "hasRole('a", "data.nothing ", "now.x "],
)  # fmt: skip
def test_what_nobody_can_follow_gets_no_offer(line: str) -> None:
    """Unknown names, mistakes, comments, and values that only the person knows."""
    assert words(line) in ([], ["&&", "||"])


def test_an_offer_is_put_where_the_cursor_is() -> None:
    """What was typed of the word goes, what stands behind the cursor stays."""
    (offer,) = (one for one in complete("open && sta == 'sent'", 11, KNOWN) if one.text == "state")
    assert offer.put_into("open && sta == 'sent'", 11) == ("open && state == 'sent'", 13)
    (offer,) = complete("state == 'ed' && open", 12, KNOWN)
    assert offer.put_into("state == 'ed' && open", 12) == ("state == 'edited' && open", 17)
    (connector, *_) = (one for one in complete("open == true", 12, KNOWN) if "&&" in one.text)
    assert connector.put_into("open == true", 12)[0] == "open == true && "
    (offer, *_) = (one for one in complete("state == 'sent'", 15, KNOWN) if "&&" in one.text)
    assert offer.put_into("state == 'sent'", 15)[0] == "state == 'sent' && "
    (first, *_) = complete("count", 5, KNOWN)
    assert first == Offer(5, " == ", "is")


def _is_begun(text: str) -> bool:
    """Tell whether a text is an expression, or the beginning of one."""
    try:
        parse(text, bare_fields=True)
    except GrammarError as error:
        return error.at >= len(text.rstrip())
    return True


def _walk(chance: random.Random) -> str:
    """Return an expression made of offers alone, and of values where those are free."""
    text = ""
    for _ in range(chance.randint(2, 40)):
        offers = complete(text, len(text), KNOWN)
        if not offers:
            break
        offer = chance.choice(offers)
        text, _ = offer.put_into(text, len(text))
        if text.endswith(tuple(f"{one}(" for one in ("days", "hours", "minutes", "seconds"))):
            text += "2)"
        if text.endswith(("hasRole(", "hasAnyRole(")):
            text += "'admin')"
        if text.endswith("auth.claims"):
            text += ".plan"
        text += chance.choice(("", " ")) if text[-1:].isalnum() else ""
    return text


@pytest.mark.parametrize("seed", range(8))
def test_an_expression_made_of_offers_is_one(seed: int) -> None:
    """It is the beginning of an expression at least; where it is whole, its types fit."""
    chance, whole = random.Random(seed), 0
    for _ in range(30):
        text = _walk(chance)
        assert _is_begun(text), text
        try:
            parse(text, bare_fields=True)
        except GrammarError:
            continue
        whole += 1
        assert _mistakes(text) == []
    assert whole > 3


def _mistakes(text: str) -> list[str]:
    """Return what is wrong with a text, but for where it was left off."""
    try:
        compile_filter_text(text, entity=MESSAGE, schema=SCHEMA)
    except InvalidArgument as mistake:
        allowed = ("has no index to look in", "not true or false", "more than 8 exists")
        lines = [one for one in mistake.message.split("\n") if one.startswith("filter:")]
        return [f"{one}: {text}" for one in lines if not any(each in one for each in allowed)]
    return []
