"""What every store does that needs no service beside it: the one in memory and the one on disk."""

import errno
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from kiro2api.auth.state.files import open_file_store
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.record import Notes
from kiro2api.auth.state.store import StaleRecordError, StateError, StateStore, describe_os_error
from tests.unit.auth.state.test_record import build_record

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1000.0


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    """An empty store, whose clock stands still."""
    makers: dict[str, Callable[[], StateStore]] = {
        "memory": partial(MemoryStore, wall=lambda: NOW),
        "files": partial(open_file_store, tmp_path / "state", "key", wall=lambda: NOW),
    }
    return makers[request.param]()


async def _write(store: StateStore, generation: int, credential_id: str = "a") -> None:
    async with store.hold(credential_id) as hold:
        await store.write(hold, build_record(generation))


async def test_the_last_written_is_read(store: StateStore) -> None:
    """Each credential has its own record, or none."""
    await _write(store, 1)
    await _write(store, 7)
    await _write(store, 2, "b")

    assert [await store.read(name) for name in "abc"] == [build_record(7), build_record(2), None]
    assert store.trouble == ""
    await store.aclose()
    await store.aclose()


@pytest.mark.parametrize("generation", [0, 4, 5])
async def test_an_older_record_does_not_replace_a_newer_one(store: StateStore, generation: int) -> None:
    """Nor does one as old; what stands stays."""
    await _write(store, 5)
    with pytest.raises(StaleRecordError):
        await _write(store, generation)

    assert await store.read("a") == build_record(5)
    assert store.trouble == ""


async def test_one_holds_at_a_time(store: StateStore) -> None:
    """Ten tasks that read and write one more lose nothing; other credentials are not waited for."""

    async def add_one() -> None:
        async with store.hold("a") as hold:
            found = await store.read("a")
            await store.write(hold, build_record(1 if found is None else found.generation + 1))

    async with store.hold("b") as hold, trio.open_nursery() as nursery:
        assert (hold.credential_id, hold.was_interrupted, hold.is_exclusive) == ("b", False, True)
        for _ in range(10):
            nursery.start_soon(add_one)
    assert await store.read("a") == build_record(10)


async def test_a_hold_ends_with_its_block(store: StateStore) -> None:
    """Left by an error or by being cancelled: the next one has it, and is told of nothing."""
    with pytest.raises(ZeroDivisionError):
        async with store.hold("a"):
            raise ZeroDivisionError
    with trio.CancelScope() as scope:
        async with store.hold("a"):
            scope.cancel()
            await trio.sleep_forever()
    async with store.hold("a") as hold:
        assert not hold.was_interrupted


async def test_who_stops_waiting_holds_nothing(store: StateStore) -> None:
    """Cancelled while another has it, or before."""
    entered = []

    async def enter() -> None:
        async with store.hold("a"):
            entered.append("a")

    with trio.CancelScope() as scope:
        scope.cancel()
        await enter()
    async with store.hold("a"), trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        await trio.testing.wait_all_tasks_blocked(0.02)
        nursery.cancel_scope.cancel()
    assert not entered
    await _write(store, 1)


async def test_nobody_writes_without_a_hold(store: StateStore) -> None:
    """One that has ended is none."""
    async with store.hold("a") as hold:
        pass
    with pytest.raises(StateError):
        await store.write(hold, build_record())

    assert await store.read("a") is None


async def test_a_write_that_has_begun_is_not_cancelled(store: StateStore) -> None:
    """What has been traded is kept, whoever has stopped waiting."""
    async with store.hold("a") as hold:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.write(hold, build_record())
        assert not scope.cancelled_caught

    assert await store.read("a") == build_record()


async def test_notes_are_shared(store: StateStore) -> None:
    """Cooldowns to their ends, uses summed up, the newest quota; each credential's own."""
    told = Notes(cooldowns={"rate_limited": NOW + 5, "revoked": math.inf, "forbidden": NOW}, uses=2)
    await store.exchange_notes("a", told)
    await store.exchange_notes("a", Notes(uses=1, quota_left=3.5, quota_checked_at=NOW))
    known = await store.exchange_notes("a", Notes())

    cooldowns = {"rate_limited": NOW + 5, "revoked": math.inf}
    assert known == Notes(cooldowns=cooldowns, uses=3, quota_left=3.5, quota_checked_at=NOW)
    assert await store.exchange_notes("b", Notes()) == Notes()


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/secret/path"), "ENOSPC: No space left on device"),
        (OSError("odd"), "OSError"),
    ],
)
def test_an_error_of_the_system_is_named(error: OSError, description: str) -> None:
    """Without a path."""
    assert describe_os_error(error) == description
