"""Heads of HTTP/1.1 messages: requests written, answers read (RFC 9112)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_HEAD_BYTES: Final = 65_536
"""Of an answer; the service's own have some hundred."""
HEAD_END: Final = b"\r\n\r\n"

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n\0]*)?\r\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)\r\n")
"""Without a place for the blanks around the value: two runs of the same would cost time in the square of a long one."""
_UNSAFE: Final = re.compile(rb"[\r\n\0]")

type Fields = Sequence[tuple[bytes, bytes]]


class MalformedMessageError(ValueError):
    """What came is no HTTP/1.1; the text says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """Status and fields of an answer."""

    minor_version: int
    status: int
    fields: Fields
    """Names in lower case."""

    def list_values(self, name: bytes) -> list[bytes]:
        """The members of all fields of that name, which are lists, in lower case."""
        values = (value for field, value in self.fields if field == name)
        return [member.strip().lower() for value in values for member in value.split(b",") if member.strip()]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server lets the connection be used again."""
        options = self.list_values(b"connection")
        return b"close" not in options and (self.minor_version == 1 or b"keep-alive" in options)


def encode_head(method: bytes, target: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request.

    Raises:
        ValueError: A value would be more than one line.
    """
    lines = [method + b" " + target + b" HTTP/1.1", *(name + b": " + value for name, value in fields)]
    if any(map(_UNSAFE.search, lines)):
        raise ValueError("a request's head holds a line break or a zero")
    return b"\r\n".join(lines) + HEAD_END


def parse_head(data: bytes) -> ResponseHead:
    """The answer's head that ``data`` is, its blank line included.

    Raises:
        MalformedMessageError: It is none.
    """
    line = _STATUS_LINE.match(data)
    if line is None:
        raise MalformedMessageError("the answer does not begin as HTTP/1.1 does")
    fields: list[tuple[bytes, bytes]] = []
    at, end = line.end(), len(data) - 2
    while at < end:
        field = _FIELD.match(data, at)
        if field is None:
            raise MalformedMessageError("the answer's head has a malformed field")
        fields.append((field[1].lower(), field[2].strip(b" \t")))
        at = field.end()
    return ResponseHead(minor_version=int(line[1]), status=int(line[2]), fields=fields)
