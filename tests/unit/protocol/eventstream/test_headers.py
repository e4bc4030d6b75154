"""Header blocks, there and back, and what is wrong with them."""

import pytest

from kiro2api.protocol.eventstream.headers import (
    CutHeaderError,
    EmptyHeaderNameError,
    HeaderEncodingError,
    HeaderValueError,
    MalformedHeadersError,
    PartSizeError,
    UnknownHeaderTypeError,
    Value,
    decode_headers,
    encode_headers,
)
from kiro2api.protocol.eventstream.messages import HeaderType, HeaderValue, string_headers
from tests.unit.protocol.eventstream.frames import VECTORS, describe_failure

VALUES = [
    (HeaderType.TRUE, True, "00"),
    (HeaderType.FALSE, False, "01"),
    (HeaderType.INT8, -128, "02 80"),
    (HeaderType.INT8, 127, "02 7f"),
    (HeaderType.INT16, -32_768, "03 8000"),
    (HeaderType.INT16, 32_767, "03 7fff"),
    (HeaderType.INT32, -(2**31), "04 80000000"),
    (HeaderType.INT32, 2**31 - 1, "04 7fffffff"),
    (HeaderType.INT64, -(2**63), "05 8000000000000000"),
    (HeaderType.INT64, 2**63 - 1, "05 7fffffffffffffff"),
    (HeaderType.BYTES, b"", "06 0000"),
    (HeaderType.BYTES, b"\x00\xff", "06 0002 00ff"),
    (HeaderType.STRING, "", "07 0000"),
    (HeaderType.STRING, "né", "07 0003 6ec3a9"),
    (HeaderType.TIMESTAMP, -1, "08 ffffffffffffffff"),
    (HeaderType.UUID, bytes(range(16)), "09 000102030405060708090a0b0c0d0e0f"),
]
ALL_TYPES_BLOCK = VECTORS["all header types"][0][12:-6]


@pytest.mark.parametrize(("header_type", "value", "encoded"), VALUES)
def test_value_is_encoded_and_decoded(header_type: HeaderType, value: Value, encoded: str) -> None:
    """Each type's bounds and empty values have their bytes, and come back with their type."""
    headers = {"é": HeaderValue(type=header_type, value=value)}
    block = bytes.fromhex("02 c3a9") + bytes.fromhex(encoded)
    decoded = decode_headers(block)
    assert (encode_headers(headers), decoded) == (block, headers)
    assert type(decoded["é"].value) is type(value)


def test_longest_name_and_value_are_encoded_and_decoded() -> None:
    """255 bytes of name and 65,535 bytes of text fit."""
    headers = string_headers({"n" * 255: "v" * 65_535})
    assert decode_headers(encode_headers(headers)) == headers


def test_block_may_be_a_view() -> None:
    """A memoryview is read as bytes are, and nothing decoded depends on its memory."""
    memory = bytearray(ALL_TYPES_BLOCK)
    with memoryview(memory) as view:
        headers = decode_headers(view)
    memory[:] = bytes(len(memory))
    assert headers == VECTORS["all header types"][1].headers


def test_of_a_doubled_name_the_last_value_counts() -> None:
    """As in AWS's Go SDK; the place in the order is the first one's."""
    block = b"".join(encode_headers(string_headers({name: text})) for name, text in ("a1", "b2", "a3"))
    assert list(decode_headers(block).items()) == list(string_headers({"a": "3", "b": "2"}).items())


@pytest.mark.parametrize(
    ("block", "failure"),
    [
        ("00", {"class": EmptyHeaderNameError, "offset": 0}),
        ("0161 00 00", {"class": EmptyHeaderNameError, "offset": 3}),
        ("01", {"class": CutHeaderError, "offset": 1, "needed": 1, "available": 0}),
        ("05 6162", {"class": CutHeaderError, "offset": 1, "needed": 5, "available": 2}),
        ("0161", {"class": CutHeaderError, "offset": 2, "needed": 1, "available": 0}),
        ("0161 04 000000", {"class": CutHeaderError, "offset": 3, "needed": 4, "available": 3}),
        ("0161 07 00", {"class": CutHeaderError, "offset": 3, "needed": 2, "available": 1}),
        ("0161 07 ffff 61", {"class": CutHeaderError, "offset": 5, "needed": 65_535, "available": 1}),
        ("0161 06 0002 00", {"class": CutHeaderError, "offset": 5, "needed": 2, "available": 1}),
        ("0161 09 00", {"class": CutHeaderError, "offset": 3, "needed": 16, "available": 1}),
        ("01ff 00", {"class": HeaderEncodingError, "offset": 1, "length": 1}),
        ("0161 07 0002 c328", {"class": HeaderEncodingError, "offset": 5, "length": 2}),
        ("0161 0a", {"class": UnknownHeaderTypeError, "offset": 2, "code": 10}),
        ("0161 ff 0000", {"class": UnknownHeaderTypeError, "offset": 2, "code": 255}),
    ],
)
def test_malformed_block_is_refused(block: str, failure: dict[str, object]) -> None:
    """What is wrong, where in the block, and by how much."""
    with pytest.raises(MalformedHeadersError) as caught:
        decode_headers(bytes.fromhex(block))
    assert describe_failure(caught.value) == failure


def test_block_cut_within_a_header_is_refused() -> None:
    """Wherever a block is cut, it is read only if the cut is between two headers."""
    ends = [3, 6, 10, 15, 22, 33, 40, 47, 58]
    readable = []
    for end in range(1, len(ALL_TYPES_BLOCK)):
        try:
            decode_headers(ALL_TYPES_BLOCK[:end])
        except CutHeaderError:
            continue
        readable.append(end)
    assert readable == ends


def test_malformed_block_names_the_place_for_the_log() -> None:
    """The detail has the numbers, the client's sentence has none."""
    with pytest.raises(UnknownHeaderTypeError) as caught:
        decode_headers(b"\x01a\x0a")
    assert caught.value.detail == "header block, byte 2: unknown type 10"
    assert (
        caught.value.message
        == "The upstream's answer was damaged on the way; this is a server error, please try again."
    )


@pytest.mark.parametrize(
    ("headers", "part", "size", "limit"),
    [
        (string_headers({"": "x"}), "a header name", 0, 255),
        (string_headers({"é" * 128: "x"}), "a header name", 256, 255),
        (string_headers({"a": "é" * 32_768}), "header 'a'", 65_536, 65_535),
        ({"a": HeaderValue(type=HeaderType.BYTES, value=bytes(65_536))}, "header 'a'", 65_536, 65_535),
    ],
)
def test_part_of_a_wrong_size_is_not_encoded(headers: dict[str, HeaderValue], part: str, size: int, limit: int) -> None:
    """Sizes are counted in bytes of UTF-8."""
    with pytest.raises(PartSizeError) as caught:
        encode_headers(headers)
    assert (caught.value.part, caught.value.size, caught.value.limit) == (part, size, limit)


@pytest.mark.parametrize(
    ("header_type", "value"),
    [
        (HeaderType.TRUE, False),
        (HeaderType.FALSE, True),
        (HeaderType.TRUE, 1),
        (HeaderType.INT8, 128),
        (HeaderType.INT16, -32_769),
        (HeaderType.INT32, 2**31),
        (HeaderType.INT64, 2**63),
        (HeaderType.TIMESTAMP, -(2**63) - 1),
        (HeaderType.INT32, "1"),
        (HeaderType.BYTES, "text"),
        (HeaderType.STRING, b"bytes"),
        (HeaderType.UUID, bytes(15)),
        (HeaderType.UUID, bytes(17)),
    ],
)
def test_value_that_is_not_of_its_type_is_not_encoded(header_type: HeaderType, value: Value) -> None:
    """Integers out of range, UUIDs of another size, and values of another kind."""
    with pytest.raises(HeaderValueError) as caught:
        encode_headers({"a": HeaderValue(type=header_type, value=value)})
    assert (caught.value.name, caught.value.header_type) == ("a", header_type)


@pytest.mark.parametrize("pair", [("\ud800", "x"), ("x", "\ud800")])
def test_single_surrogate_is_not_encoded(pair: tuple[str, str]) -> None:
    """UTF-8 has no bytes for half a character; the error is a ValueError like the others."""
    with pytest.raises(UnicodeEncodeError):
        encode_headers(string_headers(dict([pair])))
