"""Chunks to messages, with both checksums of every frame checked.

A frame, integers big-endian, checksums CRC-32 as zlib computes it::

    0   total length u32             the whole frame
    4   header block length u32 (H)
    8   prelude checksum u32         of bytes 0..7
    12  header block                 H bytes
    ..  payload                      total length - H - 16 bytes
    ..  message checksum u32         of all bytes before it

The prelude is checked as soon as it is there, so that a damaged length is neither waited for nor
allocated. After a fault nothing says where the next frame begins: the stream has failed for good, and
nothing is skipped.
"""

import enum
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn
from zlib import crc32

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.headers import decode_headers
from kiro2api.protocol.eventstream.messages import (
    CHECKSUM_BYTES,
    FRAME_OVERHEAD_BYTES,
    MAX_FRAME_BYTES,
    MAX_HEADER_BLOCK_BYTES,
    MAX_PAYLOAD_BYTES,
    PRELUDE_BYTES,
    HeaderValue,
    Message,
)

CACHED_BLOCKS = 64
"""Header blocks that a decoder remembers: several times the kinds of event that the upstream has.

The upstream repeats a handful of them thousands of times. A full cache keeps what it has, so a stream
of ever new blocks costs their parsing and no memory.
"""

CACHED_BLOCK_BYTES = 512
"""The longest block worth remembering: the upstream's have about 100 bytes, and 64 of these 32 KiB."""

_PRELUDE = struct.Struct("!III")
_LENGTHS_BYTES = PRELUDE_BYTES - CHECKSUM_BYTES
_unpack_prelude = _PRELUDE.unpack_from
_unpack_checksum = struct.Struct("!I").unpack_from


class _State(enum.Enum):
    READING = enum.auto()
    FAILED = enum.auto()
    CLOSED = enum.auto()


class PreludeChecksumMismatchError(UpstreamProtocolError):
    """A frame's prelude says ``expected``, its bytes give ``calculated``."""

    def __init__(self, *, expected: int, calculated: int) -> None:
        super().__init__(f"prelude checksum {expected:#010x}, calculated {calculated:#010x}")
        self.expected = expected
        self.calculated = calculated


class MessageChecksumMismatchError(UpstreamProtocolError):
    """A frame ends with ``expected``, its bytes give ``calculated``."""

    def __init__(self, *, expected: int, calculated: int) -> None:
        super().__init__(f"message checksum {expected:#010x}, calculated {calculated:#010x}")
        self.expected = expected
        self.calculated = calculated


class FrameLengthError(UpstreamProtocolError):
    """A frame of ``total_length`` bytes: too short to be one, or longer than any may be."""

    def __init__(self, *, total_length: int) -> None:
        super().__init__(f"frame of {total_length} bytes, not {FRAME_OVERHEAD_BYTES}..{MAX_FRAME_BYTES}")
        self.total_length = total_length


class HeaderLengthError(UpstreamProtocolError):
    """A header block of ``headers_length`` bytes; its frame and the format leave it ``limit``."""

    def __init__(self, *, headers_length: int, limit: int) -> None:
        super().__init__(f"header block of {headers_length} bytes, the limit is {limit}")
        self.headers_length = headers_length
        self.limit = limit


class PayloadLengthError(UpstreamProtocolError):
    """A payload of ``payload_length`` bytes, which is over the limit."""

    def __init__(self, *, payload_length: int) -> None:
        super().__init__(f"payload of {payload_length} bytes, the limit is {MAX_PAYLOAD_BYTES}")
        self.payload_length = payload_length


class TruncatedFrameError(UpstreamProtocolError):
    """The stream ended within a frame: ``have`` bytes of the ``need`` that were sure to come.

    Where ``have`` is less than a prelude, ``need`` is the prelude's size, else the frame's.
    """

    def __init__(self, *, have: int, need: int) -> None:
        super().__init__(f"the stream ended within a frame: {have} of {need} bytes")
        self.have = have
        self.need = need


class DataAfterEofError(Kiro2ApiError):
    """A decoder was given data after the end of its stream: a defect of the caller."""

    def __init__(self) -> None:
        super().__init__("The answer could not be read because of a defect of this proxy.")


class EventStreamDecoder:
    """Turns the chunks of one stream into messages.

    However the stream is cut, the calls give the same messages in the same order, and then the same
    failure. So a fault in the data is first only noted: the call that meets it returns the whole
    messages before it (``[]`` if there are none) and sets ``failure``; callers look there once they
    have used the messages. Every later call raises that failure.

    Time is linear in the stream's bytes. What is held between calls is one unfinished frame, as far as
    it has come, and a small cache.
    """

    def __init__(self) -> None:
        self._state = _State.READING
        self._failure: UpstreamProtocolError | None = None
        self._unfinished = bytearray()
        self._needed = PRELUDE_BYTES
        self._headers_by_block: dict[bytes, Mapping[str, HeaderValue]] = {}

    @property
    def failure(self) -> UpstreamProtocolError | None:
        """What is wrong with the stream behind the messages returned so far, if something is."""
        return self._failure

    def receive_data(self, chunk: bytes) -> list[Message]:
        """The messages that ``chunk`` completes; a fault behind them is in ``failure``, not raised.

        Raises:
            UpstreamProtocolError: The stream failed in an earlier call.
            DataAfterEofError: The stream has ended.
        """
        if self._state is not _State.READING:
            self._refuse()
        messages: list[Message] = []
        try:
            start = self._finish_frame(chunk, messages) if self._unfinished else 0
            if start < len(chunk):
                end = self._decode_frames(chunk, start, messages)
                self._unfinished += memoryview(chunk)[end:]
        except UpstreamProtocolError as failure:
            self._fail(failure)
        return messages

    def receive_eof(self) -> None:
        """The stream ends here, between two frames; said twice, it still does.

        Raises:
            TruncatedFrameError: It ends within a frame.
            UpstreamProtocolError: The stream failed in an earlier call.
        """
        if self._state is _State.FAILED:
            self._refuse()
        if self._unfinished:
            self._fail(TruncatedFrameError(have=len(self._unfinished), need=self._needed))
            self._refuse()
        self._state = _State.CLOSED

    def _finish_frame(self, chunk: bytes, messages: list[Message]) -> int:
        """Appends the unfinished frame's message if ``chunk`` has its rest; returns the bytes used.

        The unfinished frame grows by what it needs next and no more: it never holds part of another.
        """
        used = 0
        while self._unfinished:
            missing = self._needed - len(self._unfinished)
            self._unfinished += chunk[used : used + missing]
            used = min(used + missing, len(chunk))
            if len(self._unfinished) < self._needed:
                break
            decoded = self._decode_frames(bytes(self._unfinished), 0, messages)
            del self._unfinished[:decoded]
        return used

    def _decode_frames(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Appends the messages of the whole frames from ``start`` on; returns where the rest begins.

        A slice of ``data`` is a copy, a slice of its view is not: what is only checksummed is viewed,
        save the eight bytes of a prelude, where the copy costs less than the view.
        """
        view = memoryview(data)
        size = len(data)
        headers_by_block = self._headers_by_block
        while size - start >= PRELUDE_BYTES:
            total_length, headers_length, expected = _unpack_prelude(data, start)
            lengths_end = start + _LENGTHS_BYTES
            calculated = crc32(data[start:lengths_end])
            if calculated != expected:
                raise PreludeChecksumMismatchError(expected=expected, calculated=calculated)
            payload_length = total_length - headers_length - FRAME_OVERHEAD_BYTES
            if not 0 <= payload_length <= MAX_PAYLOAD_BYTES or headers_length > MAX_HEADER_BLOCK_BYTES:
                raise _length_error(total_length, headers_length)
            frame_end = start + total_length
            if frame_end > size:
                self._needed = total_length
                return start
            payload_end = frame_end - CHECKSUM_BYTES
            (expected,) = _unpack_checksum(data, payload_end)
            calculated = crc32(view[lengths_end:payload_end], calculated)
            if calculated != expected:
                raise MessageChecksumMismatchError(expected=expected, calculated=calculated)
            payload_start = payload_end - payload_length
            block = data[start + PRELUDE_BYTES : payload_start]
            headers = headers_by_block.get(block)
            if headers is None:
                headers = self._decode_headers(block)
            messages.append(Message(headers, data[payload_start:payload_end]))
            start = frame_end
        self._needed = PRELUDE_BYTES
        return start

    def _decode_headers(self, block: bytes) -> Mapping[str, HeaderValue]:
        headers = MappingProxyType(decode_headers(block))
        if len(block) <= CACHED_BLOCK_BYTES and len(self._headers_by_block) < CACHED_BLOCKS:
            self._headers_by_block[block] = headers
        return headers

    def _fail(self, failure: UpstreamProtocolError) -> None:
        """Keeps the failure and nothing of the stream: a traceback would hold the chunk."""
        self._state = _State.FAILED
        self._failure = failure.with_traceback(None)
        self._unfinished = bytearray()

    def _refuse(self) -> NoReturn:
        if self._failure is None:
            raise DataAfterEofError
        raise self._failure.with_traceback(None)  # else each call would lengthen it


def _length_error(total_length: int, headers_length: int) -> UpstreamProtocolError:
    """Which of the limits the lengths of a prelude break; they break one."""
    if not FRAME_OVERHEAD_BYTES <= total_length <= MAX_FRAME_BYTES:
        return FrameLengthError(total_length=total_length)
    limit = min(MAX_HEADER_BLOCK_BYTES, total_length - FRAME_OVERHEAD_BYTES)
    if headers_length > limit:
        return HeaderLengthError(headers_length=headers_length, limit=limit)
    return PayloadLengthError(payload_length=total_length - headers_length - FRAME_OVERHEAD_BYTES)
