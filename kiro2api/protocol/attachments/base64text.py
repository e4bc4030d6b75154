"""Bytes within the text of a request: base64, bare or in a ``data:`` URL.

Length and alphabet are all that is looked at, so that nothing has to be decoded to be refused. Nothing is ever fetched.
Errors name neither the place nor what the bytes are for: the caller knows both.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITE_SPACE = b" \t\r\n"
_PIECE_CHARS = 65_536
"""Of a text that are looked at in one call: other threads of the process run between two calls, not within one."""
_PERCENT_ESCAPES = (
    ("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "="),
)  # fmt: skip


class Base64Error(ValueError):
    """This is no base64; the text goes on where the name of the thing ends."""


class DataUrlError(ValueError):
    """This is no ``data:`` URL with base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base64Text:
    """Bytes that are not decoded yet."""

    digits: str = field(repr=False)
    """Standard base64 with padding, without white space."""
    size: int
    """Of what it stands for, in bytes."""

    def decode(self, size: int | None = None) -> bytes:
        """The bytes; no more than the first ``size`` if there is one."""
        if size is None:
            return base64.b64decode(self.digits)
        return base64.b64decode(self.digits[: -(-size // 3) * 4])[:size]


def read_base64(data: str) -> Base64Text:
    """What ``data`` stands for; white space is taken out and missing padding put back.

    Raises:
        Base64Error: Another alphabet than the standard one, cut off, or wrongly padded.
    """
    strays = _list_strays(data)
    padding = strays.translate(None, _WHITE_SPACE)
    if len(padding) < len(strays):
        data = "".join(piece.translate(None, _WHITE_SPACE).decode() for piece in _cut(data))
    if padding not in {b"", b"=", b"=="} or not data.endswith(padding.decode()):
        raise Base64Error("is not valid base64")
    digit_count = len(data) - len(padding)
    missing = -digit_count % 4
    if missing == 3 or len(padding) not in {0, missing}:  # noqa: PLR2004  one digit holds 6 bits, no byte
        raise Base64Error("is not valid base64: it is cut off or wrongly padded")
    if not padding and missing:
        data += "=" * missing
    return Base64Text(digits=data, size=digit_count * 3 // 4)


def parse_data_url(url: str) -> tuple[str | None, str]:
    """The media type of a ``data:`` URL, ``None`` if there is none, and its base64 text.

    The media type comes in lower case. Its parameters are left out; percent-escapes of ``+``,
    ``/`` and ``=`` are undone.

    Raises:
        DataUrlError: Another scheme, no comma, or data that is not said to be base64.
    """
    if url[:5].lower() != "data:":
        raise DataUrlError("URLs are never fetched")
    comma = url.find(",")
    media_type, *parameters = (part.strip().lower() for part in url[5 : max(comma, 5)].split(";"))
    if "base64" not in parameters[-1:]:
        raise DataUrlError("a data URL must have the form data:<media type>;base64,<data>")
    data = url[comma + 1 :]
    if "%" in data:
        for escape, char in _PERCENT_ESCAPES:
            data = data.replace(escape, char)
    return media_type or None, data


def _list_strays(data: str) -> bytes:
    """What of ``data`` is no digit of base64."""
    return b"".join(piece.translate(None, _ALPHABET) for piece in _cut(data))


def _cut(data: str) -> Iterator[bytes]:
    if not data.isascii():
        raise Base64Error("is not valid base64")
    for start in range(0, len(data), _PIECE_CHARS):
        yield data[start : start + _PIECE_CHARS].encode()
