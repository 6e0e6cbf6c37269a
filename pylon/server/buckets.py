"""Buckets that speak S3, for files and for backups: address, keys, and how one is opened."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pylon import limits
from pylon.errors import Unavailable

_OPTIONS: Final = ("endpoint", "region")
#: Sent to a bucket at once, and how many such pieces.
PUT_BYTES: Final = 8 * limits.MIB
PUTS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket is."""

    name: str
    prefix: str
    endpoint: str | None
    region: str | None


def parse_bucket(text: str) -> Bucket | None:
    """Return the bucket that a setting names, None for the disk; raises ValueError."""
    if text == "disk":
        return None
    try:
        address = urlsplit(text)
        has_login = bool(address.username or address.password)
    except ValueError:
        raise ValueError("this is no address") from None
    if address.scheme != "s3" or not address.hostname:
        raise ValueError("it is disk, or s3://bucket/prefix?endpoint=https://…")
    if has_login:
        raise ValueError("credentials come from the environment: AWS_ACCESS_KEY_ID and so on")
    options = dict(parse_qsl(address.query))
    for name in options:
        if name not in _OPTIONS:
            raise ValueError(f"an s3 address has no {name}; there is {' and '.join(_OPTIONS)}")
    endpoint = options.get("endpoint")
    if endpoint is not None and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError("endpoint is an http or https address")
    return Bucket(address.netloc, address.path.strip("/"), endpoint, options.get("region"))


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a bucket; empty: the environment says it (`AWS_ACCESS_KEY_ID` and so on)."""

    access: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """A bucket, with the library that speaks to it."""

    obstore: Any
    store: Any
    exceptions: Any


def open_bucket(bucket: Bucket, what: str, keys: Keys | None = None) -> OpenBucket:
    """Return a bucket that can be asked; raises Unavailable where obstore is not installed.

    Args:
        bucket: where it is.
        what: lies there, for the message.
        keys: open it; None: the environment's do.
    """
    try:
        # An extra: whoever keeps everything on disk does without it.
        obstore: Any = importlib.import_module("obstore")
        store = importlib.import_module("obstore.store")
        exceptions: Any = importlib.import_module("obstore.exceptions")
    except ImportError as error:
        raise Unavailable(
            f"{what} in a bucket need obstore", reason="no_s3",
            hint="pip install 'pylon-runtime[s3]'",
        ) from error  # fmt: skip
    keys = keys or Keys()
    config = {
        "endpoint": bucket.endpoint, "region": bucket.region,
        "access_key_id": keys.access or None, "secret_access_key": keys.secret or None,
    }  # fmt: skip
    is_plain = (bucket.endpoint or "").startswith("http://")
    opened = store.S3Store(
        bucket.name, prefix=bucket.prefix or None,
        config={name: value for name, value in config.items() if value is not None},
        client_options={"allow_http": is_plain, "timeout": "600s"},
        retry_config={"max_retries": 3},
    )  # fmt: skip
    return OpenBucket(obstore, opened, exceptions)
