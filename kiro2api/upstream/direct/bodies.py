"""Bodies of answers: what of the bytes of a connection belongs to one, and whether all of it came (RFC 9112, 6 and 7).

A chunked body that a service writes event by event comes with dozens of chunks in one read: they are joined here, so
that what follows has one piece to work on.
"""

import re
from typing import Final, Protocol

from kiro2api.upstream.direct.heads import MalformedMessageError, ResponseHead

MAX_CHUNK_LINE: Final = 1024
"""Bytes of a chunk's size with its extensions."""
MAX_TRAILER_BYTES: Final = 16_384

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_LINE_END: Final = b"\r\n"
_NO_BODY: Final = frozenset({204, 304})
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")


class Body(Protocol):
    """One body on its way."""

    is_over: bool
    """Whether it is whole."""
    has_surplus: bool
    """Whether something stands behind its end, where nothing was asked for."""

    def receive_data(self, data: bytes) -> bytes:
        """What of the body is in ``data``, which follows on what was given before; may be empty.

        Raises:
            MalformedMessageError: It is no such body.
        """
        ...

    def receive_eof(self) -> None:
        """The connection has ended.

        Raises:
            MalformedMessageError: The body had not.
        """
        ...


class SizedBody:
    """A body of a length that is known."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.is_over = not size
        self.has_surplus = False

    def receive_data(self, data: bytes) -> bytes:
        self.has_surplus = len(data) > self._left
        if self.has_surplus:
            data = data[: self._left]
        self._left -= len(data)
        self.is_over = not self._left
        return data

    def receive_eof(self) -> None:
        raise MalformedMessageError(f"the answer ended {self._left} bytes before its end")


class EndlessBody:
    """A body that lasts as long as its connection."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_surplus = False

    def receive_data(self, data: bytes) -> bytes:
        return data

    def receive_eof(self) -> None:
        self.is_over = True


class ChunkedBody:
    """A body in chunks; what trailers say is not looked at."""

    def __init__(self) -> None:
        self._held = b""
        """The beginning of a line that is not there yet."""
        self._left = 0
        """Bytes of the chunk that has begun."""
        self._is_in_chunk = False
        """Until the line end behind its last byte."""
        self._is_in_trailer = False
        self._trailer_bytes = 0
        self.is_over = False
        self.has_surplus = False

    def receive_data(self, data: bytes) -> bytes:
        if self._held:
            data, self._held = self._held + data, b""
        parts: list[bytes] = []
        at = self._continue_chunk(data, parts) if self._is_in_chunk else 0
        while 0 <= at < len(data) and not self._is_in_trailer:
            at = self._read_chunk(data, at, parts)
        if self._is_in_trailer:
            self._read_trailer(data, at)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def receive_eof(self) -> None:
        raise MalformedMessageError("the answer ended before its last chunk")

    def _read_chunk(self, data: bytes, at: int, parts: list[bytes]) -> int:
        """Adds the chunk that begins at ``at`` and returns where the next does; below 0 if all of ``data`` is used."""
        end = data.find(_LINE_END, at, at + MAX_CHUNK_LINE)
        if end < 0:
            return self._hold(data, at, MAX_CHUNK_LINE)
        line = _CHUNK_LINE.fullmatch(data, at, end)
        if line is None:
            raise MalformedMessageError("a chunk of the answer has no size")
        size = int(line[1], 16)
        start = end + 2
        if not size:
            self._is_in_trailer = True
            return start
        stop = start + size
        if data.startswith(_LINE_END, stop):
            parts.append(data[start:stop])
            return stop + 2
        self._left, self._is_in_chunk = size, True
        rest = self._continue_chunk(data[start:], parts)
        return rest if rest < 0 else start + rest

    def _continue_chunk(self, data: bytes, parts: list[bytes]) -> int:
        """As :meth:`_read_chunk`, for a chunk that has begun before ``data``."""
        if self._left:
            part = data[: self._left]
            parts.append(part)
            self._left -= len(part)
        else:
            part = b""
        end = data[len(part) : len(part) + 2]
        if self._left or not end:
            return -1
        if end == _LINE_END[: len(end)] and len(end) < len(_LINE_END):
            self._held = end
            return -1
        if end != _LINE_END:
            raise MalformedMessageError("a chunk of the answer is longer than its size")
        self._is_in_chunk = False
        return len(part) + 2

    def _read_trailer(self, data: bytes, at: int) -> None:
        while True:
            end = data.find(_LINE_END, at)
            if end < 0:
                self._hold(data, at, MAX_TRAILER_BYTES - self._trailer_bytes)
                return
            if end == at:
                self.is_over, self.has_surplus = True, len(data) > end + 2
                return
            self._trailer_bytes += end - at
            at = end + 2

    def _hold(self, data: bytes, at: int, limit: int) -> int:
        self._held = data[at:]
        if len(self._held) >= limit:
            raise MalformedMessageError("the answer has a line without an end")
        return -1


def select_body(head: ResponseHead, *, method: str) -> Body:
    """The body that follows on ``head``.

    Raises:
        MalformedMessageError: The head tells its length in no way, or in two.
    """
    codings, lengths = head.list_values(b"transfer-encoding"), set(head.list_values(b"content-length"))
    if method == "HEAD" or head.status in _NO_BODY:
        return SizedBody(0)
    if codings:
        if codings != [b"chunked"] or lengths or not head.minor_version:
            raise MalformedMessageError("the answer's transfer coding is not understood")
        return ChunkedBody()
    if not lengths:
        return EndlessBody()
    [length, *others] = lengths
    if others or not _DIGITS.fullmatch(length):
        raise MalformedMessageError("the answer's length is no number")
    return SizedBody(int(length))
