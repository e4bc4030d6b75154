"""One task per credential that keeps its access token fresh.

- Only the credential's own task refreshes it: two refreshes of one credential at a time cannot happen. Requests wait
  for a *flight*; a request that is cancelled leaves the flight alone.
- A refresh is *advisory* ahead of expiry, while the access token is handed out as before, and *mandatory* shortly
  before expiry or once the upstream has refused the token. A token that lives is used on when its refresh fails.
- A refresh token that an answer brings replaces the old one before the access token of that answer is handed out.
- A refused access token is known by its generation: fifty requests refused with one generation cause one refresh.
- Expiry is read from the injected clock, waiting is Trio's.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import trio

from kiro2api.auth.credentials import AccessToken, Credential
from kiro2api.auth.errors import RefreshError, RefreshRejectedError
from kiro2api.auth.pool import CredentialPool
from kiro2api.auth.refresh import (
    Refreshed,
    build_schedule,
)
from kiro2api.supervision import Log

MIN_RETRY_PAUSE_SECONDS = 1.0
"""Between a failed refresh and the next, whoever asks for it."""


@dataclass(slots=True, eq=False)
class Flight:
    """One refresh, for all who wait for it; ``error`` is its result unless it brought an access token."""

    is_done: bool = False
    error: RefreshError | None = None


class News:
    """Wakes everybody who waits, again and again; who is woken looks whether the news concerns them."""

    def __init__(self) -> None:
        self._event = trio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def announce(self) -> None:
        self._event.set()
        self._event = trio.Event()


class TokenActor:
    """One credential's access token, and the one task that refreshes it.

    Args:
        credential: As configured; rotations replace its refresh token in memory.
        fetch: Performs one refresh; raises :class:`RefreshError`.
        pool: Hears of each refresh once, however many wait for it.
        now: The clock of ``AccessToken.expires_at``.
        jitter: Draws from 0 to 1.
        news: Told of the end of each flight.
        log: Where the events go.
    """

    def __init__(  # noqa: PLR0913 - the broker alone builds it and injects each part
        self,
        credential: Credential,
        *,
        fetch: Callable[[Credential], Awaitable[Refreshed]],
        pool: CredentialPool,
        now: Callable[[], float],
        jitter: Callable[[], float],
        news: News,
        log: Log,
    ) -> None:
        self.label = credential.label
        self._credential = credential
        self._fetch = fetch
        self._pool = pool
        self._now = now
        self._jitter = jitter
        self._news = news
        self._log = log
        self._access_token: AccessToken | None = None
        self._mandatory_at = 0.0
        self._refused_generation = 0
        self._is_failing = False
        self._rejection: RefreshRejectedError | None = None
        self._flight: Flight | None = None
        self._demand = trio.Event()
        self._due = 0.0  # this and the next on Trio's clock
        self._not_before = 0.0

    def get_access_token_nowait(self) -> AccessToken | None:
        """The access token to use now, or ``None`` if a refresh has to come first."""
        access_token = self._access_token
        if access_token is None or not self._is_live(access_token):
            return None
        if self._now() < self._mandatory_at or self._is_failing:
            return access_token
        return None

    def refuse(self, generation: int) -> None:
        """Notes that the upstream does not accept the access token of this generation."""
        self._refused_generation = max(self._refused_generation, generation)

    def demand(self) -> Flight:
        """The refresh that is under way, or else one that begins now.

        Raises:
            RefreshRejectedError: The refresh token is refused for good; nothing is sent any more.
        """
        if self._rejection is not None:
            raise RefreshRejectedError(self._rejection.detail) from self._rejection
        if self._flight is None:
            self._flight = Flight()
            self._demand.set()
        return self._flight

    async def run(self) -> None:
        """Refreshes on demand and ahead of expiry, until the refresh token is refused for good."""
        while self._rejection is None:
            await self._wait_until_due()
            self._flight = self._flight or Flight()
            try:
                refreshed = await self._fetch(self._credential)
            except RefreshError as error:
                self.fail(error)
            else:
                self._adopt(refreshed)

    def fail(self, error: RefreshError) -> None:
        """Ends the flight with ``error``; to be called once for each failed refresh."""
        now = self._now()
        again_at = self._pool.record_refresh_failure(
            self._credential.credential_id,
            now,
            permanent=isinstance(error, RefreshRejectedError),
            retry_after=error.retry_after,
            live=self._access_token is not None and self._is_live(self._access_token),
        )
        pause = again_at - now
        self._is_failing = True
        self._due = trio.current_time() + pause
        self._not_before = trio.current_time() + MIN_RETRY_PAUSE_SECONDS
        if isinstance(error, RefreshRejectedError):
            self._rejection = error
            self._write_log(logging.ERROR, "credential_revoked", reason=error.detail)
        else:
            self._write_log(logging.WARNING, "credential_refresh_failed", reason=error.detail, retry_in=round(pause, 1))
        self._end_flight(error)

    def _adopt(self, refreshed: Refreshed) -> None:
        """Takes over the answer's tokens. Without an await: a cancellation cannot come between them."""
        now = self._now()
        previous = self._access_token
        schedule = build_schedule(refreshed.expires_in, draw=self._jitter())
        if refreshed.refresh_token is not None:
            self._credential = replace(self._credential, refresh_token=refreshed.refresh_token)
        profile_arn = self._credential.profile_arn or refreshed.profile_arn
        self._access_token = AccessToken(
            value=refreshed.access_token,
            expires_at=now + refreshed.expires_in,
            generation=previous.generation + 1 if previous else 1,
            profile_arn=profile_arn or (previous.profile_arn if previous else None),
        )
        self._mandatory_at = now + schedule.mandatory_in
        self._due = trio.current_time() + schedule.advisory_in
        self._is_failing = False
        self._pool.record_refreshed(self._credential.credential_id)
        self._write_log(
            logging.INFO,
            "credential_refreshed",
            generation=self._access_token.generation,
            expires_in=refreshed.expires_in,
            rotated=refreshed.refresh_token is not None,
        )
        self._end_flight(None)

    async def _wait_until_due(self) -> None:
        with trio.move_on_after(max(0.0, self._due - trio.current_time())):
            await self._demand.wait()
        await trio.sleep(max(0.0, self._not_before - trio.current_time()))

    def _end_flight(self, error: RefreshError | None) -> None:
        flight, self._flight = self._flight, None
        self._demand = trio.Event()
        if flight is not None:
            flight.error = error
            flight.is_done = True
        self._news.announce()

    def _is_live(self, access_token: AccessToken) -> bool:
        return access_token.generation > self._refused_generation and self._now() < access_token.expires_at

    def _write_log(self, level: int, event: str, **fields: object) -> None:
        self._log(level, event, credential=self.label, **fields)
