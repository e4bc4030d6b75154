"""Content codings of an answer, undone in pieces of bounded size.

Identity is asked for; some front servers compress all the same. A few kilobytes of gzip can stand for gigabytes, so
that a piece is handed over before the next is made.
"""

import zlib
from collections.abc import Iterator

from kiro2api.upstream.errors import ContentCodingError

PIECE_BYTES = 65_536
"""The largest piece of an unpacked body."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_PLAIN = frozenset({"", "identity"})


class ContentCoding:
    """Undoes one body's coding.

    Args:
        name: The value of ``content-encoding``, empty if there is none.

    Raises:
        ContentCodingError: The coding is unknown.
    """

    def __init__(self, name: str) -> None:
        coding = name.strip().lower()
        if coding not in _PACKED | _PLAIN:
            raise ContentCodingError(f"content coding {coding[:60]!r}")
        self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB) if coding in _PACKED else None

    def receive_data(self, chunk: bytes) -> Iterator[bytes]:
        """What ``chunk`` stands for, in pieces of at most ``PIECE_BYTES`` if it was packed.

        Raises:
            ContentCodingError: It is damaged, or goes on after its end.
        """
        unpacker = self._unpacker
        if unpacker is None:
            yield chunk
            return
        piece = b""
        while chunk or len(piece) == PIECE_BYTES:  # a full piece may have left something behind without any input
            try:
                piece = unpacker.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise ContentCodingError(f"packed body: {error}") from error
            if piece:
                yield piece
            if unpacker.unused_data:
                raise ContentCodingError("packed body: goes on after its end")
            chunk = unpacker.unconsumed_tail

    def receive_eof(self) -> None:
        """Checks that the body is whole.

        Raises:
            ContentCodingError: It is not.
        """
        if self._unpacker is not None and not self._unpacker.eof:
            raise ContentCodingError("packed body: truncated")
