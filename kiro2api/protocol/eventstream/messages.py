"""Event-stream messages as values, and the sizes that the format allows.

A message is what a frame says: typed headers by name, and a payload. Encoder and decoder share the
limits, so that what one writes the other reads.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

PRELUDE_BYTES = 12
"""Total length, header block length and the prelude's checksum, four bytes each."""

CHECKSUM_BYTES = 4
"""One CRC-32, which ends a frame."""

FRAME_OVERHEAD_BYTES = PRELUDE_BYTES + CHECKSUM_BYTES
"""A frame without headers and payload; none is shorter."""

MAX_HEADER_BLOCK_BYTES = 131_072
"""128 KiB: what AWS's SDKs accept, so the service sends no more."""

MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
"""24 MiB: AWS's older SDKs stop at 16 MiB, the newer ones here; what either reads is read."""

MAX_FRAME_BYTES = FRAME_OVERHEAD_BYTES + MAX_HEADER_BLOCK_BYTES + MAX_PAYLOAD_BYTES
"""What a decoder may have to hold: the sum of the parts' limits."""


class HeaderType(enum.IntEnum):
    """The type byte of a header."""

    TRUE = 0
    FALSE = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8
    UUID = 9


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """The typed value of one header."""

    type: HeaderType
    value: bool | int | bytes | str
    """A ``bool`` for TRUE and FALSE, an ``int`` for the integers and for TIMESTAMP (milliseconds
    since 1970, UTC), ``bytes`` for BYTES and UUID (16 of them), a ``str`` for STRING.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """What one frame says; a decoder's messages may share their headers, which are read-only."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text_header(self, name: str) -> str | None:
        """The text of a header, or ``None`` where it is missing or of another type than STRING."""
        header = self.headers.get(name)
        if header is None or header.type is not HeaderType.STRING:
            return None
        return header.value if isinstance(header.value, str) else None


def string_headers(pairs: Mapping[str, str]) -> dict[str, HeaderValue]:
    """``pairs`` as STRING headers, in their order."""
    return {name: HeaderValue(type=HeaderType.STRING, value=text) for name, text in pairs.items()}
