"""One task per credential that keeps its access token fresh.

- Only the credential's own task refreshes it: two refreshes of one credential at a time cannot happen in this process,
  and :mod:`kiro2api.auth.renewal` sees to the others. Requests wait for a *flight*; a request that is cancelled leaves
  the flight alone.
- A refresh is *advisory* ahead of expiry, while the access token is handed out as before, and *mandatory* shortly
  before expiry or once the upstream has refused the token. A token that lives is used on when its refresh fails.
- A refused access token is known by its generation: fifty requests refused with one generation cause one refresh.
- Expiry is read from the injected clock, waiting is Trio's.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from kiro2api.auth.credentials import AccessToken, ApiKey, Credential
from kiro2api.auth.errors import RefreshError, RefreshRefusedError, RefreshRejectedError
from kiro2api.auth.pool import CredentialPool, RefreshVerdict
from kiro2api.auth.refresh import MAX_LIFETIME_SECONDS, build_schedule
from kiro2api.auth.renewal import RenewalTools, Renewer
from kiro2api.auth.state.record import Record

MIN_RETRY_PAUSE_SECONDS = 1.0
"""Between a failed refresh and the next, whoever asks for it."""


@dataclass(slots=True, eq=False)
class Flight:
    """One refresh, for all who wait for it; ``error`` is its result unless it brought an access token.

    It began in Trio's time.
    """

    began_at: float = field(default_factory=trio.current_time)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorTools:
    """What all actors of a broker work with."""

    renewal: RenewalTools
    find_profile: Callable[[Credential, str], Awaitable[str | None]]
    """The profile ARN that goes with a credential and its access token, if one has to be looked up."""
    pool: CredentialPool
    """Hears of each refresh once, however many wait for it."""
    now: Callable[[], float]
    """The clock of ``AccessToken.expires_at``."""
    jitter: Callable[[], float]
    """Draws from 0 to 1."""
    news: News
    """Told of the end of each flight."""


class TokenActor:
    """One credential's access token, and the one task that refreshes it."""

    def __init__(self, credential: Credential, tools: ActorTools) -> None:
        self.refreshed_at: float | None = None
        """Epoch seconds of the refresh that brought the access token, whoever made it."""
        self.trouble = ""
        """Why the last refresh failed; empty since one has not."""
        self._tools = tools
        self._renewer = Renewer(credential, tools.renewal)
        self._access_token: AccessToken | None = None
        self._mandatory_at = 0.0
        self._refused_generation = 0
        self._rejection: RefreshRejectedError | None = None
        self._flight: Flight | None = None
        self._demand = trio.Event()
        self._changed = trio.Event()
        self._due = 0.0  # this and the next on Trio's clock
        self._not_before = 0.0

    @property
    def credential(self) -> Credential:
        """As it is configured now."""
        return self._renewer.credential

    @property
    def access_token(self) -> AccessToken | None:
        """The newest, live or not."""
        return self._access_token

    def get_access_token_nowait(self) -> AccessToken | None:
        """The access token to use now, or ``None`` if a refresh has to come first."""
        access_token = self._access_token
        if access_token is None or not self._is_live(access_token):
            return None
        if self._tools.now() < self._mandatory_at or self.trouble:
            return access_token
        return None

    async def wait_for_news(self) -> None:
        """Waits until a refresh of any credential has ended, or there is an access token without one."""
        await self._tools.news.wait()

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

    def update(self, credential: Credential) -> None:
        """Takes over the credential as it is configured from now on; a new login ends the old one's rejection."""
        is_new = credential.origin != self.credential.origin
        self._renewer.credential = credential
        if is_new and self._rejection is not None:
            self._rejection = None
            self._changed.set()

    async def run(self) -> None:
        """Refreshes on demand and ahead of expiry; rests while the refresh token is refused for good."""
        await self._begin()
        while True:
            if self._rejection is not None:
                self._changed = trio.Event()
                await self._changed.wait()
            await self._wait_until_due()
            self._flight = self._flight or Flight()
            try:
                await self._renew()
            except RefreshError as error:
                self.fail(error)
            else:
                self._end_flight(None)

    def fail(self, error: RefreshError) -> None:
        """Ends the flight with ``error``; to be called once for each failed refresh."""
        now = self._tools.now()
        verdict = _judge(error)
        again_at = self._tools.pool.record_refresh_failure(
            self.credential.credential_id,
            now,
            verdict=verdict,
            retry_after=error.retry_after,
            live=self._access_token is not None and self._is_live(self._access_token),
        )
        self.trouble = error.detail or "failed"
        if again_at == math.inf:
            self._rejection = RefreshRejectedError(error.detail)
            self._write_log(logging.ERROR, "credential_revoked", reason=error.detail, remedy="log in again")
        else:
            pause = again_at - now
            if not isinstance(self.credential.login, ApiKey):  # of which only the upstream knows whether it is good
                self._due = trio.current_time() + pause
            self._not_before = trio.current_time() + MIN_RETRY_PAUSE_SECONDS
            self._write_log(logging.WARNING, "credential_refresh_failed", reason=error.detail, retry_in=round(pause, 1))
        self._end_flight(error)

    async def save(self) -> None:
        """Stores what could not be stored when it came, if there is anything.

        Raises:
            StateError: It still cannot be.
        """
        await self._renewer.save()

    async def _begin(self) -> None:
        """Takes over what was stored by an earlier process, or by another one, without asking anybody."""
        if isinstance(self.credential.login, ApiKey):
            self._adopt_key(self.credential.login)
        elif (record := await self._renewer.load()) is not None:
            await self._adopt(record)
        else:
            return
        self._end_flight(None)  # who has asked meanwhile is served

    async def _renew(self) -> None:
        """Brings an access token that is live and not refused; raises RefreshError."""
        login = self.credential.login
        if isinstance(login, ApiKey):
            self._adopt_key(login)
            raise RefreshRefusedError("API key refused by the upstream")
        current = self._access_token
        record = await self._renewer.renew(beyond=self._known_generation, current=current.value if current else None)
        await self._adopt(record)
        self._tools.pool.record_refreshed(self.credential.credential_id)

    async def _adopt(self, record: Record) -> None:
        """Puts the access token of ``record`` into use, with the profile that belongs to it."""
        profile_arn = self.credential.profile_arn or record.profile_arn
        if profile_arn is None:
            profile_arn = await self._tools.find_profile(self.credential, record.access_token)
        lifetime = min(record.expires_at - self._tools.renewal.wall(), MAX_LIFETIME_SECONDS)
        schedule = build_schedule(lifetime, draw=self._tools.jitter())
        now = self._tools.now()
        self._access_token = AccessToken(
            value=record.access_token,
            expires_at=now + lifetime,
            generation=record.generation,
            profile_arn=profile_arn,
            is_second_hand=not self._renewer.is_own(record),
        )
        self._mandatory_at = now + schedule.mandatory_in
        self._due = trio.current_time() + schedule.advisory_in
        self.refreshed_at = record.refreshed_at
        self.trouble = ""

    def _adopt_key(self, login: ApiKey) -> None:
        """An API key is its own access token; one that was refused gets another try, as if it were a new one."""
        self._access_token = AccessToken(
            value=login.key,
            expires_at=math.inf,
            generation=self._known_generation + 1,
            profile_arn=self.credential.profile_arn,
        )
        self._mandatory_at = self._due = math.inf

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
        self._tools.news.announce()

    @property
    def _known_generation(self) -> int:
        """The highest that was used or refused."""
        return max(self._refused_generation, self._access_token.generation if self._access_token else 0)

    def _is_live(self, access_token: AccessToken) -> bool:
        return access_token.generation > self._refused_generation and self._tools.now() < access_token.expires_at

    def _write_log(self, level: int, event: str, **fields: object) -> None:
        self._tools.renewal.log(level, event, credential=self.credential.label, **fields)


def _judge(error: RefreshError) -> RefreshVerdict:
    if isinstance(error, RefreshRejectedError):
        return RefreshVerdict.DEAD
    return RefreshVerdict.DOUBTFUL if isinstance(error, RefreshRefusedError) else RefreshVerdict.FAILED
