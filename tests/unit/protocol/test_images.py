"""What the first bytes of a picture tell."""

from typing import Any

import pytest

from kiro2api.protocol.images import MAX_SEGMENTS, ImageFormat, measure_image, name_foreign_format, tell_format
from tests.support.pictures import draw, encode

PNG = b"\x89PNG\r\n\x1a\n"
WEBP = b"RIFF\x24\x00\x00\x00WEBP"
FRAME = b"\xff\xc0\x00\x0b\x08\x00\x02\x00\x04"
"""Of a JPEG of 4 by 2 pixels."""


@pytest.mark.parametrize(
    ("head", "image_format"),
    [
        (PNG, ImageFormat.PNG),
        (b"\xff\xd8\xff\xe0", ImageFormat.JPEG),
        (b"GIF87a", ImageFormat.GIF),
        (b"GIF89a", ImageFormat.GIF),
        (WEBP, ImageFormat.WEBP),
        (b"RIFF\x24\x00\x00\x00WAVE", None),
        (b"BM", None),
        (b"", None),
    ],
)
def test_formats_of_the_upstream(head: bytes, image_format: ImageFormat | None) -> None:
    """Each has a signature of its own."""
    assert tell_format(head) is image_format


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"BM", "BMP"),
        (b"II*\x00", "TIFF"),
        (b"MM\x00*", "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns=", "SVG"),
        (b"<?xml version", "SVG"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC and AVIF"),
        (b"MZ\x90\x00", None),
        (PNG, None),
        (b"", None),
    ],
)
def test_formats_that_the_upstream_does_not_know(head: bytes, name: str | None) -> None:
    """A client is told which one it has sent."""
    assert name_foreign_format(head) == name


@pytest.mark.parametrize("size", [(4, 2), (1, 700), (300, 1)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"comment": b"x" * 50_000, "dpi": (72, 72)}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"mode": "RGBA"}),
    ],
)
def test_size_is_that_of_the_decoded_picture(name: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    """Whoever wrote the file, and whatever else it holds."""
    assert measure_image(encode(draw(name, size, **options))) == size


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"BM".ljust(14) + b"\x0c\0\0\0\x04\0\x02\0".ljust(12, b"\0"), (4, 2)),
        (b"BM".ljust(14) + b"\x28\0\0\0\x04\0\0\0\xfe\xff\xff\xff", (4, 2)),
        (b"\xff\xd8\xff\xff\xff\xd0" + FRAME, (4, 2)),
        (b"\xff\xd8\xff\xe0\x00\x02\xff\xc4\x00\x03!" + FRAME, (4, 2)),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * (MAX_SEGMENTS - 1) + FRAME, (4, 2)),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * MAX_SEGMENTS + FRAME, None),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x04", None),
        (b"\xff\xd8\xff\xda\x00\x02" + FRAME, None),
        (b"\xff\xd8\xff\xe0\x00\x02\x00" + FRAME, None),
        (b"\xff\xd8" + FRAME[:-1], None),
        (PNG + b"rest of it", None),
        (b"GIF89a\x04", None),
        (WEBP + b"VP8X", None),
        (WEBP + b"ALPH".ljust(20), None),
        (b"BM".ljust(25), None),
        (b"II*\x00".ljust(40), None),
        (b"", None),
    ],
)
def test_odd_heads(data: bytes, size: tuple[int, int] | None) -> None:
    """Old and strange ones are read as decoders do; who is cut off, or has no pixel, has no size."""
    assert measure_image(encode(data)) == size


@pytest.mark.parametrize("data", ["iVBOR", "é"])
def test_what_is_no_base64_has_no_size(data: str) -> None:
    """Text that was not checked does no harm."""
    assert measure_image(data) is None


def test_a_long_picture_is_not_decoded() -> None:
    """The size is found in any length of text, at once: what is behind the head is no base64 at all."""
    assert measure_image(encode(draw("PNG"))[:40] + "*" * 1_000_001) == (4, 2)
