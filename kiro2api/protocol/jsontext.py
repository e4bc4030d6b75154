"""JSON as text: a strict and lenient-where-harmless parser, and the one encoder."""

import itertools
import json
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

type JSON = dict[str, JSON] | list[JSON] | str | int | float | bool | None
type JSONObject = dict[str, JSON]

MAX_DEPTH = 100
"""Containers within containers. The upstream refuses 128, and wraps what it gets from us in some of its own."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
"""A string, in which nothing has a meaning, or a container's beginning or end."""
_STEPS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_WORDS_OF_OTHERS = re.compile(rb"NaN|Infinity|undefined|None|True|False")
"""Values of JavaScript and Python that JSON has not."""
_OFFSET = re.compile(r" \(byte (\d+)\)$")
_PATH = re.compile(r" - at `[^`]*`$")
"""The parser's, which has no names in it."""
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
    """The text is not JSON as RFC 8259 has it, in UTF-8, within this machine's limits; says where, if that is known."""


class RepairedJSON(NamedTuple):
    """A value, and whether single surrogates were replaced in it."""

    value: JSON
    is_repaired: bool


def parse_json(data: bytes) -> JSON:
    """As :func:`parse_and_repair_json`, without a word about repairs.

    Raises:
        InvalidJSONError: As there.
    """
    return parse_and_repair_json(data).value


def parse_and_repair_json(data: bytes) -> RepairedJSON:
    """The value of ``data``, which must be one JSON text in UTF-8; of a doubled key the last value counts.

    Escapes of single surrogates (JavaScript writes them for half an emoji) become U+FFFD: the upstream refuses them,
    and refusing them here would wedge a conversation that has one in its history.

    Raises:
        InvalidJSONError: Not JSON, not UTF-8, ``NaN`` or infinite, a number of thousands of digits, or nested too deep.
    """
    try:
        value = _decode(data)
    except RecursionError:
        raise _too_deep(data) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        repaired = _replace_single_escapes(data)
        if repaired is None:
            raise _explain(error, data) from None
        return RepairedJSON(parse_json(repaired), is_repaired=True)
    if _is_too_deep(value):
        raise _too_deep(data)
    return RepairedJSON(value, is_repaired=False)


def parse_json_with_surrogates(data: bytes) -> JSON:
    """As :func:`parse_json`, but single surrogates stay in the strings.

    Raises:
        InvalidJSONError: As for :func:`parse_json`.
    """
    try:
        value: JSON = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_parse_finite)
    except RecursionError:
        raise _too_deep(data) from None
    except ValueError as error:
        raise InvalidJSONError(str(error)) from None
    if _is_too_deep(value):
        raise _too_deep(data)
    return value


def _is_too_deep(value: JSON) -> bool:
    """Whether ``value`` nests deeper than ``MAX_DEPTH``; level by level, so that depth costs no stack."""
    level: list[JSONObject | list[JSON]] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return False
        children = (parent.values() if isinstance(parent, dict) else parent for parent in level)
        level = [child for group in children for child in group if isinstance(child, _CONTAINERS)]
    return True


def _too_deep(data: bytes) -> InvalidJSONError:
    """Says which container of ``data`` is the first that is nested too deep."""
    steps = ((_STEPS.get(token[0], 0), token.start()) for token in _STRUCTURE.finditer(data))
    levels = itertools.accumulate(steps, lambda before, step: (before[0] + step[0], step[1]))
    # None is found if the parser's own limit is lower, which depends on the machine.
    offset = next((start for level, start in levels if level > MAX_DEPTH), len(data))
    return InvalidJSONError(f"nested too deep, more than {MAX_DEPTH} levels {_locate(data, offset)}")


def _explain(error: msgspec.DecodeError | UnicodeDecodeError, data: bytes) -> InvalidJSONError:
    """``error`` with its place in ``data`` as an editor shows it."""
    try:
        data.decode()
    except UnicodeDecodeError as undecodable:
        return InvalidJSONError(f"not UTF-8 {_locate(data, undecodable.start)}")
    reason = _PATH.sub("", str(error).removeprefix("JSON is malformed: "))
    if isinstance(error, msgspec.ValidationError):
        return InvalidJSONError(reason)  # of a number out of range, whose place the parser does not tell
    found = _OFFSET.search(reason)
    offset = int(found[1]) if found else len(data)
    word = _WORDS_OF_OTHERS.match(data, offset)
    what = f"{word[0].decode()} is not JSON" if word else _OFFSET.sub("", reason)
    return InvalidJSONError(f"{what} {_locate(data, offset)}")


def _locate(data: bytes, offset: int) -> str:
    """Line and column of a byte, both from 1."""
    line_start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[line_start:offset].decode(errors="replace")) + 1
    return f"(line {data.count(b'\n', 0, offset) + 1}, column {column})"


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
