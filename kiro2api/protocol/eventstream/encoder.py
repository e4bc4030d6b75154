"""Messages to frames: what a stand-in for the upstream sends.

The frame is drawn in the decoder's module.
"""

import struct
import zlib

from kiro2api.protocol.eventstream.headers import PartSizeError, encode_headers
from kiro2api.protocol.eventstream.messages import (
    FRAME_OVERHEAD_BYTES,
    MAX_HEADER_BLOCK_BYTES,
    MAX_PAYLOAD_BYTES,
    Message,
)

_LENGTHS = struct.Struct("!II")
_CHECKSUM = struct.Struct("!I")


def encode_message(message: Message) -> bytes:
    """The frame of ``message``, headers in their order.

    Raises:
        PartSizeError: The payload, the header block or a part of it is larger than the format
            allows, or a header's name is empty.
        HeaderValueError: A header's value does not fit its type.
        UnicodeEncodeError: A header's name or text has a single surrogate.
    """
    payload = message.payload
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PartSizeError("the payload", size=len(payload), limit=MAX_PAYLOAD_BYTES)
    block = encode_headers(message.headers)
    if len(block) > MAX_HEADER_BLOCK_BYTES:
        raise PartSizeError("the header block", size=len(block), limit=MAX_HEADER_BLOCK_BYTES)
    lengths = _LENGTHS.pack(FRAME_OVERHEAD_BYTES + len(block) + len(payload), len(block))
    checked = b"".join((lengths, _CHECKSUM.pack(zlib.crc32(lengths)), block, payload))
    return checked + _CHECKSUM.pack(zlib.crc32(checked))
