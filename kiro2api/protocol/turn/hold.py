"""An answer in JSON, held back until it is whole and known to have the form that the client asks for.

Only an answer that the model has ended by itself is looked at. One that was cut, refused, or ended for a tool use goes
out as it is, which is what the makers' services do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kiro2api.protocol.answerformat import AnswerFormatError, FormattedAnswer, check_answer
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.turn.events import (
    BlockStopped,
    StopReason,
    TextDelta,
    TextStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)


class AnswerHold:
    """Takes the events of one answer and lets them out at its end.

    Args:
        answer_format: The form that the answer is to have.
    """

    def __init__(self, answer_format: AnswerFormat) -> None:
        self._format = answer_format
        self._held: list[TurnEvent] = []
        self.answer: FormattedAnswer | None = None
        """What was found in the text, once the answer is out."""

    def open(self, events: list[TurnEvent]) -> list[TurnEvent]:
        """The event that begins the answer, ahead of all others: the one that is held, or else ``events``."""
        if self._held and isinstance(self._held[0], TurnStarted):
            return [self._held.pop(0)]
        return events

    def receive_events(self, events: list[TurnEvent]) -> list[TurnEvent]:
        """What may go out: all at the end of the answer, its failure alone, and till then nothing.

        An answer without the form ends in a failure: an :class:`AnswerFormatError`.
        """
        self._held += events
        match events:
            case [*_, TurnEnded(stop_reason=StopReason.END_TURN)]:
                return self._check()
            case [*_, TurnEnded()]:
                return self._held
            case [*_, TurnFailed() as failed]:
                return [failed]
            case _:
                return []

    def _check(self) -> list[TurnEvent]:
        text = "".join(event.text for event in self._held if isinstance(event, TextDelta))
        try:
            self.answer = check_answer(text, self._format)
        except AnswerFormatError as error:
            return [TurnFailed(error=error)]
        *events, end = self._held
        return [*_replace_text(events, self.answer.text), end]


def _replace_text(events: Sequence[TurnEvent], text: str) -> Iterator[TurnEvent]:
    """``events`` with one text block, the last, in the place of all; clients parse each block by itself."""
    texts = [event.index for event in events if isinstance(event, TextStarted)]
    count = 0
    for event in events:
        match event:
            case TurnStarted() | TurnEnded() | TurnFailed():
                yield event
            case _ if event.index in texts:
                pass
            case _:
                yield replace(event, index=count)
                count += isinstance(event, BlockStopped)
    yield TextStarted(index=count)
    yield TextDelta(index=count, text=text)
    yield BlockStopped(index=count)
