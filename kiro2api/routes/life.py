"""A request's life: the nursery that owns all that is done for it, and what is known about it when it ends.

quart-trio runs a connection's two tasks side by side, one that receives (body, disconnect) and one that answers. Here
the answering one opens a nursery of the request's own around handler *and* response body, so that a task started by the
handler lives until the last byte is out and not a moment longer. A disconnect cancels the whole at once.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import trio
from quart import request
from quart.utils import encode_headers
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import TRY_AGAIN
from kiro2api.upstream.sinks import Sink

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
    from quart.typing import ResponseTypes
    from quart.wrappers.response import ResponseBody
    from quart_trio import QuartTrio

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a client may call its request: it ends up in the log."""

DRAINED_BYTES = 65_536
"""Of a body that nobody will read: up to here waiting for it is cheaper than a new connection."""
DRAIN_SECONDS = 0.25

INVITE_BODY = "kiro2api.invite_body"
"""In the state of a scope: what tells the client to go on that announced a body, and waits to be asked for it."""

NEW_SINK = "kiro2api.new_sink"
"""In the state of a scope: makes what takes an answer's body between its head and its end, past the server's layers.
Only there where that is possible: for HTTP/1.1 without TLS."""

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class MeasuringSink(Sink, Protocol):
    """A sink that knows how much it was given."""

    sent: int
    """Bytes."""


@runtime_checkable
class DirectBody(Protocol):
    """A response body that needs no server to be sent."""

    async def write_to(self, sink: Sink) -> None:
        """Writes all of it; returns when it is out."""
        ...


class ShuttingDownError(Kiro2ApiError):
    """The process ends before the answer does."""

    kind = ErrorKind.OVERLOADED
    retry_safe = True

    def __init__(self) -> None:
        super().__init__(f"The proxy is shutting down; {TRY_AGAIN}.", detail="shutdown")


class BodyTooLargeError(Kiro2ApiError):
    """The request's body exceeds the limit."""

    kind = ErrorKind.BODY_TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request body is larger than {limit} bytes.", detail=f"limit={limit}")


class BodyTimeoutError(Kiro2ApiError):
    """The request's body did not arrive in time."""

    kind = ErrorKind.BODY_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request body did not arrive within {seconds:.0f} seconds.", detail=f"limit={seconds}")


class IncomingBody:
    """A request's body while it arrives: kept up to a limit, beyond it read for nothing.

    Args:
        limit: Bytes that are kept.
        seconds: For all of it to arrive.
        is_expected: Whether the head announces one.
        invite: Asks for it, where the client waits to be asked.
    """

    def __init__(
        self, *, limit: int, seconds: float, is_expected: bool, invite: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._parts: list[bytes] = []
        self._size = 0
        self._settled = trio.Event()
        self._is_expected = is_expected
        self._is_whole = False
        self._invite = invite

    @property
    def is_pending(self) -> bool:
        """Whether bytes of it are still to come."""
        return self._is_expected and not self._is_whole

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._size

    def receive_data(self, data: bytes, *, more: bool) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
            self._settled.set()
        else:
            self._parts.append(data)
        if not more:
            self._is_whole = True
            self._settled.set()

    async def drain(self, announced: int | None) -> None:
        """Waits a moment for the rest of a small body, so that an early answer need not cost the connection."""
        if self.is_pending and self._invite is None and announced is not None and announced <= DRAINED_BYTES:
            with trio.move_on_after(DRAIN_SECONDS):
                await self._settled.wait()

    async def read(self, announced: int | None) -> list[bytes]:
        """The whole body, in pieces; ``announced`` is its ``content-length``, if it has one.

        Raises:
            BodyTooLargeError: At once when the announced length says so, else as soon as the limit is passed.
            BodyTimeoutError: The last byte did not come in time.
        """
        if announced is not None and announced > self._limit:
            raise BodyTooLargeError(self._limit)
        if self._invite is not None:
            await self._invite()
            self._invite = None
        with trio.move_on_after(self._seconds):
            await self._settled.wait()
        if self._size > self._limit:
            raise BodyTooLargeError(self._limit)
        if not self._is_whole:
            raise BodyTimeoutError(self._seconds)
        parts, self._parts = self._parts, []
        return parts


@dataclass(slots=True, kw_only=True, eq=False)
class RequestLife:
    """One request, from its head to the last byte of the answer."""

    request_id: str
    began_at: float
    """Trio's time."""
    nursery: trio.Nursery
    """Ends with the response; a task in it must not raise once the response has begun."""
    body: IncomingBody
    remembered: int = 0
    """Bytes of memory that hold the conversation it continues: work like that of its body."""
    outcome: str = ""
    """``completed``, ``client_disconnected``, or the kind of the error."""
    error: Kiro2ApiError | None = None
    """What the client was told instead of an answer, or of the rest of one."""
    sent: int = 0
    """Bytes of response body."""
    waited: float = 0.0
    """Seconds in line for a place."""
    held: ExitStack = field(default_factory=ExitStack)
    """What the request holds; given back, without awaiting, when its tasks have ended, however they end."""
    report: Callable[["RequestLife"], None] | None = None
    """Called once, synchronously, when all is over; also while being cancelled."""
    abort_error: Kiro2ApiError | None = None
    work: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Around the work for the answer, and not around its delivery: what is aborted can still say so."""

    def fail(self, error: Kiro2ApiError) -> None:
        """Notes how the request ended; what was noted first stays."""
        self.error = self.error or error
        self.outcome = self.outcome or error.kind.value

    def abort(self, error: Kiro2ApiError) -> None:
        """Ends the work for this request; the client is told ``error`` in whatever form is still possible."""
        self.abort_error = error
        self.work.cancel(error.detail)


class Lives:
    """The requests that are alive in this process, and what each new one is given.

    Args:
        new_request_id: Draws an id for a request whose client gives none.
        body_limit: Bytes of a request's body.
        body_seconds: From a request's head to the last byte of its body.
    """

    def __init__(self, *, new_request_id: Callable[[], str], body_limit: int, body_seconds: float) -> None:
        self._new_request_id = new_request_id
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._lives: set[RequestLife] = set()

    def __len__(self) -> int:
        return len(self._lives)

    def new_body(self, *, is_expected: bool, invite: Callable[[], Awaitable[None]] | None) -> IncomingBody:
        return IncomingBody(limit=self._body_limit, seconds=self._body_seconds, is_expected=is_expected, invite=invite)

    @contextmanager
    def open(
        self, request: Request, nursery: trio.Nursery, body: IncomingBody, held: ExitStack
    ) -> Iterator[RequestLife]:
        """A life that lasts as long as the block; its report is made on the way out, whatever the way."""
        given = request.headers.get("x-request-id", "")
        life = RequestLife(
            request_id=given if _REQUEST_ID.fullmatch(given) else self._new_request_id(),
            began_at=trio.current_time(),
            nursery=nursery,
            body=body,
            held=held,
        )
        self._lives.add(life)
        try:
            yield life
        finally:
            self._lives.discard(life)
            if life.report is not None:
                life.report(life)

    def abort(self, error: Kiro2ApiError) -> None:
        """Aborts every request that is alive now."""
        for life in tuple(self._lives):
            life.abort(error)


class LivingRequest(TrioRequest):
    """A request that knows its life."""

    life: RequestLife


def get_life() -> RequestLife:
    """The life of the request that is being handled."""
    return cast("LivingRequest", request).life


class LivingConnection(TrioASGIHTTPConnection):
    """quart-trio's handling of a request, with a :class:`RequestLife` around it."""

    def __init__(self, lives: Lives, app: "QuartTrio", scope: "HTTPScope") -> None:
        super().__init__(app, scope)
        self._lives = lives
        # HTTP/2 may send a body without announcing it, but needs no connection closed for one that is not read.
        headers = dict(scope["headers"])
        invite = None
        if headers.get(b"expect", b"").lower() == b"100-continue":
            invite = scope.get("state", {}).get(INVITE_BODY)
        self._new_sink: Callable[[], MeasuringSink] | None = scope.get("state", {}).get(NEW_SINK)
        self._body = lives.new_body(is_expected=not headers.keys().isdisjoint(_BODY_HEADERS), invite=invite)
        self._life: RequestLife | None = None
        self._is_finishing = False

    async def __call__(self, receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        async def send_watched(event: "ASGISendEvent") -> None:
            if event["type"] == "http.response.body":
                if self._life is not None:
                    self._life.sent += len(event["body"])
                # The server reports a disconnect of its own at the end of every response. From here on that must not
                # cancel this task, which is still inside the server's code.
                self._is_finishing = not event.get("more_body", False)
            await send(event)

        await super().__call__(receive, send_watched)

    async def _send_response(self, send: "ASGISendCallable", response: "ResponseTypes") -> None:
        body = getattr(response, "response", None)
        if self._new_sink is None or not isinstance(body, DirectBody):
            await super()._send_response(send, response)
            return
        headers = encode_headers(response.headers)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        sink = self._new_sink()
        try:
            async with cast("ResponseBody", body):
                await body.write_to(sink)
        finally:
            if self._life is not None:
                self._life.sent += sink.sent
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def handle_messages(  # type: ignore[override]  # as quart-trio's own, which differs from quart's
        self, nursery: trio.Nursery, request: Request, receive: "ASGIReceiveCallable"
    ) -> None:
        del request  # its own body stays empty: ours has limits
        while True:
            message = await receive()
            if message["type"] == "http.request":
                self._body.receive_data(message["body"], more=message["more_body"])
            elif message["type"] == "http.disconnect":
                if not self._is_finishing:
                    if self._life is not None:
                        self._life.outcome = "client_disconnected"
                    nursery.cancel_scope.cancel("client disconnected")
                return

    async def handle_request(  # type: ignore[override]  # the same
        self, nursery: trio.Nursery, request: Request, send: "ASGISendCallable"
    ) -> None:
        with ExitStack() as held:
            async with trio.open_nursery() as own:
                with self._lives.open(request, own, self._body, held) as life:
                    self._life = cast("LivingRequest", request).life = life
                    response = await self.app.handle_request(request)
                    await self._body.drain(request.content_length)
                    if self._body.is_pending and request.http_version.startswith("1."):
                        # The rest of the body is still on its way, and nobody will read it.
                        response.headers["connection"] = "close"
                    await self._send_response(send, response)
                    life.outcome = life.outcome or "completed"
                own.cancel_scope.cancel("response finished")
        nursery.cancel_scope.cancel("request finished")
