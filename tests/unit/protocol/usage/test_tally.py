"""Model tokens by kinds of characters."""

import string

import pytest

from kiro2api.protocol.usage import estimate_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        (" ", 1),
        (" " * 51, 2),
        ("hello", 2),
        ("a" * 100, 26),
        ("A" * 100, 54),
        ("7" * 100, 80),
        ("\"'`" * 100, 45),
        (".,-_=*#~" * 100, 280),
        ("!$%&()+/:;<>?@[\\]^{|}" * 100, 2100),
        ("\n\t\x00\x7f" * 100, 400),
        ("é" * 100, 260),
        ("λ" * 100, 115),
        ("ж" * 100, 66),
        ("ש" * 100, 115),
        ("م" * 100, 115),
        ("ह" * 100, 200),
        ("ก" * 100, 200),
        ("ế" * 100, 265),
        ("—" * 100, 50),
        ("\uff21" * 100, 50),
        ("の" * 100, 102),
        ("中" * 100, 102),
        ("한" * 100, 145),
        ("\N{GRINNING FACE}" * 100, 280),
        ("\ud84e" * 100, 145),  # half of a character, as JSON can have it
        ("中文 hello", 4),
    ],
)
def test_text(text: str, expected: int) -> None:
    """Each character has the weight of its kind, and their sum is rounded up."""
    assert estimate_text(text) == expected


def test_capitals_among_small_letters() -> None:
    """As many capitals as only random text has weigh more than the same letters in words."""
    assert estimate_text("Aaaa" * 100) == 132
    assert estimate_text("AaAaaa" * 100) == 212
    assert estimate_text("Aa" * 100) == 80 + 25
    assert estimate_text("AAAa" * 100) == 188
    assert estimate_text(string.ascii_letters * 100) > 1.3 * estimate_text(string.ascii_uppercase * 100)


@pytest.mark.parametrize("char", ["a", "中", "\N{GRINNING FACE}"])
def test_long_text(char: str) -> None:
    """A text that is looked at in several pieces counts as one."""
    assert estimate_text(char * 1_000_000) == 10_000 * estimate_text(char * 100)
