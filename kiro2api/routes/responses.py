"""``POST /v1/responses``: OpenAI's other dialect, which may leave it to the server to remember the conversation."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

from quart import Blueprint, Response

from kiro2api.protocol.exchange import Renderer
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.output import RESPONSE_ID_PREFIX, ResponseHead, extend_history
from kiro2api.protocol.responses.request import build_responses_request, parse_responses_inquiry
from kiro2api.protocol.responses.response import StreamRenderer, render_answer
from kiro2api.protocol.turn import Answer, AnswerFold, TurnEvent
from kiro2api.routes.kept import KeptResponses
from kiro2api.routes.life import get_life
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import Call, answer

NOTHING_BEFORE = History()


class KeepingRenderer:
    """A renderer whose answer is also handed over, before the client has its end: what it continues is there then."""

    def __init__(self, renderer: Renderer, keep: Callable[[Answer], None]) -> None:
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
    """OpenAI's endpoint for responses on ``service``."""
    blueprint = Blueprint("responses", __name__)
    kept = KeptResponses()

    @blueprint.post("/v1/responses")
    async def create_response() -> Response:
        life = get_life()
        inquiry = await service.intake.read(life, parse_responses_inquiry)
        previous = inquiry.previous_response_id
        before = NOTHING_BEFORE if previous is None else kept.find(previous)
        references = kept.find_items(inquiry.references)
        build = partial(build_responses_request, inquiry, before=before, references=references)
        parsed = await service.intake.compute(life, build)
        head = ResponseHead(
            response_id=service.new_id(RESPONSE_ID_PREFIX),
            created_at=int(service.now()),
            model=parsed.conversation.model,
            settings=parsed.settings,
            forms=parsed.forms,
        )
        sequence = itertools.count()

        def keep(whole: Answer) -> None:
            if parsed.store:
                kept.add(head.response_id, extend_history(parsed.history, whole, head))

        def render_whole(whole: Answer) -> bytes:
            keep(whole)
            return render_answer(whole, head=head)

        call = Call(
            dialect="responses",
            conversation=parsed.conversation,
            stream=parsed.stream,
            new_stream_renderer=lambda: KeepingRenderer(StreamRenderer(head=head, sequence=sequence), keep),
            render_answer=render_whole,
            ping=StreamRenderer.ping,
        )
        return await answer(service, life, call)

    return blueprint
