"""Times as people want them: how far away, and where on this machine's clock. All times are epoch seconds."""

from datetime import UTC, datetime

_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_SECONDS_BELOW = 90
"""From here on minutes say more; hours and days follow in the same way."""
_MINUTES_BELOW = 90 * _MINUTE
_HOURS_BELOW = 48 * _HOUR
_LAST = 253_370_764_800
"""The first day of the year 9999: what lies beyond it, no calendar shows in every time zone."""


def describe_span(seconds: float) -> str:
    """A length of time in one unit, like ``54 min``."""
    if seconds < _SECONDS_BELOW:
        return f"{seconds:.0f} s"
    if seconds < _MINUTES_BELOW:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < _HOURS_BELOW:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def describe_clock(when: float, now: float) -> str:
    """The local time of day, with the date if that is not today's, and the date alone if it is days away."""
    there, here = _to_local(when), _to_local(now)
    if abs(when - now) >= _HOURS_BELOW:
        year = "" if there.year == here.year else f" {there.year}"
        return f"{there.day} {there:%b}{year}"
    return f"{there:%H:%M}" if there.date() == here.date() else f"{there.day} {there:%b} {there:%H:%M}"


def describe_moment(when: float, now: float) -> str:
    """Both, like ``in 54 min (15:30)`` or ``6 min ago (14:30)``."""
    span = describe_span(abs(when - now))
    clock = describe_clock(when, now)
    return f"in {span} ({clock})" if when >= now else f"{span} ago ({clock})"


def _to_local(when: float) -> datetime:
    return datetime.fromtimestamp(min(max(when, _DAY), _LAST), tz=UTC).astimezone()
