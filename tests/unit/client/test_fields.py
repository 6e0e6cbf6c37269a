"""What a client makes of rows that lack a field."""

from __future__ import annotations

from pylon.client.fields import Fields
from pylon.protocol.manifest import EntityManifest, FieldManifest, Manifest

_FIELDS = Fields(
    Manifest(
        app="a", version="1", hash="h", functions=[],
        entities=[EntityManifest(name="Person", fields=[
            FieldManifest(name="rank", kind="int", type="number", default={"value": 3}),
            FieldManifest(name="pay", kind="int", type="number", default={"value": 0},
                          guarded=True),
        ])],
    )
)  # fmt: skip


def test_a_guarded_field_that_did_not_come_is_absent_and_not_its_default() -> None:
    """What an older app did not send reads as its default; what is withheld does not."""
    assert _FIELDS.complete("Person", {"id": "a", "_seq": 1}) == {"id": "a", "_seq": 1, "rank": 3}
    whole = {"id": "a", "_seq": 1, "rank": 1, "pay": 9}
    assert _FIELDS.complete("Person", whole) == whole
