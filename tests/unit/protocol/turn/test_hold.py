"""Answers that are held back until they have the form that the client asks for."""

import pytest

from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.turn import (
    BlockStopped,
    RedactedThinkingStarted,
    SignatureDelta,
    StopReason,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from kiro2api.protocol.turn.hold import AnswerHold
from kiro2api.protocol.usage import Usage
from tests.support.upstream_events import fault

USAGE = Usage(input_tokens=1, output_tokens=2)
START = TurnStarted(usage=USAGE)
FORM = AnswerFormat(schema={"required": ["a"]})


def text(index: int, *parts: str) -> list[TurnEvent]:
    """A text block."""
    deltas = [TextDelta(index=index, text=part) for part in parts]
    return [TextStarted(index=index), *deltas, BlockStopped(index=index)]


def thinking(index: int) -> list[TurnEvent]:
    """A thinking block with a signature."""
    delta = ThinkingDelta(index=index, text="hm")
    signature = SignatureDelta(index=index, signature="c2ln")
    return [ThinkingStarted(index=index), delta, signature, BlockStopped(index=index)]


def redacted(index: int) -> list[TurnEvent]:
    """A block without deltas."""
    return [RedactedThinkingStarted(index=index, data="x"), BlockStopped(index=index)]


def end(reason: StopReason = StopReason.END_TURN) -> TurnEnded:
    """The end of an answer."""
    return TurnEnded(stop_reason=reason, stop_sequence=None, usage=USAGE)


@pytest.mark.parametrize(
    ("events", "released"),
    [
        (text(0, '{"a"', ": 1}"), text(0, '{"a": 1}')),
        (text(0, "```json\n", '{"a": 1}\n', "```"), text(0, '{"a": 1}')),
        ([*thinking(0), *text(1, ' {"a": 1}\n')], [*thinking(0), *text(1, '{"a": 1}')]),
        (
            [*text(0, "Well:"), *thinking(1), *redacted(2), *text(3, '{"a"'), *thinking(4), *text(5, ": 1}")],
            [*thinking(0), *redacted(1), *thinking(2), *text(3, '{"a": 1}')],
        ),
    ],
)
def test_an_answer_with_the_form_is_let_out_at_its_end(events: list[TurnEvent], released: list[TurnEvent]) -> None:
    """In one text block, the last, with the JSON alone; what the model thought comes before it."""
    hold = AnswerHold(FORM)
    for event in (START, *events):
        assert hold.receive_events([event]) == []
        assert hold.receive_events([]) == []
    assert hold.receive_events([end()]) == [START, *released, end()]
    assert hold.answer is not None
    assert hold.answer.text == '{"a": 1}'
    assert hold.receive_events([]) == []


def test_an_answer_without_the_form_fails() -> None:
    """Nothing of it is let out."""
    hold = AnswerHold(FORM)
    [failed] = hold.receive_events([START, *text(0, "{", "}"), end()])
    assert isinstance(failed, TurnFailed)
    assert isinstance(failed.error, AnswerFormatError)
    assert (failed.error.text, failed.error.reason) == ("{}", "at $: 'a' is a required property")
    assert hold.answer is None


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason is not StopReason.END_TURN])
def test_an_answer_that_the_model_did_not_end_is_not_looked_at(reason: StopReason) -> None:
    """It goes out as it is."""
    hold = AnswerHold(FORM)
    events = [START, *text(0, "I ", "can"), end(reason)]
    assert hold.receive_events(events[:2]) == []
    assert hold.receive_events(events[2:]) == events
    assert hold.answer is None


def test_a_failure_goes_out_alone() -> None:
    """What was held is forgotten: another attempt may follow."""
    hold = AnswerHold(FORM)
    failed = TurnFailed(error=fault())
    assert hold.receive_events([START, *text(0, "I")]) == []
    assert hold.receive_events([TextStarted(index=1), failed]) == [failed]


def test_the_beginning_may_go_ahead() -> None:
    """Once, whether it is held already or the turn has only just begun it."""
    early, late = AnswerHold(FORM), AnswerHold(FORM)
    assert early.open([START]) == [START]
    assert early.open([]) == []
    assert late.receive_events([START, *text(0, '{"a": 1}')]) == []
    assert late.open([]) == [START]
    assert late.open([]) == []
    assert late.receive_events([end()]) == [*text(0, '{"a": 1}'), end()]
