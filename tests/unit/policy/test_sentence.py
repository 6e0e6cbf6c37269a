"""Expressions in English."""

from __future__ import annotations

import pytest

from pylon.policy.filters import compile_filter
from pylon.schema.model import Access
from tests.unit.policy.schemas import MESSAGE, policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true", "always"),
        ("false", "never"),
        ("auth.userId == data.authorId", "the caller is its authorId"),
        ("isOwner()", "its authorId is the caller"),
        ("auth.userId != null", "the caller is signed in"),
        ("auth.userId == null", "nobody is signed in"),
        ("auth.email != null", "the caller has an e-mail address"),
        ("auth.claims.org.id != null", "the caller has the claim org.id"),
        ("auth.claims.plan == 'pro'", "the caller's claim plan is “pro”"),
        ("hasRole('admin')", "the caller has the role admin"),
        ("!hasAnyRole('b', 'a')", "the caller has not the role a or b"),
        ("data.body == null", "its body is absent"),
        ("data.body != null", "its body is present"),
        ("!!data.open", "its open is true"),
        ("data.open == false", "its open is false"),
        ("data.count >= 3", "its count is at least 3"),
        ("3 > data.count", "its count is less than 3"),
        ("data.price < 1.5", "its price is less than 1.50"),
        ("data.sentAt > now - days(1)", "its sentAt is after 1 day ago"),
        ("data.sentAt <= now + hours(36)", "its sentAt is not after 36 hours from now"),
        ("data.day < '2026-11-23'", "its day is before “2026-11-23”"),
        ("data.sentAt == now", "its sentAt is now"),
        ("data.state in ['sent', 'edited']", "its state is one of “sent”, “edited”"),
        ("data.state not in ['sent']", "not (its state is one of “sent”)"),
        ("data.state in []", "its state is one of nothing"),
        ("'a' in data.tags", "“a” is among its tags"),
        ("startsWith(lower(data.body), 'a')", "its body in lower case starts with “a”"),
        ("contains(data.body, 'a')", "its body contains “a”"),
        ("len(data.tags) == 0", "the length of its tags is 0"),
        ("data.sentAt + days(1) < data.sentAt", "its sentAt is before its sentAt minus 1 day"),
        ("data.sentAt > now - seconds(0.5)", "its sentAt is after 500 milliseconds ago"),
        ("(data.count == 1) == data.open", "(its count is 1) is its open"),
        (
            "data.open && (isOwner() || hasRole('a'))",
            "its open is true and (its authorId is the caller or the caller has the role a)",
        ),
        (
            "exists Membership(channelId == data.channelId, role in ['owner'], until > now,"
            " userId != null, role not in ['member'])",
            "there is a Membership whose channelId is its channelId and role is one of “owner” and"
            " until is after now and userId is present and role is not one of “member”",
        ),
        (
            "exists Membership(channelId == data.channelId, role == 'owner') || hasRole('b')",
            "(there is a Membership whose channelId is its channelId and role is “owner”)"
            " or the caller has the role b",
        ),
    ],
)
def test_sentences(text: str, said: str) -> None:
    """A policy can be read aloud during an incident."""
    assert policy(text).sentence == said


def test_both_images_are_told_apart() -> None:
    """What is stored is old, what comes is new."""
    compiled = policy("old.count < new.count", Access.UPDATE)
    assert compiled.sentence == "its old count is less than its new count"


def test_filters_can_be_said_too() -> None:
    """A filter object has a sentence like an expression."""
    compiled = compile_filter({"state": "sent", "count": {">": 1}}, entity=MESSAGE)
    assert compiled.sentence == "its state is “sent” and its count is more than 1"
