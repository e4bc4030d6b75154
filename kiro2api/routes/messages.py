"""``POST /v1/messages`` and ``POST /v1/messages/count_tokens``: Anthropic's dialect."""

from functools import partial

from quart import Blueprint, Response

from kiro2api.protocol.anthropic.request import parse_count_tokens_request, parse_messages_request
from kiro2api.protocol.anthropic.response import StreamRenderer, render_answer, render_token_count
from kiro2api.routes.counting import count_input
from kiro2api.routes.life import get_life
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import JSON_HEADERS, Call, answer


def build_messages_routes(service: Service) -> Blueprint:
    """Anthropic's two endpoints on ``service``."""
    blueprint = Blueprint("messages", __name__)

    @blueprint.post("/v1/messages")
    async def create_message() -> Response:
        life = get_life()
        parsed = await service.intake.read_whole(life, parse_messages_request)
        message_id, model = service.new_id("msg_"), parsed.conversation.model
        call = Call(
            dialect="anthropic",
            conversation=parsed.conversation,
            stream=parsed.stream,
            new_stream_renderer=partial(StreamRenderer, message_id=message_id, model=model),
            render_answer=partial(render_answer, message_id=message_id, model=model),
            ping=StreamRenderer.ping,
        )
        return await answer(service, life, call)

    @blueprint.post("/v1/messages/count_tokens")
    async def count_tokens() -> Response:
        life = get_life()
        conversation = await service.intake.read_whole(life, parse_count_tokens_request)
        return Response(render_token_count(await count_input(service, life, conversation)), headers=JSON_HEADERS)

    return blueprint
