"""What is known of one credential, and what each outcome adds to it.

========================  ==============================================================================
outcome                   effect on the credential
========================  ==============================================================================
throttled                 cools as long as the upstream asks, else 5 s, doubling to 5 min
access token refused      cools 60 s, doubling to an hour
forbidden                 cools 10 min
suspended                 cools 6 h; what follows is a probe
quota exhausted           cools until the service said it is reset, else until the first of next month, UTC
model refused             not for this model for an hour, as long as another may have it
upstream failed           from the third failure in a row on passed over for 30 s x n, up to 5 min, unless
                          it is the only one left: then the fault is hardly the credential's
refresh failed            cools as long as the service asks, else 5 s, doubling to 5 min
refresh doubted           the same, but a minute at the least; revoked if it happens again later than that
                          and no refresh has succeeded in between
refresh token dead        revoked, until a refresh succeeds elsewhere or the login is replaced
success                   forgets all streaks
========================  ==============================================================================

An outcome that arrives while the cooldown of its own kind is running comes from an older lease: it does not double
anything, and a success then forgets nothing.
"""

import math
from collections.abc import Callable
from typing import assert_never

from kiro2api.auth.credentials import Credential, Outcome
from kiro2api.auth.pool.cooldowns import (
    DOUBT_SECONDS,
    FORBIDDEN_SECONDS,
    REFRESH_BASE_SECONDS,
    REFRESH_CAP_SECONDS,
    REFUSED_BASE_SECONDS,
    REFUSED_CAP_SECONDS,
    SUSPENDED_SECONDS,
    THROTTLE_BASE_SECONDS,
    THROTTLE_CAP_SECONDS,
    Cooldowns,
    bound_retry_after,
    draw_back_off,
    find_quota_reset,
)
from kiro2api.auth.pool.selection import CredentialState, RefreshVerdict, Standing

EJECTION_FAILURES = 3
"""Failures in a row. One request makes at most two on one credential, so that a single bad prompt ejects nothing; and
each one more is a client who waits for a failover, which is dearer than half a minute without a credential."""
EJECTION_STEP_SECONDS = 30.0
EJECTION_CAP_SECONDS = 300.0
MODEL_REFUSED_SECONDS = 3600.0
"""The service opens and closes models for an account within hours."""
MAX_REFUSED_MODELS = 64
"""Remembered per credential: clients make the names up."""


class Entry:
    """One credential's share in the pool.

    Args:
        credential: Whose.
        jitter: Draws from 0 to 1.
    """

    __slots__ = (
        "_doubted_at",
        "_ejections",
        "_failures",
        "_jitter",
        "_models",
        "_origin",
        "_quota_left",
        "_quota_resets_at",
        "_refresh_failures",
        "_refusals",
        "_refused_models",
        "_throttles",
        "cooldowns",
        "credential_id",
        "ejected_until",
        "in_flight",
        "label",
        "load",
        "spent_until",
        "turn",
        "uses",
    )

    def __init__(self, credential: Credential, jitter: Callable[[], float]) -> None:
        self.credential_id = credential.credential_id
        self.label = credential.label
        self._origin = credential.origin
        self._jitter = jitter
        self.cooldowns = Cooldowns()
        self.ejected_until = 0.0
        self.spent_until = 0.0
        """Until when the service says that no quota is left."""
        self.turn = 0
        """Number of the latest lease among all leases of the pool, 0 before the first."""
        self.uses = 0
        self.load = 0
        """Uses as the least-used rule counts them, those included that others had while this one was not well."""
        self.in_flight = 0
        self._throttles = self._refusals = self._failures = self._ejections = self._refresh_failures = 0
        self._doubted_at: float | None = None
        """When the first of the present row of doubtful refreshes failed."""
        self._models: frozenset[str] | None = None
        self._refused_models: dict[str, float] = {}
        self._quota_left: float | None = None
        self._quota_resets_at: float | None = None

    @property
    def is_revoked(self) -> bool:
        return self.cooldowns.until == math.inf

    def update(self, credential: Credential) -> None:
        """Takes over the credential as it is configured now; another login gets the chance that the old one lost."""
        self.label = credential.label
        if credential.origin != self._origin:
            self._origin = credential.origin
            self.record_refreshed()

    def record(self, outcome: Outcome, now: float, *, retry_after: float | None, model: str | None) -> None:
        match outcome:
            case Outcome.NEUTRAL:
                pass
            case Outcome.SUCCESS:
                self._record_success(now)
            case Outcome.RATE_LIMITED:
                self._record_throttle(now, retry_after)
            case Outcome.TOKEN_REFUSED:
                self._record_refusal(now)
            case Outcome.QUOTA_EXHAUSTED:
                self.cooldowns.cool(Standing.QUOTA_EXHAUSTED, find_quota_reset(now, self._quota_resets_at))
            case Outcome.SUSPENDED:
                self.cooldowns.cool(Standing.SUSPENDED, now + SUSPENDED_SECONDS)
            case Outcome.FORBIDDEN:
                self.cooldowns.cool(Standing.FORBIDDEN, now + FORBIDDEN_SECONDS)
            case Outcome.MODEL_REFUSED:
                self._record_refused_model(model, now)
            case Outcome.UPSTREAM_FAILED:
                self._record_failure(now)
            case _:
                assert_never(outcome)

    def record_refresh_failure(
        self, now: float, *, verdict: RefreshVerdict, retry_after: float | None, live: bool
    ) -> float:
        """Returns when the next refresh may be tried, infinity for never."""
        if verdict is RefreshVerdict.DEAD or (verdict is RefreshVerdict.DOUBTFUL and self._is_doubted_again(now)):
            self.cooldowns.cool(Standing.REVOKED, math.inf)
            return math.inf
        self._refresh_failures += 1
        if retry_after is None:
            seconds = draw_back_off(self._refresh_failures, REFRESH_BASE_SECONDS, REFRESH_CAP_SECONDS, self._jitter)
        else:
            seconds = bound_retry_after(retry_after)
        if verdict is RefreshVerdict.DOUBTFUL:
            seconds = max(DOUBT_SECONDS, seconds)
        if not live:
            self.cooldowns.cool(Standing.REFRESH_FAILED, now + seconds)
        return now + seconds

    def record_refreshed(self) -> None:
        self._refresh_failures = 0
        self._doubted_at = None
        self.cooldowns.lift(Standing.REFRESH_FAILED, Standing.REVOKED)

    def note_models(self, models: frozenset[str] | None) -> None:
        self._models = None if models is None else frozenset(model.lower() for model in models)

    def note_limits(self, left: float | None, resets_at: float | None) -> None:
        self._quota_left = left
        self._quota_resets_at = resets_at
        is_spent = left is not None and left <= 0
        self.spent_until = (math.inf if resets_at is None else resets_at) if is_spent else 0.0

    def may_have(self, model: str, now: float) -> bool:
        """Whether nothing speaks against the model, which is given in lower case."""
        return (self._models is None or model in self._models) and (
            not self._refused_models or not self.refuses(model, now)
        )

    def refuses(self, model: str, now: float) -> bool:
        """Whether the upstream has lately refused the model, which is given in lower case, to this credential."""
        return now < self._refused_models.get(model, 0.0)

    def is_throttled(self, now: float) -> bool:
        """Whether it cools because the upstream asked for it, and for nothing that lasts longer."""
        found = self.cooldowns.find(now)
        return found is not None and found[0] is Standing.RATE_LIMITED

    def is_well(self, now: float) -> bool:
        """Whether nothing whatever speaks against the credential."""
        return max(self.cooldowns.until, self.ejected_until, self.spent_until) <= now

    def build_state(self, now: float) -> CredentialState:
        standing, until = self._find_standing(now)
        return CredentialState(
            credential_id=self.credential_id,
            label=self.label,
            standing=standing,
            until=until,
            uses=self.uses,
            in_flight=self.in_flight,
            quota_left=self._quota_left,
        )

    def _find_standing(self, now: float) -> tuple[Standing, float | None]:
        cooldown = self.cooldowns.find(now)
        if cooldown is not None:
            standing, until = cooldown
            return standing, until if until < math.inf else None
        if now < self.ejected_until:
            return Standing.PASSED_OVER, self.ejected_until
        return Standing.USABLE, None

    def _record_success(self, now: float) -> None:
        if self.cooldowns.find(now) is None:
            self._throttles = self._refusals = self._failures = self._ejections = 0
            self.ejected_until = 0.0

    def _record_throttle(self, now: float, retry_after: float | None) -> None:
        if retry_after is not None:
            self.cooldowns.cool(Standing.RATE_LIMITED, now + bound_retry_after(retry_after))
        elif not self.cooldowns.is_cooling(Standing.RATE_LIMITED, now):
            self._throttles += 1
            seconds = draw_back_off(self._throttles, THROTTLE_BASE_SECONDS, THROTTLE_CAP_SECONDS, self._jitter)
            self.cooldowns.cool(Standing.RATE_LIMITED, now + seconds)

    def _record_refusal(self, now: float) -> None:
        if not self.cooldowns.is_cooling(Standing.TOKEN_REFUSED, now):
            self._refusals += 1
            seconds = draw_back_off(self._refusals, REFUSED_BASE_SECONDS, REFUSED_CAP_SECONDS, self._jitter)
            self.cooldowns.cool(Standing.TOKEN_REFUSED, now + seconds)

    def _record_failure(self, now: float) -> None:
        self._failures += 1
        if self._failures >= EJECTION_FAILURES and self.ejected_until <= now:
            self._ejections += 1
            self.ejected_until = now + min(EJECTION_CAP_SECONDS, EJECTION_STEP_SECONDS * self._ejections)

    def _record_refused_model(self, model: str | None, now: float) -> None:
        if model is None:
            return
        self._refused_models.pop(model.lower(), None)
        self._refused_models[model.lower()] = now + MODEL_REFUSED_SECONDS
        if len(self._refused_models) > MAX_REFUSED_MODELS:
            del self._refused_models[next(iter(self._refused_models))]

    def _is_doubted_again(self, now: float) -> bool:
        """Whether the row of doubts is long enough; what failed without a word about the login does not end it."""
        if self._doubted_at is None:
            self._doubted_at = now
            return False
        # The same sum as that of the pause, so that the attempt at its very end counts.
        return now >= self._doubted_at + DOUBT_SECONDS
