"""The process's budget of retries, so that a sick upstream is not asked several times as often as a healthy one.

It is for retries that go to where the failure came from: host or model. Turning from a credential that cannot be used
to another one, or renewing its access token, costs nothing and puts no load on what is sick; that is not counted.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.2
"""Of the requests in flight, that may be retries."""
FLOOR = 3
"""Retries at a time that are always allowed."""


class RetryBudget:
    """How many of the requests in flight are being retried, and how many may be."""

    def __init__(self, *, share: float = SHARE, floor: int = FLOOR) -> None:
        self._share = share
        self._floor = floor
        self.in_flight = 0
        """Requests that are open."""
        self.retrying = 0
        """Those of them that have a place for a retry."""

    @contextmanager
    def open(self) -> Iterator["Spending"]:
        """Counts a request as in flight as long as the block runs; a place it has is given back on the way out."""
        spending = Spending(self)
        self.in_flight += 1
        try:
            yield spending
        finally:
            spending.release()
            self.in_flight -= 1

    @property
    def limit(self) -> int:
        """Retries that may be under way now."""
        return max(self._floor, math.floor(self._share * self.in_flight))


class Spending:
    """What one request has of the budget: one place at the most."""

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self._has_place = False

    def acquire(self) -> bool:
        """Whether the request may be retried now; it keeps its place until :meth:`release`, pauses included."""
        if not self._has_place and self._budget.retrying < self._budget.limit:
            self._budget.retrying += 1
            self._has_place = True
        return self._has_place

    def release(self) -> None:
        """Gives the place back, if there is one: the retry has been answered, or is over."""
        if self._has_place:
            self._budget.retrying -= 1
            self._has_place = False
