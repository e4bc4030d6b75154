"""JSON as text: a strict and lenient-where-harmless parser, and the one encoder."""

import json
import math
import re
from collections.abc import Callable

import msgspec

type JSON = dict[str, JSON] | list[JSON] | str | int | float | bool | None
type JSONObject = dict[str, JSON]

MAX_DEPTH = 100
"""Containers within containers. The upstream refuses 128, and wraps what it gets from us in some of its own."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_REPLACEMENT_ESCAPE = b"\\ufffd"
"""As long as what it replaces."""
_SECOND_HALF_DIGITS = b"cdefCDEF"
"""The second of the four digits of an escape tells which half of a character it is."""
_CONTAINERS = (dict, list)

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
        value = _decode(data)
    except RecursionError:
        raise InvalidJSONError("nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        repaired = _replace_single_escapes(data)
        if repaired is None:
            raise InvalidJSONError(_reason(error)) from None
        return parse_json(repaired)
    return _check_depth(value)


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
    level: list[JSONObject | list[JSON]] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return value
        children = (parent.values() if isinstance(parent, dict) else parent for parent in level)
        level = [child for group in children for child in group if isinstance(child, _CONTAINERS)]
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
        return _SURROGATE.sub(REPLACEMENT, text)
    return text


def _replace_single_escapes(data: bytes) -> bytes | None:
    """``data`` with U+FFFD in the place of each escape of a single surrogate; ``None`` if there is none."""
    first_halves: set[int] = set()
    second_halves: set[int] = set()
    end = 0
    for match in _SURROGATE_ESCAPE.finditer(data):
        start = match.start()
        between, end = data[end:start], match.end()
        if (len(between) - len(between.rstrip(b"\\"))) % 2:
            continue  # the backslash is itself escaped
        (second_halves if data[start + 3] in _SECOND_HALF_DIGITS else first_halves).add(start)
    width = len(_REPLACEMENT_ESCAPE)
    singles = {start for start in first_halves if start + width not in second_halves}
    singles |= {start for start in second_halves if start - width not in first_halves}
    if not singles:
        return None
    repaired = bytearray(data)
    for start in singles:
        repaired[start : start + width] = _REPLACEMENT_ESCAPE
    return bytes(repaired)


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
