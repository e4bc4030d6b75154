"""OpenAI's other dialect, which may leave it to the server to remember the conversation.

``POST /v1/responses`` answers, ``POST /v1/responses/input_tokens`` only counts; what is kept can be read and deleted
under ``/v1/responses/{id}``. What OpenAI serves beside that is said not to be there.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

from quart import Blueprint, Response, request

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.attempt import Renderer
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.output import (
    RESPONSE_ID_PREFIX,
    ResponseHead,
    extend_history,
    render_deletion,
    render_token_count,
)
from kiro2api.protocol.responses.request import (
    ResponsesInquiry,
    ResponsesRequest,
    build_responses_request,
    parse_count_inquiry,
    parse_responses_inquiry,
)
from kiro2api.protocol.responses.response import StreamRenderer, render_answer
from kiro2api.protocol.turn import Answer, AnswerFold, TurnEvent
from kiro2api.routes.counting import count_input
from kiro2api.routes.kept import KeptResponses
from kiro2api.routes.life import RequestLife, get_life
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import JSON_HEADERS, Call, answer

NOTHING_BEFORE = History()


class NotServedError(Kiro2ApiError):
    """OpenAI serves this path, and this program does not."""

    kind = ErrorKind.NOT_FOUND


class KeepingRenderer:
    """A renderer whose answer is also handed over, before the client has its end: what it continues is there then."""

    def __init__(self, renderer: Renderer, keep: Callable[[Answer], object]) -> None:
        self._renderer = renderer
        self._keep = keep
        self._fold = AnswerFold()

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        for event in events:
            whole = self._fold.receive_event(event)
            if whole is not None:
                self._keep(whole)
        return self._renderer.render(events)


def build_responses_routes(service: Service) -> Blueprint:
    """OpenAI's endpoints for responses on ``service``."""
    blueprint = Blueprint("responses", __name__)
    kept = KeptResponses()

    @blueprint.post("/v1/responses")
    async def create_response() -> Response:
        life = get_life()
        parsed = await _complete(service, life, kept, await service.intake.read(life, parse_responses_inquiry))
        return await answer(service, life, _build_call(service, kept, parsed))

    @blueprint.post("/v1/responses/input_tokens")
    async def count_tokens() -> Response:
        life = get_life()
        parsed = await _complete(service, life, kept, await service.intake.read(life, parse_count_inquiry))
        return Response(render_token_count(await count_input(service, life, parsed.conversation)), headers=JSON_HEADERS)

    @blueprint.post("/v1/responses/compact")
    async def compact() -> Response:
        raise NotServedError("Conversations are not compacted here: the client has to shorten its input itself.")

    @blueprint.get("/v1/responses/<response_id>")
    async def show_response(response_id: str) -> Response:
        found = kept.find(response_id)
        if request.args.get("stream") == "true":
            raise InvalidRequestError("a response that has ended is not streamed again.", path="stream")
        return Response(found.body, headers=JSON_HEADERS)

    @blueprint.delete("/v1/responses/<response_id>")
    async def delete_response(response_id: str) -> Response:
        kept.remove(response_id)
        return Response(render_deletion(response_id), headers=JSON_HEADERS)

    @blueprint.get("/v1/responses/<response_id>/input_items")
    async def list_input_items(response_id: str) -> Response:
        kept.find(response_id)
        raise NotServedError(
            "What a response was asked is kept as the model is told of it, not as the client wrote it."
        )

    return blueprint


async def _complete(
    service: Service, life: RequestLife, kept: KeptResponses, inquiry: ResponsesInquiry
) -> ResponsesRequest:
    """What ``inquiry`` means, with what it refers to."""
    before = NOTHING_BEFORE
    if inquiry.previous_response_id is not None:
        previous = kept.find_previous(inquiry.previous_response_id)
        before, life.remembered = previous.history, previous.size
    references = kept.find_items(inquiry.references)
    build = partial(build_responses_request, inquiry, before=before, references=references)
    return await service.intake.build(life, build)


def _build_call(service: Service, kept: KeptResponses, parsed: ResponsesRequest) -> Call:
    """The call that answers ``parsed``, and keeps the answer if the client wants to come back to it."""
    head = ResponseHead(
        response_id=service.new_id(RESPONSE_ID_PREFIX),
        created_at=int(service.now()),
        model=parsed.conversation.model,
        settings=parsed.settings,
        forms=parsed.forms,
    )
    sequence = itertools.count()

    def render_and_keep(whole: Answer) -> bytes:
        body = render_answer(whole, head=head)
        kept.add(head.response_id, body, extend_history(parsed.history, whole, head))
        return body

    def build_renderer() -> Renderer:
        renderer = StreamRenderer(head=head, sequence=sequence)
        return KeepingRenderer(renderer, render_and_keep) if parsed.store else renderer

    return Call(
        dialect="responses",
        conversation=parsed.conversation,
        stream=parsed.stream,
        new_stream_renderer=build_renderer,
        render_answer=render_and_keep if parsed.store else partial(render_answer, head=head),
        ping=StreamRenderer.ping,
    )
