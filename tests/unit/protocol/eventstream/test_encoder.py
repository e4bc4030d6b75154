"""Messages to frames."""

import pytest

from kiro2api.protocol.eventstream.encoder import encode_message
from kiro2api.protocol.eventstream.headers import HeaderValueError, PartSizeError
from kiro2api.protocol.eventstream.messages import HeaderType, HeaderValue, Message, string_headers
from tests.unit.protocol.eventstream.frames import VECTORS, decode_stream


@pytest.mark.parametrize(("frame", "message"), VECTORS.values(), ids=VECTORS)
def test_message_becomes_its_frame(frame: bytes, message: Message) -> None:
    """Byte for byte the frame that botocore reads as this message."""
    assert encode_message(message) == frame


def test_largest_message_is_encoded_and_decoded() -> None:
    """A header block of 128 KiB and a payload of 24 MiB are within the limits of both sides."""
    message = Message(
        headers=string_headers({"a": "x" * 65_535, "b": "x" * (131_072 - 65_540 - 5)}), payload=bytes(24 * 1024 * 1024)
    )
    assert decode_stream(encode_message(message), 16 * 1024 * 1024) == ([message], None)


@pytest.mark.parametrize(
    ("message", "part", "size", "limit"),
    [
        (Message(headers={}, payload=bytes(25_165_825)), "the payload", 25_165_825, 25_165_824),
        (
            Message(headers=string_headers({"a": "x" * 65_535, "b": "x" * 65_528}), payload=b""),
            "the header block",
            131_073,
            131_072,
        ),
        (Message(headers=string_headers({"": "x"}), payload=b""), "a header name", 0, 255),
    ],
    ids=["payload", "header block", "name"],
)
def test_part_of_a_wrong_size_is_not_encoded(message: Message, part: str, size: int, limit: int) -> None:
    """One byte over a limit is refused, and the error says how large the part is."""
    with pytest.raises(PartSizeError) as caught:
        encode_message(message)
    assert (caught.value.part, caught.value.size, caught.value.limit) == (part, size, limit)


def test_value_that_is_not_of_its_type_is_not_encoded() -> None:
    """What the header block cannot hold, no frame can."""
    message = Message(headers={"a": HeaderValue(type=HeaderType.INT8, value=1000)}, payload=b"")
    with pytest.raises(HeaderValueError, match="the value of header 'a' is no INT8"):
        encode_message(message)
