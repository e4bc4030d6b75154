"""The client's stop sequences, which the upstream does not know and which are therefore enforced here."""

from collections.abc import Iterable


class StopSequenceMatcher:
    """Finds the first of several strings in a text that comes in pieces, and holds back what may be its beginning."""

    def __init__(self, sequences: Iterable[str]) -> None:
        self._sequences = tuple(sequences)
        self._held = ""

    def receive_text(self, text: str) -> tuple[str, str | None]:
        """What may be passed on, and the sequence that ends the text there, if one was met.

        Of several the one that is complete first counts, and of those the longest: however the text was cut.
        """
        if not self._sequences:
            return text, None
        text = self._held + text
        hits = [(at, seq) for seq in self._sequences if (at := text.find(seq)) >= 0]
        if hits:
            self._held = ""
            at, sequence = min(hits, key=lambda hit: (hit[0] + len(hit[1]), hit[0]))
            return text[:at], sequence
        keep = max(_overlap(text, sequence) for sequence in self._sequences)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def flush(self) -> str:
        """What was held back, now that the text cannot go on."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """The length of the longest end of ``text`` that begins ``sequence`` without being all of it."""
    longest = min(len(text), len(sequence) - 1)
    return next((n for n in range(longest, 0, -1) if sequence.startswith(text[-n:])), 0)
