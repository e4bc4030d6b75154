"""What counts as a picture."""

import base64

import pytest

from kiro2api.protocol.images import (
    MAX_IMAGE_BYTES,
    CheckedImage,
    ImageError,
    ImageFormat,
    parse_data_url,
    read_image,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of it"
GIF = b"GIF89a" + b"\x01\x00\x01\x00"
JPEG = b"\xff\xd8\xff\xe0" + b"JFIF"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "


def encode(data: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("data", "declared", "image_format"),
    [
        (PNG, "image/png", ImageFormat.PNG),
        (PNG, None, ImageFormat.PNG),
        (JPEG, "image/jpeg", ImageFormat.JPEG),
        (JPEG, "image/jpg", ImageFormat.JPEG),
        (JPEG, " Image/JPG; q=1", ImageFormat.JPEG),
        (GIF, "image/gif", ImageFormat.GIF),
        (b"GIF87a", "image/gif", ImageFormat.GIF),
        (WEBP, "image/webp", ImageFormat.WEBP),
    ],
)
def test_format_is_that_of_the_bytes(data: bytes, declared: str | None, image_format: ImageFormat) -> None:
    """A picture whose declared type agrees goes through as it is."""
    expected = CheckedImage(format=image_format, data=encode(data), corrected=False)
    assert read_image(encode(data), declared=declared) == expected


@pytest.mark.parametrize("declared", ["image/png", "image/bmp", "application/octet-stream", ""])
def test_wrong_declared_type_is_corrected(declared: str) -> None:
    """The bytes decide, and the correction is told."""
    expected = CheckedImage(format=ImageFormat.GIF, data=encode(GIF), corrected=True)
    assert read_image(encode(GIF), declared=declared) == expected


@pytest.mark.parametrize("data", [PNG, PNG + b"1", PNG + b"12"])
def test_white_space_goes_and_padding_comes(data: bytes) -> None:
    """Wrapped and unpadded base64 comes out in one padded line."""
    bare = encode(data).rstrip("=")
    wrapped = f" {bare[:8]}\r\n\t{bare[8:]}\n"
    assert read_image(wrapped, declared=None).data == encode(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("iVBO*w0K", "not valid base64"),
        ("iVBO-_0K", "not valid base64"),
        ("iVBOé", "not valid base64"),
        ("iVBOR", "cut off"),
        ("iVBO=", "wrongly padded"),
        ("iVBOR0=", "wrongly padded"),
        ("iVBO==R0", "not valid base64"),
        ("iVB====", "not valid base64"),
        ("data:image/png;base64,iVBO", "not valid base64"),
        (encode(b"BM\x00\x00\x00\x00"), "BMP images are not supported"),
        (encode(b"II*\x00"), "TIFF images are not supported"),
        (encode(b"MM\x00*"), "TIFF images are not supported"),
        (encode(b"%PDF-1.7"), "PDF images are not supported"),
        (encode(b"<svg xmlns="), "SVG images are not supported"),
        (encode(b"<?xml version"), "SVG images are not supported"),
        (encode(b"MZ\x90\x00"), "no known image"),
        (encode(b"RIFF\x24\x00\x00\x00WAVE"), "no known image"),
        (encode(b"\x89"), "no known image"),
    ],
)
def test_what_is_no_picture_is_refused(data: str, words: str) -> None:
    """Each fault is named."""
    with pytest.raises(ImageError, match=words):
        read_image(data, declared="image/png")


def test_largest_picture_is_ten_million_bytes() -> None:
    """One byte decides."""
    largest = encode(PNG.ljust(MAX_IMAGE_BYTES, b"\0"))
    assert read_image(largest, declared=None).data == largest
    with pytest.raises(ImageError, match="10000001 bytes; at most 10000000"):
        read_image(encode(PNG.ljust(MAX_IMAGE_BYTES + 1, b"\0")), declared=None)


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
    with pytest.raises(ImageError, match=words):
        parse_data_url(url)
