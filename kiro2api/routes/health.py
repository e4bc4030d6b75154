"""Probes: ``GET /healthz`` says that the loop runs, ``GET /readyz`` that a request would be answered.

Liveness depends on nothing but the loop: an outage elsewhere must not have the process restarted. Readiness is refused,
with the first reason that applies, while the process ends, while no credential can be used, and while a background
task fails again and again; trouble with the store of states is told, and refuses nothing. Neither tells a credential's
name.
"""

from quart import Blueprint, Response

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
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
        if broken := service.health.list_broken():
            return _refuse("background task down", tasks=[*broken])
        body: JSONObject = {"status": "ready"}
        if trouble := service.find_state_trouble():
            body["warnings"] = [trouble]
        return Response(encode_json(body), headers=JSON_HEADERS)

    return blueprint


def _refuse(reason: str, **fields: JSON) -> Response:
    body: JSON = {"status": "not ready", "reason": reason, **fields}
    return Response(encode_json(body), status=UNAVAILABLE, headers=JSON_HEADERS)
