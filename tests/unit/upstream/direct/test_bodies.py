"""Bodies in all their framings, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.upstream.direct.bodies import (
    MAX_CHUNK_LINE,
    MAX_TRAILER_BYTES,
    Body,
    ChunkedBody,
    EndlessBody,
    SizedBody,
    select_body,
)
from kiro2api.upstream.direct.heads import MalformedMessageError, parse_head


def chunk(data: bytes, *, size: str = "", extension: bytes = b"") -> bytes:
    """One chunk as it stands on the wire."""
    return (size or f"{len(data):x}").encode() + extension + b"\r\n" + data + b"\r\n"


END = b"0\r\n\r\n"


def feed(body: Body, pieces: list[bytes]) -> bytes:
    """What the body says."""
    return b"".join(body.receive_data(piece) for piece in pieces if piece)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces."""
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(borders)]


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from([b"", b";name=value", b" ;a"]),
    st.sampled_from([END, b"000;x\r\n\r\n", b"0\r\nx-sum: 1\r\ny: 2\r\n\r\n"]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_chunks_are_joined_however_they_are_cut(
    parts: list[bytes], extension: bytes, end: bytes, places: list[int]
) -> None:
    """Sizes, extensions, line ends and trailers are gone, and not a byte of the body with them."""
    data = b"".join(chunk(part, extension=extension) for part in parts) + end
    body = ChunkedBody()
    assert feed(body, cut(data, places)) == b"".join(parts)
    assert (body.is_over, body.has_surplus) == (True, False)


def test_many_chunks_of_one_read_are_one_piece() -> None:
    """What follows has one thing to do for a read, however many events are in it."""
    assert ChunkedBody().receive_data(chunk(b"a") * 3 + chunk(b"bc")[:4]) == b"aaab"


def test_sizes_are_hexadecimal_in_both_cases() -> None:
    """With zeros before them, too."""
    body = ChunkedBody()
    assert body.receive_data(chunk(b"x" * 10, size="A") + chunk(b"y" * 11, size="00b") + END) == b"x" * 10 + b"y" * 11
    assert body.is_over


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"-1\r\nab\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\na\r\n",
        b" 1\r\na\r\n",
        b"\r\n",
        b"1;\0\r\na\r\n",
        b"1\r\nabc",
        b"1\r\na\rb",
        b"f" * 16 + b"\r\n",
        b"1" * (MAX_CHUNK_LINE + 1),
        END[:3] + b"a: b\r\n" * (MAX_TRAILER_BYTES // 4),
        END[:3] + b"a" * (MAX_TRAILER_BYTES + 1),
    ],
)
def test_broken_chunks_are_refused(data: bytes, step: int) -> None:
    """However they come: nothing of what follows could be trusted."""
    body = ChunkedBody()
    with pytest.raises(MalformedMessageError):
        feed(body, [data[at : at + step] for at in range(0, len(data), step)])


@pytest.mark.parametrize("data", [b"", b"1", b"1\r\n", b"1\r\na", b"1\r\na\r", chunk(b"a"), b"0\r\n", b"0\r\na: b\r\n"])
def test_chunks_without_an_end_are_not_whole(data: bytes) -> None:
    """Whatever is missing."""
    body = ChunkedBody()
    feed(body, [data])
    assert not body.is_over
    with pytest.raises(MalformedMessageError):
        body.receive_eof()


def test_what_stands_behind_the_last_chunk_is_noticed() -> None:
    """It belongs to nobody, and the connection is not used again."""
    body = ChunkedBody()
    assert body.receive_data(chunk(b"a") + END + b"HTTP/1.1 200 OK") == b"a"
    assert (body.is_over, body.has_surplus) == (True, True)


def test_a_body_of_a_known_length() -> None:
    """It ends there; what stands behind is noticed, what is missing too."""
    body = SizedBody(3)
    assert (feed(body, [b"a", b"b"]), body.is_over) == (b"ab", False)
    with pytest.raises(MalformedMessageError, match="1 bytes before"):
        body.receive_eof()
    assert body.receive_data(b"cd") == b"c"
    assert (body.is_over, body.has_surplus) == (True, True)


def test_a_body_until_the_connection_ends() -> None:
    """The end is no failure."""
    body = EndlessBody()
    assert (body.receive_data(b"a"), body.is_over) == (b"a", False)
    body.receive_eof()
    assert body.is_over


@pytest.mark.parametrize(
    ("status", "fields", "method", "kind"),
    [
        (200, b"transfer-encoding: Chunked\r\n", "POST", ChunkedBody),
        (200, b"content-length: 5\r\n", "POST", SizedBody),
        (200, b"content-length: 5, 5\r\ncontent-length: 5\r\n", "POST", SizedBody),
        (200, b"", "POST", EndlessBody),
        (204, b"transfer-encoding: chunked\r\n", "POST", SizedBody),
        (304, b"", "GET", SizedBody),
        (200, b"content-length: 5\r\n", "HEAD", SizedBody),
    ],
)
def test_the_head_says_how_long_the_body_is(status: int, fields: bytes, method: str, kind: type[object]) -> None:
    """By RFC 9112, 6.3."""
    head = parse_head(b"HTTP/1.1 %d x\r\n%b\r\n" % (status, fields))
    body = select_body(head, method=method)
    assert type(body) is kind
    assert body.is_over is (status != 200 or method == "HEAD")


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (b"1.1", b"transfer-encoding: gzip, chunked\r\n"),
        (b"1.1", b"transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
        (b"1.0", b"transfer-encoding: chunked\r\n"),
        (b"1.1", b"content-length: 5\r\ncontent-length: 6\r\n"),
        (b"1.1", b"content-length: -5\r\n"),
        (b"1.1", b"content-length: 5x\r\n"),
    ],
)
def test_a_length_that_is_told_twice_or_badly_is_refused(version: bytes, fields: bytes) -> None:
    """Two readers might differ about where it ends."""
    head = parse_head(b"HTTP/" + version + b" 200 x\r\n" + fields + b"\r\n")
    with pytest.raises(MalformedMessageError):
        select_body(head, method="POST")
