"""httpx's view of the direct way: requests in, answers out, every failure under httpx's name for it."""

import math
import ssl
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Final, Self

import httpx
import trio

from kiro2api.upstream.direct.bodies import Body, EndlessBody, select_body
from kiro2api.upstream.direct.connections import Connection, IdleConnections, Origin, open_connection
from kiro2api.upstream.direct.heads import (
    HEAD_END,
    MAX_HEAD_BYTES,
    MalformedMessageError,
    ResponseHead,
    encode_head,
    parse_head,
)

PIECES: Final = "kiro2api.pieces"
"""Among the extensions of a response: its body, without httpx's own three generators around it."""

_FAILURES: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, MalformedMessageError)
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FINAL_STATUS: Final = 200
"""Below it an answer only announces another one."""


class AnswerStream(httpx.AsyncByteStream):
    """The body of an answer, a piece for each read; closing it gives the connection back, or closes that too."""

    def __init__(
        self,
        connection: Connection,
        body: Body,
        first: bytes,
        *,
        idle: IdleConnections | None,
        seconds: float | None,
    ) -> None:
        self._connection = connection
        self._body = body
        self._first = first
        self._idle = idle
        self._seconds = seconds
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        while not body.is_over:
            try:
                data, self._first = self._first or await self._read(), b""
                if not data:
                    body.receive_eof()
                elif piece := body.receive_data(data):
                    return piece
            except _FAILURES as error:
                raise _translate(error, httpx.ReadError) from error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._is_closed:  # the connection may be another request's by now
            return
        self._is_closed = True
        if self._idle is not None and self._body.is_over and not (self._body.has_surplus or self._first):
            self._idle.give(self._connection)
        else:
            self._connection.close()

    async def _read(self) -> bytes:
        if self._seconds is None:
            return await self._connection.read()
        return await _within(self._seconds, httpx.ReadTimeout, self._connection.read())


class DirectTransport(httpx.AsyncBaseTransport):
    """Requests straight to the server that their address names, over HTTP/1.1, with connections that are used again.

    Args:
        max_idle: Connections that wait for a request; in use may be as many as there are requests.
        idle_seconds: That one may wait.
        context: For TLS; by default httpx's own, made when it is first needed, as that takes a while.
    """

    def __init__(self, *, max_idle: int, idle_seconds: float, context: ssl.SSLContext | None = None) -> None:
        self._idle = IdleConnections(max_count=max_idle, seconds=idle_seconds)
        self._context = context

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        self._idle.close()

    def count_idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to ``request``, its body still on its way; the caller closes it.

        Raises:
            httpx.TransportError: There is none.
        """
        limits = request.extensions.get("timeout", {})
        origin, sent_head = _find_origin(request.url), _encode_head(request)
        connection = self._idle.take(origin) or await self._connect(origin, limits.get("connect"))
        try:
            is_sent = await _send(connection, sent_head, request.stream, limits.get("write"))
            head, rest = await _within(limits.get("read"), httpx.ReadTimeout, _receive_head(connection))
            body = select_body(head, method=request.method)
        except _FAILURES as error:
            connection.close()
            raise _translate(error, httpx.ReadError) from error
        except BaseException:
            connection.close()
            raise
        is_reusable = is_sent and head.keeps_alive and not isinstance(body, EndlessBody)
        idle = self._idle if is_reusable else None
        stream = AnswerStream(connection, body, rest, idle=idle, seconds=limits.get("read"))
        return httpx.Response(
            head.status,
            headers=list(head.fields),
            stream=stream,
            extensions={"http_version": b"HTTP/1.1", PIECES: stream},
        )

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        context = self._find_context() if origin.scheme == "https" else None
        try:
            return await _within(seconds, httpx.ConnectTimeout, open_connection(origin, context))
        except _FAILURES as error:
            raise _translate(error, httpx.ConnectError) from error

    def _find_context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = httpx.create_ssl_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


def _encode_head(request: httpx.Request) -> bytes:
    """The head of ``request``, whose body is sent as it is.

    Raises:
        httpx.LocalProtocolError: The server would take it for something else.
    """
    if "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("a request's body needs a length that is known")
    fields = [(name.lower(), value) for name, value in request.headers.raw]
    try:
        return encode_head(request.method.encode(), request.url.raw_path, fields)
    except ValueError as error:
        raise httpx.LocalProtocolError(str(error)) from error


async def _send(connection: Connection, head: bytes, stream: object, seconds: float | None) -> bool:
    """Whether all of the request is out: a server may answer, and close, before it has read it all."""
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("a request over Trio has a body that can be read there")
    try:
        async for part in stream:
            await _within(seconds, httpx.WriteTimeout, connection.write(head + part))
            head = b""
        if head:
            await _within(seconds, httpx.WriteTimeout, connection.write(head))
    except trio.BrokenResourceError:
        return False
    return True


async def _receive_head(connection: Connection) -> tuple[ResponseHead, bytes]:
    """The head of the answer, and what has come behind it."""
    data = b""
    while True:
        end = data.find(HEAD_END) + len(HEAD_END)
        if end < len(HEAD_END):
            if len(data) > MAX_HEAD_BYTES:
                raise MalformedMessageError("the answer's head has no end")
            more = await connection.read()
            if not more:
                raise MalformedMessageError("the connection ended before an answer")
            data += more
            continue
        head = parse_head(data[:end])
        data = data[end:]
        if head.status >= _FIRST_FINAL_STATUS:
            return head, data


def _find_origin(url: httpx.URL) -> Origin:
    port = url.port or _PORTS[url.scheme]
    return Origin(scheme=url.scheme, host=url.raw_host.decode("ascii"), port=port)


async def _within[T](seconds: float | None, kind: type[httpx.TimeoutException], work: Awaitable[T]) -> T:
    """What comes of ``work``, or an error of that kind if nothing does in so long."""
    with trio.move_on_after(math.inf if seconds is None else seconds):
        return await work
    raise kind(f"nothing for {seconds:g} seconds")


def _translate(error: Exception, kind: type[httpx.NetworkError]) -> httpx.TransportError:
    """What httpx calls a failure of a socket, which is of that kind, or of the protocol."""
    return (httpx.RemoteProtocolError if isinstance(error, MalformedMessageError) else kind)(str(error))
