"""Relations: which names a row's neighbours have."""

from __future__ import annotations

from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.schema.relations import relations_of


def _ref(name: str, entity: str, *, private: bool = False) -> Field:
    return Field(name=name, kind=FieldKind.REF, ref=entity, private=private)


def _names(of: str, **entities: tuple[Field, ...]) -> dict[str, str]:
    """Return, by name, the entity and the field that each relation of an entity follows."""
    schema = Schema(entities={name: Entity(name=name, fields=f) for name, f in entities.items()})
    found = relations_of(schema, schema.entities[of])
    return {
        name: f"{one.entity}.{one.field.name}" if one.is_back else f"{one.field.name}>{one.entity}"
        for name, one in found.items()
    }


def test_a_reference_is_named_by_its_field_without_id() -> None:
    """The field's own name serves too, alone where the short one is a field's or means nothing."""
    assert _names(
        "Note", User=(), Note=(
            _ref("authorId", "User"), _ref("owner", "User"), _ref("Id", "User"),
            _ref("stateId", "User"), Field(name="state", kind=FieldKind.STR), _ref("notId", "User"),
        ),
    ) == {
        "author": "authorId>User", "authorId": "authorId>User", "owner": "owner>User",
        "Id": "Id>User", "stateId": "stateId>User", "notId": "notId>User",
    }  # fmt: skip


def test_rows_that_refer_here_are_named_by_their_entity() -> None:
    """The plural alone where one field refers here, with `By` and the relation always."""
    assert _names(
        "Channel", Channel=(), Membership=(_ref("channelId", "Channel"),),
        Category=(_ref("channelId", "Channel"),), Box=(_ref("channelId", "Channel"),),
        Day=(_ref("firstId", "Channel"), _ref("lastId", "Channel")),
    ) == {
        "memberships": "Membership.channelId", "membershipsByChannel": "Membership.channelId",
        "members": "Membership.channelId", "categories": "Category.channelId",
        "categoriesByChannel": "Category.channelId", "boxes": "Box.channelId",
        "boxesByChannel": "Box.channelId", "daysByFirst": "Day.firstId",
        "daysByLast": "Day.lastId",
    }  # fmt: skip


def test_a_name_never_means_two_things() -> None:
    """A field keeps its name, an entity's plural goes before a made one, two equals mean none."""
    one = (_ref("channelId", "Channel"),)
    assert _names("Channel", Channel=(), Membership=one, Member=one)["members"] == (
        "Member.channelId"
    )
    taken = (Field(name="members", kind=FieldKind.INT), _ref("membershipId", "Channel"))
    found = _names("Channel", Channel=taken, Member=one, Membership=one)
    assert "members" not in found
    assert found["membersByChannel"] == "Member.channelId"
    assert found["memberships"] == "Membership.channelId"
    both = _names("Channel", Channel=(), Fly=one, Flies=(), fly=one)
    assert "flies" not in both


def test_a_private_field_makes_no_relation() -> None:
    """Neither forth nor back."""
    hidden = (_ref("userId", "User", private=True),)
    assert _names("Note", User=(), Note=hidden) == {}
    assert _names("User", User=(), Note=hidden) == {}
