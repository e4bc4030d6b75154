"""Pictures as far as their first bytes tell: the format, and the size in pixels.

No pixel is ever decoded here, so that a picture that unpacks to gigabytes can do no harm.
"""

import base64
import enum
from typing import Final

MAX_IMAGE_BYTES: Final = 10_000_000
"""Decoded size; the upstream's model allows its ``ImageSourceBytesBlob`` 1 to 10,000,000 bytes."""
MAX_PIXELS: Final = 50_000_000
"""Of a picture that is decoded: what the cameras of phones take at most. Four bytes each, it fills 200 MB."""
SIGNATURE_BYTES: Final = 12
"""Hold the longest signature, WebP's."""
MAX_SEGMENTS: Final = 512
"""Of a JPEG, before the one that has the size: some 30 MB of colour profiles and notes."""

_FOREIGN_SIGNATURES: Final = (
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
)
_START_OF_SCAN: Final = 0xDA
_BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Of JPEG: no length and no content follow them."""
_NO_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Between the markers of frames, but tables."""


class ImageFormat(enum.Enum):
    """The formats that the upstream's model lists (its ``ImageFormat``), in its spelling."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"


def tell_format(head: bytes) -> ImageFormat | None:
    """The format of the picture that begins with ``head``, its first :data:`SIGNATURE_BYTES`; ``None`` if foreign."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    return None


def name_foreign_format(head: bytes) -> str | None:
    """The name of a format that the upstream does not know; ``None`` if nobody knows it here either."""
    if head[4:8] == b"ftyp":
        return "HEIC and AVIF"
    return next((name for magic, name in _FOREIGN_SIGNATURES if head.startswith(magic)), None)


def measure_image(data: str) -> tuple[int, int] | None:
    """Width and height in pixels of the picture whose base64 text is ``data``, as its head has them.

    ``None`` for what is no PNG, JPEG, GIF, WebP or BMP, is cut off before its size, or has none. Only a few bytes are
    decoded, however long the text is.
    """
    try:
        head = _decode(data, 0, 30)
        size = _measure(data, head)
    except ValueError:  # no base64
        return None
    return size if size is not None and all(size) else None


def _measure(data: str, head: bytes) -> tuple[int, int] | None:
    if name_foreign_format(head) == "BMP":
        return _measure_bmp(head)
    match tell_format(head):
        case ImageFormat.PNG if len(head) >= 24:  # noqa: PLR2004  where the size ends
            return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
        case ImageFormat.GIF if len(head) >= 10:  # noqa: PLR2004  the same
            return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        case ImageFormat.WEBP if len(head) >= 30:  # noqa: PLR2004  the same
            return _measure_webp(head)
        case ImageFormat.JPEG:
            return _measure_jpeg(data)
        case _:
            return None


def _measure_bmp(head: bytes) -> tuple[int, int] | None:
    if len(head) < 26:  # noqa: PLR2004  the size ends there, or before
        return None
    if int.from_bytes(head[14:18], "little") == 12:  # noqa: PLR2004  the length of the oldest header
        return int.from_bytes(head[18:20], "little"), int.from_bytes(head[20:22], "little")
    # A negative height means that the rows come from top to bottom.
    return int.from_bytes(head[18:22], "little"), abs(int.from_bytes(head[22:26], "little", signed=True))


def _measure_webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
        case _:
            return None


def _measure_jpeg(data: str) -> tuple[int, int] | None:
    """What the first frame says; it stands behind any number of other segments."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        segment = _decode(data, place, 9)
        if len(segment) < 9 or segment[0] != 0xFF or segment[1] == _START_OF_SCAN:  # noqa: PLR2004  begins each
            return None
        marker = segment[1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:  # noqa: PLR2004  frames of all kinds
            return int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7])
        if marker == 0xFF:  # noqa: PLR2004  one of any number that fill up
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        else:
            place += 2 + int.from_bytes(segment[2:4])
    return None


def _decode(data: str, start: int, size: int) -> bytes:
    """``size`` bytes from ``start`` of what ``data`` stands for, or as many as there are."""
    digits = data[start // 3 * 4 : -(-(start + size) // 3) * 4]
    return base64.b64decode(digits)[start % 3 :][:size]
