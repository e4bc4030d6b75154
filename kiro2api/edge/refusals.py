"""Which heads of requests are not served, in either version of HTTP, and how they are answered.

These answers come from below the routes and know no dialect: their body has the form that both dialects' clients read.
"""

import json
from collections.abc import Iterable, Mapping

MAX_FIELDS = 100
"""Of a request's head; the agents that were looked at send fewer than 30."""
MAX_HEAD_BYTES = 65_536
"""Of all fields of a head together, each with 32 bytes for itself, as RFC 9113 (6.5.2) counts."""
FIELD_BYTES = 32

type Fields = Iterable[tuple[bytes, bytes]]

_REASONS: Mapping[int, str] = {
    431: f"The head of the request has more than {MAX_FIELDS} fields or {MAX_HEAD_BYTES} bytes.",
    501: "The proxy does not serve this kind of request.",
    505: "The proxy does not serve this version of HTTP.",
}
_MALFORMED = "The request is malformed."


class RefusedHeadError(Exception):
    """A request whose head is not served."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS.get(status, _MALFORMED))
        self.status = status


def check_size(fields: Fields) -> None:
    """Passes unless there are too many fields, or too large ones.

    Raises:
        RefusedHeadError: With 431.
    """
    sizes = [FIELD_BYTES + len(name) + len(value) for name, value in fields]
    if len(sizes) > MAX_FIELDS or sum(sizes) > MAX_HEAD_BYTES:
        raise RefusedHeadError(431)


def render_refusal(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields and body of the answer."""
    message = _REASONS.get(status, _MALFORMED)
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).encode()
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))], body
