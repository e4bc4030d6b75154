"""Server-sent events as bytes, as the WHATWG's "Server-sent events" has them.

Each event carries one line of data, as both dialects send one JSON text an event; a line break in
it would end the field early, so it is refused and never split.
"""

from kiro2api.errors import Kiro2ApiError


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
    _require_one_line(data, "data")
    if name is None:
        return b"data: %b\n\n" % data
    name_bytes = name.encode()
    _require_one_line(name_bytes, "event")
    return b"event: %b\ndata: %b\n\n" % (name_bytes, data)


def encode_comment(text: str) -> bytes:
    """A line that clients skip, followed by an empty one: it keeps a silent connection alive.

    Raises:
        MultipleLinesError: ``text`` holds CR or LF.
    """
    text_bytes = text.encode()
    _require_one_line(text_bytes, "comment")
    return b": %b\n\n" % text_bytes


def _require_one_line(data: bytes, field: str) -> None:
    if b"\n" in data or b"\r" in data:
        raise MultipleLinesError(field)
