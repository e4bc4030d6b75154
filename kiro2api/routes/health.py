"""Probes: ``GET /healthz`` says that the loop runs, ``GET /readyz`` that a request would find a credential."""

from quart import Blueprint, Response

from kiro2api.protocol.jsontext import encode_json
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import JSON_HEADERS

UNAVAILABLE = 503


def build_health_routes(service: Service) -> Blueprint:
    """Both probes on ``service``."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    async def show_health() -> Response:
        return Response(encode_json({"status": "ok"}), headers=JSON_HEADERS)

    @blueprint.get("/readyz")
    async def show_readiness() -> Response:
        if service.is_draining:
            return _refuse("draining")
        if not service.broker.has_usable():
            return _refuse("no usable credential")
        return Response(encode_json({"status": "ready"}), headers=JSON_HEADERS)

    return blueprint


def _refuse(reason: str) -> Response:
    return Response(encode_json({"status": "not ready", "reason": reason}), status=UNAVAILABLE, headers=JSON_HEADERS)
