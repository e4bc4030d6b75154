"""From a parsed request to a response, whole or streamed.

Whatever dialect it came in, a request goes the same way from here: a place, a model, an exchange, the upstream, one
line of the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody

from kiro2api.auth.credentials import Want
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.complexity import Complexity, analyse_complexity
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.truncations import CutRun
from kiro2api.protocol.sessions import build_session_key, build_thread_key
from kiro2api.protocol.turn import Answer
from kiro2api.protocol.usage import Calibration
from kiro2api.routes.admission import Client
from kiro2api.routes.life import RequestLife, ShuttingDownError
from kiro2api.routes.pump import Relay, open_stream
from kiro2api.routes.service import Service
from kiro2api.routes.truncations import TruncationBook
from kiro2api.upstream import Attempts
from kiro2api.upstream.sinks import Sink

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would collect events otherwise
}
JSON_HEADERS = {"content-type": "application/json"}
MODEL_HEADER = "x-kiro2api-model"
"""Tells the client which model answers in the place of the one that it has asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A client's request, parsed."""

    dialect: str
    conversation: Conversation
    stream: bool
    new_stream_renderer: Callable[[], Renderer]
    render_answer: Callable[[Answer], bytes]
    ping: bytes
    """A sign of life in a stream, which means nothing."""


async def answer(service: Service, life: RequestLife, call: Call) -> Response:
    """The response to ``call``; the request's one log line is written when it is over.

    Raises:
        Kiro2ApiError: It failed before anything of an answer was there.
    """
    attempts = Attempts()
    complexity = analyse_complexity(call.conversation)
    record = _Record(service, call, complexity, attempts)
    life.report = record.write
    if service.is_draining:
        raise ShuttingDownError
    model = record.model = service.catalog.resolve(call.conversation.model, listed=service.broker.list_models())
    client = Client(address=request.remote_addr or "", session=call.conversation.session_id)
    await service.admission.enter(life, client)
    renderer = call.new_stream_renderer if call.stream else partial(FoldRenderer, call.render_answer)
    sent_headers = {name.lower(): value for name, value in request.headers.items()}
    thread = build_thread_key(call.conversation, sent_headers)
    work = partial(_build_exchange, service, call, model, renderer, service.truncations.find_run(thread))
    exchange = record.exchange = await service.intake.compute(life, work)
    relay = partial(
        service.upstream.relay,
        exchange,
        want=Want(session=build_session_key(call.conversation, sent_headers), model=model.upstream_id),
        silence=service.silence[complexity],
        attempts=attempts,
    )
    relay = partial(_relay_and_record, service.truncations, thread, exchange, relay)
    relay = partial(_relay_and_measure, service.calibration, exchange, relay)
    headers = (STREAM_HEADERS if call.stream else JSON_HEADERS) | _name_fallback(model)
    if call.stream and not service.disable_stream:
        body = await open_stream(service, life, exchange, relay, ping=call.ping)
        return _build_response(body, headers)
    return _build_response(await _collect(life, relay), headers)


async def _relay_and_record(book: TruncationBook, thread: str, exchange: Exchange, relay: Relay, sink: Sink) -> None:
    """Relays, and has recorded what was cut when the client hears of the end, as its next request may come at once."""
    before = exchange.cut_run
    try:
        await relay(sink)
    finally:
        if exchange.cut_run != before:
            book.record_run(thread, exchange.cut_run)


async def _relay_and_measure(calibration: Calibration, exchange: Exchange, relay: Relay, sink: Sink) -> None:
    """Relays, and has the estimates for the next requests corrected by what the upstream counted."""
    try:
        await relay(sink)
    finally:
        if exchange.measurement is not None:
            calibration.receive(exchange.measurement)


def _name_fallback(model: ResolvedModel) -> dict[str, str]:
    return {} if model.fallback_for is None else {MODEL_HEADER: model.upstream_id}


def _build_exchange(
    service: Service,
    call: Call,
    model: ResolvedModel,
    new_renderer: Callable[[], Renderer],
    cut_run: CutRun | None,
) -> Exchange:
    return Exchange(
        conversation=call.conversation,
        model=model,
        conversation_id=call.conversation.session_id or service.new_conversation_id(),
        new_renderer=new_renderer,
        max_tool_description_length=service.max_tool_description_length,
        cut_run=cut_run,
        find_correction=partial(service.calibration.find_correction, model.upstream_id),
    )


class _Collector:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def offer(self, data: bytes) -> bool:
        self.parts.append(data)
        return True

    async def flush(self) -> None:
        """There is always room."""


async def _collect(life: RequestLife, relay: Relay) -> bytes:
    collector = _Collector()
    with life.work:
        await relay(collector)
    if life.abort_error is not None and life.work.cancelled_caught:
        raise life.abort_error
    return b"".join(collector.parts)


def _build_response(body: bytes | ResponseBody, headers: Mapping[str, str]) -> Response:
    response = Response(body, headers=dict(headers))
    response.timeout = None  # the framework's own limit would cut a stream without a word
    return response


class _Record:
    """What the log says about an exchange, in one line at its end."""

    def __init__(self, service: Service, call: Call, complexity: Complexity, attempts: Attempts) -> None:
        self._service = service
        self._call = call
        self._complexity = complexity
        self._attempts = attempts
        self.exchange: Exchange | None = None
        self.model: ResolvedModel | None = None

    def write(self, life: RequestLife) -> None:
        fields = self._describe(life)
        if self.model is not None and self.model.fallback_for is not None:
            fields["model_fallback"] = self.model.upstream_id
        if self.exchange is not None:
            fields |= _describe_exchange(self.exchange)
        if life.outcome in {"completed", "client_disconnected"}:
            self._service.log.info("exchange", **fields)
        else:
            self._service.log.warning("exchange", **fields)

    def _describe(self, life: RequestLife) -> dict[str, object]:
        attempts, now = self._attempts, trio.current_time()
        first = attempts.first_byte_at
        return {
            "request_id": life.request_id,
            "dialect": self._call.dialect,
            "model": self._call.conversation.model[:100],
            "stream": self._call.stream,
            "complexity": self._complexity.value,
            "outcome": life.outcome or "cancelled",
            "credential": attempts.credential,
            "choice": attempts.choice,
            "upstream_host": attempts.host,
            "upstream_status": attempts.status,
            "upstream_request_id": attempts.request_id,
            "upstream_calls": attempts.calls,
            **({"failed_attempts": attempts.failures} if attempts.failures else {}),
            "first_byte_ms": None if first is None else round((first - life.began_at) * 1000),
            "duration_ms": round((now - life.began_at) * 1000),
            "bytes_received": attempts.received,
            "bytes_sent": life.sent,
        } | _describe_exceptions(life)


def _describe_exceptions(life: RequestLife) -> dict[str, object]:
    fields: dict[str, object] = {}
    if life.waited:
        fields["waited_ms"] = round(life.waited * 1000)
    if life.error is not None:
        fields["failure"] = life.error.detail or life.error.message
    return fields


def _describe_exchange(exchange: Exchange) -> dict[str, object]:
    usage = exchange.usage
    fields: dict[str, object] = {
        "input_tokens": usage.total_input_tokens,
        "output_tokens": usage.output_tokens,
        "usage_source": usage.source.value,
        "estimated_input_tokens": exchange.estimated_input,
        "stop_reason": None if exchange.stop_reason is None else exchange.stop_reason.value,
    }
    optional = {
        "credits": exchange.credits,
        "repairs": list(exchange.repairs),
        "ignored_events": exchange.ignored,
    }
    fields |= {name: value for name, value in optional.items() if value}
    if exchange.stop_reason is not None and not exchange.has_trailers:
        fields["no_trailers"] = True
    return fields
