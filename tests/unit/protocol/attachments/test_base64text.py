"""Base64 in the text of a request."""

import pytest

from kiro2api.protocol.attachments.base64text import (
    Base64Error,
    Base64Text,
    DataUrlError,
    parse_data_url,
    read_base64,
)
from tests.support.pictures import encode


@pytest.mark.parametrize("data", [b"", b"1", b"12", b"123", b"1234", bytes(range(256)) * 300])
def test_white_space_goes_and_padding_comes(data: bytes) -> None:
    """Wrapped and unpadded base64 comes out in one padded line, and its size is known before it is decoded."""
    bare = encode(data).rstrip("=")
    expected = Base64Text(digits=encode(data), size=len(data))
    assert read_base64(encode(data)) == read_base64(f" {bare[:8]}\r\n\t{bare[8:]}\n") == expected
    assert expected.decode() == data


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 100])
def test_a_beginning_is_decoded_alone(size: int) -> None:
    """As far as it is wanted, or goes."""
    assert read_base64(encode(b"abcde")).decode(size) == b"abcde"[:size]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("iVBO*w0K", "is not valid base64$"),
        ("iVBO-_0K", "is not valid base64$"),
        ("iVBOé", "is not valid base64$"),
        ("iVBOR", "cut off"),
        ("iVBO=", "wrongly padded"),
        ("iVBOR0=", "wrongly padded"),
        ("iVBO==R0", "is not valid base64$"),
        ("iVB====", "is not valid base64$"),
        ("data:image/png;base64,iVBO", "is not valid base64$"),
    ],
)
def test_what_is_no_base64_is_refused(data: str, words: str) -> None:
    """Each fault is named."""
    with pytest.raises(Base64Error, match=words):
        read_base64(data)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,iVBO", ("image/png", "iVBO")),
        ("DATA:IMAGE/PNG;BASE64,iVBO", ("image/png", "iVBO")),
        ("data:image/png;name=a.png; base64,iVBO", ("image/png", "iVBO")),
        ("data:;base64,iVBO", (None, "iVBO")),
        ("data:image/png;base64,a%2Bb%2fc%3D", ("image/png", "a+b/c=")),
        ("data:image/png;base64,", ("image/png", "")),
    ],
)
def test_data_url_is_taken_apart(url: str, expected: tuple[str | None, str]) -> None:
    """Case, parameters and percent-escapes do not matter."""
    assert parse_data_url(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/a.png", "never fetched"),
        ("http://169.254.169.254/", "never fetched"),
        ("file:///etc/passwd", "never fetched"),
        ("", "never fetched"),
        ("data:image/png,iVBO", "must have the form"),
        ("data:base64,iVBO", "must have the form"),
        ("data:image/png;base64", "must have the form"),
        ("data:image/png;base64;x=y,iVBO", "must have the form"),
    ],
)
def test_other_urls_are_refused(url: str, words: str) -> None:
    """Nothing that would have to be fetched or guessed gets through."""
    with pytest.raises(DataUrlError, match=words):
        parse_data_url(url)
