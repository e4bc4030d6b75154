"""From a parsed request to a response, whole or streamed.

A streamed answer is made by a *pump* task in the request's nursery and travels to the response body through a bounded
channel. A client that reads slowly thereby slows the pump, and the pump the upstream. The response's head waits for the
first bytes of the answer, so that an early failure still gets its own status; when nothing has come for as long as a
client should be left without a sign of life, the head goes out, and from then on a failure is told inside the stream.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody

from kiro2api.auth.credentials import Want
from kiro2api.errors import Kiro2ApiError
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
from kiro2api.routes.service import Service
from kiro2api.routes.truncations import TruncationBook
from kiro2api.upstream import Attempts

CHANNEL_SIZE = 16
"""Upstream reads that may wait for a client; one has 64 KiB at most."""

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


class InternalError(Kiro2ApiError):
    """Our own defect; the text says nothing, the log says all."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("Internal error of the proxy.", detail=repr(cause))


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
        body = await _open_stream(service, life, call, exchange, relay)
        return _build_response(body, headers)
    return _build_response(await _collect(life, relay), headers)


async def _relay_and_record(
    book: TruncationBook, thread: str, exchange: Exchange, relay: "Relay", deliver: "Deliver"
) -> None:
    """Relays, and has recorded what was cut when the client hears of the end, as its next request may come at once."""
    before = exchange.cut_run
    try:
        await relay(deliver)
    finally:
        if exchange.cut_run != before:
            book.record_run(thread, exchange.cut_run)


async def _relay_and_measure(calibration: Calibration, exchange: Exchange, relay: "Relay", deliver: "Deliver") -> None:
    """Relays, and has the estimates for the next requests corrected by what the upstream counted."""
    try:
        await relay(deliver)
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


class Relay(Protocol):
    """Gets the answer and delivers its bytes."""

    async def __call__(self, deliver: "Deliver") -> None: ...


class Deliver(Protocol):
    """Takes the next bytes of an answer."""

    async def __call__(self, data: bytes, /) -> None: ...


async def _collect(life: RequestLife, relay: Relay) -> bytes:
    parts: list[bytes] = []

    async def deliver(data: bytes) -> None:
        parts.append(data)

    with life.work:
        await relay(deliver)
    if life.abort_error is not None and life.work.cancelled_caught:
        raise life.abort_error
    return b"".join(parts)


async def _open_stream(
    service: Service, life: RequestLife, call: Call, exchange: Exchange, relay: Relay
) -> ResponseBody:
    send, receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)
    pump = _Pump(life, exchange, relay, send, service)
    life.nursery.start_soon(pump.run)
    with trio.move_on_after(service.ping_seconds):
        await pump.decided.wait()
    if pump.failure is not None:
        raise pump.failure
    first = pump.commit()
    return EventBody(receive, first, call.ping, service.ping_seconds)


class _Pump:
    """Fills the channel with the answer; never raises, since its failure would cut the response off."""

    def __init__(
        self,
        life: RequestLife,
        exchange: Exchange,
        relay: Relay,
        send: trio.MemorySendChannel[bytes],
        service: Service,
    ) -> None:
        self._life = life
        self._exchange = exchange
        self._relay = relay
        self._send = send
        self._log = service.log
        self._is_committed = False
        self.decided = trio.Event()
        """Set when the first bytes of the answer are there, or it is certain that there will be none."""
        self.failure: Kiro2ApiError | None = None
        """Why there will be none; not set any more once the response is committed."""

    def commit(self) -> bytes:
        """Promises the client a stream; returns what it begins with if the answer itself has not begun."""
        self._is_committed = True
        return b"" if self.decided.is_set() else self._exchange.open()

    async def run(self) -> None:
        """Relays until the answer is over, then closes the channel."""
        with self._send:
            error: Kiro2ApiError | None = None
            try:
                with self._life.work:
                    await self._relay(self._deliver)
                if self._life.work.cancelled_caught:
                    error = self._life.abort_error
            except Kiro2ApiError as failure:
                error = failure
            except trio.BrokenResourceError:
                return  # the response is over before its body is: nobody is left to be told
            except Exception as defect:  # noqa: BLE001  told to the client and to the log; see the class
                self._log.error("pump_failed", request_id=self._life.request_id, exc_info=defect)
                error = InternalError(defect)
            if error is not None:
                await self._fail(error)

    async def _deliver(self, data: bytes) -> None:
        self.decided.set()
        await self._send.send(data)

    async def _fail(self, error: Kiro2ApiError) -> None:
        self._life.fail(error)
        if self._is_committed or self.decided.is_set():
            await self._send.send(self._exchange.render_failure(error))
        else:
            self.failure = error
            self.decided.set()


class EventBody(ResponseBody):
    """A streamed response body: what waits in the channel goes out in one write, silence is broken by pings."""

    def __init__(
        self, receive: trio.MemoryReceiveChannel[bytes], first: bytes, ping: bytes, ping_seconds: float
    ) -> None:
        self._receive = receive
        self._first = first
        self._ping = ping
        self._ping_seconds = ping_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._receive.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first + self._ping
        data: bytes | None = None
        with trio.move_on_after(self._ping_seconds):
            try:
                data = await self._receive.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return self._ping if data is None else data + self._receive_waiting()

    def _receive_waiting(self) -> bytes:
        parts: list[bytes] = []
        try:
            while len(parts) < CHANNEL_SIZE:
                parts.append(self._receive.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        return b"".join(parts)


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
