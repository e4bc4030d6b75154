"""Chunks to messages: every cut, and every way in which a stream can be wrong."""

import traceback
import tracemalloc

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import (
    CACHED_BLOCK_BYTES,
    CACHED_BLOCKS,
    DataAfterEofError,
    EventStreamDecoder,
    FrameLengthError,
    HeaderLengthError,
    MessageChecksumMismatchError,
    PayloadLengthError,
    PreludeChecksumMismatchError,
    TruncatedFrameError,
)
from kiro2api.protocol.eventstream.encoder import encode_message
from kiro2api.protocol.eventstream.headers import (
    CutHeaderError,
    EmptyHeaderNameError,
    HeaderEncodingError,
    UnknownHeaderTypeError,
)
from kiro2api.protocol.eventstream.messages import Message, string_headers
from tests.unit.protocol.eventstream.frames import (
    TEXT_FRAME,
    TEXT_MESSAGE,
    VECTORS,
    build_frame,
    build_prelude,
    decode_stream,
    describe_failure,
    flip_bit,
)

MIB = 1024 * 1024
STREAM = b"".join(frame for frame, _ in VECTORS.values())
MESSAGES = [message for _, message in VECTORS.values()]


@pytest.mark.parametrize(("frame", "message"), VECTORS.values(), ids=VECTORS)
@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
def test_frame_becomes_its_message(frame: bytes, message: Message, size: int) -> None:
    """A frame gives one message, and the stream may end behind it."""
    assert decode_stream(frame, size) == ([message], None)


@pytest.mark.parametrize(("frame", "message"), VECTORS.values(), ids=VECTORS)
@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
def test_frame_with_data_behind_it_becomes_its_message(frame: bytes, message: Message, size: int) -> None:
    """What follows is the next frame's, and is missed if the stream ends there."""
    messages, failure = decode_stream(frame + TEXT_FRAME[:20], size)
    assert messages == [message]
    assert describe_failure(failure) == {"class": TruncatedFrameError, "have": 20, "need": 124}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 4096])
def test_frames_behind_one_another_become_messages_in_order(size: int) -> None:
    """Chunks that end within, at the end of, and behind several frames make no difference."""
    assert decode_stream(STREAM, size) == (MESSAGES, None)


def test_message_is_returned_by_the_call_that_completes_it() -> None:
    """Nothing waits for the bytes of a later frame."""
    decoder = EventStreamDecoder()
    counts = [len(decoder.receive_data(bytes([byte]))) for byte in TEXT_FRAME * 2]
    assert counts == ([0] * 123 + [1]) * 2


@pytest.mark.parametrize(
    ("count", "size"), [(300, 1), (3000, 4096), (3000, 3000 * 124)], ids=["byte by byte", "4 KiB", "one chunk"]
)
def test_thousands_of_frames_become_messages(count: int, size: int) -> None:
    """Dripped or coalesced."""
    assert decode_stream(TEXT_FRAME * count, size) == ([TEXT_MESSAGE] * count, None)


def test_empty_chunk_changes_nothing() -> None:
    """At a frame's boundary, within its prelude and within its body."""
    decoder = EventStreamDecoder()
    messages = []
    for piece in (b"", TEXT_FRAME[:5], b"", TEXT_FRAME[5:50], b"", TEXT_FRAME[50:], b""):
        messages += decoder.receive_data(piece)
    assert (messages, decoder.failure) == ([TEXT_MESSAGE], None)


@pytest.mark.parametrize("bit", range(64))
def test_damaged_lengths_are_found_by_the_prelude_checksum(bit: int) -> None:
    """Twelve bytes are enough to know: a length is not believed before its checksum."""
    decoder = EventStreamDecoder()
    assert decoder.receive_data(flip_bit(TEXT_FRAME[:12], bit)) == []
    failure = decoder.failure
    assert isinstance(failure, PreludeChecksumMismatchError)
    assert (failure.expected, failure.calculated != 0x3BDDCF78) == (0x3BDDCF78, True)


def test_damaged_prelude_checksum_is_found() -> None:
    """The error tells what stood there and what should have."""
    _, failure = decode_stream(flip_bit(TEXT_FRAME, 88), 4096)
    assert describe_failure(failure) == {
        "class": PreludeChecksumMismatchError,
        "expected": 0x3BDDCF79,
        "calculated": 0x3BDDCF78,
    }


@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("bit", range(12 * 8, 120 * 8, 5))
def test_damaged_headers_and_payload_are_found_by_the_message_checksum(bit: int, size: int) -> None:
    """No changed bit comes through; every fifth bit is tried, so each bit of a byte has its turn."""
    messages, failure = decode_stream(flip_bit(TEXT_FRAME, bit), size)
    assert messages == []
    assert isinstance(failure, MessageChecksumMismatchError)
    assert (failure.expected, failure.calculated != 0xB02BABDC) == (0xB02BABDC, True)


@pytest.mark.parametrize("bit", range(104 * 8, 120 * 8))
def test_damaged_payload_is_found(bit: int) -> None:
    """Every single bit of the payload is covered."""
    messages, failure = decode_stream(flip_bit(TEXT_FRAME, bit), 4096)
    assert (messages, type(failure)) == ([], MessageChecksumMismatchError)


def test_damaged_message_checksum_is_found() -> None:
    """The error tells what stood there and what should have."""
    _, failure = decode_stream(flip_bit(TEXT_FRAME, 123 * 8), 4096)
    assert describe_failure(failure) == {
        "class": MessageChecksumMismatchError,
        "expected": 0xB02BABDD,
        "calculated": 0xB02BABDC,
    }


@pytest.mark.parametrize(
    ("total_length", "headers_length", "failure"),
    [
        (2**31, 0, {"class": FrameLengthError, "total_length": 2**31}),
        (2**32 - 1, 2**32 - 1, {"class": FrameLengthError, "total_length": 2**32 - 1}),
        (16 + 131_072 + 24 * MIB + 1, 0, {"class": FrameLengthError, "total_length": 25_296_913}),
        (15, 0, {"class": FrameLengthError, "total_length": 15}),
        (8, 0, {"class": FrameLengthError, "total_length": 8}),
        (0, 0, {"class": FrameLengthError, "total_length": 0}),
        (16, 1, {"class": HeaderLengthError, "headers_length": 1, "limit": 0}),
        (100, 101, {"class": HeaderLengthError, "headers_length": 101, "limit": 84}),
        (MIB, 131_073, {"class": HeaderLengthError, "headers_length": 131_073, "limit": 131_072}),
        (16 + 24 * MIB + 1, 0, {"class": PayloadLengthError, "payload_length": 25_165_825}),
    ],
)
@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
def test_impossible_lengths_with_right_checksums_are_refused(
    total_length: int, headers_length: int, failure: dict[str, object], size: int
) -> None:
    """As soon as the prelude is there, so that nobody waits for bytes that never come."""
    messages, actual = decode_stream(build_prelude(total_length, headers_length), size)
    assert (messages, describe_failure(actual)) == ([], failure)


def test_claimed_length_takes_no_memory() -> None:
    """What a prelude promises is held only as far as it comes."""
    decoder = EventStreamDecoder()
    tracemalloc.start()
    try:
        decoder.receive_data(build_prelude(16 + 131_072 + 24 * MIB, 131_072))
        decoder.receive_data(bytes(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoder.failure is None
    assert peak < 64 * 1024


@pytest.mark.parametrize(
    ("block", "failure"),
    [
        ("0161 0a", {"class": UnknownHeaderTypeError, "offset": 2, "code": 10}),
        ("0161 04 00", {"class": CutHeaderError, "offset": 3, "needed": 4, "available": 1}),
        ("00", {"class": EmptyHeaderNameError, "offset": 0}),
        ("0161 07 0001 ff", {"class": HeaderEncodingError, "offset": 5, "length": 1}),
    ],
)
@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
def test_malformed_headers_with_right_checksums_are_refused(block: str, failure: dict[str, object], size: int) -> None:
    """The message before them is delivered, the one behind them is not."""
    stream = TEXT_FRAME + build_frame(bytes.fromhex(block), b"{}") + TEXT_FRAME
    messages, actual = decode_stream(stream, size)
    assert (messages, describe_failure(actual)) == ([TEXT_MESSAGE], failure)


@pytest.mark.parametrize("size", [1, 4096], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("have", range(1, 124))
def test_stream_that_ends_within_a_frame_is_truncated(have: int, size: int) -> None:
    """Before the prelude is whole its size is needed, then the frame's."""
    messages, failure = decode_stream(TEXT_FRAME + TEXT_FRAME[:have], size)
    assert messages == [TEXT_MESSAGE]
    assert describe_failure(failure) == {
        "class": TruncatedFrameError,
        "have": have,
        "need": 12 if have < 12 else 124,
    }


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_messages_before_a_fault_are_delivered(size: int) -> None:
    """Also where they are in the fault's own chunk; frames behind the fault are lost."""
    messages, failure = decode_stream(STREAM + flip_bit(TEXT_FRAME, 8 * 110) + STREAM, size)
    assert (messages, type(failure)) == (MESSAGES, MessageChecksumMismatchError)


def test_failed_decoder_raises_its_failure_ever_after() -> None:
    """Whole frames, nothing, and the end of the stream change nothing; the traceback does not grow."""
    decoder = EventStreamDecoder()
    assert decoder.receive_data(flip_bit(TEXT_FRAME, 0)) == []
    depths = []
    for chunk in (TEXT_FRAME, b"", TEXT_FRAME):
        with pytest.raises(UpstreamProtocolError) as caught:
            decoder.receive_data(chunk)
        assert caught.value is decoder.failure
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    with pytest.raises(UpstreamProtocolError) as caught:
        decoder.receive_eof()
    assert caught.value is decoder.failure
    assert len(set(depths)) == 1


def test_truncated_stream_has_failed() -> None:
    """The end within a frame is a failure like others, and later calls repeat it."""
    decoder = EventStreamDecoder()
    decoder.receive_data(TEXT_FRAME[:-1])
    with pytest.raises(TruncatedFrameError) as first:
        decoder.receive_eof()
    with pytest.raises(TruncatedFrameError) as second:
        decoder.receive_eof()
    with pytest.raises(TruncatedFrameError) as third:
        decoder.receive_data(TEXT_FRAME[-1:])
    assert decoder.failure is first.value is second.value is third.value


@pytest.mark.parametrize("data", [b"", TEXT_FRAME])
def test_stream_may_end_between_frames(data: bytes) -> None:
    """Also before the first one; saying it twice is no fault."""
    decoder = EventStreamDecoder()
    decoder.receive_data(data)
    decoder.receive_eof()
    decoder.receive_eof()
    assert decoder.failure is None


@pytest.mark.parametrize("chunk", [b"", TEXT_FRAME])
def test_data_after_the_end_is_the_caller_s_defect(chunk: bytes) -> None:
    """It is not the upstream's, and the stream has not failed."""
    decoder = EventStreamDecoder()
    decoder.receive_eof()
    with pytest.raises(DataAfterEofError) as caught:
        decoder.receive_data(chunk)
    assert (caught.value.kind, decoder.failure) == (ErrorKind.INTERNAL, None)


def test_messages_with_equal_header_blocks_share_read_only_headers() -> None:
    """Headers are parsed once a block, so nobody may write to them."""
    first, second = EventStreamDecoder().receive_data(TEXT_FRAME * 2)
    assert first.headers is second.headers
    with pytest.raises(TypeError):
        first.headers["x"] = TEXT_MESSAGE.headers[":event-type"]  # type: ignore[index]  # what is tried here


def test_remembered_header_blocks_are_bounded() -> None:
    """Messages are right when the memory is full; long blocks never fill it."""
    texts = ["x" * CACHED_BLOCK_BYTES, *(str(number) for number in range(CACHED_BLOCKS + 5))] * 2
    expected = [Message(headers=string_headers({"a": text}), payload=b"") for text in texts]
    decoder = EventStreamDecoder()
    messages = decoder.receive_data(b"".join(map(encode_message, expected)))
    assert messages == expected
    assert set(decoder._headers_by_block) == {
        encode_message(message)[12:-4] for message in expected[1 : CACHED_BLOCKS + 1]
    }


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (PreludeChecksumMismatchError(expected=1, calculated=2), "prelude checksum 0x00000001, calculated 0x00000002"),
        (MessageChecksumMismatchError(expected=1, calculated=2), "message checksum 0x00000001, calculated 0x00000002"),
        (FrameLengthError(total_length=8), "frame of 8 bytes, not 16..25296912"),
        (HeaderLengthError(headers_length=9, limit=4), "header block of 9 bytes, the limit is 4"),
        (PayloadLengthError(payload_length=25_165_825), "payload of 25165825 bytes, the limit is 25165824"),
        (TruncatedFrameError(have=3, need=12), "the stream ended within a frame: 3 of 12 bytes"),
    ],
)
def test_failure_has_its_numbers_in_the_detail(failure: UpstreamProtocolError, detail: str) -> None:
    """For the log; the sentence for the client is the same for all of them."""
    assert (failure.detail, failure.kind) == (detail, ErrorKind.UPSTREAM)
