"""Event-stream frames: there and back, any cut, any bytes."""

import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.encoder import encode_message
from kiro2api.protocol.eventstream.headers import MalformedHeadersError, decode_headers, encode_headers
from kiro2api.protocol.eventstream.messages import HeaderType, HeaderValue, Message

type Outcome = tuple[list[Message], type[UpstreamProtocolError] | None, str]


def integers(bits: int) -> st.SearchStrategy[int]:
    """Signed integers of a width."""
    return st.integers(min_value=-(2 ** (bits - 1)), max_value=2 ** (bits - 1) - 1)


HEADER_VALUES = st.one_of(
    st.builds(HeaderValue, type=st.just(HeaderType.TRUE), value=st.just(value=True)),
    st.builds(HeaderValue, type=st.just(HeaderType.FALSE), value=st.just(value=False)),
    st.builds(HeaderValue, type=st.just(HeaderType.INT8), value=integers(8)),
    st.builds(HeaderValue, type=st.just(HeaderType.INT16), value=integers(16)),
    st.builds(HeaderValue, type=st.just(HeaderType.INT32), value=integers(32)),
    st.builds(HeaderValue, type=st.just(HeaderType.INT64), value=integers(64)),
    st.builds(HeaderValue, type=st.just(HeaderType.BYTES), value=st.binary(max_size=100)),
    st.builds(HeaderValue, type=st.just(HeaderType.STRING), value=st.text(max_size=100)),
    st.builds(HeaderValue, type=st.just(HeaderType.TIMESTAMP), value=integers(64)),
    st.builds(HeaderValue, type=st.just(HeaderType.UUID), value=st.binary(min_size=16, max_size=16)),
)
# 60 characters are at most 240 bytes, and a name may have 255.
HEADERS = st.dictionaries(st.text(min_size=1, max_size=60), HEADER_VALUES, max_size=10)
MESSAGES = st.lists(st.builds(Message, headers=HEADERS, payload=st.binary(max_size=200)), max_size=6)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames, often with a changed byte, often cut short, often with something behind them."""
    stream = bytearray(b"".join(map(encode_message, draw(MESSAGES))))
    if stream and draw(st.booleans()):
        stream[draw(st.integers(0, len(stream) - 1))] ^= draw(st.integers(1, 255))
    stream += draw(st.one_of(st.just(b""), sealed_frames(), st.binary(max_size=40)))
    return bytes(stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream)


@st.composite
def sealed_frames(draw: st.DrawFn) -> bytes:
    """Any bytes as header block and payload, any lengths near the right ones, right checksums."""
    block, payload = draw(st.binary(max_size=60)), draw(st.binary(max_size=60))
    headers_length = max(0, len(block) + draw(st.sampled_from([0, 0, 0, -1, 1, 1000])))
    prelude = struct.pack("!II", 16 + len(block) + len(payload), headers_length)
    checked = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def decode_chunks(chunks: list[bytes]) -> Outcome:
    """The messages of a stream, and class and numbers of the failure behind them."""
    decoder = EventStreamDecoder()
    messages: list[Message] = []
    try:
        for chunk in chunks:
            messages += decoder.receive_data(chunk)
        decoder.receive_eof()
    except UpstreamProtocolError as failure:
        return messages, type(failure), failure.detail
    return messages, None, ""


@given(MESSAGES)
def test_decoding_undoes_encoding(messages: list[Message]) -> None:
    """Over all ten header types, any names and any payloads."""
    assert decode_chunks([b"".join(map(encode_message, messages))]) == (messages, None, "")


@given(HEADERS)
def test_headers_keep_order_and_kind(headers: dict[str, HeaderValue]) -> None:
    """A header block comes back in its order, its booleans as booleans."""
    decoded = decode_headers(encode_headers(headers))
    assert [(name, repr(value)) for name, value in decoded.items()] == [
        (name, repr(value)) for name, value in headers.items()
    ]


@given(streams(), st.data())
def test_any_cut_gives_the_same_messages_and_the_same_failure(stream: bytes, data: st.DataObject) -> None:
    """Whole, byte by byte, or cut anywhere, empty chunks included; damaged or not."""
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    whole = decode_chunks([stream])
    assert decode_chunks(pieces) == whole
    assert decode_chunks([bytes([byte]) for byte in stream]) == whole


@given(st.lists(st.one_of(st.binary(max_size=100), sealed_frames()), max_size=5))
def test_any_bytes_are_read_or_refused(chunks: list[bytes]) -> None:
    """No exception but an UpstreamProtocolError comes out, whatever goes in."""
    _, failure, detail = decode_chunks(chunks)
    assert (failure is None) == (detail == "")


@given(st.binary(max_size=200))
def test_any_header_block_is_read_or_refused(block: bytes) -> None:
    """A block is malformed, or its headers can be written again and read as the same."""
    try:
        headers = decode_headers(block)
    except MalformedHeadersError:
        return
    assert decode_headers(encode_headers(headers)) == headers
