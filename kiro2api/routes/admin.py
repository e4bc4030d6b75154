"""``GET /admin/credentials``: how each credential is, for whoever runs the proxy.

It is there only if there is a key for it, and the clients' key does not open it; :mod:`kiro2api.routes.guard` sees to
that. Labels and places are told, secrets and profiles never.
"""

from dataclasses import asdict

from quart import Blueprint, Response

from kiro2api.auth.reports import CredentialsView, StoreView, build_view
from kiro2api.protocol.jsontext import encode_json
from kiro2api.routes.service import Service
from kiro2api.routes.streaming import JSON_HEADERS

HEADERS = {**JSON_HEADERS, "cache-control": "no-store"}


def build_admin_routes(service: Service) -> Blueprint:
    """What the operator may ask of ``service``."""
    blueprint = Blueprint("admin", __name__)

    @blueprint.get("/admin/credentials")
    async def show_credentials() -> Response:
        now = service.now()
        view = CredentialsView(
            credentials=tuple(build_view(report, now) for report in service.broker.describe()),
            state_store=StoreView(trouble=service.find_state_trouble()),
        )
        return Response(encode_json(asdict(view)), headers=HEADERS)

    return blueprint
