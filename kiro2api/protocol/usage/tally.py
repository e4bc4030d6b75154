"""Model tokens of a text, from how many characters of each kind it has.

A tokenizer makes one token of a common word, and one or several of each digit, sign or character of another script. So
the kinds of characters, each with its weight, tell nearly as much as the text; the weights are fitted to the vocabulary
that Anthropic has published, and lean to the high side. Counting is done by the interpreter's own functions on bytes,
since a prompt may have megabytes.
"""

import string
from typing import Final

_UNIT: Final = 100
"""Of weight; makes one model token."""
_PIECE_CHARS: Final = 262_144
"""Of a text that are looked at in one call: other threads of the process run between two calls, not within one."""
_BATCH_CHARS: Final = 4_096
"""Are looked at together: a look costs as much for one delta of an answer as for hundreds."""

_LOWER: Final = string.ascii_lowercase.encode()
_LOWER_WEIGHT: Final = 26
_SPACE: Final = b" "
_SPACE_WEIGHT: Final = 2
_UPPER: Final = string.ascii_uppercase.encode()
_UPPER_WEIGHT: Final = 54
_LETTERS_PER_CAPITAL: Final = 3
"""In text of words, names of classes included, at most one letter in so many is a capital, unless nearly all are."""
_MIXED_WEIGHT: Final = 25
"""More, for each letter that is missing to make words of an even mixture of both cases, such as base64 has.

It is less than any letter's own weight, so that no letter lowers the estimate.
"""


def _list_bytes(first: int, last: int) -> bytes:
    return bytes(range(first, last + 1))


_ASCII_WEIGHTS: Final = (
    (string.digits.encode(), 80),
    (b"\"'`", 15),
    (b".,-_=*#~", 35),  # in rows, or at the end of words
    (b"!$%&()+/:;<>?@[\\]^{|}", 100),
    (_list_bytes(0x00, 0x1F) + b"\x7f", 100),  # the ends of lines, above all
)
_OTHER_WEIGHTS: Final = (
    # Bytes that begin a character in UTF-8.
    (_list_bytes(0xC2, 0xCB), 260),  # Latin with marks
    (_list_bytes(0xCC, 0xCF), 115),  # Greek
    (_list_bytes(0xD0, 0xD3), 66),  # Cyrillic
    (_list_bytes(0xD4, 0xDF), 115),  # Armenian, Hebrew, Arabic
    (b"\xe0", 200),  # the scripts of India, Thai
    (b"\xe1", 265),  # Georgian, Ethiopic, Latin with several marks
    (b"\xe2\xee\xef", 50),  # dashes, arrows, boxes; wide forms
    (_list_bytes(0xE3, 0xE9), 102),  # Kana, Han
    (_list_bytes(0xEA, 0xED), 145),  # Hangul
    (_list_bytes(0xF0, 0xF4), 280),  # emoji
)
_CONTINUATIONS: Final = _list_bytes(0x80, 0xBF)
"""Bytes of UTF-8 that begin no character."""
_UPPER_KIND: Final = 255


def _build_kinds() -> bytes:
    """A table from bytes to kinds: places in the two lists together, or that of capitals."""
    kinds = bytearray(256)
    for kind, (members, _) in enumerate((*_ASCII_WEIGHTS, *_OTHER_WEIGHTS)):
        for member in members:
            kinds[member] = kind
    for member in _UPPER:
        kinds[member] = _UPPER_KIND
    return bytes(kinds)


_KINDS: Final = _build_kinds()
_LEFT_OUT: Final = _LOWER + _SPACE + _CONTINUATIONS
"""The frequent ones, whose numbers follow from how much is left without them."""


class TextTally:
    """Adds up texts; what it says does not depend on how they were cut, and never falls."""

    __slots__ = ("_lower", "_upper", "_waiting", "_waiting_chars", "_weight")

    def __init__(self) -> None:
        self._lower = 0
        self._upper = 0
        self._weight = 0
        self._waiting: list[str] = []
        self._waiting_chars = 0

    def add(self, text: str) -> None:
        self._waiting.append(text)
        self._waiting_chars += len(text)
        if self._waiting_chars >= _BATCH_CHARS:
            self._add_waiting()

    @property
    def tokens(self) -> int:
        """The estimate for all that came so far: at least 1, or 0 when nothing did."""
        self._add_waiting()
        weight = self._weight + _LOWER_WEIGHT * self._lower + _UPPER_WEIGHT * self._upper
        missing = _LETTERS_PER_CAPITAL * min(self._lower, self._upper) - (self._lower + self._upper)
        return -(-(weight + _MIXED_WEIGHT * max(0, missing)) // _UNIT)

    def _add_waiting(self) -> None:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        for start in range(0, len(text), _PIECE_CHARS):
            self._add_piece(text[start : start + _PIECE_CHARS])

    def _add_piece(self, piece: str) -> None:
        data = piece.encode("utf-8", "surrogatepass")
        spaces = data.count(_SPACE)
        kinds = data.translate(_KINDS, _LEFT_OUT)
        self._lower += len(piece) - spaces - len(kinds)
        self._upper += kinds.count(_UPPER_KIND)
        self._weight += _SPACE_WEIGHT * spaces
        weights = _ASCII_WEIGHTS if len(data) == len(piece) else (*_ASCII_WEIGHTS, *_OTHER_WEIGHTS)
        self._weight += sum(weight * kinds.count(kind) for kind, (_, weight) in enumerate(weights))


def estimate_text(text: str) -> int:
    """Model tokens of a text on its own: at least 1, or 0 for an empty one."""
    tally = TextTally()
    tally.add(text)
    return tally.tokens
