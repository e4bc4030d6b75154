"""Background tasks that outlive their own failures, and the register of how they are.

A task that fails is logged, and started again after a pause: half a second, doubled with each failure in a row up to
half a minute. Nothing that it raises reaches the nursery, save cancellation. What it raised is told by type and place:
the words of an exception may quote what no log line may hold.
"""

import enum
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from traceback import walk_tb
from typing import Protocol

import trio

BASE_SECONDS = 0.5
"""The pause after a first failure."""
CAP_SECONDS = 30.0
"""The longest pause, before chance is added."""
RESET_SECONDS = 60.0
"""A failure after a run so long is a first one."""
JITTER = 0.5
"""The share of a pause that chance decides: between three quarters and five quarters of it."""
MAX_FAILURES = 3
"""So many in a row, and the process is not ready for requests."""

_MAX_DOUBLINGS = 10


class Log(Protocol):
    """Where events go: a level of the :mod:`logging` module, the event's name, its fields; structlog's ``log`` fits."""

    def __call__(self, level: int, event: str, /, **fields: object) -> object: ...


class TaskState(enum.Enum):
    """What a background task is doing."""

    UP = "up"
    DOWN = "down"
    """Has failed; will be started again."""
    ENDED = "ended"
    """Was done, or cancelled."""


@dataclass(slots=True, kw_only=True)
class BackgroundTask:
    """One background task; times are Trio's."""

    name: str
    is_vital: bool = True
    """Whether the process is not ready for requests while this task is broken."""
    state: TaskState = TaskState.UP
    since: float = field(default_factory=trio.current_time)
    """When ``state`` was entered."""
    failures: int = 0
    """In a row: a run of ``RESET_SECONDS`` ends the row."""
    restarts: int = 0
    """Since the process began."""
    pause: float = 0.0
    """Seconds that the task was last left down."""
    reason: str = ""
    """Of the last failure."""

    @property
    def is_broken(self) -> bool:
        """Whether it has failed again and again, and has not run since for as long as it was last left down."""
        if self.failures < MAX_FAILURES or self.state is TaskState.ENDED:
            return False
        return self.state is TaskState.DOWN or trio.current_time() - self.since <= self.pause

    def enter(self, state: TaskState) -> None:
        """Notes the beginning of ``state``."""
        self.state = state
        self.since = trio.current_time()

    def fail(self, reason: str, *, draw: float) -> None:
        """Notes a failure, and chooses the pause by ``draw``, which is from 0 to 1."""
        if trio.current_time() - self.since >= RESET_SECONDS:
            self.failures = 0
        doublings = min(self.failures, _MAX_DOUBLINGS)
        self.pause = min(CAP_SECONDS, BASE_SECONDS * 2**doublings) * (1 + JITTER * (draw - 0.5))
        self.failures += 1
        self.reason = reason
        self.enter(TaskState.DOWN)


class Health:
    """The register of a process's background tasks, by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, BackgroundTask] = {}

    @property
    def tasks(self) -> tuple[BackgroundTask, ...]:
        """All that were ever supervised, in the order in which they began."""
        return tuple(self._tasks.values())

    def list_broken(self) -> tuple[str, ...]:
        """The names of the vital tasks for which the process is not ready."""
        return tuple(task.name for task in self._tasks.values() if task.is_vital and task.is_broken)

    def enrol(self, name: str, *, is_vital: bool) -> BackgroundTask:
        """A new entry, in the place of any other of that name."""
        self._tasks[name] = BackgroundTask(name=name, is_vital=is_vital)
        return self._tasks[name]


async def supervise(  # noqa: PLR0913 - what is run, where it is told, and how it differs from other tasks
    name: str,
    function: Callable[[], Awaitable[object]],
    health: Health,
    *,
    log: Log,
    jitter: Callable[[], float] = random.random,
    may_end: bool = False,
    is_vital: bool = True,
) -> None:
    """Runs ``function`` again and again, until it is cancelled.

    Args:
        name: For the log, the register and ``/readyz``; holds no secret.
        function: The task. Each call starts it anew.
        health: Where the state is kept.
        log: Hears of each failure.
        jitter: Draws from 0 to 1.
        may_end: A return is the end of the task; otherwise it is a failure like any other.
        is_vital: See :class:`BackgroundTask`.
    """
    task = health.enrol(name, is_vital=is_vital)
    try:
        while True:
            reason = ""
            try:
                await function()
            except* Exception as group:  # noqa: BLE001 - whatever the defect, the server goes on; it is logged
                reason = ", ".join(_describe_leaves(group))
            if not reason and may_end:
                return
            task.fail(reason or "returned", draw=jitter())
            log(
                logging.ERROR,
                "background_task_failed",
                task=name,
                reason=task.reason,
                failures=task.failures,
                retry_in=round(task.pause, 2),
            )
            await trio.sleep(task.pause)
            task.restarts += 1
            task.enter(TaskState.UP)
    finally:
        task.enter(TaskState.ENDED)


def _describe_leaves(error: BaseException) -> Iterator[str]:
    """Each exception that is no group, as its type and the place that raised it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _describe_leaves(inner)
        return
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        place = f" at {PurePath(frame.f_code.co_filename).name}:{line}"
    yield type(error).__name__ + place


async def see_through[T](function: Callable[[], Awaitable[T]], *, grace: float) -> T:
    """What ``function`` returns or raises; a cancellation from outside stops it only ``grace`` seconds later.

    The cancellation is raised all the same, after that. For work whose result would be lost for ever.
    """
    result: list[T] = []
    defect: Exception | None = None
    async with trio.open_nursery() as nursery:
        with trio.CancelScope(shield=True) as shield:
            nursery.start_soon(_wait_to_shorten, shield, grace)  # noqa: ASYNC111 - it moves a deadline, if late, in vain
            try:
                result.append(await function())
            except Exception as error:  # noqa: BLE001 - raised again outside the nursery, which would wrap it
                defect = error
        nursery.cancel_scope.cancel("the work is done")
    if defect is not None:
        raise defect
    return result[0]


async def _wait_to_shorten(shield: trio.CancelScope, grace: float) -> None:
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        shield.deadline = trio.current_time() + grace
        raise
