"""Frames that clients send over the sync socket: text to message, bounded and checked."""

from __future__ import annotations

import msgspec

from pylon import jsonvalue, limits
from pylon.errors import InvalidJson, PayloadTooLarge, PylonError
from pylon.protocol.messages import Upstream

#: Frames that are spelled as we would spell them need one pass.
_decoder: msgspec.json.Decoder[Upstream] = msgspec.json.Decoder(Upstream)


class BadFrame(PylonError):
    """The frame is not one that the protocol knows."""

    code = "BAD_FRAME"
    http_status = 400
    ws_close_code = 4400


def decode_upstream(data: bytes) -> Upstream:
    """Return the message of a client's frame.

    Raises PayloadTooLarge (close 1009), InvalidJson or BadFrame (close 4400).
    """
    if len(data) > limits.WS_MESSAGE_BYTES_MAX:
        raise PayloadTooLarge(f"a frame has at most {limits.WS_MESSAGE_BYTES_MAX} bytes")
    compact = jsonvalue.parse_compact(data, _decoder)
    if compact is not None:
        return compact
    value = jsonvalue.parse(data)
    if not isinstance(value, dict):
        raise InvalidJson("a frame is a JSON object with a type")
    try:
        message: Upstream = msgspec.convert(value, Upstream)
    except msgspec.ValidationError as error:
        raise BadFrame(str(error)) from error
    return message
