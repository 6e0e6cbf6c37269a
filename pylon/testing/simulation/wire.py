"""What goes over the wire to clients: messages found in the bytes as the server writes them."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue
from pylon.errors import InvalidJson

_CONTINUES = 0x00
_TEXT = 0x01


class Stream:
    """The bytes of one connection from the server, cut into JSON messages."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_socket = False

    def take(self, data: bytes) -> list[Any]:
        """Return the messages that these bytes complete: frames of a socket, bodies of answers."""
        self._rest += data
        found: list[Any] = []
        while True:
            taken = self._frame() if self._is_socket else self._answer()
            if taken is None:
                return found
            found += taken

    def _answer(self) -> list[Any] | None:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return None
        if head.startswith(b"HTTP/1.1 101"):
            self._is_socket, self._rest = True, rest
            return []
        size = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                size = int(value)
        if len(rest) < size:
            return None
        body, self._rest = rest[:size], rest[size:]
        return _parsed(body)

    def _frame(self) -> list[Any] | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        size, start = rest[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(rest[2:4]), 4
        elif size == 127:
            size, start = int.from_bytes(rest[2:10]), 10
        if len(rest) < start + size:
            return None
        self._rest = rest[start + size :]
        is_text = rest[0] & 0x0F in (_TEXT, _CONTINUES)
        return _parsed(rest[start : start + size]) if is_text else []


def _parsed(text: bytes) -> list[Any]:
    if not text.startswith((b"{", b"[")):
        return []
    try:
        return [jsonvalue.decode_trusted(text)]
    except InvalidJson:
        return []
