"""Messages as values."""

import dataclasses

import pytest

from kiro2api.protocol.eventstream.messages import (
    MAX_FRAME_BYTES,
    HeaderType,
    HeaderValue,
    Message,
    string_headers,
)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (HeaderValue(type=HeaderType.STRING, value="event"), "event"),
        (HeaderValue(type=HeaderType.STRING, value=""), ""),
        (HeaderValue(type=HeaderType.BYTES, value=b"event"), None),
        (HeaderValue(type=HeaderType.INT32, value=1), None),
        (HeaderValue(type=HeaderType.TRUE, value=True), None),
        (HeaderValue(type=HeaderType.STRING, value=b"event"), None),
        (HeaderValue(type=HeaderType.BYTES, value="event"), None),
    ],
)
def test_text_header_is_the_text_of_a_string_header_only(header: HeaderValue, text: str | None) -> None:
    """A header of another type is as good as none; an empty text is a text."""
    message = Message(headers={":message-type": header}, payload=b"")
    assert message.text_header(":message-type") == text


def test_text_header_of_a_missing_name_is_none() -> None:
    """Names are compared as they are, case included."""
    message = Message(headers=string_headers({":event-type": "x"}), payload=b"")
    assert message.text_header(":Event-Type") is None


def test_string_headers_keep_their_order() -> None:
    """Every pair becomes a STRING header, in the order given."""
    headers = string_headers({"b": "1", "a": ""})
    assert list(headers.items()) == [
        ("b", HeaderValue(type=HeaderType.STRING, value="1")),
        ("a", HeaderValue(type=HeaderType.STRING, value="")),
    ]


@pytest.mark.parametrize("value", [Message(headers={}, payload=b""), HeaderValue(type=HeaderType.TRUE, value=True)])
def test_values_cannot_be_changed(value: Message | HeaderValue) -> None:
    """Decoded headers are shared between messages, so nothing may write to them."""
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


def test_largest_frame_is_the_sum_of_its_parts() -> None:
    """16 bytes of frame, 128 KiB of headers, 24 MiB of payload."""
    assert MAX_FRAME_BYTES == 16 + 131_072 + 25_165_824


def test_header_type_codes_are_the_wire_s() -> None:
    """The type byte of each header type."""
    assert {header_type.name: int(header_type) for header_type in HeaderType} == {
        "TRUE": 0,
        "FALSE": 1,
        "INT8": 2,
        "INT16": 3,
        "INT32": 4,
        "INT64": 5,
        "BYTES": 6,
        "STRING": 7,
        "TIMESTAMP": 8,
        "UUID": 9,
    }
