"""HTTP/2 as hypercorn speaks it, with backpressure, and with an end for every stream.

A stream that the application leaves unfinished is reset, and so is one whose client takes nothing for too long; the
connection's other streams go on. What a client sends on a stream that is over is counted and dropped.
"""

from contextlib import suppress
from functools import partial

import h2.events
import h2.exceptions
import h2.settings
import trio
from h2.errors import ErrorCodes
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Body, InformationalResponse, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ConnectionState
from hypercorn.utils import filter_pseudo_headers
from hyperframe.frame import GoAwayFrame
from priority.priority import MissingStreamError

from kiro2api.edge.buffers import HIGH_WATER, Backlog, Frames, StalledError
from kiro2api.edge.refusals import MAX_HEAD_BYTES, RefusedHeadError, check_size, render_refusal
from kiro2api.edge.terms import EdgeConfig
from kiro2api.routes.life import INVITE_BODY

MAX_REQUESTS = 1000
"""Of one connection, which then takes no more: bounds what a client can do by opening and resetting streams."""
MAX_STREAMS = 100
"""At once on one connection."""
WINDOW_BYTES = 1_048_576
"""That a client may send on a stream before it hears from us: HTTP/2's own 64 KiB allow 1.3 MB/s at 50 ms."""


class Http2Protocol(H2Protocol):
    """One connection's streams."""

    config: EdgeConfig  # type: ignore[mutable-override]  # nobody sets another one
    is_unread = True
    """When it ends by an error, the client may be sending what nobody will read."""

    async def initiate(self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None) -> None:
        self.connection.incoming_buffer = Frames(server=True)
        # Without hypercorn's offer of extended CONNECT.
        self.connection.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
            },
        )
        self._uploading: set[int] = set()
        """Streams whose request has not ended."""
        await super().initiate(headers, settings)
        self.connection.increment_flow_control_window(WINDOW_BYTES)
        await self._flush()

    async def handle(self, event: ConnectionEvent) -> None:
        await super().handle(event)
        if isinstance(event, Closed):
            for stream_id in list(self.stream_buffers):
                await self._forget(stream_id)

    async def say_goodbye(self) -> None:
        """Tells the client to open new streams elsewhere; those that are open go on.

        h2 itself would take the connection for closed: the frame goes past it.
        """
        frame = GoAwayFrame(0, last_stream_id=self.connection.highest_inbound_stream_id)
        await self._flush()
        await self.send(RawData(data=frame.serialize()))

    async def end_streams(self) -> None:
        """Resets whatever is open."""
        for stream_id in list(self.streams):
            await self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)
            await self._leave(stream_id)

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Body) and event.stream_id not in self.stream_buffers:
            await trio.lowlevel.checkpoint()  # where an application that only writes learns that it is cancelled
        if isinstance(event, Response):
            await self._send_head(event)
            return
        if isinstance(event, StreamClosed):
            buffer = self.stream_buffers.get(event.stream_id)
            if buffer is not None and not buffer.complete:
                await self._reset(event.stream_id, ErrorCodes.INTERNAL_ERROR)
        try:
            await super().stream_send(event)
        except StalledError:
            self.config.faults.report("client_stalled")
            await self._reset(event.stream_id, ErrorCodes.CANCEL)
            await self._leave(event.stream_id)
            await trio.lowlevel.checkpoint()  # where the application learns that it is over

    async def _send_head(self, response: Response) -> None:
        status = (b":status", b"%d" % response.status_code)
        fields = [status, *response.headers, *self.config.response_headers("h2")]
        try:
            self.connection.send_headers(response.stream_id, fields)
        except h2.exceptions.ProtocolError:  # the client has gone, or the head cannot be written in this version
            await self._reset(response.stream_id, ErrorCodes.INTERNAL_ERROR)
            await self._leave(response.stream_id)
        else:
            await self._flush()

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        given_up = {event.stream_id for event in events if isinstance(event, h2.events.StreamReset)}
        for event in events:
            match event:
                case h2.events.RequestReceived():
                    await self._receive_request(event, is_given_up=event.stream_id in given_up)
                case h2.events.DataReceived() if event.stream_id not in self.streams:
                    with suppress(h2.exceptions.ProtocolError):
                        self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamReset():
                    await self._forget(event.stream_id)
                    await self._leave(event.stream_id)
                case _:
                    if isinstance(event, h2.events.StreamEnded):
                        self._uploading.discard(event.stream_id)
                    await super()._handle_events([event])
        await self._flush()

    async def _receive_request(self, event: h2.events.RequestReceived, *, is_given_up: bool) -> None:
        if self.context.terminated.is_set() or self.keep_alive_requests >= MAX_REQUESTS:
            await self._reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        if not is_given_up:
            if event.stream_ended is None:
                self._uploading.add(event.stream_id)
            try:
                await self._create_stream(event)
            except RefusedHeadError as refusal:
                await self._refuse(event.stream_id, refusal.status)
            await self.send(Updated(idle=self.idle))
        self.keep_alive_requests += 1
        if self.keep_alive_requests == MAX_REQUESTS:
            await self.say_goodbye()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        method, path = _read_pseudo_fields(request.headers)
        stream_id = request.stream_id
        self.streams[stream_id] = stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            stream_id,
        )
        self.stream_buffers[stream_id] = Backlog(self.context.event_class, seconds=self.config.send_seconds)
        self.priority.insert_stream(stream_id)
        self.priority.block(stream_id)
        state = ConnectionState({INVITE_BODY: partial(self._invite_body, stream_id)})
        headers = filter_pseudo_headers(request.headers)
        await stream.handle(
            Request(stream_id=stream_id, headers=headers, http_version="2", method=method, raw_path=path, state=state)
        )

    async def _invite_body(self, stream_id: int) -> None:
        """Tells a client to go on that sends its body only when asked to."""
        if stream_id in self._uploading:
            await self.stream_send(InformationalResponse(stream_id=stream_id, headers=[], status_code=100))

    async def _refuse(self, stream_id: int, status: int) -> None:
        fields, body = render_refusal(status)
        with suppress(h2.exceptions.ProtocolError):
            self.connection.send_headers(stream_id, [(b":status", b"%d" % status), *fields])
            self.connection.send_data(stream_id, body, end_stream=True)
        self._stop_upload(stream_id)

    async def _priority_updated(self, event: h2.events.PriorityUpdated) -> None:
        """Nothing: RFC 9113 (5.3) has given priorities up, and hypercorn would remember each stream they name."""

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers[stream_id]  # forgotten with its place in the tree that chose it
        try:
            window = self.connection.local_flow_control_window(stream_id)
            data = await buffer.pop(max(0, min(window, self.connection.max_outbound_frame_size, HIGH_WATER)))
            if data or buffer.complete:
                self.connection.send_data(stream_id, data, end_stream=buffer.complete)
            else:
                self.priority.block(stream_id)
            if buffer.complete:
                await self._forget(stream_id)
                self._stop_upload(stream_id)
        except h2.exceptions.ProtocolError:
            await self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)
        await self._flush()

    def _stop_upload(self, stream_id: int) -> None:
        """Asks a client that has its whole answer not to send the rest of its request (RFC 9113, 8.1)."""
        if stream_id in self._uploading:
            self._uploading.discard(stream_id)
            with suppress(h2.exceptions.ProtocolError):
                self.connection.reset_stream(stream_id, ErrorCodes.NO_ERROR)

    async def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        await self._forget(stream_id)
        with suppress(h2.exceptions.ProtocolError):  # it is over anyway
            self.connection.reset_stream(stream_id, code)
        await self._flush()

    async def _forget(self, stream_id: int) -> None:
        """Nothing more is sent on a stream."""
        buffer = self.stream_buffers.pop(stream_id, None)
        if buffer is not None:
            await buffer.close()
        with suppress(MissingStreamError):
            self.priority.remove_stream(stream_id)

    async def _leave(self, stream_id: int) -> None:
        """Tells the application that its client is gone."""
        self._uploading.discard(stream_id)
        await self._close_stream(stream_id)
        await self.send(Updated(idle=self.idle))


def _read_pseudo_fields(fields: list[tuple[bytes, bytes]]) -> tuple[str, bytes]:
    """Method and path.

    Raises:
        RefusedHeadError: The head is not served.
    """
    check_size(fields)
    found = dict(fields)
    method, path = found.get(b":method", b""), found.get(b":path", b"")
    if method == b"CONNECT":
        raise RefusedHeadError(501)
    if not (method.isascii() and path.isascii() and path):
        raise RefusedHeadError(400)
    return method.decode().upper(), path
