"""``POST /v1/chat/completions``: OpenAI's dialect."""

from functools import partial

from quart import Blueprint, Response

from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.protocol.openai.response import StreamRenderer, render_answer
from kiro2api.routes.life import get_life
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import Call, answer


def build_completions_routes(service: Service) -> Blueprint:
    """OpenAI's chat endpoint on ``service``."""
    blueprint = Blueprint("completions", __name__)

    @blueprint.post("/v1/chat/completions")
    async def create_completion() -> Response:
        life = get_life()
        parsed = await service.intake.read_whole(life, parse_chat_request)
        completion_id, created = service.new_id("chatcmpl-"), int(service.now())
        model = parsed.conversation.model
        call = Call(
            dialect="openai",
            conversation=parsed.conversation,
            stream=parsed.stream,
            new_stream_renderer=lambda: StreamRenderer(
                completion_id=completion_id, created=created, model=model, include_usage=parsed.include_usage
            ),
            render_answer=partial(render_answer, completion_id=completion_id, created=created, model=model),
            ping=StreamRenderer.ping,
        )
        return await answer(service, life, call)

    return blueprint
