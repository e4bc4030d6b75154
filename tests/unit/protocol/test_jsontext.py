"""JSON as text: what is taken, what is refused, and how single surrogates end."""

import itertools
from dataclasses import dataclass

import msgspec
import pytest

from kiro2api.protocol.jsontext import (
    JSON,
    MAX_DEPTH,
    InvalidJSONError,
    encode_json,
    parse_and_repair_json,
    parse_json,
    parse_json_with_surrogates,
    replace_surrogates,
)

HALF = "\ud800"
LONE = b'"\\ud800"'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' {"a": [1, 2.5, -3e2, true, null, "x"]} ', {"a": [1, 2.5, -300.0, True, None, "x"]}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 1, "a": "\\ud800"}', {"a": "\ufffd"}),
        ('"漢😀"'.encode(), "漢😀"),
        (b'"\\ud83d\\ude00"', "😀"),
        (LONE, "\ufffd"),
        (b'"\\ud83d\\ud83d\\ude00"', "\ufffd😀"),
        (b'{"\\udc00": [{"a\\ud800b": "\\ude00"}]}', {"\ufffd": [{"a\ufffdb": "\ufffd"}]}),
        (b'["\\ud800", 1, 2.5, true, null]', ["\ufffd", 1, 2.5, True, None]),
        (str(10**30).encode(), 10**30),
        (b"[%d, %b]" % (10**30, LONE), [10**30, "\ufffd"]),
        (b'"\\u0000\\"\\\\"', '\0"\\'),
    ],
)
def test_parse(text: bytes, value: JSON) -> None:
    """JSON in UTF-8 has its value; the last of doubled keys counts; half a character becomes U+FFFD."""
    assert parse_json(text) == value


REFUSED = {
    "nothing": b"",
    "blank": b" ",
    "cut": b'{"a": ',
    "two values": b"1 2",
    "byte-order mark": b"\xef\xbb\xbf1",
    "no UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "control character": b'"\n"',
    "nan": b"[NaN]",
    "infinite": b"[Infinity]",
    "minus infinite": b"[-Infinity]",
    "out of range": b"[1e999]",
    "5000 digits": b"1" * 5000,
    "100000 arrays": b"[" * 100_000,
    "20000 closed arrays": b"[" * 20_000 + b"]" * 20_000,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("beside", [b"%b", b'["\\ud800", %b]'], ids=["alone", "beside half a character"])
def test_refuse(text: bytes, beside: bytes) -> None:
    """What is no JSON is refused in words, by the fast parser and by the one that knows half characters."""
    with pytest.raises(InvalidJSONError, match=r"."):
        parse_json(beside % text)
    with pytest.raises(InvalidJSONError, match=r"."):
        parse_json_with_surrogates(text)


def test_refuse_deep_half_character() -> None:
    """Half a character changes nothing in how deep a text may nest."""
    assert parse_json(nest(MAX_DEPTH, LONE)) == parse_json(nest(MAX_DEPTH, b'"\xef\xbf\xbd"'))
    with pytest.raises(InvalidJSONError, match="nested too deep"):
        parse_json(nest(MAX_DEPTH + 1, LONE))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("inside", [b"1", b"[]", b"{}"])
@pytest.mark.parametrize("beside", [b"%b", b'[1, {"a": []}, %b]'])
def test_depth(opening: bytes, inside: bytes, beside: bytes) -> None:
    """Containers count wherever they stand, whichever they are, empty ones too."""
    levels = MAX_DEPTH - (inside != b"1") - (beside != b"%b")
    assert parse_json(beside % nest(levels, inside, opening))
    for parse in (parse_json, parse_json_with_surrogates):
        with pytest.raises(InvalidJSONError, match="nested too deep"):
            parse(beside % nest(levels + 1, inside, opening))


def nest(levels: int, inside: bytes, opening: bytes = b"[") -> bytes:
    """``inside`` in that many containers."""
    closing = b"]" if opening == b"[" else b"}"
    return opening * levels + inside + closing * levels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[1,]", "expected value|invalid character|trailing comma"),
        (b"[1e999, 0]", "out of range"),
        (b"[1e999, %b]" % LONE, "out of range"),
        (b"[NaN, %b]" % LONE, "NaN is not JSON"),
    ],
)
def test_reason(text: bytes, reason: str) -> None:
    """The reason says what is wrong, without the parser's own preamble."""
    with pytest.raises(InvalidJSONError, match=reason) as caught:
        parse_json(text)
    assert "malformed" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Input data was truncated (line 1, column 1)"),
        (b'{"a":\n  [1,', "Input data was truncated (line 2, column 6)"),
        ('{\n"漢": nul}'.encode(), "invalid character (line 2, column 10)"),
        (b"[None]", "None is not JSON (line 1, column 2)"),
        (b"[1,\n-Infinity]", "Infinity is not JSON (line 2, column 2)"),
        (b"[%b,\n NaN]" % LONE, "NaN is not JSON (line 2, column 2)"),
        (b'["a",\n "b\xff"]', "not UTF-8 (line 2, column 4)"),
        (b"[1e999]", "Number out of range"),
        (b'["[\\"[",\n' + b"[" * 150 + b"]" * 151, "nested too deep, more than 100 levels (line 2, column 100)"),
        (b"[],{}," * 9 + b"[" * 20_000, "trailing characters (line 1, column 4)"),
        (b'[[],{"a":[]},' + b"[" * 20_000, "nested too deep, more than 100 levels (line 1, column 113)"),
    ],
)
def test_place(text: bytes, reason: str) -> None:
    """Where the fault is, in lines and columns as editors count them."""
    with pytest.raises(InvalidJSONError) as caught:
        parse_json(text)
    assert str(caught.value) == reason


def test_repairs_are_told() -> None:
    """A caller who wants to know learns whether half a character was replaced."""
    assert parse_and_repair_json(b'["\\ud83d\\ude00"]') == (["😀"], False)
    assert parse_and_repair_json(LONE) == ("\ufffd", True)


@pytest.mark.parametrize(
    ("text", "reason"), [(b"[1e999]", "^the number 1e999 is out of range$"), (b"[NaN]", "^NaN is not JSON$")]
)
def test_reason_beside_surrogates(text: bytes, reason: str) -> None:
    """So does that of the parser that keeps single surrogates."""
    with pytest.raises(InvalidJSONError, match=reason):
        parse_json_with_surrogates(text)


@pytest.mark.parametrize("first", [r"\ud83d", r"\uDE00", r"\\", "ud83d", r"\n", "x"])
def test_every_single_escape_is_found(first: str) -> None:
    """Whatever stands before and behind it, backslashes above all: as when the halves are replaced afterwards."""
    rest = [r"\uD83D", r"\ude00", r"\\", "ude00", r"\u0041", "\U0001f600"]
    for pieces in itertools.product([first], rest, rest, rest, rest):
        text = f'"{"".join(pieces)}"'.encode()
        assert parse_json(text) == replace_surrogates(parse_json_with_surrogates(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [(LONE, HALF), (b'{"\\ud800": ["a"]}', {HALF: ["a"]}), (b'"\\ud83d\\ude00"', "😀")],
)
def test_parse_with_surrogates(text: bytes, value: JSON) -> None:
    """Half characters may be kept, for a caller who knows where the other halves are."""
    assert parse_json_with_surrogates(text) == value


@pytest.mark.parametrize(
    ("value", "replaced"),
    [
        ("a😀漢", "a😀漢"),
        (HALF, "\ufffd"),
        ([HALF, {HALF: HALF}], ["\ufffd", {"\ufffd": "\ufffd"}]),
        (None, None),
        (1, 1),
    ],
)
def test_replace_surrogates(value: JSON, replaced: JSON) -> None:
    """Each half character at any depth becomes U+FFFD, and nothing else changes."""
    assert replace_surrogates(value) == replaced


@dataclass(frozen=True)
class Pair:
    """A dataclass to encode."""

    one: str
    two: int


class CamelPair(msgspec.Struct, rename="camel"):
    """A struct to encode."""

    first_one: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, "漢"]}, '{"a":[1,null,"漢"]}'),
        (Pair(one="a", two=2), '{"one":"a","two":2}'),
        (CamelPair(first_one="a"), '{"firstOne":"a"}'),
        ("a\n\u2028", '"a\\n\u2028"'),
    ],
)
def test_encode(value: object, text: str) -> None:
    """Compact, in UTF-8, on one line."""
    assert encode_json(value) == text.encode()
