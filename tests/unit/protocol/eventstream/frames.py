"""Frames with known messages, and frames with any lengths and right checksums."""

import struct
import zlib

from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.messages import HeaderType, HeaderValue, Message, string_headers

VECTORS: dict[str, tuple[bytes, Message]] = {
    "empty": (
        bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff"),
        Message(headers={}, payload=b""),
    ),
    "text": (
        bytes.fromhex(
            "0000007c 0000005c 3bddcf78"
            "0b 3a6576656e742d74797065 07 0016 617373697374616e74526573706f6e73654576656e74"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0005 6576656e74"
            "7b22636f6e74656e74223a224869227d"
            "b02babdc"
        ),
        Message(
            headers=string_headers(
                {
                    ":event-type": "assistantResponseEvent",
                    ":content-type": "application/json",
                    ":message-type": "event",
                }
            ),
            payload=b'{"content":"Hi"}',
        ),
    ),
    "tool use": (
        bytes.fromhex(
            "00000099 00000052 3c51aad0"
            "0b 3a6576656e742d74797065 07 000c 746f6f6c5573654576656e74"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0005 6576656e74"
            "7b226e616d65223a226765745f74696d65222c2273746f70223a747275652c"
            "22746f6f6c5573654964223a22746f6f6c7573655f31227d"
            "b857bbb0"
        ),
        Message(
            headers=string_headers(
                {
                    ":event-type": "toolUseEvent",
                    ":content-type": "application/json",
                    ":message-type": "event",
                }
            ),
            payload=b'{"name":"get_time","stop":true,"toolUseId":"tooluse_1"}',
        ),
    ),
    "exception": (
        bytes.fromhex(
            "00000084 0000005d 349ee472"
            "0f 3a657863657074696f6e2d74797065 07 000f 7468726f74746c696e674572726f72"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0009 657863657074696f6e"
            "7b226d657373616765223a22736c6f7720646f776e227d"
            "f287a837"
        ),
        Message(
            headers=string_headers(
                {
                    ":exception-type": "throttlingError",
                    ":content-type": "application/json",
                    ":message-type": "exception",
                }
            ),
            payload=b'{"message":"slow down"}',
        ),
    ),
    "error": (
        bytes.fromhex(
            "00000069 00000059 e3b72305"
            "0b 3a6572726f722d636f6465 07 000f 496e7465726e616c4661696c757265"
            "0e 3a6572726f722d6d657373616765 07 0013 6261636b656e6420756e617661696c61626c65"
            "0d 3a6d6573736167652d74797065 07 0005 6572726f72"
            "06351d78"
        ),
        Message(
            headers=string_headers(
                {
                    ":error-code": "InternalFailure",
                    ":error-message": "backend unavailable",
                    ":message-type": "error",
                }
            ),
            payload=b"",
        ),
    ),
    "all header types": (
        bytes.fromhex(
            "0000005f 0000004d d70cba5e"
            "01 74 00"
            "01 66 01"
            "01 62 02 ff"
            "01 73 03 fffe"
            "01 69 04 0000a00c"
            "01 6c 05 0000000000000007"
            "01 79 06 0002 0102"
            "01 7a 07 0002 6f6b"
            "01 64 08 0000018bcfe56800"
            "01 75 09 000102030405060708090a0b0c0d0e0f"
            "7b7d"
            "6ae70431"
        ),
        Message(
            headers={
                "t": HeaderValue(type=HeaderType.TRUE, value=True),
                "f": HeaderValue(type=HeaderType.FALSE, value=False),
                "b": HeaderValue(type=HeaderType.INT8, value=-1),
                "s": HeaderValue(type=HeaderType.INT16, value=-2),
                "i": HeaderValue(type=HeaderType.INT32, value=40972),
                "l": HeaderValue(type=HeaderType.INT64, value=7),
                "y": HeaderValue(type=HeaderType.BYTES, value=b"\x01\x02"),
                "z": HeaderValue(type=HeaderType.STRING, value="ok"),
                "d": HeaderValue(type=HeaderType.TIMESTAMP, value=1_700_000_000_000),
                "u": HeaderValue(type=HeaderType.UUID, value=bytes(range(16))),
            },
            payload=b"{}",
        ),
    ),
}
"""Each frame was read with botocore's decoder, which found this message in it."""

TEXT_FRAME, TEXT_MESSAGE = VECTORS["text"]


def build_prelude(total_length: int, headers_length: int) -> bytes:
    """A prelude that says anything, with the checksum that is right for it."""
    lengths = struct.pack("!II", total_length, headers_length)
    return lengths + struct.pack("!I", zlib.crc32(lengths))


def build_frame(block: bytes, payload: bytes) -> bytes:
    """A frame around any bytes as its header block; both checksums are right."""
    checked = build_prelude(16 + len(block) + len(payload), len(block)) + block + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def flip_bit(data: bytes, bit: int) -> bytes:
    """``data`` with one bit changed; bits count from the first byte's lowest."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def decode_stream(data: bytes, size: int) -> tuple[list[Message], UpstreamProtocolError | None]:
    """All that comes of ``data`` in chunks of ``size`` bytes and its end: the messages, and the failure behind them."""
    decoder = EventStreamDecoder()
    messages: list[Message] = []
    for start in range(0, len(data), size):
        messages += decoder.receive_data(data[start : start + size])
        if decoder.failure is not None:
            return messages, decoder.failure
    try:
        decoder.receive_eof()
    except UpstreamProtocolError as failure:
        return messages, failure
    return messages, None


def describe_failure(failure: UpstreamProtocolError | None) -> dict[str, object]:
    """The class of a failure under ``class``, and the numbers that it adds to what every error has."""
    common = vars(UpstreamProtocolError(""))
    own = {name: value for name, value in vars(failure).items() if name not in common} if failure else {}
    return {"class": type(failure), **own}
