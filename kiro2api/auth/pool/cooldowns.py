"""Cooldowns of one credential: how long they last, and which of them other processes are told of.

Cooldowns of several kinds run side by side, and none shortens another.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from kiro2api.auth.pool.selection import Standing

THROTTLE_BASE_SECONDS = 5.0
THROTTLE_CAP_SECONDS = 300.0
REFUSED_BASE_SECONDS = 60.0
REFUSED_CAP_SECONDS = 3600.0
"""A refused fresh access token is usually a matter of the account: an hour between probes is often enough."""
FORBIDDEN_SECONDS = 600.0
SUSPENDED_SECONDS = 6 * 3600.0
REFRESH_BASE_SECONDS = 5.0
REFRESH_CAP_SECONDS = 300.0
DOUBT_SECONDS = 60.0
"""Between two refusals of a refresh that together revoke: a gateway's mood passes sooner."""
MIN_RETRY_AFTER_SECONDS = 1.0
"""Less would let the next request run into the same refusal."""
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
"""A daily limit asks for up to a day; more is a mistake in the unit."""
MAX_QUOTA_SECONDS = 62 * 86400.0
"""Quotas are monthly: a reset further ahead than two months is a mistake in the unit."""
JITTER = 0.2
"""Share by which a doubling cooldown is made longer or shorter, so that replicas do not come back together."""
CLOCK_SKEW_SECONDS = 60.0
"""By which another machine's clock may be ahead; its cooldowns are then cut to what they could be here."""

_MAX_DOUBLINGS = 32
_LONGEST_SECONDS = {
    Standing.RATE_LIMITED.value: MAX_RETRY_AFTER_SECONDS,
    Standing.QUOTA_EXHAUSTED.value: MAX_QUOTA_SECONDS,
    Standing.SUSPENDED.value: SUSPENDED_SECONDS,
    Standing.FORBIDDEN.value: FORBIDDEN_SECONDS,
    Standing.TOKEN_REFUSED.value: REFUSED_CAP_SECONDS * (1 + JITTER),
}
"""Of the kinds that concern the account, and so all processes that use it."""


class Cooldowns:
    """Until when the credential is to be left alone, kind by kind."""

    __slots__ = ("_untils", "until")

    def __init__(self) -> None:
        self._untils: dict[Standing, float] = {}
        self.until = 0.0
        """When the last of them ends."""

    def cool(self, standing: Standing, until: float) -> None:
        self._untils[standing] = max(until, self._untils.get(standing, 0.0))
        self.until = max(until, self.until)

    def lift(self, *standings: Standing) -> None:
        for standing in standings:
            self._untils.pop(standing, None)
        self.until = max(self._untils.values(), default=0.0)

    def is_cooling(self, standing: Standing, now: float) -> bool:
        return now < self._untils.get(standing, 0.0)

    def find(self, now: float) -> tuple[Standing, float] | None:
        """The cooldown that ends last, and when; ``None`` if all have ended."""
        if self.until <= now:
            return None
        return max(self._untils.items(), key=lambda cooldown: cooldown[1])

    def export(self, now: float) -> dict[str, float]:
        """Those still running that concern the account."""
        return {
            standing.value: until
            for standing, until in self._untils.items()
            if standing.value in _LONGEST_SECONDS and now < until
        }

    def take_over(self, cooldowns: Mapping[str, float], now: float) -> None:
        """Adds what another process exported; what cannot be meant is left out."""
        for name, until in cooldowns.items():
            longest = _LONGEST_SECONDS.get(name)
            if longest is not None and now < until <= now + longest + CLOCK_SKEW_SECONDS:
                self.cool(Standing(name), min(until, now + longest))

    def __str__(self) -> str:
        return " ".join(f"{standing.value}<{until:.0f}" for standing, until in self._untils.items())


def bound_retry_after(seconds: float) -> float:
    """What another's wish to be left alone comes to: a second to a day."""
    return min(MAX_RETRY_AFTER_SECONDS, max(MIN_RETRY_AFTER_SECONDS, seconds))


def draw_back_off(streak: int, base: float, cap: float, jitter: Callable[[], float]) -> float:
    """Seconds to wait after ``streak`` refusals in a row, doubling from ``base`` to ``cap``."""
    seconds = base * 2.0 ** min(streak - 1, _MAX_DOUBLINGS)
    return min(cap, seconds) * (1 + JITTER * (2 * jitter() - 1))


def find_quota_reset(now: float, resets_at: float | None) -> float:
    """When a quota that is used up comes back: when the service said if that can be, else with the next month, UTC."""
    if resets_at is not None and now < resets_at <= now + MAX_QUOTA_SECONDS:
        return resets_at
    month = datetime.fromtimestamp(now, tz=UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month + timedelta(days=32)).replace(day=1).timestamp()
