"""Pictures in requests: base64 text checked, its format told from its first bytes.

Nothing is ever fetched and no pixel is ever decoded: length, alphabet and the first bytes are all
that is looked at, so neither a URL nor a picture that unpacks to gigabytes can do harm. Errors name
no path: the caller knows where the picture stands.
"""

import base64
import enum
from collections.abc import Iterator
from dataclasses import dataclass

MAX_IMAGE_BYTES = 10_000_000
"""Decoded size; the upstream's model allows its ``ImageSourceBytesBlob`` 1 to 10,000,000 bytes."""
MAX_IMAGES_PER_MESSAGE = 10
"""The upstream's model allows its ``ImageBlocks`` this many members."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITE_SPACE = b" \t\r\n"
_PIECE_CHARS = 65_536
"""Of a text that are looked at in one call: other threads of the process run between two calls, not within one."""
_SIGNATURE_CHARS = 16
"""Base64 characters of the 12 bytes that hold the longest signature, WebP's."""
_PERCENT_ESCAPES = (
    ("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "="),
)  # fmt: skip
_FOREIGN_SIGNATURES = (
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
)


class ImageFormat(enum.Enum):
    """The formats that the upstream's model lists (its ``ImageFormat``), in its spelling."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"


class ImageError(ValueError):
    """This is no picture that the upstream takes; the text tells the person at the client why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedImage:
    """A picture that the upstream takes."""

    format: ImageFormat
    data: str
    """Standard base64 with padding, without white space."""
    corrected: bool
    """Whether the client had declared another type than the bytes have."""


def read_image(data: str, *, declared: str | None) -> CheckedImage:
    """The picture whose base64 text is ``data``.

    White space is taken out and missing padding put back.

    Args:
        data: Base64 text in the standard alphabet, without a ``data:`` prefix.
        declared: The media type that the client names, if any; ``image/jpg`` is JPEG too.

    Raises:
        ImageError: Not base64, empty, too large, or of a format that the upstream does not know.
    """
    padded, size = _read_base64(data)
    if size == 0:
        raise ImageError("the image is empty")
    if size > MAX_IMAGE_BYTES:
        raise ImageError(f"the image has {size} bytes; at most {MAX_IMAGE_BYTES} are possible")
    image_format = _tell_format(base64.b64decode(padded[:_SIGNATURE_CHARS]))
    corrected = declared is not None and _normalize_media_type(declared) != image_format.value
    return CheckedImage(format=image_format, data=padded, corrected=corrected)


def parse_data_url(url: str) -> tuple[str | None, str]:
    """The media type of a ``data:`` URL, ``None`` if there is none, and its base64 text.

    The media type comes in lower case. Its parameters are left out; percent-escapes of ``+``,
    ``/`` and ``=`` are undone.

    Raises:
        ImageError: Another scheme, no comma, or data that is not said to be base64.
    """
    if url[:5].lower() != "data:":
        raise ImageError("send the image as base64 data (data:image/png;base64,...): URLs are never fetched")
    comma = url.find(",")
    media_type, *parameters = (part.strip().lower() for part in url[5 : max(comma, 5)].split(";"))
    if "base64" not in parameters[-1:]:
        raise ImageError("a data URL must have the form data:<media type>;base64,<data>")
    data = url[comma + 1 :]
    if "%" in data:
        for escape, char in _PERCENT_ESCAPES:
            data = data.replace(escape, char)
    return media_type or None, data


def _read_base64(data: str) -> tuple[str, int]:
    """``data`` without white space and with its padding, and how many bytes it stands for."""
    strays = _list_strays(data)
    padding = strays.translate(None, _WHITE_SPACE)
    if len(padding) < len(strays):
        data = "".join(piece.translate(None, _WHITE_SPACE).decode() for piece in _cut(data))
    if padding not in {b"", b"=", b"=="} or not data.endswith(padding.decode()):
        raise ImageError("the image is not valid base64")
    digit_count = len(data) - len(padding)
    missing = -digit_count % 4
    if missing == 3 or len(padding) not in {0, missing}:  # noqa: PLR2004  one digit holds 6 bits, no byte
        raise ImageError("the image is not valid base64: it is cut off or wrongly padded")
    if not padding and missing:
        data += "=" * missing
    return data, digit_count * 3 // 4


def _list_strays(data: str) -> bytes:
    """What of ``data`` is no digit of base64."""
    return b"".join(piece.translate(None, _ALPHABET) for piece in _cut(data))


def _cut(data: str) -> Iterator[bytes]:
    if not data.isascii():
        raise ImageError("the image is not valid base64")
    for start in range(0, len(data), _PIECE_CHARS):
        yield data[start : start + _PIECE_CHARS].encode()


def _tell_format(head: bytes) -> ImageFormat:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    foreign = next((name for magic, name in _FOREIGN_SIGNATURES if head.startswith(magic)), None)
    found = f"{foreign} images are not supported" if foreign else "the data is no known image"
    raise ImageError(f"{found}; send PNG, JPEG, GIF or WebP")


def _normalize_media_type(declared: str) -> str:
    subtype = declared.partition(";")[0].strip().lower().removeprefix("image/")
    return "jpeg" if subtype == "jpg" else subtype
