"""Webhooks of the app: run like actions, as nobody, and answering whatever they return."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.tojson import to_json
from pylon.server.functions.failures import demand_result_fits
from pylon.webhooks import Answer

_JSON: Final = "application/json"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
#: What the server says by itself.
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", "server", "date"})


@dataclass(frozen=True, slots=True)
class Received:
    """The answer of a webhook, ready to be sent."""

    status: int
    body: bytes | None
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def received(value: Any, name: str) -> Received:
    """Return what a webhook's value answers.

    None is 204, a whole number that status, a text and bytes themselves, everything else JSON.
    Raises TypeError and ValueError for what can't be answered, PayloadTooLarge.
    """
    if value is None:
        return Received(204, None)
    if isinstance(value, Answer):
        return _whole(value, name)
    if type(value) is int:
        return Received(_status(value), None)
    body, content_type = _body(value, name)
    return Received(200, body, content_type)


def _whole(given: Answer, name: str) -> Received:
    headers = {}
    for header, said in given.headers.items():
        text = str(said)
        if not _HEADER.fullmatch(str(header)) or str(header).lower() in _OURS:
            raise ValueError(f"a webhook can't set the header {header!r:.80}")
        if any((ord(one) < 32 and one != "\t") or ord(one) == 127 for one in text):
            raise ValueError(f"the header {header} has control characters")
        headers[str(header)] = text
    if given.json is not None and given.body is not None:
        raise ValueError("an answer has json or a body, not both")
    value = given.json if given.body is None else given.body
    if value is None:
        return Received(_status(given.status), None, headers=headers)
    body, content_type = _json(value, name) if given.body is None else _body(value, name)
    return Received(_status(given.status), body, content_type, headers)


def _body(value: Any, name: str) -> tuple[bytes, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), "application/octet-stream"
    if isinstance(value, str):
        return demand_result_fits(value, name).encode(), "text/plain; charset=utf-8"
    return _json(value, name)


def _json(value: Any, name: str) -> tuple[bytes, str]:
    return demand_result_fits(jsonvalue.encode_text(to_json(value)), name).encode(), _JSON


def _status(given: Any) -> int:
    if type(given) is not int or not 200 <= given <= 599:
        raise ValueError("a status is a whole number from 200 to 599")
    return given
