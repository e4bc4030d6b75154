"""One call to the upstream over httpx: request out, answer in, every way of failing under a name of ours.

- A deadline is moved on with every sign of life, and is out of the way while the *client* is slow.
- What the upstream says with an error status is read and believed, even if its connection breaks at that.
- Leaving the call in any way closes its connection, unless the body was read to its end.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import h11
import httpx
import trio

from kiro2api.auth.control import build_auth_headers
from kiro2api.auth.credentials import Lease
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import read_http_fault
from kiro2api.upstream.coding import ContentCoding
from kiro2api.upstream.direct import PIECES
from kiro2api.upstream.errors import (
    AnswerTooLongError,
    ContentCodingError,
    NoFirstByteError,
    NotAnEventStreamError,
    UpstreamBrokenError,
    UpstreamStalledError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from kiro2api.upstream.policy import Attempts
from kiro2api.upstream.sending import PIECE_BYTES, Pieces
from kiro2api.upstream.sinks import Sink

MAX_ERROR_BODY = 65_536
"""Bytes of an error answer that are read; real ones have a few hundred."""
ERROR_BODY_SECONDS = 5.0
"""For the body of an error answer, after its head: the head alone says most of it."""

GRAIN = 0.01
"""Of a limit of silence, by which it may come early: to move a deadline at every event costs more than to read one."""

OPERATION = "/generateAssistantResponse"
EVENT_STREAM = "application/vnd.amazon.eventstream"

_UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_BROKEN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, h11.ProtocolError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long the upstream may say nothing, in seconds; a stream that produces is never cut by these."""

    first_byte: float
    between: float
    total: float
    """A backstop for answers that never end, over all attempts of a request."""


class Watch:
    """The deadline of one call.

    Args:
        silence: The limits.
        backstop: When the request has taken ``silence.total``, in Trio's time.
    """

    def __init__(self, silence: Silence, backstop: float) -> None:
        self._silence = silence
        self._backstop = backstop
        self._has_begun = False
        self.scope = trio.CancelScope(deadline=min(backstop, trio.current_time() + silence.first_byte))

    def suspend(self) -> None:
        """Lets the client take its time."""
        self.scope.deadline = self._backstop

    def rewind(self) -> None:
        """Starts to wait for the upstream's next bytes."""
        self._has_begun = True
        deadline = min(self._backstop, trio.current_time() + self._silence.between)
        if abs(deadline - self.scope.deadline) >= self._silence.between * GRAIN:
            self.scope.deadline = deadline

    def build_error(self) -> Kiro2ApiError:
        """Which of the limits it was."""
        if trio.current_time() >= self._backstop:
            return AnswerTooLongError(self._silence.total)
        if self._has_begun:
            return UpstreamStalledError(self._silence.between)
        return NoFirstByteError(self._silence.first_byte)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """One call with one lease, for one attempt of an exchange."""

    client: httpx.AsyncClient
    url: str
    lease: Lease
    exchange: Exchange
    sink: Sink
    """Takes the client's bytes."""
    attempts: Attempts
    """Is told of status, id and bytes of the answer."""
    watch: Watch
    note_answer: Callable[[], None]
    """Called when bytes of an answer come, perhaps more than once."""
    now: Callable[[], float]
    """Epoch seconds, for answers that name a date."""

    async def run(self) -> None:
        """From connecting to the last byte delivered.

        Raises:
            Kiro2ApiError: There was no whole answer. If something of it was delivered, all text that had come before
                the fault has been.
        """
        try:
            with self.watch.scope:
                await self._stream()
        except _UNREACHABLE as error:
            kind = UpstreamTlsError if _is_tls(error) else UpstreamUnreachableError
            raise kind(error) from error
        except _BROKEN as error:
            raise await self._break_off(UpstreamBrokenError(error)) from error
        except ContentCodingError as error:
            raise await self._break_off(error) from error.__cause__
        if self.watch.scope.cancelled_caught:
            raise await self._break_off(self.watch.build_error())

    async def _stream(self) -> None:
        access_token = self.lease.access_token
        body = self.exchange.encode_request(profile_arn=access_token.profile_arn)
        request = self.client.stream(
            "POST",
            self.url,
            content=body if len(body) <= PIECE_BYTES else Pieces(body),
            headers=_build_headers(self.lease, content_length=len(body)),
            follow_redirects=False,
        )
        del body  # which may have many megabytes, and is not needed while the answer comes
        async with request as response:
            self.attempts.status = response.status_code
            self.attempts.request_id = response.headers.get("x-amzn-requestid", "")
            await self._check_head(response)
            coding = ContentCoding(response.headers.get("content-encoding", ""))
            async for chunk in response.extensions.get(PIECES) or response.aiter_raw():
                await self._receive_chunk(chunk, coding)
                if self.exchange.is_over:
                    break
            else:
                self.watch.suspend()
                coding.receive_eof()
                if data := self.exchange.receive_eof():
                    await self._deliver(data)
        if self.exchange.failure is not None:
            raise self.exchange.failure

    async def _check_head(self, response: httpx.Response) -> None:
        """Raises what the upstream says instead of an event stream."""
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code == httpx.codes.OK and media_type == EVENT_STREAM:
            return
        headers = {name.lower(): value for name, value in response.headers.items()}
        fault = read_http_fault(response.status_code, headers, await _read_error_body(response), now=self.now())
        if response.status_code == httpx.codes.OK and not fault.name and not fault.reason:
            raise NotAnEventStreamError(media_type)
        raise fault

    async def _receive_chunk(self, chunk: bytes, coding: ContentCoding) -> None:
        self.attempts.received += len(chunk)
        self.attempts.first_byte_at = self.attempts.first_byte_at or trio.current_time()
        self.note_answer()
        for piece in coding.receive_data(chunk):
            if data := self.exchange.receive_data(piece):
                await self._deliver(data)
            if self.exchange.is_over:
                break
        self.watch.rewind()

    async def _break_off[E: Kiro2ApiError](self, error: E) -> E:
        """``error``, after a client that has something of the answer was given what had been held back of it."""
        if self.exchange.has_output and (data := self.exchange.receive_failure(error)):
            await self._deliver(data)
        return error

    async def _deliver(self, data: bytes) -> None:
        if not self.sink.offer(data):
            self.watch.suspend()
            await self.sink.flush()


async def _read_error_body(response: httpx.Response) -> bytes:
    """The body of an error answer, or as much of it as is to be had."""
    body = bytearray()
    with trio.move_on_after(ERROR_BODY_SECONDS), suppress(*_BROKEN, ContentCodingError):
        coding = ContentCoding(response.headers.get("content-encoding", ""))
        async for chunk in response.aiter_raw():
            for piece in coding.receive_data(chunk):
                body += piece
                if len(body) >= MAX_ERROR_BODY:
                    return bytes(body[:MAX_ERROR_BODY])
    return bytes(body)


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _build_headers(lease: Lease, *, content_length: int) -> dict[str, str]:
    """What the upstream is told about this request beside its body; nothing of the client's own headers."""
    return build_auth_headers(lease.access_token.value, lease.token_type) | {
        "content-type": "application/json",
        "content-length": str(content_length),
        "accept": EVENT_STREAM,
        "accept-encoding": "identity",
        "x-amzn-kiro-agent-mode": "vibe",
        "x-amzn-codewhisperer-optout": "true",
    }
