"""HTTP/1.1 as hypercorn speaks it, without what a peer could abuse.

No protocol is switched to on request: an ``Upgrade`` is ignored, as RFC 9110 (7.8) allows. A head whose framing is
ambiguous is answered with 400, and nothing behind it is served.
"""

from collections.abc import Callable
from dataclasses import replace

import h11
import trio
from hypercorn.events import Closed
from hypercorn.protocol.events import Body, EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H2ProtocolAssumedError, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ConnectionState

from kiro2api.edge.refusals import MAX_HEAD_BYTES, RefusedHeadError, check_size, render_refusal
from kiro2api.edge.terms import EdgeConfig
from kiro2api.routes.life import INVITE_BODY, NEW_SINK, MeasuringSink

PIPELINED_BYTES = 65_536
"""Of what follows a request that is still being answered: so much is kept, to go on seeing whether the client is
there. Beyond it the connection is not read until the answer has ended."""

_FINAL = 200
_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"


class Parser(h11.Connection):
    """h11's parser; it keeps quiet about two things on which hypercorn would act too early."""

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Never: whether a body is wanted is not known before the key has been looked at."""
        return False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """A next request that has to wait leaves the reader free to read on, within limits."""
        event = super().next_event()
        if event is h11.PAUSED and len(self.trailing_data[0]) <= PIPELINED_BYTES:
            return h11.NEED_DATA
        return event


class Http1Protocol(H11Protocol):
    """One connection's requests, one after the other."""

    config: EdgeConfig  # type: ignore[mutable-override]  # nobody sets another one
    connection: Parser  # type: ignore[mutable-override]  # nor another one for WebSocket
    new_sink: Callable[[], MeasuringSink] | None = None
    """Makes what takes an answer's body the short way, where there is one."""

    async def initiate(self) -> None:
        self.connection = Parser(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        # Events come from the reader, and from the end of an answer when the next request has come already.
        self._turn = trio.Lock()
        await super().initiate()

    @property
    def is_unread(self) -> bool:
        """Whether the client may be sending what nobody will read."""
        return self.connection.their_state in {h11.SEND_BODY, h11.ERROR}

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and event.status_code >= _FINAL and self.context.terminated.is_set():
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _handle_events(self) -> None:
        async with self._turn:
            try:
                await super()._handle_events()
            except RefusedHeadError as refusal:
                await self._send_error_response(refusal.status)
                await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Serves HTTP/1, switches to HTTP/2 for a client that begins with its preface, and refuses the rest.

        Raises:
            H2ProtocolAssumedError: The rest is HTTP/2.
            RefusedHeadError: It is not served.
        """
        if (event.method, event.target, event.http_version) == (b"PRI", b"*", b"2.0"):
            if not self.config.http2 or self.keep_alive_requests:
                raise RefusedHeadError(505)
            raise H2ProtocolAssumedError(_PREFACE + self.connection.trailing_data[0])
        if event.http_version not in {b"1.0", b"1.1"}:
            raise RefusedHeadError(505)
        if event.method == b"CONNECT":
            raise RefusedHeadError(501)
        names = {name for name, _ in event.headers}
        # RFC 9112 (6.1): what two readers may frame differently is used to smuggle a second request past one of them.
        if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
            raise RefusedHeadError(400)
        check_size(event.headers)

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=ConnectionState(self._build_state(request)),
            )
        )
        self.keep_alive_requests += 1

    def _build_state(self, request: h11.Request) -> dict[str, object]:
        state: dict[str, object] = {INVITE_BODY: self._invite_body}
        if self.new_sink is not None and request.http_version == b"1.1" and request.method != b"HEAD":
            state[NEW_SINK] = self.new_sink
        return state

    async def _invite_body(self) -> None:
        """Tells a client to go on that sends its body only when asked to."""
        if self.connection.client_is_waiting_for_100_continue:
            await self.stream_send(Response(stream_id=STREAM_ID, headers=[], status_code=100))

    async def _maybe_recycle(self) -> None:
        await super()._maybe_recycle()
        if self.connection.our_state is h11.IDLE and self.connection.trailing_data[0]:
            self.task_group.spawn(self._handle_events)

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = render_refusal(status_code)
        await self.stream_send(
            Response(stream_id=STREAM_ID, headers=[*headers, (b"connection", b"close")], status_code=status_code)
        )
        await self.stream_send(Body(stream_id=STREAM_ID, data=body))
        await self.stream_send(EndBody(stream_id=STREAM_ID))
