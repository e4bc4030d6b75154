"""JSON as text: a strict and lenient-where-harmless parser, and the one encoder."""

import json
import math
from collections.abc import Callable

import msgspec

type JSON = dict[str, JSON] | list[JSON] | str | int | float | bool | None
type JSONObject = dict[str, JSON]

MAX_DEPTH = 100
"""Containers within containers. The upstream refuses 128, and wraps what it gets from us in some of its own."""
SURROGATES = range(0xD800, 0xE000)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_decode: Callable[[bytes], JSON] = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()


class InvalidJSONError(ValueError):
    """The text is not JSON as RFC 8259 has it, in UTF-8, within this machine's limits."""


def parse_json(data: bytes) -> JSON:
    """The value of ``data``, which must be one JSON text in UTF-8; of a doubled key the last value counts.

    Escapes of single surrogates (JavaScript writes them for half an emoji) become U+FFFD: the upstream refuses them,
    and refusing them here would wedge a conversation that has one in its history.

    Raises:
        InvalidJSONError: Not JSON, not UTF-8, ``NaN`` or infinite, a number of thousands of digits, or nested too deep.
    """
    try:
        return _check_depth(_decode(data))
    except RecursionError:
        raise InvalidJSONError("nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if b"\\u" not in data:
            raise InvalidJSONError(_reason(error)) from None
    return replace_surrogates(parse_json_with_surrogates(data))


def parse_json_with_surrogates(data: bytes) -> JSON:
    """As :func:`parse_json`, but single surrogates stay in the strings.

    Raises:
        InvalidJSONError: As for :func:`parse_json`.
    """
    try:
        value: JSON = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_parse_finite)
    except RecursionError:
        raise InvalidJSONError("nested too deep") from None
    except ValueError as error:
        raise InvalidJSONError(_reason(error)) from None
    return _check_depth(value)


def _check_depth(value: JSON) -> JSON:
    """``value``, which nests no deeper than ``MAX_DEPTH``; level by level, so that depth costs no stack."""
    level: list[JSONObject | list[JSON]] = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return value
        children = (parent.values() if isinstance(parent, dict) else parent for parent in level)
        level = [child for group in children for child in group if isinstance(child, dict | list)]
    raise InvalidJSONError("nested too deep")


def replace_surrogates(value: JSON) -> JSON:
    """``value`` with U+FFFD in the place of each single surrogate, in keys and strings at any depth."""
    match value:
        case str():
            return replace_surrogates_in_text(value)
        case list():
            return [replace_surrogates(item) for item in value]
        case dict():
            return {replace_surrogates_in_text(key): replace_surrogates(item) for key, item in value.items()}
        case _:
            return value


def replace_surrogates_in_text(text: str) -> str:
    """``text`` with U+FFFD in the place of each single surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(REPLACEMENT if ord(char) in SURROGATES else char for char in text)
    return text


def encode_json(value: object) -> bytes:
    """``value`` as compact JSON in UTF-8; plain values, dataclasses and msgspec structs go in."""
    return _encoder.encode(value)


def _parse_finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidJSONError(f"the number {text[:20]} is out of range")
    return number


def _refuse_constant(name: str) -> float:
    raise InvalidJSONError(f"{name} is not JSON")


def _reason(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")
