"""Requests to Kiro: one attempt over httpx, and the one place that decides about another.

A generation is metered and not idempotent, so the rules are strict: nothing is asked again once the client has got a
byte of an answer; at most :data:`MAX_METERED_CALLS` calls that may cost something for one client request; answers that
say that the request was not accepted (401, 402, 403, 429) cost nothing.
"""

import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import trio

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.credentials import Lease, Outcome
from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import FaultClass, UpstreamFaultError, read_http_fault
from kiro2api.protocol.turn import EmptyAnswerError, TruncatedToolUseError

MAX_METERED_CALLS = 3
"""Calls for one client request that the upstream may charge for."""
MAX_CALLS = 8
"""Calls for one client request, whatever they cost."""
MAX_ERROR_BODY = 65_536
"""Bytes of an error answer that are read; real ones have a few hundred."""

DAY_SECONDS = 86_400.0

OPERATION = "/generateAssistantResponse"
EVENT_STREAM = "application/vnd.amazon.eventstream"


class UpstreamUnreachableError(Kiro2ApiError):
    """No connection: nothing was sent, so nothing was charged."""

    kind = ErrorKind.UPSTREAM
    retry_safe = True

    def __init__(self, cause: Exception) -> None:
        super().__init__("The upstream cannot be reached; please try again.", detail=repr(cause))


class UpstreamBrokenError(Kiro2ApiError):
    """The connection broke while the answer was awaited or read."""

    kind = ErrorKind.UPSTREAM

    def __init__(self, cause: Exception) -> None:
        super().__init__("The connection to the upstream broke off; please try again.", detail=repr(cause))


class UpstreamSilentError(Kiro2ApiError):
    """The upstream sent nothing for longer than a request of this kind may take."""

    kind = ErrorKind.UPSTREAM_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The upstream sent nothing for {seconds:.0f} seconds.", detail=f"silent for {seconds} s")


class NotAnEventStreamError(UpstreamProtocolError):
    """Status 200 with something else in it: a captive portal's page, for instance."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"status 200 with content type {media_type[:60]!r}")


class AnswerTooLongError(Kiro2ApiError):
    """The answer went on until the backstop."""

    kind = ErrorKind.UPSTREAM_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The answer took longer than {seconds:.0f} seconds.", detail=f"total of {seconds} s")


class Step(enum.Enum):
    """What to do about an attempt that failed before the client got anything."""

    GIVE_UP = enum.auto()
    RENEW = enum.auto()
    """The same credential with a fresh access token."""
    AGAIN = enum.auto()
    """Any credential, the same one included."""
    ELSEWHERE = enum.auto()
    """Another credential, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long the upstream may say nothing, in seconds; a stream that produces is never cut by these."""

    first_byte: float
    between: float
    total: float
    """A backstop for answers that never end."""


@dataclass(slots=True, kw_only=True)
class Attempts:
    """The tally of one client request's calls: for the rules here, and for the log line at its end."""

    calls: int = 0
    metered: int = 0
    credential: str = ""
    """Label of the last credential used."""
    status: int | None = None
    """HTTP status of the last answer."""
    request_id: str = ""
    """The upstream's own id of the last answer."""
    received: int = 0
    """Bytes of answers."""
    first_byte_at: float | None = None
    """When the first bytes of an answer came, in Trio's time."""
    tried: set[str] = field(default_factory=set)
    """Ids of credentials that are out for this request."""
    renewed: set[str] = field(default_factory=set)
    again: dict[type[Kiro2ApiError] | FaultClass, int] = field(default_factory=dict)
    """How often each kind of failure was answered by another call."""


# How often each failure may be answered by another call, and by which. What is not listed ends the request.
_STEPS: dict[type[Kiro2ApiError] | FaultClass, tuple[int, Step]] = {
    UpstreamUnreachableError: (2, Step.AGAIN),
    UpstreamBrokenError: (1, Step.AGAIN),
    UpstreamProtocolError: (1, Step.AGAIN),
    EmptyAnswerError: (1, Step.AGAIN),
    TruncatedToolUseError: (1, Step.AGAIN),
    FaultClass.SERVER: (1, Step.AGAIN),
    FaultClass.MODEL: (1, Step.ELSEWHERE),
    FaultClass.RATE: (MAX_CALLS, Step.ELSEWHERE),
    FaultClass.DAILY_QUOTA: (MAX_CALLS, Step.ELSEWHERE),
    FaultClass.QUOTA: (MAX_CALLS, Step.ELSEWHERE),
    FaultClass.SUSPENDED: (MAX_CALLS, Step.ELSEWHERE),
    FaultClass.PERMISSION: (MAX_CALLS, Step.ELSEWHERE),
}

_OUTCOMES = {
    FaultClass.QUOTA: Outcome.QUOTA_EXHAUSTED,
    FaultClass.DAILY_QUOTA: Outcome.RATE_LIMITED,
    FaultClass.SUSPENDED: Outcome.SUSPENDED,
    FaultClass.PERMISSION: Outcome.FORBIDDEN,
    FaultClass.ACCESS_TOKEN: Outcome.TOKEN_REFUSED,
    FaultClass.RATE: Outcome.RATE_LIMITED,
    FaultClass.SERVER: Outcome.UPSTREAM_FAILED,
}
"""What a fault says about the credential; the rest says nothing: the client, the model or the network is at fault."""

_UNMETERED = frozenset({401, 402, 403, 429})


def select_step(error: Kiro2ApiError, attempts: Attempts, lease: Lease) -> Step:
    """What the rules allow after ``error``, given what was tried. Changes nothing."""
    if attempts.calls >= MAX_CALLS or attempts.metered >= MAX_METERED_CALLS:
        return Step.GIVE_UP
    key = _failure_key(error)
    if key is FaultClass.ACCESS_TOKEN:
        return Step.ELSEWHERE if lease.credential_id in attempts.renewed else Step.RENEW
    limit, step = _STEPS.get(key, (0, Step.GIVE_UP))
    return step if attempts.again.get(key, 0) < limit else Step.GIVE_UP


def _failure_key(error: Kiro2ApiError) -> type[Kiro2ApiError] | FaultClass:
    if isinstance(error, UpstreamFaultError):
        return error.fault_class
    return UpstreamProtocolError if isinstance(error, UpstreamProtocolError) else type(error)


class _Watch:
    """The deadline of an attempt, moved on with every sign of life and out of the way while the client is slow."""

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self._limit = silence.first_byte
        self._backstop = trio.current_time() + silence.total
        self.scope = trio.CancelScope(deadline=min(self._backstop, trio.current_time() + self._limit))

    def suspend(self) -> None:
        self.scope.deadline = self._backstop

    def rewind(self) -> None:
        self._limit = self._silence.between
        self.scope.deadline = min(self._backstop, trio.current_time() + self._limit)

    def build_error(self) -> Kiro2ApiError:
        """Which of the limits it was."""
        if trio.current_time() >= self._backstop:
            return AnswerTooLongError(self._silence.total)
        return UpstreamSilentError(self._limit)


class Upstream:
    """Kiro, as the routes see it.

    Args:
        client: Owned by the caller, who closes it. Without redirects: they would carry the access token elsewhere.
        broker: Where credentials come from.
        base_url: Scheme, host and port of the inference API.
        now: Epoch seconds, for answers that name a date.
    """

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        broker: CredentialBroker,
        base_url: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._broker = broker
        self._url = base_url.rstrip("/") + OPERATION
        self._now = now

    async def relay(
        self,
        exchange: Exchange,
        deliver: Callable[[bytes], Awaitable[None]],
        *,
        silence: Silence,
        attempts: Attempts,
    ) -> None:
        """Gets the answer to ``exchange`` and hands its bytes to ``deliver``, in as many attempts as the rules allow.

        Every lease is back and every upstream connection closed or pooled when this returns, raises or is cancelled.

        Raises:
            Kiro2ApiError: No attempt succeeded. When ``exchange.has_output``, the client has the beginning of an answer
                and has to be told inside it.
        """
        lease = await self._broker.lease()
        while True:
            exchange.begin_attempt()
            attempts.calls += 1
            attempts.credential = lease.label
            outcome, retry_after = Outcome.NEUTRAL, None
            try:
                await self._attempt(exchange, deliver, lease, silence, attempts)
            except Kiro2ApiError as error:
                outcome = _judge(error, renewed=lease.credential_id in attempts.renewed)
                if isinstance(error, UpstreamFaultError) and error.fault_class is FaultClass.DAILY_QUOTA:
                    error.retry_after = DAY_SECONDS - self._now() % DAY_SECONDS  # lifted at 00:00 UTC
                retry_after = error.retry_after
                failure = error
            else:
                outcome = Outcome.SUCCESS
                return
            finally:
                self._broker.release(lease, outcome, retry_after=retry_after)
            step = Step.GIVE_UP if exchange.has_output else select_step(failure, attempts, lease)
            lease = await self._lease_for(step, lease, failure, attempts)

    async def _lease_for(self, step: Step, lease: Lease, failure: Kiro2ApiError, attempts: Attempts) -> Lease:
        """The lease for the next attempt; raises ``failure`` when there is to be none."""
        key = _failure_key(failure)
        attempts.again[key] = attempts.again.get(key, 0) + 1
        match step:
            case Step.GIVE_UP:
                raise failure
            case Step.RENEW:
                attempts.renewed.add(lease.credential_id)
                try:
                    return await self._broker.renew(lease)
                except Kiro2ApiError:  # this credential cannot be refreshed: another one may do
                    attempts.tried.add(lease.credential_id)
            case Step.ELSEWHERE:
                attempts.tried.add(lease.credential_id)
            case Step.AGAIN:
                pass
        try:
            return await self._broker.lease(exclude=attempts.tried)
        except Kiro2ApiError as none_left:
            # What the upstream said tells the client more than that no other credential is left, but not how long.
            failure.retry_after = failure.retry_after or none_left.retry_after
            raise failure from none_left

    async def _attempt(
        self,
        exchange: Exchange,
        deliver: Callable[[bytes], Awaitable[None]],
        lease: Lease,
        silence: Silence,
        attempts: Attempts,
    ) -> None:
        """One call to the upstream, from connecting to the last byte delivered."""
        watch = _Watch(silence)
        try:
            with watch.scope:
                await self._stream(exchange, deliver, lease, watch, attempts)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UpstreamUnreachableError(error) from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise await _break_off(exchange, deliver, UpstreamBrokenError(error)) from error
        if watch.scope.cancelled_caught:
            raise await _break_off(exchange, deliver, watch.build_error())

    async def _stream(
        self,
        exchange: Exchange,
        deliver: Callable[[bytes], Awaitable[None]],
        lease: Lease,
        watch: _Watch,
        attempts: Attempts,
    ) -> None:
        body = exchange.encode_request(profile_arn=lease.access_token.profile_arn)
        headers = _build_headers(lease.access_token.value)
        attempts.metered += 1  # until the answer shows that it was not accepted
        attempts.status = None
        try:
            async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                attempts.status = response.status_code
                attempts.request_id = response.headers.get("x-amzn-requestid", "")
                if response.status_code in _UNMETERED:
                    attempts.metered -= 1
                await self._check_head(response)
                is_plain = "content-encoding" not in response.headers
                async for chunk in response.aiter_raw() if is_plain else response.aiter_bytes():
                    attempts.received += len(chunk)
                    attempts.first_byte_at = attempts.first_byte_at or trio.current_time()
                    data = exchange.receive_data(chunk)
                    if data:
                        watch.suspend()
                        await deliver(data)
                    watch.rewind()
                    if exchange.is_over:
                        break
                else:
                    watch.suspend()
                    if data := exchange.receive_eof():
                        await deliver(data)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            attempts.metered -= 1
            raise
        if exchange.failure is not None:
            raise exchange.failure

    async def _check_head(self, response: httpx.Response) -> None:
        """Raises what the upstream says instead of an event stream."""
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code == httpx.codes.OK and media_type == EVENT_STREAM:
            return
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ERROR_BODY:
                break
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        fault = read_http_fault(status, headers, bytes(body[:MAX_ERROR_BODY]), now=self._now())
        if status == httpx.codes.OK and not fault.name and not fault.reason:
            raise NotAnEventStreamError(media_type)
        raise fault


async def _break_off[E: Kiro2ApiError](exchange: Exchange, deliver: Callable[[bytes], Awaitable[None]], error: E) -> E:
    """``error``, after the client was given what had been held back."""
    if data := exchange.receive_failure(error):
        await deliver(data)
    return error


def _judge(error: Kiro2ApiError, *, renewed: bool) -> Outcome:
    """What ``error`` says about the credential that carried the request."""
    if not isinstance(error, UpstreamFaultError):
        return Outcome.NEUTRAL
    if error.fault_class is FaultClass.ACCESS_TOKEN and not renewed:
        return Outcome.NEUTRAL  # it may simply have expired: a refresh comes first
    return _OUTCOMES.get(error.fault_class, Outcome.NEUTRAL)


def _build_headers(access_token: str) -> dict[str, str]:
    """What the upstream is told about this request beside its body; nothing of the client's own headers."""
    return {
        "authorization": f"Bearer {access_token}",
        "content-type": "application/json",
        "accept": EVENT_STREAM,
        "accept-encoding": "identity",
        "x-amzn-kiro-agent-mode": "vibe",
        "x-amzn-codewhisperer-optout": "true",
    }
