"""Whole answers from a turn's events."""

from kiro2api.protocol.conversation import RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.turn import Answer, AnswerFold, StopReason, TurnEvent, TurnFailed
from tests.support.upstream_events import fault
from tests.unit.protocol.turn.transcripts import STARTED, USAGE, ended, redacted, text, thinking, tool


def fold(*events: TurnEvent) -> list[Answer | None]:
    """What each event gives."""
    folding = AnswerFold()
    return [folding.receive_event(event) for event in events]


def test_answer() -> None:
    """Each block becomes one block of the answer, in order, deltas joined; the answer comes with the last event."""
    events = [
        STARTED,
        *thinking(0, "so", " so", signature="c2ln"),
        *redacted(1, "cg=="),
        *thinking(2, "and"),
        *text(3, "a", "b"),
        *tool(4, "A", '{"a": "\\ud83d', '\\ude00"}'),
        *tool(5, "B"),
        ended(StopReason.TOOL_USE),
    ]
    answer = Answer(
        blocks=(
            Thinking(text="so so", signature="c2ln"),
            RedactedThinking(data="cg=="),
            Thinking(text="and"),
            Text(text="ab"),
            ToolUse(tool_use_id="A", name="read", input={"a": "😀"}),
            ToolUse(tool_use_id="B", name="read", input={}),
        ),
        stop_reason=StopReason.TOOL_USE,
        stop_sequence=None,
        usage=USAGE,
    )
    assert fold(*events) == [None] * (len(events) - 1) + [answer]


def test_stop_sequence() -> None:
    """The sequence that ended the text is part of the answer, which may have no block."""
    end = ended(StopReason.STOP_SEQUENCE, sequence="STOP")
    answer = Answer(blocks=(), stop_reason=StopReason.STOP_SEQUENCE, stop_sequence="STOP", usage=USAGE)
    assert fold(STARTED, end) == [None, answer]


def test_failed_turn() -> None:
    """A turn that fails has no answer, however much of it came."""
    events = [STARTED, *text(0, "a"), *tool(1, "A", "{", whole=False), TurnFailed(error=fault())]
    assert set(fold(*events)) == {None}
