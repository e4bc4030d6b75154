"""A large body on its way."""

import httpx
import pytest

from kiro2api.upstream.sending import PIECE_BYTES, Pieces


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_the_pieces_are_the_body(size: int) -> None:
    """Each but the last has the same size, and none is empty."""
    body = bytes(index % 251 for index in range(size))
    pieces = [piece async for piece in Pieces(body)]
    assert b"".join(pieces) == body
    assert {len(piece) for piece in pieces[:-1]} <= {PIECE_BYTES}
    assert 0 < len(pieces[-1]) <= PIECE_BYTES


async def test_with_its_length_a_body_in_pieces_is_not_chunked() -> None:
    """The upstream sees no difference."""
    request = httpx.Request("POST", "https://kiro.test/", content=Pieces(b"abc"), headers={"content-length": "3"})
    assert await request.aread() == b"abc"
    assert "transfer-encoding" not in request.headers
