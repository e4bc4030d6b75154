"""One client request with its whole answer: conversation in, upstream request out; upstream bytes in, client bytes out.

An exchange may take several attempts, each with a request that leaves out or says what the one before has taught. One
begins with :meth:`Exchange.begin_attempt`, and none may follow once the client has got anything of an answer.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Final

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.attempt import Attempt, Renderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Text,
    ThinkingChoice,
    ThinkingDisplay,
    ThinkingMode,
    UserTurn,
)
from kiro2api.protocol.kiro.faults import UpstreamFaultError
from kiro2api.protocol.kiro.instructions import build_correction
from kiro2api.protocol.kiro.overflow import explain_fault
from kiro2api.protocol.kiro.reasoning import plan_reasoning
from kiro2api.protocol.kiro.repairs import Repair, list_repairs
from kiro2api.protocol.kiro.request import build_request
from kiro2api.protocol.kiro.signatures import build_origin, find_origin
from kiro2api.protocol.kiro.simplification import simplify_schemas
from kiro2api.protocol.kiro.sizes import BODY_WARNINGS
from kiro2api.protocol.kiro.truncations import CutRun, extend_run
from kiro2api.protocol.turn import (
    StopReason,
    TruncatedToolUseError,
    Turn,
)
from kiro2api.protocol.turn.hold import AnswerHold
from kiro2api.protocol.turn.thinking import InlineThinking
from kiro2api.protocol.usage import Correction, Measurement, Usage, build_measurement, estimate_conversation

_SIGNATURE_REFUSED: Final = "THINKING_SIGNATURE_INVALID"
_SCHEMA_REFUSED: Final = frozenset({"TOOL_SCHEMA_INVALID", "REQUEST_BODY_INVALID"})
"""Some observers saw the second for schemas too; it may mean anything, and costs one call more at worst."""


def _choose_thinking(choice: ThinkingChoice, model: ResolvedModel) -> ThinkingChoice:
    """What the client says counts before the name by which it calls the model."""
    is_left_open = choice.mode is ThinkingMode.UNSET
    return dataclasses.replace(choice, mode=ThinkingMode.ADAPTIVE) if is_left_open and model.is_to_think else choice


def _find_no_correction(credential_id: str) -> Correction:  # noqa: ARG001  it is the same for all
    return Correction()


class Exchange:
    """A client's request on its way to the upstream, and the answer on its way back.

    Args:
        conversation: What the client asks for.
        model: Whom it asks.
        conversation_id: Names the client's session to the upstream; 1 to 128 characters.
        new_renderer: Makes the renderer of an attempt.
        max_tool_description_length: Characters of a tool's description that the upstream gets to see in its place.
        cut_run: Tool calls that were cut in the answers to this conversation so far.
        find_correction: What makes the estimate of the input a better one, by the id of the attempt's credential, which
            is empty while there is none.

    Raises:
        InvalidRequestError: The conversation cannot be put in the upstream's form.
    """

    def __init__(  # noqa: PLR0913  what one request depends on, all keyword-only
        self,
        *,
        conversation: Conversation,
        model: ResolvedModel,
        conversation_id: str,
        new_renderer: Callable[[], Renderer],
        max_tool_description_length: int,
        cut_run: CutRun | None = None,
        find_correction: Callable[[str], Correction] = _find_no_correction,
    ) -> None:
        self._plan = plan_reasoning(
            _choose_thinking(conversation.thinking, model),
            max_tokens=conversation.max_tokens,
            schema=model.request_fields_schema,
            knows_tags=model.knows_thinking_tags,
        )
        self._conversation = conversation
        self._model = model
        self._new_renderer = new_renderer
        system = (*filter(None, (self._plan.prompt,)), *conversation.system)
        self._asked = dataclasses.replace(conversation, system=system)
        self._build_request = partial(
            build_request,
            model_id=model.upstream_id,
            conversation_id=conversation_id,
            max_tool_description_length=max_tool_description_length,
        )
        self._replay_origin = None if model.request_fields_schema is None else find_origin(conversation.turns)
        self._told_run = cut_run
        self._request = self._build_request(self._asked, replay_origin=self._replay_origin, cut_run=cut_run)
        self._model_fields = self._plan.fields
        self._repairs = set(self._plan.repairs)
        self._find_correction = find_correction
        self._plain_estimate = estimate_conversation(conversation)
        self.estimated_input = 0
        """Tokens of the request as estimated for the current attempt; from the answer's beginning on, as the client was
        told."""
        self._opened = False
        self.has_output = False
        """Whether bytes of an upstream answer were handed out: from then on nothing may be asked again."""
        self.cut_run = cut_run
        """Tool calls that were cut in the answers so far, those of this exchange included."""
        self._credits_before: float | None = None
        self._prepare_attempt(credential_id="")

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
        """Whether the next attempt's request no longer has what ``error`` complains of, or says what to do about it."""
        if isinstance(error, AnswerFormatError):
            return self._ask_again(error)
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
        return error.reason in _SCHEMA_REFUSED and self._simplify_schemas()

    def explain(self, error: UpstreamFaultError) -> Kiro2ApiError:
        """What the client is told of ``error``, the last attempt's, given what was asked."""
        return explain_fault(
            error,
            input_tokens=self.usage.total_input_tokens,
            context_window=self._model.context_window,
            is_large=any(warning.value in self._request.repairs for warning in BODY_WARNINGS),
        )

    def begin_attempt(self, *, credential_id: str = "") -> None:
        """Forgets an attempt that came to nothing, and gets ready for the answer to the credential of that id."""
        self._credits_before = self.credits
        self._prepare_attempt(credential_id=credential_id)

    def _prepare_attempt(self, *, credential_id: str) -> None:
        if self.cut_run != self._told_run and self.cut_run is not None and self.cut_run.is_stubborn:
            self._told_run = self.cut_run
            self._rebuild_request()
        self._is_noted = False
        self._origin = build_origin(credential_id=credential_id, model_id=self._model.upstream_id)
        self._credential_id = credential_id
        correction = self._find_correction(credential_id)
        if not self._opened:
            self.estimated_input = correction.apply(self._plain_estimate)
        answer_format = self._conversation.answer_format
        self._attempt = Attempt(
            turn=Turn(
                estimated_input=self.estimated_input,
                context_window=correction.context_window or self._model.context_window,
                stop_sequences=self._conversation.stop_sequences,
                client_tool_name=self._request.tool_names.to_client,
                started=self._opened,
            ),
            renderer=self._new_renderer(),
            origin=self._origin,
            thinking=InlineThinking() if self._plan.prompt else None,
            hides_thinking=self._conversation.thinking.display is ThinkingDisplay.OMITTED,
            hold=None if answer_format is None else AnswerHold(answer_format),
        )

    @property
    def failure(self) -> Kiro2ApiError | None:
        """Why the current attempt cannot go on. Not rendered: the caller may still have another attempt."""
        return self._attempt.failure

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the answer ended; ``None`` while it is not whole."""
        return self._attempt.stop_reason

    @property
    def is_over(self) -> bool:
        """Whether the current attempt has nothing more to give."""
        return self._attempt.is_over

    @property
    def usage(self) -> Usage:
        """Token counts of the current attempt as far as they are known."""
        return self._attempt.usage

    @property
    def measurement(self) -> Measurement | None:
        """What the whole answer tells about the estimate; ``None`` while it is not whole, or if it tells nothing."""
        if self.stop_reason is None:
            return None
        return build_measurement(
            model_id=self._model.upstream_id,
            credential_id=self._credential_id,
            estimated_input=self._plain_estimate,
            usage=self.usage,
            context=self._attempt.context,
        )

    @property
    def credits(self) -> float | None:
        """What the upstream charged for all attempts so far, as far as it said so."""
        if self._attempt.credits is None:
            return self._credits_before
        return self._attempt.credits + (self._credits_before or 0.0)

    @property
    def has_trailers(self) -> bool:
        """Whether the upstream closed its answer with accounting; some accounts never get any."""
        return self._attempt.has_trailers

    @property
    def ignored(self) -> dict[str, int]:
        """Messages of the current attempt that meant nothing to us, by type."""
        return self._attempt.ignored

    def open(self) -> bytes:
        """The head of a streamed answer, for a client that has to hear something before the upstream does."""
        self._opened = True
        return self._attempt.open()

    def receive_data(self, chunk: bytes) -> bytes:
        """What the client gets for ``chunk``, nothing once the attempt is over; look at ``failure`` and ``is_over``."""
        return self._note(self._attempt.receive_data(chunk))

    def receive_eof(self) -> bytes:
        """What the client gets when the upstream's body has ended as HTTP wants it; look at ``failure`` afterwards."""
        return self._note(self._attempt.receive_eof())

    def receive_failure(self, error: Kiro2ApiError) -> bytes:
        """What the client gets of held-back text when the attempt breaks off; ``failure`` is set afterwards."""
        return self._note(self._attempt.receive_failure(error))

    def render_failure(self, error: Kiro2ApiError) -> bytes:
        """The error inside the stream, as its last words. Only for answers that were begun."""
        return self._attempt.render_failure(error)

    def _note(self, data: bytes) -> bytes:
        """``data`` for the client, of which what matters for the next attempt is kept in mind."""
        if data:
            self.has_output = self._opened = True
        if self._attempt.is_over and not self._is_noted:
            self._is_noted = True
            self._note_end(self._attempt)
        return data

    def _note_end(self, attempt: Attempt) -> None:
        match attempt.failure:
            case None:
                self.cut_run = None
            case TruncatedToolUseError(name=name, size=size):
                self.cut_run = extend_run(self.cut_run, tool=name, size=size)
            case _:
                pass
        if attempt.formatted is not None and attempt.formatted.is_unwrapped:
            self._repairs.add(Repair.UNWRAPPED_JSON)
        if attempt.formatted is not None and attempt.formatted.is_partly_checked:
            self._repairs.add(Repair.PARTLY_CHECKED_JSON)

    def _drop_replay(self) -> None:
        self._replay_origin = None
        self._rebuild_request()

    def _rebuild_request(self) -> None:
        is_simplified = Repair.SIMPLIFIED_SCHEMAS.value in self._request.repairs
        self._request = self._build_request(self._asked, replay_origin=self._replay_origin, cut_run=self._told_run)
        if is_simplified:
            self._simplify_schemas()

    def _ask_again(self, error: AnswerFormatError) -> bool:
        """Whether the model has not been told before what is wrong with the form of its answer, and is told now."""
        if Repair.ASKED_AGAIN_FOR_JSON in self._repairs:
            return False
        self._repairs.add(Repair.ASKED_AGAIN_FOR_JSON)
        answer = AssistantTurn(blocks=(Text(text=error.text),))
        correction = UserTurn(blocks=(Text(text=build_correction(error.reason)),))
        self._asked = dataclasses.replace(self._asked, turns=(*self._asked.turns, answer, correction))
        self._rebuild_request()
        return True

    def _simplify_schemas(self) -> bool:
        """Whether the tools' schemas were not the simplest already, and are from now on."""
        simplified = simplify_schemas(self._request)
        self._request = simplified or self._request
        return simplified is not None
