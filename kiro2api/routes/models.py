"""``GET /v1/models`` and ``GET /v1/models/{id}``: one path, two shapes, by who asks."""

from quart import Blueprint, Response, request

from kiro2api.protocol.anthropic.models import render_model as render_anthropic_model
from kiro2api.protocol.anthropic.models import render_model_list as render_anthropic_models
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.openai.models import render_model as render_openai_model
from kiro2api.protocol.openai.models import render_model_list as render_openai_models
from kiro2api.routes.guard import is_anthropic
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import JSON_HEADERS

MAX_PAGE = 1000
"""Entries of a page, as Anthropic's API has it."""


def build_models_routes(service: Service) -> Blueprint:
    """The list of models on ``service``."""
    blueprint = Blueprint("models", __name__)

    @blueprint.get("/v1/models")
    async def list_models() -> Response:
        models = service.catalog.list_models(service.broker.list_models())
        if not is_anthropic(request):
            return Response(render_openai_models(models), headers=JSON_HEADERS)
        body = render_anthropic_models(
            models,
            limit=_parse_limit(request.args.get("limit")),
            after_id=request.args.get("after_id"),
            before_id=request.args.get("before_id"),
        )
        return Response(body, headers=JSON_HEADERS)

    @blueprint.get("/v1/models/<path:model_id>")
    async def show_model(model_id: str) -> Response:
        model = service.catalog.describe(model_id, listed=service.broker.list_models())
        render = render_anthropic_model if is_anthropic(request) else render_openai_model
        return Response(render(model), headers=JSON_HEADERS)

    return blueprint


def _parse_limit(text: str | None) -> int:
    if text is None:
        return MAX_PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= MAX_PAGE):
        raise InvalidRequestError(f"must be a number from 1 to {MAX_PAGE}", path="limit")
    return int(text)
