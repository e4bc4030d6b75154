"""The header block of a frame: headers to bytes and back.

A block is headers one after another, integers big-endian::

    name length u8 (1..255) | name, UTF-8 | type u8 | value

The booleans have no value bytes, integers and UUIDs have a fixed size, bytes and strings begin with
their length, u16. A value is never believed to be longer than the block that holds it.
"""

import struct
from collections.abc import Callable, Mapping

from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.messages import HeaderType, HeaderValue

MAX_NAME_BYTES = 255
"""The name's length is one byte."""

MAX_VALUE_BYTES = 65_535
"""The length of bytes and strings is two bytes."""

type Value = bool | int | bytes | str
type Unpacker = Callable[[bytes | memoryview, int], tuple[Value, int]]
"""From a block and the offset of a value to that value and the offset behind it."""

_LENGTH = struct.Struct("!H")
_INTEGERS: Mapping[HeaderType, struct.Struct] = {
    HeaderType.INT8: struct.Struct("!b"),
    HeaderType.INT16: struct.Struct("!h"),
    HeaderType.INT32: struct.Struct("!i"),
    HeaderType.INT64: struct.Struct("!q"),
    HeaderType.TIMESTAMP: struct.Struct("!q"),
}
_UUID_BYTES = 16


class UnencodableMessageError(ValueError):
    """The event-stream format cannot hold the message."""


class PartSizeError(UnencodableMessageError):
    """A part of the message is empty where it may not be, or larger than the format allows.

    Attributes:
        part: Which part, in words.
        size: Its size in bytes.
        limit: The largest size in bytes.
    """

    def __init__(self, part: str, *, size: int, limit: int) -> None:
        super().__init__(f"{part} has {size} bytes, the limit is {limit}")
        self.part = part
        self.size = size
        self.limit = limit


class HeaderValueError(UnencodableMessageError):
    """A header's value is not one of its type, or out of that type's range."""

    def __init__(self, name: str, header_type: HeaderType) -> None:
        super().__init__(f"the value of header {name!r} is no {header_type.name}")
        self.name = name
        self.header_type = header_type


class MalformedHeadersError(UpstreamProtocolError):
    """The header block cannot be read.

    Attributes:
        offset: Where in the block, in bytes.
    """

    def __init__(self, problem: str, *, offset: int) -> None:
        super().__init__(f"header block, byte {offset}: {problem}")
        self.offset = offset


class CutHeaderError(MalformedHeadersError):
    """The block ends within a header.

    Attributes:
        needed: How many bytes should stand at ``offset``.
        available: How many do.
    """

    def __init__(self, *, offset: int, needed: int, available: int) -> None:
        super().__init__(f"{needed} bytes needed, {available} there", offset=offset)
        self.needed = needed
        self.available = available


class EmptyHeaderNameError(MalformedHeadersError):
    """A header's name has the length 0."""

    def __init__(self, *, offset: int) -> None:
        super().__init__("a name of 0 bytes", offset=offset)


class HeaderEncodingError(MalformedHeadersError):
    """The ``length`` bytes of a name or a string at ``offset`` are not UTF-8."""

    def __init__(self, *, offset: int, length: int) -> None:
        super().__init__(f"{length} bytes of text that is not UTF-8", offset=offset)
        self.length = length


class UnknownHeaderTypeError(MalformedHeadersError):
    """The type byte at ``offset`` is ``code``, whose value's size nobody knows."""

    def __init__(self, *, offset: int, code: int) -> None:
        super().__init__(f"unknown type {code}", offset=offset)
        self.code = code


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """The header block of ``headers``, in their order.

    Raises:
        PartSizeError: A name is empty or over 255 bytes, or a value is over 65,535 bytes.
        HeaderValueError: A value does not fit its type.
        UnicodeEncodeError: A name or a string has a single surrogate.
    """
    block = bytearray()
    for name, header in headers.items():
        encoded_name = name.encode()
        if not 1 <= len(encoded_name) <= MAX_NAME_BYTES:
            raise PartSizeError("a header name", size=len(encoded_name), limit=MAX_NAME_BYTES)
        block.append(len(encoded_name))
        block += encoded_name
        block.append(header.type)
        block += _encode_value(name, header)
    return bytes(block)


def decode_headers(block: bytes | memoryview) -> dict[str, HeaderValue]:
    """The headers of a block, in its order; of a doubled name the last value counts.

    Raises:
        MalformedHeadersError: A leaf of it says what is wrong, and where.
    """
    headers: dict[str, HeaderValue] = {}
    offset = 0
    while offset < len(block):
        length = block[offset]
        if not length:
            raise EmptyHeaderNameError(offset=offset)
        name, offset = _unpack_text(block, offset + 1, length)
        _require(block, offset, 1)
        code = block[offset]
        known = _UNPACKERS.get(code)
        if known is None:
            raise UnknownHeaderTypeError(offset=offset, code=code)
        header_type, unpack = known
        value, offset = unpack(block, offset + 1)
        headers[name] = HeaderValue(type=header_type, value=value)
    return headers


def _encode_value(name: str, header: HeaderValue) -> bytes:
    match header.type, header.value:
        case (HeaderType.TRUE, True) | (HeaderType.FALSE, False):
            return b""
        case HeaderType.STRING, str(text):
            return _encode_sized(name, text.encode())
        case HeaderType.BYTES, bytes(data):
            return _encode_sized(name, data)
        case HeaderType.UUID, bytes(data) if len(data) == _UUID_BYTES:
            return data
        case header_type, int(number) if header_type in _INTEGERS:
            try:
                return _INTEGERS[header_type].pack(number)
            except struct.error:
                raise HeaderValueError(name, header_type) from None
        case _:
            raise HeaderValueError(name, header.type)


def _encode_sized(name: str, data: bytes) -> bytes:
    if len(data) > MAX_VALUE_BYTES:
        raise PartSizeError(f"header {name!r}", size=len(data), limit=MAX_VALUE_BYTES)
    return _LENGTH.pack(len(data)) + data


def _require(block: bytes | memoryview, offset: int, needed: int) -> None:
    available = len(block) - offset
    if available < needed:
        raise CutHeaderError(offset=offset, needed=needed, available=available)


def _unpack_text(block: bytes | memoryview, offset: int, length: int) -> tuple[str, int]:
    _require(block, offset, length)
    end = offset + length
    try:
        return str(block[offset:end], "utf-8"), end
    except UnicodeDecodeError:
        raise HeaderEncodingError(offset=offset, length=length) from None


def _unpack_length(block: bytes | memoryview, offset: int) -> tuple[int, int]:
    _require(block, offset, _LENGTH.size)
    (length,) = _LENGTH.unpack_from(block, offset)
    return length, offset + _LENGTH.size


def _unpack_string(block: bytes | memoryview, offset: int) -> tuple[Value, int]:
    length, start = _unpack_length(block, offset)
    return _unpack_text(block, start, length)


def _unpack_bytes(block: bytes | memoryview, offset: int) -> tuple[Value, int]:
    length, start = _unpack_length(block, offset)
    return _unpack_raw(block, start, length)


def _unpack_raw(block: bytes | memoryview, offset: int, length: int) -> tuple[Value, int]:
    _require(block, offset, length)
    end = offset + length
    return bytes(block[offset:end]), end


def _unpack_uuid(block: bytes | memoryview, offset: int) -> tuple[Value, int]:
    return _unpack_raw(block, offset, _UUID_BYTES)


def _constant_unpacker(value: Value) -> Unpacker:
    return lambda _block, offset: (value, offset)


def _integer_unpacker(layout: struct.Struct) -> Unpacker:
    def unpack(block: bytes | memoryview, offset: int) -> tuple[Value, int]:
        _require(block, offset, layout.size)
        (number,) = layout.unpack_from(block, offset)
        return number, offset + layout.size

    return unpack


_UNPACKERS: Mapping[int, tuple[HeaderType, Unpacker]] = {
    header_type.value: (header_type, unpack)
    for header_type, unpack in (
        (HeaderType.TRUE, _constant_unpacker(value=True)),
        (HeaderType.FALSE, _constant_unpacker(value=False)),
        *((header_type, _integer_unpacker(layout)) for header_type, layout in _INTEGERS.items()),
        (HeaderType.BYTES, _unpack_bytes),
        (HeaderType.STRING, _unpack_string),
        (HeaderType.UUID, _unpack_uuid),
    )
}
