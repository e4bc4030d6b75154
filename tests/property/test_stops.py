"""Stop sequences end a text where a reading of the whole text says, wherever that is cut."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from kiro2api.protocol.conversation import AssistantBlock, Text, Thinking, ToolUse
from kiro2api.protocol.kiro.events import AssistantText, Reasoning, ToolUseFragment, UpstreamEvent
from kiro2api.protocol.turn import Answer, AnswerFold, StopReason, Turn
from kiro2api.protocol.turn.stops import StopSequenceMatcher

SEQUENCES = st.lists(st.text("ab漢\n", min_size=1, max_size=4), max_size=4)
"""Of few characters, so that they overlap each other and themselves."""
TEXTS = st.text("ab漢\n", max_size=24)
CUTS = st.lists(st.integers(0, 24), max_size=6)

USE = ToolUseFragment(tool_use_id="t", name="read", input='{"a":"ab"}', stop=True)
THOUGHT = Reasoning(text="ab漢\n")

type Part = str | ToolUseFragment | Reasoning


def find_stop(sequences: Sequence[str], text: str) -> tuple[str, str | None]:
    """What stands before the sequence that is whole first, the longest of several, and that one; read by character."""
    for end in range(1, len(text) + 1):
        met = [sequence for sequence in sequences if text[:end].endswith(sequence)]
        if met:
            longest = max(met, key=len)
            return text[: end - len(longest)], longest
    return text, None


def find_undecided(sequences: Sequence[str], text: str) -> str:
    """The end of ``text`` that may become a sequence."""
    ends = [text[at:] for at in range(len(text) + 1)]
    return next(end for end in ends if not end or any(sequence.startswith(end) for sequence in sequences))


def cut(text: str, places: Iterable[int]) -> list[str]:
    """``text`` in pieces, some of them empty."""
    ends = sorted(min(place, len(text)) for place in places)
    return [text[begin:end] for begin, end in itertools.pairwise([0, *ends, len(text)])]


def match(sequences: Sequence[str], pieces: Iterable[str]) -> tuple[str, str | None]:
    """What the matcher passes on in all, and what it finds; at no time does it hold more back than it must."""
    matcher = StopSequenceMatcher(sequences)
    passed = read = ""
    for piece in pieces:
        read += piece
        more, sequence = matcher.receive_text(piece)
        passed += more
        if sequence is not None:
            return passed, sequence
        assert passed + find_undecided(sequences, read) == read
    return passed + matcher.flush(), None


@given(SEQUENCES, TEXTS, CUTS)
@example(["aab", "ab"], "aaab", [])
@example(["abab"], "abaabab", [])
@example(["b", "aab"], "aab", [])
@example(["ab漢", "b"], "ab漢", [])
def test_any_text_at_every_cut(sequences: list[str], text: str, places: list[int]) -> None:
    """In two pieces, for each place of the cut, in single characters, and in any others."""
    expected = find_stop(sequences, text)
    for at in range(len(text) + 1):
        assert match(sequences, [text[:at], text[at:]]) == expected
    assert match(sequences, text) == expected
    assert match(sequences, cut(text, places)) == expected


@given(SEQUENCES, st.lists(st.one_of(TEXTS, TEXTS, st.just(USE), st.just(THOUGHT)), max_size=6), CUTS)
def test_any_answer(sequences: list[str], parts: list[Part], places: list[int]) -> None:
    """No sequence is met across a tool use or reasoning, nor within either, and nothing follows one that is met."""
    parts = [replace(USE, tool_use_id=f"t{at}") if part == USE else part for at, part in enumerate(parts)]
    answer = play(sequences, [event for part in parts for event in tell(part, places)])
    blocks, sequence = expect(sequences, parts)
    if answer is None:
        assert (blocks, sequence) == ([], None)
        return
    has_use = any(isinstance(block, ToolUse) for block in blocks)
    assert list(answer.blocks) == blocks
    assert answer.stop_sequence == (None if has_use else sequence)
    assert (answer.stop_reason is StopReason.STOP_SEQUENCE) == (sequence is not None and not has_use)


def tell(part: Part, places: Iterable[int]) -> list[UpstreamEvent]:
    """A text in pieces, and anything else as it is."""
    return [AssistantText(text=piece) for piece in cut(part, places)] if isinstance(part, str) else [part]


def play(sequences: Sequence[str], events: Iterable[UpstreamEvent]) -> Answer | None:
    """The answer, if there is one."""
    turn, fold = Turn(estimated_input=5, stop_sequences=sequences), AnswerFold()
    told = [out for event in events for out in turn.receive_event(event)] + turn.receive_eof()
    *_, answer = [fold.receive_event(event) for event in told]
    return answer


def expect(sequences: Sequence[str], parts: Sequence[Part]) -> tuple[list[AssistantBlock], str | None]:
    """The blocks of the answer, and what ends it; what is of one kind and meets is one."""
    blocks: list[AssistantBlock] = []
    for kind, group in itertools.groupby(filter(None, parts), key=type):
        if kind is str:
            text, sequence = find_stop(sequences, "".join(map(str, group)))
            blocks += [Text(text=text)] if text else []
            if sequence is not None:
                return blocks, sequence
        elif kind is Reasoning:
            blocks.append(Thinking(text=THOUGHT.text * len([*group])))
        else:
            uses = [part for part in group if isinstance(part, ToolUseFragment)]
            blocks += [ToolUse(tool_use_id=use.tool_use_id, name=use.name, input={"a": "ab"}) for use in uses]
    return blocks, None
