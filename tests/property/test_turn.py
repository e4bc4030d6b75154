"""Whatever the upstream says, the answer is legal, and its fold is what its deltas say."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.kiro.events import UpstreamEvent
from kiro2api.protocol.turn import (
    Answer,
    AnswerFold,
    BlockStopped,
    RedactedThinkingStarted,
    SignatureDelta,
    StopReason,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    ToolInputDelta,
    ToolUseStarted,
    Turn,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from tests.support.upstream_events import scripts

STARTS: dict[type, type] = {
    TextDelta: TextStarted,
    ThinkingDelta: ThinkingStarted,
    ToolInputDelta: ToolUseStarted,
}
STOP_SEQUENCES = st.lists(st.sampled_from(["a", "ab", "ba", "aab", "漢😀"]), max_size=2)


def play(script: Sequence[UpstreamEvent], sequences: Sequence[str] = (), *, started: bool = False) -> list[TurnEvent]:
    """The turn of ``script`` and the end of the stream."""
    turn = Turn(estimated_input=5, context_window=1000, stop_sequences=sequences, started=started)
    return [out for event in script for out in turn.receive_event(event)] + turn.receive_eof()


class Grammar:
    """Reads a turn by the rules alone and keeps what its blocks say."""

    def __init__(self) -> None:
        self.blocks: list[AssistantBlock] = []
        self._open: TurnEvent | None = None
        self._parts: list[str] = []
        self._signature: str | None = None

    def receive_block_event(self, event: TurnEvent) -> None:
        """One event between the start and the end of the turn."""
        match event:
            case TextStarted() | ThinkingStarted() | RedactedThinkingStarted() | ToolUseStarted():
                assert self._open is None
                assert event.index == len(self.blocks)
                self._open, self._parts, self._signature = event, [], None
            case TextDelta(text=part) | ThinkingDelta(text=part) | ToolInputDelta(partial_json=part):
                assert type(self._open) is STARTS[type(event)]
                assert part
                assert self._signature is None
                self._parts.append(part)
                assert event.index == len(self.blocks)
            case SignatureDelta():
                assert isinstance(self._open, ThinkingStarted)
                assert self._signature is None
                assert event.index == len(self.blocks)
                self._signature = event.signature
                assert self._signature
            case BlockStopped():
                assert event.index == len(self.blocks)
                self.blocks.append(self._close())
            case _:
                raise AssertionError(event)

    @property
    def has_open_block(self) -> bool:
        return self._open is not None

    def _close(self) -> AssistantBlock:
        block, self._open = self._open, None
        joined = "".join(self._parts)
        match block:
            case TextStarted():
                assert joined
                return Text(text=joined)
            case ThinkingStarted():
                assert joined or self._signature
                return Thinking(text=joined, signature=self._signature or "")
            case RedactedThinkingStarted(data=data):
                assert not joined
                return RedactedThinking(data=data)
            case ToolUseStarted(tool_use_id=tool_use_id, name=name):
                value = json.loads(joined) if joined else {}
                assert isinstance(value, dict)
                return ToolUse(tool_use_id=tool_use_id, name=name, input=value)
            case _:
                raise AssertionError(block)


def check(events: Sequence[TurnEvent], *, started: bool = False) -> Grammar:
    """Asserts that ``events`` are a whole, legal turn."""
    *middle, last = events
    assert isinstance(last, TurnEnded | TurnFailed)
    if not started and (middle or isinstance(last, TurnEnded)):
        first, *middle = middle
        assert isinstance(first, TurnStarted)
    grammar = Grammar()
    for event in middle:
        grammar.receive_block_event(event)
    tool_ids = [block.tool_use_id for block in grammar.blocks if isinstance(block, ToolUse)]
    assert len(tool_ids) == len(set(tool_ids))
    if isinstance(last, TurnEnded):
        assert not grammar.has_open_block
        assert (last.stop_reason is StopReason.TOOL_USE) == bool(tool_ids)
        assert (last.stop_reason is StopReason.STOP_SEQUENCE) == (last.stop_sequence is not None)
        assert min(last.usage.input_tokens, last.usage.output_tokens) >= 0
    return grammar


@given(script=scripts(), sequences=STOP_SEQUENCES, started=st.booleans())
def test_any_script_is_a_legal_turn(script: list[UpstreamEvent], sequences: list[str], *, started: bool) -> None:
    """Blocks come one after another in legal order, the start and the end come once, nothing follows the end."""
    check(play(script, sequences, started=started), started=started)


@given(scripts(), STOP_SEQUENCES)
def test_fold_is_what_the_deltas_say(script: list[UpstreamEvent], sequences: list[str]) -> None:
    """The answer that is not streamed has the blocks of the stream, and there is one exactly if the turn ended."""
    events = play(script, sequences)
    grammar = check(events)
    fold = AnswerFold()
    *before, answer = [fold.receive_event(event) for event in events]
    assert set(before) <= {None}
    if not isinstance(end := events[-1], TurnEnded):
        assert answer is None
        return
    assert answer == Answer(
        blocks=tuple(grammar.blocks),
        stop_reason=end.stop_reason,
        stop_sequence=end.stop_sequence,
        usage=end.usage,
    )


@given(scripts(), scripts(), STOP_SEQUENCES)
def test_nothing_after_the_end(script: list[UpstreamEvent], more: list[UpstreamEvent], sequences: list[str]) -> None:
    """A turn that is over stays silent, whatever else comes."""
    turn = Turn(estimated_input=5, stop_sequences=sequences)
    for event in script:
        turn.receive_event(event)
    turn.receive_eof()
    assert [out for event in more for out in turn.receive_event(event)] + turn.receive_eof() == []


@given(scripts(), STOP_SEQUENCES)
def test_stop_sequences_are_kept_out(script: list[UpstreamEvent], sequences: list[str]) -> None:
    """No text block holds a stop sequence."""
    blocks = check(play(script, sequences)).blocks
    texts = [block.text for block in blocks if isinstance(block, Text)]
    assert not [text for text in texts if any(sequence in text for sequence in sequences)]
