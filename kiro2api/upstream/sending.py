"""A request's body on its way to the upstream, in pieces: TLS encrypts one at a time, and the loop runs in between."""

from typing import Self

PIECE_BYTES = 262_144
"""Of one piece: encrypting it takes less than a millisecond, and a deadline for writing holds for each on its own."""


class Pieces:
    """``body`` as httpx sends it piece by piece; to be sent once."""

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._body:
            raise StopAsyncIteration
        piece, self._body = self._body[:PIECE_BYTES], self._body[PIECE_BYTES:]
        return bytes(piece)
