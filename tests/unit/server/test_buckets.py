"""Buckets: one reading of addresses and one opening for files and for backups, without secrets."""

from __future__ import annotations

import sys

import pytest

from pylon.errors import Unavailable
from pylon.server.backups.places import parse_place
from pylon.server.buckets import Bucket, Keys, open_bucket, parse_bucket

URL = "s3://club/some/where?endpoint=http://127.0.0.1:9&region=eu"


def test_an_address_is_read_alike_for_files_and_for_backups() -> None:
    """Name, prefix, endpoint and region; the disk is no bucket."""
    bucket = Bucket("club", "some/where", "http://127.0.0.1:9", "eu")
    assert parse_bucket(URL) == bucket
    assert parse_place(URL) == (URL, bucket)
    assert parse_bucket("disk") is None
    for wrong in ("s3://", "s3://key:hunter2@club", "s3://club?token=1", "s3://club?endpoint=x"):
        with pytest.raises(ValueError, match=r"s3|credentials|endpoint") as refused:
            parse_bucket(wrong)
        assert "hunter2" not in str(refused.value)


def test_keys_do_not_show_themselves() -> None:
    """A repr ends in logs."""
    assert "S3CR3T" not in repr(Keys("S3CR3T", "S3CR3T"))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, for files as for backups."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(Unavailable, match="backups in a bucket need obstore") as refused:
        open_bucket(Bucket("club", "", None, None), "backups")
    assert "pylon-runtime[s3]" in str(refused.value.hint)
