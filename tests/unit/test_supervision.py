"""Tests of kiro2api.supervision."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from kiro2api.supervision import Health, TaskState, supervise


@dataclass
class Book:
    """What was logged: when, and the fields."""

    clock: MockClock
    lines: list[tuple[float, dict[str, object]]] = field(default_factory=list)

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        assert (level, event) == (logging.ERROR, "background_task_failed")
        self.lines.append((self.clock.current_time(), fields))

    def list_pauses(self) -> list[object]:
        return [fields["retry_in"] for _, fields in self.lines]

    def list_reasons(self) -> list[object]:
        return [fields["reason"] for _, fields in self.lines]


@asynccontextmanager
async def _supervising(
    clock: MockClock, function: Callable[[], Awaitable[object]], *, draw: float = 0.5, is_vital: bool = True
) -> AsyncIterator[tuple[Health, Book]]:
    health, book = Health(), Book(clock)

    async def run() -> None:
        await supervise("t", function, health, log=book, jitter=lambda: draw, is_vital=is_vital)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield health, book
        nursery.cancel_scope.cancel("the test has ended")


async def _crash() -> None:
    raise KeyError("hidden")


async def test_pauses_double(autojump_clock: MockClock) -> None:
    """A task that fails at once is started again after half a second, then after twice as long, up to half a minute."""
    async with _supervising(autojump_clock, _crash) as (_, book):
        await trio.sleep(150)

    assert book.list_pauses() == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert [time for time, _ in book.lines][:5] == [0, 0.5, 1.5, 3.5, 7.5]


@pytest.mark.parametrize(("draw", "pauses"), [(0.0, [0.38, 0.75, 1.5]), (1.0, [0.62, 1.25, 2.5])])
async def test_chance(autojump_clock: MockClock, draw: float, pauses: list[float]) -> None:
    """A pause is a quarter shorter or longer by chance, so that what failed together does not return together."""
    async with _supervising(autojump_clock, _crash, draw=draw) as (_, book):
        await trio.sleep(2.4)

    assert book.list_pauses() == pauses


@pytest.mark.parametrize(("up", "pauses"), [(59, [0.5, 1.0, 2.0]), (60, [0.5, 0.5, 0.5])])
async def test_a_long_run_starts_anew(autojump_clock: MockClock, up: float, pauses: list[float]) -> None:
    """A failure after a minute is a first one."""

    async def run() -> None:
        await trio.sleep(up)
        raise OSError

    async with _supervising(autojump_clock, run) as (_, book):
        await trio.sleep(190)

    assert book.list_pauses() == pauses


async def test_failing_for_days(autojump_clock: MockClock) -> None:
    """Nothing grows beyond bounds."""
    async with _supervising(autojump_clock, _crash) as (health, book):
        await trio.sleep(80_000)

    assert (len(book.lines), book.list_pauses()[-1]) == (health.tasks[0].failures, 30.0)
    assert health.tasks[0].failures > 2_000


async def test_reasons(autojump_clock: MockClock) -> None:
    """Types and places of all that a group holds, however deep; no word of an exception; a return is told too."""

    async def run() -> None:
        if book.lines:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_crash)
            async with trio.open_nursery() as inner:  # noqa: ASYNC112  a group within a group is the point
                inner.start_soon(_crash)

    async with _supervising(autojump_clock, run) as (_, book):
        await trio.sleep(1)

    place = f"KeyError at test_supervision.py:{_crash.__code__.co_firstlineno + 1}"
    assert book.list_reasons() == [f"{place}, {place}", "returned"]


async def test_register(autojump_clock: MockClock) -> None:
    """It says since when a task is up, down or ended, how often it was started again, and why it failed last."""
    seen: list[tuple[TaskState, float, int]] = []

    async def run() -> None:
        await trio.sleep(10)
        raise EOFError

    async with _supervising(autojump_clock, run) as (health, _):
        await trio.testing.wait_all_tasks_blocked()
        (task,) = health.tasks
        for _ in range(3):
            await trio.sleep(5.2)
            seen.append((task.state, task.since, task.restarts))

    assert seen == [(TaskState.UP, 0, 0), (TaskState.DOWN, 10, 0), (TaskState.UP, 10.5, 1)]
    assert (task.name, task.state, round(task.since, 3)) == ("t", TaskState.ENDED, 15.6)
    assert task.reason.startswith("EOFError at test_supervision.py:")


@pytest.mark.parametrize(("is_vital", "broken"), [(True, ("t",)), (False, ())])
async def test_broken(autojump_clock: MockClock, broken: tuple[str, ...], *, is_vital: bool) -> None:
    """Three failures in a row break a task, until it has run for as long as it was last left waiting."""
    states: list[tuple[str, ...]] = []
    is_well = False

    async def run() -> None:
        if not is_well:
            raise OSError
        await trio.sleep_forever()

    async with _supervising(autojump_clock, run, is_vital=is_vital) as (health, _):
        await trio.sleep(1.4)  # failed at 0 and 0.5
        states.append(health.list_broken())
        await trio.sleep(0.2)  # failed at 1.5
        states.append(health.list_broken())
        is_well = True
        await trio.sleep(2.9)  # started at 3.5
        states.append(health.list_broken())
        await trio.sleep(1.5)
        states.append(health.list_broken())

    assert states == [(), broken, broken, ()]


async def test_a_task_that_may_end(autojump_clock: MockClock) -> None:
    """A task that may end is done when it returns: nothing is logged, nothing is broken."""
    health, book = Health(), Book(autojump_clock)

    await supervise("t", trio.lowlevel.checkpoint, health, log=book, may_end=True)

    assert (book.lines, health.list_broken(), health.tasks[0].state) == ([], (), TaskState.ENDED)


async def test_an_ended_task_is_not_broken(autojump_clock: MockClock) -> None:
    """A task that was cancelled while it failed again and again keeps nobody from anything."""
    async with _supervising(autojump_clock, _crash) as (health, _):
        await trio.sleep(10)
        assert health.list_broken() == ("t",)

    assert health.list_broken() == ()


async def test_cancellation_passes(autojump_clock: MockClock) -> None:
    """A task that fails while it is cancelled is logged, and not started again."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                nursery.start_soon(_crash)

    book = Book(autojump_clock)
    with trio.move_on_after(1) as scope:
        await supervise("t", run, Health(), log=book)

    assert scope.cancelled_caught
    assert trio.current_time() == 1


async def test_a_name_is_entered_once() -> None:
    """A task of the same name takes the place of the one before."""
    health = Health()

    health.enrol("a", is_vital=True)
    second = health.enrol("a", is_vital=False)

    assert health.tasks == (second,)
    assert (second.name, second.is_vital, second.state) == ("a", False, TaskState.UP)


async def test_interrupts_pass(autojump_clock: MockClock) -> None:
    """What is meant for the process is no failure of the task."""

    async def run() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await supervise("t", run, Health(), log=Book(autojump_clock))
