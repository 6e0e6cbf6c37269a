"""SIGKILL at every point of an upload, of a sweep and of a picture, on disk and in a bucket.

PYLON_TEST_SCALE multiplies the kills at random; PYLON_KILL_SEED chooses others.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon.testing.file_crash_points import IMAGING, RESUMING, SWEEPING, UPLOADING
from tests.integration.test_file_bucket import bucket_server
from tests.integration.upload_world import UploadWorld

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
RANDOM_KILLS = 5 * SCALE


@pytest.fixture(params=["disk", "bucket"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[UploadWorld]:
    """A project with files on disk, or in a bucket of a local S3 server."""
    if request.param == "disk":
        made = UploadWorld(tmp_path, SEED)
        try:
            await made.found()
            yield made
        finally:
            await made.served.close()
        return
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    async with bucket_server() as endpoint:
        toml = f'[files]\nbackend = "s3://attic/app?endpoint={endpoint}&region=us-east-1"\n'
        made = UploadWorld(tmp_path, SEED, toml=toml)
        try:
            await made.found()
            yield made
        finally:
            await made.served.close()


@pytest.mark.slow
@pytest.mark.timeout(900 * SCALE)
async def test_a_kill_at_any_point_leaves_a_whole_file_or_none(world: UploadWorld) -> None:
    """In one request and in pieces; sent again or gone on with, each file is there once."""
    is_bucket = (world.served.project / "pylon.toml").exists()
    points = [(label, number, True) for label in UPLOADING for number in _passings(label)]
    points += [(label, 1, False) for label in (*UPLOADING, *RESUMING)]
    points += [(label, 1, True) for label in (*SWEEPING, *IMAGING)]
    if is_bucket:  # what comes before is the same: a file comes in on disk first
        points = [one for one in points if one[0].startswith(_OF_BACKENDS)]
    for label, number, is_whole in points:
        await world.kill_at(label, number, is_whole=is_whole)
        try:
            await world.check()
        except AssertionError as error:
            raise AssertionError(f"after {label}:{number}") from error
    for _ in range(RANDOM_KILLS):
        await world.served.stop()
        await world.kill_at_random()
        await world.check()
    await world.let_expire()
    print(f"seed {SEED}: {world.kills} kills, {len(world.files)} files whole")


#: Points whose neighbours are a backend's.
_OF_BACKENDS = ("file.publish", "file.save", "sweep.remove", "image.fetched")


def _passings(label: str) -> tuple[int, ...]:
    return (1, 3) if label.startswith("file.append") else (1,)
