"""One client request with its whole answer: conversation in, upstream request out; upstream bytes in, client bytes out.

The bytes of one upstream read become the bytes of at most one client write. An exchange may take several attempts; each
begins with :meth:`Exchange.begin_attempt`, and none may follow once the client has got anything of an answer.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.kiro.events import EventReader, Reasoning, UpstreamEvent
from kiro2api.protocol.kiro.faults import UpstreamFaultError
from kiro2api.protocol.kiro.reasoning import plan_reasoning
from kiro2api.protocol.kiro.repairs import Repair, list_repairs
from kiro2api.protocol.kiro.request import build_request
from kiro2api.protocol.kiro.signatures import build_origin, find_origin, mark
from kiro2api.protocol.kiro.simplification import simplify_schemas
from kiro2api.protocol.turn import Answer, AnswerFold, StopReason, Turn, TurnEnded, TurnEvent, TurnFailed
from kiro2api.protocol.turn.thinking import InlineThinking
from kiro2api.protocol.usage import Usage, estimate_conversation

_SIGNATURE_REFUSED: Final = "THINKING_SIGNATURE_INVALID"
_SCHEMA_REFUSED: Final = "TOOL_SCHEMA_INVALID"


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
        self._plan = plan_reasoning(
            conversation.thinking,
            max_tokens=conversation.max_tokens,
            schema=model.request_fields_schema,
            knows_tags=model.knows_thinking_tags,
        )
        self._conversation = conversation
        self._model = model
        self._new_renderer = new_renderer
        self._build_request = partial(
            build_request,
            dataclasses.replace(conversation, system=(*filter(None, (self._plan.prompt,)), *conversation.system)),
            model_id=model.upstream_id,
            conversation_id=conversation_id,
            max_tool_description_length=max_tool_description_length,
        )
        self._replay_origin = None if model.request_fields_schema is None else find_origin(conversation.turns)
        self._request = self._build_request(replay_origin=self._replay_origin)
        self._model_fields = self._plan.fields
        self._repairs = set(self._plan.repairs)
        self._estimated_input = estimate_conversation(conversation)
        self._opened = False
        self.has_output = False
        """Whether bytes of an upstream answer were handed out: from then on nothing may be asked again."""
        self.failure: Kiro2ApiError | None = None
        """Why the current attempt cannot go on. Not rendered: the caller may still have another attempt."""
        self.stop_reason: StopReason | None = None
        self.begin_attempt()

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was left out or changed for the upstream's sake, by name."""
        return (*self._conversation.repairs, *self._request.repairs, *list_repairs(self._repairs))

    def encode_request(self, *, profile_arn: str | None) -> bytes:
        """The body for the upstream; ``profile_arn`` is the credential's.

        Reasoning in the history that is not from the attempt's credential is left out from now on.
        """
        if self._replay_origin not in {None, self._origin}:
            self._drop_replay()
        return self._request.encode(profile_arn=profile_arn, model_fields=self._model_fields)

    def repair_for(self, error: Kiro2ApiError) -> bool:
        """Whether ``error`` complains of what can be left out, and was there, and is left out from now on."""
        if not isinstance(error, UpstreamFaultError):
            return False
        if error.reason == _SIGNATURE_REFUSED and self._replay_origin is not None:
            self._drop_replay()
            self._repairs.add(Repair.REFUSED_SIGNATURE)
            return True
        if error.names_model_fields and self._model_fields:
            self._model_fields = {}
            self._repairs.add(Repair.DROPPED_MODEL_FIELDS)
            return True
        return error.reason == _SCHEMA_REFUSED and self._simplify_schemas()

    def begin_attempt(self, *, credential_id: str = "") -> None:
        """Forgets an attempt that came to nothing, and gets ready for the answer to the credential of that id."""
        self._origin = build_origin(credential_id=credential_id, model_id=self._model.upstream_id)
        self._thinking = InlineThinking() if self._plan.prompt else None
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
        for message in messages:
            try:
                event = self._reader.receive_message(message)
            except UpstreamProtocolError as error:
                return events + self._flush_thinking() + self._turn.receive_failure(error)
            events += self._receive_event(event)
        return events

    def _receive_event(self, event: UpstreamEvent) -> list[TurnEvent]:
        if self._thinking is None:
            return self._turn.receive_event(self._mark(event))
        parts = self._thinking.receive_event(self._mark(event))
        return [out for part in parts for out in self._turn.receive_event(part)]

    def _mark(self, event: UpstreamEvent) -> UpstreamEvent:
        """``event`` with the origin of what it proves, so that the client's next request tells it."""
        if not isinstance(event, Reasoning):
            return event
        signature, redacted = mark(event.signature, self._origin), mark(event.redacted, self._origin)
        return dataclasses.replace(event, signature=signature, redacted=redacted)

    def _flush_thinking(self) -> list[TurnEvent]:
        parts = [] if self._thinking is None else self._thinking.receive_eof()
        return [out for part in parts for out in self._turn.receive_event(part)]

    def _drop_replay(self) -> None:
        self._replay_origin = None
        is_simplified = Repair.SIMPLIFIED_SCHEMAS.value in self._request.repairs
        self._request = self._build_request()
        if is_simplified:
            self._simplify_schemas()

    def _simplify_schemas(self) -> bool:
        """Whether the tools' schemas were not the simplest already, and are from now on."""
        simplified = simplify_schemas(self._request)
        self._request = simplified or self._request
        return simplified is not None

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
