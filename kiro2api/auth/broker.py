"""Leases of access tokens.

Who decides and who acts: :mod:`kiro2api.auth.pool` says which credential may be used, :mod:`kiro2api.auth.refresh` what
a refresh looks like, :mod:`kiro2api.auth.actor` when one is due; here it is performed, over httpx, and waited for. No
secret, no address and no word of an answer goes into a log line or an error.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial

import httpx
import trio

from kiro2api.auth.actor import Flight, News, TokenActor
from kiro2api.auth.credentials import AccessToken, Credential, Lease, Outcome
from kiro2api.auth.errors import NoCredentialError, RefreshFailedError
from kiro2api.auth.pool import Chosen, Cooling, CredentialPool, CredentialState, Standing, Unusable
from kiro2api.auth.refresh import (
    MAX_ANSWER_BYTES,
    Refreshed,
    build_refresh,
    parse_refresh_answer,
)
from kiro2api.errors import ErrorKind
from kiro2api.supervision import Health, Log, supervise

REFRESH_TIMEOUT_SECONDS = 10.0
"""For one refresh from connecting to the last byte; the service answers within one or two."""

_KINDS = {Standing.RATE_LIMITED: ErrorKind.RATE_LIMITED, Standing.QUOTA_EXHAUSTED: ErrorKind.QUOTA_EXHAUSTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """What health checks, metrics and tests may know."""

    in_flight: int
    """Leases that have not been returned."""
    credentials: tuple[CredentialState, ...]


def build_steady_clock() -> Callable[[], float]:
    """A clock that begins at the time of day and then runs evenly, whatever happens to the time of day."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


class CredentialBroker:
    """Hands out leases; :meth:`run` has to run meanwhile.

    Args:
        credentials: With distinct ids.
        client: Stays the caller's to close.
        refresh_url: Where social refresh tokens are traded.
        log: Where the events go.
        health: Where the state of the credentials' tasks is kept.
        now: Seconds since the epoch; by default a clock that the time of day cannot make jump.
        jitter: Draws from 0 to 1, for refreshes ahead of time, cooldowns and restarts.
        refresh_timeout: Seconds for one refresh.
    """

    def __init__(  # noqa: PLR0913 - the seams of the shell: client, clock, chance, log
        self,
        credentials: Iterable[Credential],
        *,
        client: httpx.AsyncClient,
        refresh_url: str,
        log: Log,
        health: Health | None = None,
        now: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        refresh_timeout: float = REFRESH_TIMEOUT_SECONDS,
    ) -> None:
        credentials = tuple(credentials)
        self._client = client
        self._refresh_url = refresh_url
        self._log = log
        self._health = health or Health()
        self._jitter = jitter
        self._now = now or build_steady_clock()
        self._refresh_timeout = refresh_timeout
        self._pool = CredentialPool(credentials, jitter=jitter)
        self._news = News()
        self._actors = {
            c.credential_id: TokenActor(
                c, fetch=self._fetch, pool=self._pool, now=self._now, jitter=jitter, news=self._news, log=log
            )
            for c in credentials
        }
        self._leases: set[Lease] = set()
        self._is_closed = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Refreshes the credentials, until it is cancelled.

        Reports itself started at once, whether the network is up or not. A defect in one credential's task ends that
        task alone, and it is started again after a pause. On the way out everybody who waits for an access token is
        woken with an error.
        """
        try:
            async with trio.open_nursery() as nursery:
                for actor in self._actors.values():
                    nursery.start_soon(self._supervise, actor, name=f"token actor {actor.label}")
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._is_closed = True
            self._news.announce()

    async def lease(self, *, exclude: Collection[str] = ()) -> Lease:
        """A lease of the credential whose turn it is, to be given back with :meth:`release`.

        One whose access token is at hand comes before those that are being refreshed; while all are, the first to
        have one is taken, so that a refresh that hangs delays nobody whom another credential can serve.

        Args:
            exclude: Ids of credentials that this exchange has tried.

        Raises:
            NoCredentialError: None can be used now, or the broker is shutting down.
        """
        flights: list[Flight] = []
        while True:
            self._check_open()
            now = self._now()
            candidates = self._pool.list_candidates(now, exclude=exclude)
            for credential_id in candidates:
                access_token = self._actors[credential_id].get_access_token_nowait()
                if access_token is not None:
                    return self._grant(credential_id, access_token, now)
            selection = self._pool.select(now, exclude=exclude)
            if not isinstance(selection, Chosen):
                cause = next((flight.error for flight in flights if flight.error), None)
                raise self._build_error(selection, now) from cause
            flights = [self._actors[credential_id].demand() for credential_id in candidates]
            await self._news.wait()

    async def renew(self, lease: Lease) -> Lease:
        """The same lease with another access token, because the upstream has refused the one it has.

        However many leases have that access token, it is refreshed once; if that has happened already, nothing is sent.
        The new lease takes the place of the old, which remains to be released if this fails or is cancelled.

        Raises:
            RefreshRejectedError: The credential is revoked.
            RefreshFailedError: No other access token can be had now. The pool knows; release as ``NEUTRAL``.
            NoCredentialError: The broker is shutting down.
        """
        actor = self._actors[lease.credential_id]
        actor.refuse(lease.access_token.generation)
        while (access_token := actor.get_access_token_nowait()) is None:
            flight = actor.demand()
            while not flight.is_done:
                self._check_open()
                await self._news.wait()
            if flight.error is not None:
                # Each waiter raises an error of its own: a shared one would collect all their tracebacks.
                error = flight.error
                raise type(error)(error.detail, retry_after=error.retry_after) from error
        renewed = replace(lease, access_token=access_token)
        self._leases.discard(lease)
        self._leases.add(renewed)
        return renewed

    def release(self, lease: Lease, outcome: Outcome, *, retry_after: float | None = None) -> None:
        """Takes a lease back; a second time, or after :meth:`renew` has replaced it, nothing happens.

        Args:
            lease: From :meth:`lease` or :meth:`renew`.
            outcome: What the exchange taught about the credential.
            retry_after: Seconds that the upstream asked to be left alone, with ``RATE_LIMITED``.
        """
        if lease not in self._leases:
            return
        self._leases.remove(lease)
        if outcome is Outcome.TOKEN_REFUSED:
            self._actors[lease.credential_id].refuse(lease.access_token.generation)
        self._pool.record(lease.credential_id, outcome, self._now(), retry_after=retry_after)

    def has_usable(self) -> bool:
        """Whether a lease could be had right now, without waiting for a refresh."""
        return not self._is_closed and any(
            self._actors[credential_id].get_access_token_nowait() is not None
            for credential_id in self._pool.list_candidates(self._now())
        )

    def statistics(self) -> BrokerStatistics:
        return BrokerStatistics(in_flight=len(self._leases), credentials=self._pool.statistics(self._now()))

    def _grant(self, credential_id: str, access_token: AccessToken, now: float) -> Lease:
        self._pool.lease(credential_id)
        lease = Lease(
            credential_id=credential_id,
            label=self._actors[credential_id].label,
            access_token=access_token,
            leased_at=now,
        )
        self._leases.add(lease)
        return lease

    def _check_open(self) -> None:
        if self._is_closed:
            raise NoCredentialError(ErrorKind.OVERLOADED)

    def _build_error(self, selection: Cooling | Unusable, now: float) -> NoCredentialError:
        states = self._pool.statistics(now)
        detail = ", ".join(f"{state.label} {state.standing.value}" for state in states)
        kind, retry_after = ErrorKind.NO_CREDENTIAL, None
        if isinstance(selection, Cooling):
            kind = _KINDS.get(selection.reason, kind)
            retry_after = None if kind is ErrorKind.QUOTA_EXHAUSTED else selection.until - now
        return NoCredentialError(kind, retry_after=retry_after, detail=detail)

    async def _supervise(self, actor: TokenActor) -> None:
        # Not vital: what a defect in one credential's task means for requests, the credential's own standing says.
        await supervise(
            f"token actor {actor.label}",
            partial(_run_actor, actor),
            self._health,
            log=self._log,
            jitter=self._jitter,
            may_end=True,
            is_vital=False,
        )

    async def _fetch(self, credential: Credential) -> Refreshed:
        request = build_refresh(credential, social_url=self._refresh_url)
        try:
            with trio.fail_after(self._refresh_timeout):
                async with self._client.stream(
                    "POST",
                    request.url,
                    headers=request.headers,
                    content=request.body,
                    timeout=None,
                    follow_redirects=False,
                ) as response:
                    body = await _read_body(response)
        except trio.TooSlowError as error:
            raise RefreshFailedError(f"no answer in {self._refresh_timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RefreshFailedError(type(error).__name__) from error
        return parse_refresh_answer(response.status_code, body, retry_after=response.headers.get("retry-after"))


async def _run_actor(actor: TokenActor) -> None:
    """The actor's task; those who wait for a refresh in which it fails by a defect are told."""
    try:
        await actor.run()
    except Exception as error:
        actor.fail(RefreshFailedError(f"defect: {type(error).__name__}"))
        raise


async def _read_body(response: httpx.Response) -> bytes:
    """The body, or a beginning of it that is too long for an answer."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body)
