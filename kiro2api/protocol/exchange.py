"""One client request with its whole answer: conversation in, upstream request out; upstream bytes in, client bytes out.

The bytes of one upstream read become the bytes of at most one client write. An exchange may take several attempts; each
begins with :meth:`Exchange.begin_attempt`, and none may follow once the client has got anything of an answer.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.kiro.events import EventReader
from kiro2api.protocol.kiro.request import build_request
from kiro2api.protocol.turn import Answer, AnswerFold, StopReason, Turn, TurnEnded, TurnEvent, TurnFailed
from kiro2api.protocol.usage import Usage, estimate_conversation


class Renderer(Protocol):
    """What an exchange needs of a dialect: events in, bytes for the client out."""

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


class Exchange:
    """A client's request on its way to the upstream, and the answer on its way back.

    Args:
        conversation: What the client asks for.
        model: Whom it asks.
        conversation_id: Names the client's session to the upstream; 1 to 128 characters.
        new_renderer: Makes the renderer of an attempt.
        max_tool_description_length: Characters of a tool's description that the upstream gets to see in its place.

    Raises:
        InvalidRequestError: The conversation cannot be put in the upstream's form.
    """

    def __init__(
        self,
        *,
        conversation: Conversation,
        model: ResolvedModel,
        conversation_id: str,
        new_renderer: Callable[[], Renderer],
        max_tool_description_length: int,
    ) -> None:
        self._conversation = conversation
        self._model = model
        self._new_renderer = new_renderer
        self._request = build_request(
            conversation,
            model_id=model.upstream_id,
            conversation_id=conversation_id,
            max_tool_description_length=max_tool_description_length,
        )
        self._estimated_input = estimate_conversation(conversation)
        self._opened = False
        self.repairs = (*conversation.repairs, *self._request.repairs)
        """What was left out or changed for the upstream's sake, by name."""
        self.has_output = False
        """Whether bytes of an upstream answer were handed out: from then on nothing may be asked again."""
        self.failure: Kiro2ApiError | None = None
        """Why the current attempt cannot go on. Not rendered: the caller may still have another attempt."""
        self.stop_reason: StopReason | None = None
        self.begin_attempt()

    def encode_request(self, *, profile_arn: str | None) -> bytes:
        """The body for the upstream; ``profile_arn`` is the credential's."""
        return self._request.encode(profile_arn=profile_arn)

    def begin_attempt(self) -> None:
        """Forgets an attempt that came to nothing, and gets ready for the next answer."""
        self._decoder = EventStreamDecoder()
        self._reader = EventReader()
        self._turn = Turn(
            estimated_input=self._estimated_input,
            context_window=self._model.context_window,
            stop_sequences=self._conversation.stop_sequences,
            client_tool_name=self._request.tool_names.to_client,
            started=self._opened,
        )
        self._renderer = self._new_renderer()
        self.failure = None
        self.stop_reason = None

    @property
    def is_over(self) -> bool:
        """Whether the current attempt has nothing more to give."""
        return self._turn.is_over

    @property
    def usage(self) -> Usage:
        """Token counts of the current attempt as far as they are known."""
        return self._turn.usage

    @property
    def credits(self) -> float | None:
        """What the upstream charged for the current attempt, if it said so."""
        return self._turn.credits

    @property
    def has_trailers(self) -> bool:
        """Whether the upstream closed its answer with accounting; some accounts never get any."""
        return self._turn.has_trailers

    @property
    def ignored(self) -> dict[str, int]:
        """Messages of the current attempt that meant nothing to us, by type."""
        return self._reader.ignored

    def open(self) -> bytes:
        """The head of a streamed answer, for a client that has to hear something before the upstream does."""
        self._opened = True
        return self._renderer.render(self._turn.open())

    def receive_data(self, chunk: bytes) -> bytes:
        """What the client gets for ``chunk``, nothing once the attempt is over; look at ``failure`` and ``is_over``."""
        if self.is_over:
            return b""
        events = self._receive_messages(self._decoder.receive_data(chunk))
        if self._decoder.failure is not None:
            events += self._turn.receive_failure(self._decoder.failure)
        return self._render(events)

    def receive_eof(self) -> bytes:
        """What the client gets when the upstream's body has ended as HTTP wants it; look at ``failure`` afterwards."""
        try:
            self._decoder.receive_eof()
        except UpstreamProtocolError as error:
            return self._render(self._turn.receive_failure(error))
        events: list[TurnEvent] = []
        for event in self._reader.receive_eof():
            events += self._turn.receive_event(event)
        return self._render(events + self._turn.receive_eof())

    def receive_failure(self, error: Kiro2ApiError) -> bytes:
        """What the client gets of held-back text when the attempt breaks off; ``failure`` is set afterwards."""
        return self._render(self._turn.receive_failure(error))

    def render_failure(self, error: Kiro2ApiError) -> bytes:
        """The error inside the stream, as its last words. Only for answers that were begun."""
        return self._renderer.render([TurnFailed(error=error)])

    def _receive_messages(self, messages: list[Message]) -> list[TurnEvent]:
        events: list[TurnEvent] = []
        for message in messages:
            try:
                event = self._reader.receive_message(message)
            except UpstreamProtocolError as error:
                return events + self._turn.receive_failure(error)
            events += self._turn.receive_event(event)
        return events

    def _render(self, events: list[TurnEvent]) -> bytes:
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
        data = self._renderer.render(events)
        if data:
            self.has_output = self._opened = True
        return data
