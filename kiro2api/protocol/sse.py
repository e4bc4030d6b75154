"""Server-sent events as bytes, as the WHATWG's "Server-sent events" has them.

Each event carries one line of data, as both dialects send one JSON text an event; a line break in
it would end the field early, so it is refused and never split.

The format knows CR and LF; some clients read it with ``str.splitlines``, which knows more. Inside JSON those
characters are escaped, so that such a client does not cut the event there.
"""

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.jsontext import encode_json

_LINE_BREAKS = tuple((char.encode(), rf"\u{ord(char):04x}".encode()) for char in "\u0085\u2028\u2029")


class MultipleLinesError(Kiro2ApiError, ValueError):
    """A field of an event would hold a line break."""

    def __init__(self, field: str) -> None:
        super().__init__("The answer could not be written.", detail=f"line break in SSE {field}")
        self.field = field


def encode_event(data: bytes, name: str | None = None) -> bytes:
    """One event with its closing empty line.

    Args:
        data: Compact JSON in UTF-8, or ``[DONE]``.
        name: The event's type; without one the client sees a ``message``.

    Raises:
        MultipleLinesError: ``data`` or ``name`` holds CR or LF.
    """
    data = _escape_line_breaks(data)
    _require_one_line(data, "data")
    if name is None:
        return b"data: %b\n\n" % data
    name_bytes = name.encode()
    _require_one_line(name_bytes, "event")
    return b"event: %b\ndata: %b\n\n" % (name_bytes, data)


def encode_string(text: str) -> bytes:
    """``text`` as a JSON string that fits into an event as it is."""
    return _escape_line_breaks(encode_json(text))


def encode_comment(text: str) -> bytes:
    """A line that clients skip, followed by an empty one: it keeps a silent connection alive.

    Raises:
        MultipleLinesError: ``text`` holds CR or LF.
    """
    text_bytes = text.encode()
    _require_one_line(text_bytes, "comment")
    return b": %b\n\n" % text_bytes


def _escape_line_breaks(encoded: bytes) -> bytes:
    if not encoded.isascii():
        for char, escape in _LINE_BREAKS:
            encoded = encoded.replace(char, escape)
    return encoded


def _require_one_line(data: bytes, field: str) -> None:
    if b"\n" in data or b"\r" in data:
        raise MultipleLinesError(field)
