"""One attempt's answer: upstream bytes in, client bytes out.

The bytes of one upstream read become the bytes of at most one client write, and texts that came in one read one delta:
where the upstream cut them means nothing to anybody, and each delta costs client and proxy alike.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.answerformat import FormattedAnswer
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.kiro.events import AssistantText, EventReader, Reasoning, UpstreamEvent
from kiro2api.protocol.kiro.signatures import mark
from kiro2api.protocol.turn import Answer, AnswerFold, StopReason, Turn, TurnEnded, TurnEvent, TurnFailed
from kiro2api.protocol.turn.hold import AnswerHold
from kiro2api.protocol.turn.thinking import InlineThinking
from kiro2api.protocol.usage import Context, Usage


class Renderer(Protocol):
    """What an attempt needs of a dialect: events in, bytes for the client out."""

    def render(self, events: Sequence[TurnEvent]) -> bytes: ...


class FoldRenderer:
    """A renderer for answers that are not streamed: nothing until the end, then all of it."""

    def __init__(self, render_answer: Callable[[Answer], bytes]) -> None:
        self._render_answer = render_answer
        self._fold = AnswerFold()

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        """The whole answer with the event that ends it, before that nothing."""
        answers = (self._fold.receive_event(event) for event in events)
        return b"".join(self._render_answer(answer) for answer in answers if answer is not None)


class Attempt:
    """The answer to one call of the upstream, on its way to the client.

    Args:
        turn: Orders what the upstream says.
        renderer: Writes it down.
        origin: Marks what the upstream proves, so that the client's next request tells whose it is.
        thinking: Finds the reasoning of a model that was asked for it in words.
        hides_thinking: Whether such reasoning is counted and not shown.
        hold: Keeps an answer back whose form is to be looked at.
    """

    def __init__(  # noqa: PLR0913  the stations of an answer, all keyword-only
        self,
        *,
        turn: Turn,
        renderer: Renderer,
        origin: str,
        thinking: InlineThinking | None = None,
        hides_thinking: bool = False,
        hold: AnswerHold | None = None,
    ) -> None:
        self._turn = turn
        self._renderer = renderer
        self._origin = origin
        self._thinking = thinking
        self._hides_thinking = hides_thinking
        self._hold = hold
        self._decoder = EventStreamDecoder()
        self._reader = EventReader()
        self.failure: Kiro2ApiError | None = None
        """Why it cannot go on. Not rendered: the caller may have another attempt."""
        self.stop_reason: StopReason | None = None
        """Set when it is whole."""

    @property
    def is_over(self) -> bool:
        """Whether it has nothing more to give."""
        return self._turn.is_over

    @property
    def usage(self) -> Usage:
        """Token counts as far as they are known."""
        return self._turn.usage

    @property
    def context(self) -> Context:
        """How full the model's context window is, as far as the upstream has said so."""
        return self._turn.context

    @property
    def credits(self) -> float | None:
        """What the upstream charged, if it said so."""
        return self._turn.credits

    @property
    def has_trailers(self) -> bool:
        """Whether the upstream closed its answer with accounting; some accounts never get any."""
        return self._turn.has_trailers

    @property
    def ignored(self) -> dict[str, int]:
        """Messages that meant nothing to us, by type."""
        return self._reader.ignored

    @property
    def formatted(self) -> FormattedAnswer | None:
        """What was found in the text of an answer whose form was looked at."""
        return None if self._hold is None else self._hold.answer

    def open(self) -> bytes:
        """The head of a streamed answer, for a client that has to hear something before the upstream does."""
        events = self._turn.open()
        return self._renderer.render(events if self._hold is None else self._hold.open(events))

    def receive_data(self, chunk: bytes) -> bytes:
        """What the client gets for ``chunk``, nothing once all is over; look at ``failure`` and ``is_over``."""
        if self.is_over:
            return b""
        events = self._receive_messages(self._decoder.receive_data(chunk))
        if self._decoder.failure is not None:
            events += self._flush_thinking() + self._turn.receive_failure(self._decoder.failure)
        return self._render(events)

    def receive_eof(self) -> bytes:
        """What the client gets when the upstream's body has ended as HTTP wants it; look at ``failure`` afterwards."""
        try:
            self._decoder.receive_eof()
        except UpstreamProtocolError as error:
            return self.receive_failure(error)
        events: list[TurnEvent] = []
        for event in self._reader.receive_eof():
            events += self._receive_event(event)
        return self._render(events + self._flush_thinking() + self._turn.receive_eof())

    def receive_failure(self, error: Kiro2ApiError) -> bytes:
        """What the client gets of held-back text when the attempt breaks off; ``failure`` is set afterwards."""
        return self._render(self._flush_thinking() + self._turn.receive_failure(error))

    def render_failure(self, error: Kiro2ApiError) -> bytes:
        """The error inside the stream, as its last words. Only for answers that were begun."""
        return self._renderer.render([TurnFailed(error=error)])

    def _receive_messages(self, messages: list[Message]) -> list[TurnEvent]:
        events: list[TurnEvent] = []
        texts: list[str] = []
        for message in messages:
            try:
                event = self._reader.receive_message(message)
            except UpstreamProtocolError as error:
                return events + self._join(texts) + self._flush_thinking() + self._turn.receive_failure(error)
            if isinstance(event, AssistantText):
                texts.append(event.text)
            else:
                events += self._join(texts)
                events += self._receive_event(event)
        return events + self._join(texts)

    def _join(self, texts: list[str]) -> list[TurnEvent]:
        """What follows from ``texts``, which are used up."""
        if not texts:
            return []
        event = AssistantText(text="".join(texts))
        texts.clear()
        return self._receive_event(event)

    def _receive_event(self, event: UpstreamEvent) -> list[TurnEvent]:
        if isinstance(event, Reasoning):
            signature, redacted = mark(event.signature, self._origin), mark(event.redacted, self._origin)
            event = dataclasses.replace(event, signature=signature, redacted=redacted)
        if self._thinking is None:
            return self._turn.receive_event(event)
        parts = self._thinking.receive_event(event)
        return [out for part in parts for out in self._receive_part(part, is_own=part is event)]

    def _receive_part(self, part: UpstreamEvent, *, is_own: bool) -> list[TurnEvent]:
        """A part of the text, or an event of the upstream's own."""
        if self._hides_thinking and not is_own and isinstance(part, Reasoning):
            # Nobody has signed it: a block that could be shown without its text would need a forged signature.
            self._turn.receive_hidden(part.text)
            return []
        return self._turn.receive_event(part)

    def _flush_thinking(self) -> list[TurnEvent]:
        parts = [] if self._thinking is None else self._thinking.receive_eof()
        return [out for part in parts for out in self._receive_part(part, is_own=False)]

    def _render(self, events: list[TurnEvent]) -> bytes:
        if self._hold is not None:
            events = self._hold.receive_events(events)
        if not events:
            return b""
        match events[-1]:
            case TurnFailed(error=error):
                self.failure = error
                events = events[:-1]
            case TurnEnded(stop_reason=stop_reason):
                self.stop_reason = stop_reason
            case _:
                pass
        return self._renderer.render(events)
