"""Time and chance, as everything about credentials sees them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def build_steady_clock() -> Callable[[], float]:
    """A clock that begins at the time of day and then runs evenly, whatever happens to the time of day."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The seams for tests."""

    now: Callable[[], float] = field(default_factory=build_steady_clock)
    """Seconds since the epoch, by a clock that the time of day cannot make jump."""
    wall: Callable[[], float] = time.time
    """The time of day, for what other processes read."""
    jitter: Callable[[], float] = random.random
    """Draws from 0 to 1, for refreshes ahead of time, cooldowns and restarts."""
