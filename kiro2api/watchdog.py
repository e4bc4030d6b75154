"""A watch over the event loop: how late it wakes a task that asked to be woken.

A loop that is late is late for everybody: pings, probes, cancellations. The cause is work that does not yield, or a
machine that has no time for the process.
"""

import logging
import math
from collections import deque
from dataclasses import dataclass

import trio

from kiro2api.supervision import Log

PERIOD_SECONDS = 0.1
"""Between two measurements; a stall is seen shorter than it was, by as much at most."""
WINDOW = 600
"""Measurements that are kept: a minute of a loop that is never late."""
LIMIT_SECONDS = 0.2
"""Lag that is worth a line: people begin to notice it, and an idle machine shows a hundredth of it."""
WARNING_PAUSE_SECONDS = 10.0
"""Between two such lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LagStatistics:
    """Seconds by which the loop was late, over the last minute; all zero before the first measurement."""

    last: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class LoopWatchdog:
    """Measures the loop it runs in; ``log`` hears when the loop is late."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lags: deque[float] = deque(maxlen=WINDOW)
        self._unlogged = 0
        self._quiet_until = -math.inf

    def statistics(self) -> LagStatistics:
        if not self._lags:
            return LagStatistics()
        ranked = sorted(self._lags)
        p99 = ranked[math.ceil(len(ranked) * 0.99) - 1]
        return LagStatistics(last=self._lags[-1], p99=p99, max=ranked[-1])

    async def run(self) -> None:
        """Measures until it is cancelled."""
        while True:
            due = trio.current_time() + PERIOD_SECONDS
            await trio.sleep_until(due)
            now = trio.current_time()
            self._receive_lag(now - due, now)

    def _receive_lag(self, lag: float, now: float) -> None:
        self._lags.append(lag)
        if lag <= LIMIT_SECONDS:
            return
        self._unlogged += 1
        if now >= self._quiet_until:
            self._log(logging.WARNING, "loop_lag", lag_seconds=round(lag, 3), times=self._unlogged)
            self._unlogged = 0
            self._quiet_until = now + WARNING_PAUSE_SECONDS
