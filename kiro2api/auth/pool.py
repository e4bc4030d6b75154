"""Which credential to use next, and for how long one is passed over.

Pure policy: every method takes ``now``, none waits, and :meth:`CredentialPool.select` changes nothing. The rules:

========================  ==============================================================================
outcome                   effect on the credential
========================  ==============================================================================
throttled                 cools as long as the upstream asks, else 5 s, doubling to 5 min
access token refused      cools 60 s, doubling to an hour
forbidden                 cools 10 min
suspended                 cools 6 h; what follows is a probe
quota exhausted           cools until the first of next month, UTC
upstream failed           from the third failure in a row on passed over for 30 s x n, up to 5 min, unless
                          it is the only one left: then the fault is hardly the credential's
refresh failed            cools as long as the service asks, else 5 s, doubling to 5 min
refresh token rejected    revoked: never again in this process
success                   forgets all streaks
========================  ==============================================================================

Cooldowns of several kinds run side by side, and none shortens another. An outcome that arrives while the cooldown of
its own kind is running comes from an older lease: it does not double anything, and a success then forgets nothing.
"""

import enum
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import assert_never

from kiro2api.auth.credentials import Credential, Outcome

THROTTLE_BASE_SECONDS = 5.0
THROTTLE_CAP_SECONDS = 300.0
REFUSED_BASE_SECONDS = 60.0
REFUSED_CAP_SECONDS = 3600.0
"""A refused fresh access token is usually a matter of the account: an hour between probes is often enough."""
FORBIDDEN_SECONDS = 600.0
SUSPENDED_SECONDS = 6 * 3600.0
REFRESH_BASE_SECONDS = 5.0
REFRESH_CAP_SECONDS = 300.0
EJECTION_FAILURES = 3
"""Failures in a row; one request makes at most two on one credential, so that one bad prompt ejects nothing."""
EJECTION_STEP_SECONDS = 30.0
EJECTION_CAP_SECONDS = 300.0
MIN_RETRY_AFTER_SECONDS = 1.0
"""Less would let the next request run into the same refusal."""
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
"""A daily limit asks for up to a day; more is a mistake in the unit."""
JITTER = 0.2
"""Share by which a doubling cooldown is made longer or shorter, so that replicas do not come back together."""

_MAX_DOUBLINGS = 32


class Standing(enum.Enum):
    """Whether a credential can be used, and if not, why."""

    USABLE = "usable"
    PASSED_OVER = "passed_over"
    """It failed too often in a row, and others do not."""
    RATE_LIMITED = "rate_limited"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a word for a state, no secret
    FORBIDDEN = "forbidden"
    SUSPENDED = "suspended"
    QUOTA_EXHAUSTED = "quota_exhausted"
    REFRESH_FAILED = "refresh_failed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """This credential is the one to use."""

    credential_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """None can be used before ``until``, for the ``reason`` that speaks for them all."""

    until: float
    reason: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """None can be used, and waiting does not help.

    ``reason`` is ``REVOKED``, or ``USABLE`` when there are good ones but the caller has excluded them.
    """

    reason: Standing


type Selection = Chosen | Cooling | Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialState:
    """How one credential stands."""

    label: str
    standing: Standing
    until: float | None
    """When it can be used again; ``None`` if it can now or never will."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    credential_id: str
    label: str
    turn: int = 0
    """Number of the latest lease among all leases of the pool, 0 before the first."""
    cooldowns: dict[Standing, float] = field(default_factory=dict)
    throttles: int = 0
    refusals: int = 0
    refresh_failures: int = 0
    failures: int = 0
    ejections: int = 0
    ejected_until: float = 0.0

    def cool(self, standing: Standing, until: float) -> None:
        self.cooldowns[standing] = max(until, self.cooldowns.get(standing, 0.0))

    def is_cooling(self, standing: Standing, now: float) -> bool:
        return now < self.cooldowns.get(standing, 0.0)

    def find_cooldown(self, now: float) -> tuple[Standing, float] | None:
        """The cooldown that ends last."""
        running = [(until, standing) for standing, until in self.cooldowns.items() if now < until]
        if not running:
            return None
        until, standing = max(running, key=lambda cooldown: cooldown[0])
        return standing, until

    def forget_streaks(self) -> None:
        self.throttles = self.refusals = self.failures = self.ejections = 0
        self.ejected_until = 0.0


class CredentialPool:
    """The credentials of this process and what is known of each.

    Args:
        credentials: In the order in which unused ones are chosen.
        jitter: Draws from 0 to 1; 0.5 leaves every cooldown as it stands in the table.
    """

    def __init__(self, credentials: Iterable[Credential], *, jitter: Callable[[], float]) -> None:
        self._entries = {
            credential.credential_id: _Entry(credential_id=credential.credential_id, label=credential.label)
            for credential in credentials
        }
        self._jitter = jitter
        self._turn = 0

    def select(self, now: float, *, exclude: Collection[str] = ()) -> Selection:
        """The credential to use at ``now``, or why there is none.

        Least recently leased first. Changes nothing: the caller leases. Why there is none is told for all
        credentials together, the excluded ones included.
        """
        candidates = self.list_candidates(now, exclude=exclude)
        if candidates:
            return Chosen(credential_id=candidates[0])
        return self._explain(now)

    def list_candidates(self, now: float, *, exclude: Collection[str] = ()) -> tuple[str, ...]:
        """All credentials that can be used at ``now``, in the order in which :meth:`select` takes them.

        One that is passed over for its failures is among them only when no other stands, excluded or not.
        """
        usable = [entry for entry in self._entries.values() if entry.find_cooldown(now) is None]
        standing = [entry for entry in usable if entry.ejected_until <= now] or usable
        standing.sort(key=lambda entry: entry.turn)
        return tuple(e.credential_id for e in standing if e.credential_id not in exclude)

    def lease(self, credential_id: str) -> None:
        """Notes that the credential has had its turn."""
        self._turn += 1
        self._entries[credential_id].turn = self._turn

    def record(self, credential_id: str, outcome: Outcome, now: float, *, retry_after: float | None = None) -> None:
        """Notes how an exchange with the credential ended.

        Args:
            credential_id: Whose outcome it is.
            outcome: How it ended.
            now: When.
            retry_after: Seconds that the upstream asked to be left alone; counts for ``RATE_LIMITED`` only.
        """
        entry = self._entries[credential_id]
        match outcome:
            case Outcome.NEUTRAL:
                pass
            case Outcome.SUCCESS:
                if entry.find_cooldown(now) is None:
                    entry.forget_streaks()
            case Outcome.RATE_LIMITED:
                self._record_throttle(entry, now, retry_after)
            case Outcome.TOKEN_REFUSED:
                self._record_refusal(entry, now)
            case Outcome.QUOTA_EXHAUSTED:
                entry.cool(Standing.QUOTA_EXHAUSTED, _find_next_month(now))
            case Outcome.SUSPENDED:
                entry.cool(Standing.SUSPENDED, now + SUSPENDED_SECONDS)
            case Outcome.FORBIDDEN:
                entry.cool(Standing.FORBIDDEN, now + FORBIDDEN_SECONDS)
            case Outcome.UPSTREAM_FAILED:
                _record_failure(entry, now)
            case _:
                assert_never(outcome)

    def record_refresh_failure(
        self, credential_id: str, now: float, *, permanent: bool, retry_after: float | None = None, live: bool = False
    ) -> float:
        """Notes that a refresh brought nothing; returns when the next may be tried, infinity for never.

        Args:
            credential_id: Whose refresh it was.
            now: When it failed.
            permanent: The refresh token is refused for good.
            retry_after: Seconds that the service asked to be left alone.
            live: An earlier access token still does: the credential stays usable.
        """
        entry = self._entries[credential_id]
        if permanent:
            entry.cool(Standing.REVOKED, math.inf)
            return math.inf
        entry.refresh_failures += 1
        if retry_after is None:
            seconds = self._back_off(entry.refresh_failures, REFRESH_BASE_SECONDS, REFRESH_CAP_SECONDS)
        else:
            seconds = _bound_retry_after(retry_after)
        if not live:
            entry.cool(Standing.REFRESH_FAILED, now + seconds)
        return now + seconds

    def record_refreshed(self, credential_id: str) -> None:
        """Notes that the credential has a new access token: failed refreshes are forgotten, nothing else."""
        entry = self._entries[credential_id]
        entry.refresh_failures = 0
        entry.cooldowns.pop(Standing.REFRESH_FAILED, None)

    def statistics(self, now: float) -> tuple[CredentialState, ...]:
        """How each credential stands, in the order in which they were given."""
        return tuple(_build_state(entry, now) for entry in self._entries.values())

    def __repr__(self) -> str:
        states = [
            f"{entry.label} " + " ".join(f"{s.value}<{until:.0f}" for s, until in entry.cooldowns.items())
            for entry in self._entries.values()
        ]
        return f"<CredentialPool {', '.join(state.strip() for state in states)}>"

    def _record_throttle(self, entry: _Entry, now: float, retry_after: float | None) -> None:
        if retry_after is not None:
            entry.cool(Standing.RATE_LIMITED, now + _bound_retry_after(retry_after))
        elif not entry.is_cooling(Standing.RATE_LIMITED, now):
            entry.throttles += 1
            seconds = self._back_off(entry.throttles, THROTTLE_BASE_SECONDS, THROTTLE_CAP_SECONDS)
            entry.cool(Standing.RATE_LIMITED, now + seconds)

    def _record_refusal(self, entry: _Entry, now: float) -> None:
        if not entry.is_cooling(Standing.TOKEN_REFUSED, now):
            entry.refusals += 1
            seconds = self._back_off(entry.refusals, REFUSED_BASE_SECONDS, REFUSED_CAP_SECONDS)
            entry.cool(Standing.TOKEN_REFUSED, now + seconds)

    def _back_off(self, streak: int, base: float, cap: float) -> float:
        seconds = base * 2.0 ** min(streak - 1, _MAX_DOUBLINGS)
        return min(cap, seconds) * (1 + JITTER * (2 * self._jitter() - 1))

    def _explain(self, now: float) -> Cooling | Unusable:
        cooldowns = [entry.find_cooldown(now) for entry in self._entries.values()]
        running = [cooldown for cooldown in cooldowns if cooldown is not None]
        throttled = [until for standing, until in running if standing is Standing.RATE_LIMITED]
        if throttled:
            return Cooling(until=min(throttled), reason=Standing.RATE_LIMITED)
        if len(running) < len(cooldowns):
            return Unusable(reason=Standing.USABLE)
        waiting = [
            (until, standing)
            for standing, until in running
            if standing not in {Standing.QUOTA_EXHAUSTED, Standing.REVOKED}
        ]
        if waiting:
            until, reason = min(waiting, key=lambda cooldown: cooldown[0])
            return Cooling(until=until, reason=reason)
        if not running or any(standing is Standing.REVOKED for standing, _ in running):
            return Unusable(reason=Standing.REVOKED)
        return Cooling(until=min(until for _, until in running), reason=Standing.QUOTA_EXHAUSTED)


def _record_failure(entry: _Entry, now: float) -> None:
    entry.failures += 1
    if entry.failures >= EJECTION_FAILURES and entry.ejected_until <= now:
        entry.ejections += 1
        seconds = min(EJECTION_CAP_SECONDS, EJECTION_STEP_SECONDS * entry.ejections)
        entry.ejected_until = now + seconds


def _bound_retry_after(seconds: float) -> float:
    return min(MAX_RETRY_AFTER_SECONDS, max(MIN_RETRY_AFTER_SECONDS, seconds))


def _find_next_month(now: float) -> float:
    month = datetime.fromtimestamp(now, tz=UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month + timedelta(days=32)).replace(day=1).timestamp()


def _build_state(entry: _Entry, now: float) -> CredentialState:
    cooldown = entry.find_cooldown(now)
    if cooldown is not None:
        standing, until = cooldown
        return CredentialState(label=entry.label, standing=standing, until=until if until < math.inf else None)
    if now < entry.ejected_until:
        return CredentialState(label=entry.label, standing=Standing.PASSED_OVER, until=entry.ejected_until)
    return CredentialState(label=entry.label, standing=Standing.USABLE, until=None)
