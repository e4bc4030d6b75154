"""Content codings, undone in bounded pieces."""

import gzip
import zlib

import pytest

from kiro2api.upstream.coding import PIECE_BYTES, ContentCoding
from kiro2api.upstream.errors import ContentCodingError

TEXT = bytes(range(256)) * 2000


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        (" GZip ", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
    ],
)
@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_a_body_is_undone_however_it_is_cut(name: str, body: bytes, size: int) -> None:
    """Whatever the chunks are, the pieces add up to the same."""
    coding = ContentCoding(name)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    pieces = [piece for chunk in chunks for piece in coding.receive_data(chunk)]
    coding.receive_eof()
    assert b"".join(pieces) == TEXT


def test_a_bomb_is_unpacked_no_further_than_it_is_read() -> None:
    """The first piece is there before the second is made, and none is large."""
    coding = ContentCoding("gzip")
    pieces = coding.receive_data(gzip.compress(bytes(50_000_000)))
    assert len(next(pieces)) == PIECE_BYTES
    sizes = [len(piece) for piece in pieces]
    coding.receive_eof()
    assert (max(sizes), sum(sizes)) == (PIECE_BYTES, 50_000_000 - PIECE_BYTES)


def test_an_unknown_coding_is_refused() -> None:
    """It was not asked for."""
    with pytest.raises(ContentCodingError) as caught:
        ContentCoding("br")
    assert caught.value.detail == "content coding 'br'"


@pytest.mark.parametrize(
    "body", [b"not packed at all", gzip.compress(TEXT)[:-8] + b"x" * 8, gzip.compress(TEXT) + b"more"]
)
def test_a_damaged_body_is_noticed(body: bytes) -> None:
    """Nonsense, a wrong checksum, and what follows on the end."""
    with pytest.raises(ContentCodingError):
        list(ContentCoding("gzip").receive_data(body))


def test_a_truncated_body_is_noticed_at_its_end() -> None:
    """However the connection closed."""
    coding = ContentCoding("gzip")
    list(coding.receive_data(gzip.compress(TEXT)[:-1]))
    with pytest.raises(ContentCodingError):
        coding.receive_eof()
