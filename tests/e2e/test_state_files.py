"""The store on disk between processes: nobody's update is lost, whoever is killed, at whatever moment."""

import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from kiro2api.auth.state.files import FileStore, open_file_store
from kiro2api.auth.state.record import Notes, Record
from tests.support.forking import Child, Zygote, running_zygote, tell

ID = "0123456789abcdef"
KEY = "a-key-for-tests-only"
STEPS = ("open", "write", "fsync", "replace", "unlink", "listdir", "close")


def build_record(generation: int) -> Record:
    """A record whose secrets name its generation."""
    return Record(
        generation=generation,
        origin=ID,
        refresh_token=f"refresh-{generation}",
        access_token=f"access-{generation}",
        expires_at=0.0,
        refreshed_at=0.0,
    )


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    """Forks children that run this module's functions."""
    async with running_zygote(__name__) as zygote:
        yield zygote


async def _read_generation(store: FileStore) -> int:
    record = await store.read(ID)
    if record is None:
        return 0
    assert record == build_record(record.generation)
    return record.generation


async def _receive_number(child: Child) -> int:
    told = await child.told.receive()
    assert isinstance(told, int)
    return told


async def count_up(directory: str, rounds: int) -> None:
    """In a child: so many updates, each one more than the last, whoever made that."""
    store = open_file_store(Path(directory), KEY)
    for _ in range(rounds):
        async with store.hold(ID) as hold:
            assert not hold.was_interrupted
            await store.write(hold, build_record(await _read_generation(store) + 1))
        await store.exchange_notes(ID, Notes(uses=1))


async def write_until_killed(directory: str) -> None:
    """In a child: one hold, update after update; each is told as soon as the store has begun to keep it."""
    store = open_file_store(Path(directory), KEY)
    async with store.hold(ID) as hold:
        tell("holding")
        for generation in itertools.count(await _read_generation(store) + 1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, hold, build_record(generation))
                await trio.testing.wait_all_tasks_blocked()
                tell(generation)


async def write_once_and_die(directory: str, number: int) -> None:
    """In a child: one update, killed before its ``number``-th call to the system, or in the middle if it writes."""
    store = open_file_store(Path(directory), KEY)
    left = number

    def wrap[T](step: Callable[..., T]) -> Callable[..., T]:
        def die_or_go_on(*args: object, **kwargs: object) -> T:
            nonlocal left
            left -= 1
            if left == 0:
                data = args[-1]
                if isinstance(data, memoryview):
                    step(args[0], data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **kwargs)

        return die_or_go_on

    async with store.hold(ID) as hold:
        for name in STEPS:
            setattr(os, name, wrap(getattr(os, name)))
        await store.write(hold, build_record(2))
        left = 0


async def tell_key(directory: str) -> None:
    """In a child: seals something with the directory's own key, which is made if there is none."""
    store = open_file_store(Path(directory), None)
    async with store.hold(ID) as hold:
        generation = await _read_generation(store) + 1
        await store.write(hold, build_record(generation))
        tell(generation)


async def test_no_update_is_lost_between_processes(tmp_path: Path, zygote: Zygote) -> None:
    """Four that each count fifty up come to two hundred, and so do their uses."""
    children = [await zygote.fork(count_up, str(tmp_path / "state"), 50) for _ in range(4)]
    with trio.fail_after(60):
        assert [await child.wait() for child in children] == [0, 0, 0, 0]
    store = open_file_store(tmp_path / "state", KEY)

    assert await _read_generation(store) == 200
    assert await store.exchange_notes(ID, Notes()) == Notes(uses=200)


@pytest.mark.slow
async def test_a_holder_that_is_killed_loses_nothing_and_holds_nobody_up(tmp_path: Path, zygote: Zygote) -> None:
    """A hundred times, at all moments of an update: others go on at once, with what it had begun to keep."""
    store = open_file_store(tmp_path / "state", KEY)
    generation = 0
    for number in range(100):
        victim = await zygote.fork(write_until_killed, str(tmp_path / "state"))
        begun = [generation]
        assert await victim.told.receive() == "holding"
        with trio.fail_after(10):
            begun += [await _receive_number(victim) for _ in range(number % 4)]
            await trio.sleep(number % 23 * 0.0003)  # an update takes some milliseconds
            await victim.kill()
            async with store.hold(ID) as hold:
                assert hold.was_interrupted
                generation = await _read_generation(store)
            begun += [told async for told in victim.told if isinstance(told, int)]
        assert begun[-1] <= generation <= begun[-1] + 1
        assert not list((tmp_path / "state").glob("*.draft"))
    assert generation >= 100
    async with store.hold(ID) as hold:
        assert not hold.was_interrupted


async def test_killed_before_any_step_one_record_is_whole(tmp_path: Path, zygote: Zygote) -> None:
    """The old one until the new one is whole; from then on the new one, for readers and for the next holder."""
    told = []
    for number in itertools.count(1):
        directory = tmp_path / str(number)
        store = open_file_store(directory, KEY)
        async with store.hold(ID) as hold:
            await store.write(hold, build_record(1))
        child = await zygote.fork(write_once_and_die, str(directory), number)
        code = await child.wait()
        read = await _read_generation(store)
        async with store.hold(ID) as hold:
            assert (hold.was_interrupted, await _read_generation(store)) == (code != 0, read)
            told.append(read)
            await store.write(hold, build_record(3))
        assert (await _read_generation(store), list(directory.glob("*.draft"))) == (3, [])
        if code == 0:
            break
    assert told == sorted(told)  # nothing that was kept is lost by a later step
    assert (told.count(1), len(told) > 8) == (2, True)  # before the draft is made, and in the middle of it


async def test_a_holder_that_stands_still_keeps_its_hold(tmp_path: Path, zygote: Zygote) -> None:
    """However long: nobody else refreshes meanwhile. It goes on where it stood."""
    store = open_file_store(tmp_path / "state", KEY)
    holder = await zygote.fork(write_until_killed, str(tmp_path / "state"))
    assert await holder.told.receive() == "holding"
    await holder.kill(signal.SIGSTOP)
    with trio.move_on_after(0.3) as waiting:
        async with store.hold(ID):
            pass
    assert waiting.cancelled_caught
    before = await _read_generation(store)
    await holder.kill(signal.SIGCONT)
    with trio.fail_after(10):
        while await _read_generation(store) <= before + 1:
            await holder.told.receive()


async def test_all_who_start_at_once_seal_with_the_same_key(tmp_path: Path, zygote: Zygote) -> None:
    """Eight processes find no directory and no key, and read each other's records."""
    children = [await zygote.fork(tell_key, str(tmp_path / "state")) for _ in range(8)]
    with trio.fail_after(30):
        told = [await child.told.receive() for child in children]

    assert sorted(str(number) for number in told) == [str(number) for number in range(1, 9)]
