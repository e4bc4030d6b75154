"""Stop sequences in text that comes in pieces."""

import itertools

import pytest

from kiro2api.protocol.turn.stops import StopSequenceMatcher


def match(sequences: list[str], pieces: list[str]) -> tuple[str, str | None]:
    """All that is passed on, and the sequence that ended it."""
    matcher = StopSequenceMatcher(sequences)
    passed = ""
    for piece in pieces:
        text, sequence = matcher.receive_text(piece)
        passed += text
        if sequence is not None:
            return passed, sequence
    return passed + matcher.flush(), None


def cuts(text: str) -> list[list[str]]:
    """``text`` in every way it can be cut."""
    places = range(1, len(text))
    chosen = itertools.chain.from_iterable(itertools.combinations(places, n) for n in range(len(text)))
    return [[text[a:b] for a, b in itertools.pairwise((0, *at, len(text)))] for at in chosen]


@pytest.mark.parametrize(
    ("sequences", "text", "expected"),
    [
        (["STOP"], "abSTOPcd", ("ab", "STOP")),
        (["STOP"], "abSTO", ("abSTO", None)),
        (["STOP"], "STSTOPS", ("ST", "STOP")),
        (["aab"], "aaaab", ("aa", "aab")),
        (["abab"], "abaabab", ("aba", "abab")),
        (["abc", "b"], "abcd", ("a", "b")),
        (["b", "abc"], "abcd", ("a", "b")),
        (["ab", "abc"], "xabc", ("x", "ab")),
        (["b", "ab"], "xab", ("x", "ab")),
        (["abcd", "bx"], "abcx", ("abcx", None)),
        (["abcd", "bcx"], "abcx", ("a", "bcx")),
        (["\n\n"], "a\n\nb\n", ("a", "\n\n")),
        (["😀"], "a😀", ("a", "😀")),
        ([], "abc", ("abc", None)),
    ],
)
def test_every_cut(sequences: list[str], text: str, expected: tuple[str, str | None]) -> None:
    """The sequence that is complete first ends the text, of equals the longest, and the cut changes nothing."""
    outcomes = {match(sequences, pieces) for pieces in cuts(text)}
    assert outcomes == {expected}


def test_only_a_possible_beginning_is_held() -> None:
    """No more is held back than what may still become a sequence."""
    matcher = StopSequenceMatcher(["STOP", "TO"])
    pieces = ["ab", "cS", "Tx", "S", "ab"]
    assert [matcher.receive_text(piece)[0] for piece in pieces] == ["ab", "c", "STx", "", "Sab"]


def test_flush() -> None:
    """What was held comes out once and is then forgotten."""
    matcher = StopSequenceMatcher(["STOP"])
    assert matcher.receive_text("aST") == ("a", None)
    assert [matcher.flush(), matcher.flush()] == ["ST", ""]
    assert matcher.receive_text("OP") == ("OP", None)
