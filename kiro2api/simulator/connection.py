"""One HTTP/1.1 connection: requests in, scripts played out, and a peer that leaves noticed at once.

While an answer is written, a second task reads the socket; what it reads is the beginning of the next request or the
end of the connection. A peer that only closes its sending side counts as gone: no HTTP client does that and waits.
"""

import json
import socket
import struct
from collections.abc import Callable
from typing import assert_never
from urllib.parse import parse_qsl

import h11
import trio

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.addresses import split_region
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import (
    Cut,
    CutBeforeHead,
    End,
    ErrorFrame,
    Event,
    ExceptionFrame,
    Hang,
    HangBeforeHead,
    Head,
    Pause,
    Proceed,
    Respond,
    Script,
    Send,
    Silence,
    WaitFor,
    add_head,
    encode_frame,
)
from kiro2api.simulator.service import draw_request_id

READ_BYTES = 65_536
MAX_HEAD_BYTES = 65_536
"""Of a request's line and headers."""


type Answer = Callable[[Record], Script]


class Connection:
    """One connection of a peer; the caller closes ``stream``.

    Args:
        stream: The peer.
        admit: Takes note of a request that has arrived, and says how it is answered.
        proceed: How the same request is answered when no script of a test's says otherwise.
    """

    def __init__(self, stream: trio.SocketStream, *, admit: Answer, proceed: Answer) -> None:
        self._stream = stream
        self._admit = admit
        self._proceed = proceed
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def serve(self) -> None:
        """Requests are answered one after the other until either side closes; faults of the peer end it quietly."""
        try:
            await self._serve_requests()
        except trio.BrokenResourceError:
            return

    async def _serve_requests(self) -> None:
        try:
            while (record := await self._receive_request()) is not None:
                if not await self._answer(record) or self._h11.our_state is not h11.DONE:
                    return
                self._h11.start_next_cycle()
        except h11.RemoteProtocolError as error:
            headers = [("content-length", "0"), ("connection", "close")]
            await self._send(h11.Response(status_code=error.error_status_hint, headers=headers))

    async def _receive_request(self) -> Record | None:
        """The next request with its whole body, or ``None`` when the peer has closed."""
        request: h11.Request | None = None
        parts: list[bytes] = []
        while True:
            event = self._h11.next_event()
            match event:
                case h11.NEED_DATA:
                    if self._h11.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._h11.receive_data(await self._stream.receive_some(READ_BYTES))
                case h11.Request():
                    request = event
                case h11.Data():
                    parts.append(bytes(event.data))
                case h11.EndOfMessage() if request is not None:
                    return _build_record(request, b"".join(parts))
                case _:
                    return None

    async def _answer(self, record: Record) -> bool:
        """Whether the answer went out whole, so that the connection can go on."""
        whole = False
        script = self._admit(record)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, record, nursery.cancel_scope)
                whole = await self._play(script, record)
                if whole and record.grant is not None:
                    record.grant.written = True
                record.finish("whole" if whole else "cut_by_us")
                nursery.cancel_scope.cancel("answered")
        except* trio.BrokenResourceError:
            record.finish("cut_by_peer")
        finally:
            record.finish("cut_by_us")
        return whole and record.outcome == "whole"

    async def _watch(self, record: Record, scope: trio.CancelScope) -> None:
        """Ends the answer when the peer leaves."""
        try:
            while data := await self._stream.receive_some(READ_BYTES):
                self._h11.receive_data(data)
        except trio.ClosedResourceError:
            return
        except trio.BrokenResourceError:
            pass
        record.finish("cut_by_peer")
        scope.cancel("the peer has left")

    async def _play(self, script: Script, record: Record) -> bool:
        """Whether the answer is whole; otherwise the connection has to be closed hard."""
        for step in add_head(script):
            match step:
                case Head():
                    await self._send_head(step, record)
                case Respond():
                    await self._respond(step, record)
                    break
                case Send():
                    await self._send(h11.Data(data=step.data))
                case Event() | ExceptionFrame() | ErrorFrame():
                    await self._send(h11.Data(data=encode_frame(step)))
                case Pause() | WaitFor() | Hang() | HangBeforeHead():
                    await _keep_silent(step)
                case Cut() | CutBeforeHead():
                    self._cut(reset=step.reset)
                    return False
                case Proceed():
                    return await self._play(self._take_effect(step, record), record)
                case End():
                    break
                case _:
                    assert_never(step)
        await self._send(h11.EndOfMessage())
        return True

    def _take_effect(self, step: Proceed, record: Record) -> Script:
        """What follows ``step``; a request whose sender has left changes nothing."""
        if self._has_peer_left():
            record.finish("cut_by_peer")
            return [CutBeforeHead()]
        return [*step.hold, *add_head(self._proceed(record))]

    async def _send_head(self, head: Head, record: Record) -> None:
        record.status = head.status
        headers = {"x-amzn-requestid": draw_request_id(), **head.headers}
        await self._send(h11.Response(status_code=head.status, headers=list(headers.items())))

    async def _respond(self, answer: Respond, record: Record) -> None:
        length = {"content-length": str(len(answer.body))}
        await self._send_head(Head(answer.status, {**answer.headers, **length}), record)
        if record.method != "HEAD":
            await self._send(h11.Data(data=answer.body))

    async def _send(self, event: h11.Event) -> None:
        """``event`` on the wire; a peer that has gone raises :exc:`trio.BrokenResourceError`."""
        data = self._h11.send(event)
        if data:
            await self._stream.send_all(data)

    def _has_peer_left(self) -> bool:
        """Whether the peer is known to have closed, be it so lately that the watching task has not heard of it."""
        with socket.fromfd(self._stream.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as peeking:
            try:
                return not peeking.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True

    def _cut(self, *, reset: bool) -> None:
        """The socket is closed, with a RST if ``reset``; the kernel drops what it has not sent then."""
        if reset:
            # Lingering for no time at all turns the FIN into a RST: socket(7).
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()


async def _keep_silent(step: Silence) -> None:
    match step:
        case Pause():
            await trio.sleep(step.seconds)
        case WaitFor():
            await step.event.wait()
        case Hang() | HangBeforeHead():
            await trio.sleep_forever()
        case _:
            assert_never(step)


def _build_record(request: h11.Request, raw: bytes) -> Record:
    address, _, query = request.target.decode("ascii").partition("?")
    path, region = split_region(address)
    return Record(
        time=trio.current_time(),
        method=request.method.decode("ascii"),
        path=path,
        query=dict(parse_qsl(query)),
        region=region,
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in request.headers},
        raw=raw,
        body=_read_json(raw),
    )


def _read_json(raw: bytes) -> JSON:
    try:
        body: JSON = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body
