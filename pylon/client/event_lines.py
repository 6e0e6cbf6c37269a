"""Server-sent events as they come in chunks of bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator


class EventLines:
    """Turns chunks into events, however they are cut and however long a line is."""

    def __init__(self) -> None:
        self._name = ""
        self._pieces: list[bytes] = []
        #: Bytes of the line that has not ended: whoever feeds it decides how many are too many.
        self.held_bytes = 0

    def take(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield (name, data) of each event whose data line ends in this chunk."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._pieces.append(piece)
            line = b"".join(self._pieces)
            self._pieces.clear()
            self.held_bytes = 0
            if line.startswith(b"event: "):
                self._name = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                yield self._name, line[6:]
        if rest:
            self._pieces.append(rest)
            self.held_bytes += len(rest)
