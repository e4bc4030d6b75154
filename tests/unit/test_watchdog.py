"""Tests of kiro2api.watchdog."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from kiro2api.watchdog import LagStatistics, LoopWatchdog

type Lines = list[tuple[float, dict[str, object]]]


@asynccontextmanager
async def _watching() -> AsyncIterator[tuple[LoopWatchdog, Lines]]:
    lines: Lines = []

    def log(level: int, event: str, /, **fields: object) -> None:
        assert (level, event) == (logging.WARNING, "loop_lag")
        lines.append((trio.current_time(), fields))

    watchdog = LoopWatchdog(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watchdog.run)
        await trio.testing.wait_all_tasks_blocked()
        yield watchdog, lines
        nursery.cancel_scope.cancel("the test has ended")


async def _stall(clock: MockClock, seconds: float) -> None:
    """Time passes while the loop can do nothing; then it catches up."""
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked()


async def test_a_loop_that_is_in_time(autojump_clock: MockClock) -> None:
    """Nothing is late, nothing is logged."""
    async with _watching() as (watchdog, lines):
        await trio.sleep(30)
        statistics = watchdog.statistics()
        assert autojump_clock.current_time() == 30

    assert statistics.max == pytest.approx(0, abs=1e-9)
    assert lines == []


async def test_before_the_first_measurement() -> None:
    """There is something to show from the beginning."""
    async with _watching() as (watchdog, _):
        assert watchdog.statistics() == LagStatistics(last=0, p99=0, max=0)


@pytest.mark.parametrize(("stall", "logged"), [(0.29, []), (0.31, [{"lag_seconds": 0.21, "times": 1}])])
async def test_the_limit(mock_clock: MockClock, stall: float, logged: list[object]) -> None:
    """Lag of 200 ms is worth a line; the first tenth of a second of a stall may go unseen."""
    async with _watching() as (watchdog, lines):
        await _stall(mock_clock, stall)
        lag = watchdog.statistics().last

    assert lag == pytest.approx(stall - 0.1)
    assert [fields for _, fields in lines] == logged


async def test_one_line_in_ten_seconds(mock_clock: MockClock) -> None:
    """Stalls in between are counted in the next line."""
    async with _watching() as (_, lines):
        for _ in range(15):
            await _stall(mock_clock, 1.0)

    assert lines == [
        (1.0, {"lag_seconds": 0.9, "times": 1}),
        (11.0, {"lag_seconds": 0.9, "times": 10}),
    ]


async def test_statistics(mock_clock: MockClock) -> None:
    """The last, the greatest and the 99th of a hundred are told, and forgotten after a minute."""
    async with _watching() as (watchdog, _):
        for stall in (5.1, 3.1, *[0.1] * 197, 0.15):
            await _stall(mock_clock, stall)
        early = watchdog.statistics()
        for _ in range(600):
            await _stall(mock_clock, 0.1)
        late = watchdog.statistics()

    assert (early.last, early.p99, early.max) == pytest.approx((0.05, 0.05, 5.0))
    assert (late.last, late.p99, late.max) == pytest.approx((0, 0, 0))
