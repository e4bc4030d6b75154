"""What agents send beside their questions: warm-ups of a connection, telemetry, and paths with ``/v1`` in them twice.

- Claude Code asks ``HEAD /api/hello`` (older ones ``HEAD /``) when it starts, without a key: it wants a connection, and
  any answer will do. Telemetry of its 2.0 goes to ``POST /api/event_logging/batch`` with a key of its own; it is not
  read, and counts as no failed login. These three are open to everyone and tell nothing.
- Some clients add ``/v1`` to the address that they are given, others do not; so users give it where it is added.
"""

from typing import TYPE_CHECKING

from quart import Blueprint, Request, Response, request

from kiro2api.routes.guard import PathNotFoundError
from kiro2api.routes.streaming import JSON_HEADERS

if TYPE_CHECKING:
    from hypercorn.typing import HTTPScope

HELLO_PATH = "/api/hello"
TELEMETRY_PATH = "/api/event_logging/batch"

_PREFIX = "/v1"
_DOUBLED = f"{_PREFIX}{_PREFIX}/"
_OPEN = frozenset({("HEAD", "/"), ("HEAD", HELLO_PATH), ("GET", HELLO_PATH), ("POST", TELEMETRY_PATH)})


def is_open(asked: Request) -> bool:
    """Whether agents ask for this without the key that the proxy gave them."""
    return (asked.method, asked.path) in _OPEN


def drop_doubled_prefix(scope: "HTTPScope") -> "HTTPScope":
    """The scope of the same request, whose path has ``/v1`` once where it had it twice."""
    path = scope["path"]
    if not path.startswith(_DOUBLED):
        return scope
    return {**scope, "path": path.removeprefix(_PREFIX), "raw_path": scope["raw_path"].removeprefix(_PREFIX.encode())}


def build_side_routes() -> Blueprint:
    """The paths that are no API, but asked for by agents."""
    blueprint = Blueprint("sidetraffic", __name__)

    @blueprint.get("/")
    async def greet_root() -> Response:
        if request.method != "HEAD":
            raise PathNotFoundError
        return Response(b"", headers=JSON_HEADERS)

    @blueprint.get(HELLO_PATH)
    async def greet() -> Response:
        return Response(b'{"message":"hello"}', headers=JSON_HEADERS)

    @blueprint.post(TELEMETRY_PATH)
    async def ignore_telemetry() -> Response:
        return Response(b"{}", headers=JSON_HEADERS)

    return blueprint
