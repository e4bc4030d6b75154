"""The composition root: settings in, a program's objects out, each built once and handed down."""

import logging
import secrets
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import httpx
from quart import Response, request
from quart_cors import cors
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from kiro2api import __version__
from kiro2api.auth.broker import CredentialBroker
from kiro2api.config import Settings
from kiro2api.conversion.converter import Converter
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.complexity import Complexity
from kiro2api.provision import Supply, build_broker
from kiro2api.routes.admin import build_admin_routes
from kiro2api.routes.admission import Admission
from kiro2api.routes.completions import build_completions_routes
from kiro2api.routes.guard import (
    MalformedHttpError,
    MethodNotAllowedError,
    PathNotFoundError,
    build_error_response,
    check_access,
    name_request_id_header,
)
from kiro2api.routes.health import build_health_routes
from kiro2api.routes.intake import Intake
from kiro2api.routes.life import Lives, LivingConnection, LivingRequest, get_life
from kiro2api.routes.messages import build_messages_routes
from kiro2api.routes.models import build_models_routes
from kiro2api.routes.pump import InternalError
from kiro2api.routes.responses import build_responses_routes
from kiro2api.routes.service import Log, Service
from kiro2api.routes.sidetraffic import build_side_routes, drop_doubled_prefix, is_open
from kiro2api.supervision import Health, supervise
from kiro2api.upstream import Silence, Upstream
from kiro2api.upstream.direct import DirectTransport
from kiro2api.watchdog import LoopWatchdog

if TYPE_CHECKING:
    from hypercorn.typing import HTTPScope

MINUTE = 60.0
IDLE_CONNECTIONS = 64
"""Kept to the upstream. httpx's books over them cost quadratic time, and more are not reused within their 20 s."""
IDLE_SECONDS = 20.0
"""For an upstream connection without a request; longer ones are often half dead after a change of network."""
WRITE_SECONDS = 30.0
"""For one write of a request to the upstream."""
MAX_LOGGED_PATH = 100
"""Characters."""

_DIRECT = ("all://127.0.0.1", "all://[::1]", "all://localhost")
"""Never through a proxy of the environment: what runs on this machine is not there for another."""

_HTTP_ERRORS: Mapping[int, type[MethodNotAllowedError | PathNotFoundError]] = {
    404: PathNotFoundError,
    405: MethodNotAllowedError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The parts of a running proxy that have a life of their own."""

    app: QuartTrio
    service: Service
    broker: CredentialBroker
    background: tuple[Callable[[], Awaitable[None]], ...]
    """Supervised tasks, each to be started once and cancelled after the server has ended."""


def build_client(settings: Settings) -> httpx.AsyncClient:
    """The one HTTP client of the process, which the caller closes.

    No redirects: they would carry an access token elsewhere. No limit of connections: the pool loses places when
    requests are cancelled (encode/httpcore 1093). HTTP/1.1: on HTTP/2 httpcore cannot end a single stream.
    """
    timeout = httpx.Timeout(connect=settings.kiro_connect_timeout, read=None, write=WRITE_SECONDS, pool=None)
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS, keepalive_expiry=IDLE_SECONDS
    )
    direct = DirectTransport(max_idle=IDLE_CONNECTIONS, idle_seconds=IDLE_SECONDS)
    mounts: dict[str, httpx.AsyncBaseTransport | None] = dict.fromkeys(_DIRECT, direct)
    if not urllib.request.getproxies():  # what httpx itself looks at
        mounts["all://"] = direct
    return httpx.AsyncClient(
        headers={"user-agent": f"kiro2api/{__version__}"},
        timeout=timeout,
        limits=limits,
        follow_redirects=False,
        mounts=mounts,
    )


def build_program(settings: Settings, supply: Supply, *, client: httpx.AsyncClient, log: Log) -> Program:
    """A proxy that is ready to be served; ``client`` must outlive it."""
    to_log = partial(write_log, log)
    health = Health()
    broker, tasks = build_broker(settings, supply, client=client, log=to_log, health=health)
    watchdog = LoopWatchdog(to_log)
    service = Service(
        broker=broker,
        upstream=Upstream(client=client, broker=broker, base_urls=settings.kiro_upstream_url),
        catalog=Catalog(settings.model_map, fallback=settings.model_fallback),
        log=log,
        client_key=settings.kiro_client_token.get_secret_value(),
        admin_key=None if settings.kiro_admin_token is None else settings.kiro_admin_token.get_secret_value(),
        find_state_trouble=lambda: supply.store.trouble,
        silence=_build_silence(settings),
        lives=Lives(
            new_request_id=lambda: _new_id("req_"),
            body_limit=settings.max_body_bytes,
            body_seconds=settings.server_read_timeout_minutes * MINUTE,
        ),
        admission=Admission(places=settings.max_streams, room=settings.max_waiting, wait_seconds=settings.max_wait),
        health=health,
        watchdog=watchdog,
        new_id=_new_id,
        new_conversation_id=lambda: str(uuid.uuid4()),
        max_tool_description_length=settings.max_tool_description_length,
        intake=Intake(Converter(to_log)),
        disable_stream=settings.disable_stream,
        ping_seconds=settings.ping_interval,
    )
    background = (
        partial(supervise, "loop watchdog", watchdog.run, health, log=to_log),
        # What these do for the credentials shows in the credentials: without them, requests are answered all the same.
        *(partial(supervise, name, task, health, log=to_log, is_vital=False) for name, task in tasks),
    )
    return Program(app=_build_app(settings, service), service=service, broker=broker, background=background)


def _new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


def write_log(log: Log, level: int, event: str, /, **fields: object) -> None:
    """Writes to ``log`` at ``level``, as the parts below the routes want it."""
    if level >= logging.ERROR:
        log.error(event, **fields)
    elif level >= logging.WARNING:
        log.warning(event, **fields)
    else:
        log.info(event, **fields)


def _build_silence(settings: Settings) -> dict[Complexity, Silence]:
    minutes = {
        Complexity.SIMPLE: settings.simple_request_timeout_minutes,
        Complexity.COMPLEX: settings.request_timeout_minutes,
    }
    return {
        complexity: Silence(
            first_byte=settings.kiro_first_byte_timeout or limit * MINUTE,
            between=settings.kiro_idle_timeout or limit * MINUTE,
            total=settings.kiro_total_timeout,
        )
        for complexity, limit in minutes.items()
    }


def _build_app(settings: Settings, service: Service) -> QuartTrio:
    app = QuartTrio("kiro2api", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # the framework's 60 s would cut streams without a word
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = bool(settings.cors_origins)
    app.url_map.merge_slashes = False  # the framework's redirect would send a browser's page, to wherever Host says
    app.request_class = LivingRequest
    app.asgi_http_class = partial(_build_connection, service)  # type: ignore[assignment]  # it is only ever called
    app.register_blueprint(build_messages_routes(service))
    app.register_blueprint(build_completions_routes(service))
    app.register_blueprint(build_responses_routes(service))
    app.register_blueprint(build_models_routes(service))
    app.register_blueprint(build_health_routes(service))
    app.register_blueprint(build_side_routes())
    if service.admin_key is not None:
        app.register_blueprint(build_admin_routes(service))
    _add_guard(app, service)
    _add_error_responses(app, service)
    if settings.cors_origins:
        app = cors(app, allow_origin=list(settings.cors_origins), allow_headers="*")
    return app


def _build_connection(service: Service, app: QuartTrio, scope: "HTTPScope") -> LivingConnection:
    return LivingConnection(service.lives, app, drop_doubled_prefix(scope))


def _add_guard(app: QuartTrio, service: Service) -> None:
    @app.before_request
    async def check_key() -> None:
        if not is_open(request):
            check_access(request, client_key=service.client_key, admin_key=service.admin_key)

    @app.after_request
    async def name_request(response: Response) -> Response:
        response.headers.setdefault(name_request_id_header(request), get_life().request_id)
        return response


def _shorten_path(path: str) -> str:
    """The path for a log line, in whole segments: half a key that somebody has put there would pass for none."""
    if len(path) <= MAX_LOGGED_PATH:
        return path
    return path[: path.rfind("/", 0, MAX_LOGGED_PATH) + 1] + "…"


def _add_error_responses(app: QuartTrio, service: Service) -> None:
    @app.errorhandler(Kiro2ApiError)
    async def refuse(error: Kiro2ApiError) -> Response:
        life = get_life()
        life.fail(error)
        if life.report is None:
            reason = error.detail or error.message
            asked = f"{request.method} {_shorten_path(request.path)}"
            service.log.info(
                "refused", request_id=life.request_id, asked=asked, kind=error.kind.value, reason=reason[:200]
            )
        return build_error_response(request, error, request_id=life.request_id)

    @app.errorhandler(HTTPException)
    async def translate(error: HTTPException) -> Response:
        response = await refuse(_HTTP_ERRORS.get(error.code or 0, MalformedHttpError)())
        if allow := error.get_response().headers.get("allow"):
            response.headers["allow"] = allow
        return response

    @app.errorhandler(Exception)
    async def own_up(error: Exception) -> Response:
        service.log.error("request_failed", request_id=get_life().request_id, exc_info=error)
        return await refuse(InternalError(error))
