"""Two stores as one: which of them is asked, which of them counts, and what happens while one of them is down."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kiro2api.auth.state.record import Notes, Record, merge_notes
from kiro2api.auth.state.replicated import LEFT_ALONE, SYNCHRONISE_SECONDS, ReplicatedStore
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError

NAME = "0123456789abcdef"


@dataclass
class FakeStore:
    """A store in memory that fails while it is down."""

    name: str
    is_up: bool = True
    was_interrupted: bool = False
    is_closed: bool = False
    write_seconds: float = 0.0
    records: dict[str, Record] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    _turn: trio.Semaphore = field(default_factory=partial(trio.Semaphore, 1))
    _holds: set[Hold] = field(default_factory=set)
    _changed: trio.Event = field(default_factory=trio.Event)

    @property
    def trouble(self) -> str:
        return "" if self.is_up else f"{self.name} trouble"

    @property
    def generation(self) -> int:
        """Of the record that it has; 0 for none."""
        return self.records[NAME].generation if NAME in self.records else 0

    def keep(self, generation: int) -> None:
        """Has had a record all along, or none for 0."""
        if generation:
            self.records[NAME] = build_record(generation, self.name)

    def turn(self, *, up: bool) -> None:
        """Goes down, or comes back."""
        self.is_up = up
        self._changed.set()
        self._changed = trio.Event()

    async def wait_change(self, *, is_up: bool) -> None:
        while self.is_up == is_up:
            await self._changed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        await self._check()
        async with self._turn:
            hold = Hold(credential_id=credential_id, was_interrupted=self.was_interrupted)
            self._holds.add(hold)
            yield hold
            self._holds.discard(hold)

    async def read(self, credential_id: str) -> Record | None:
        await self._check()
        return self.records.get(credential_id)

    async def write(self, hold: Hold, record: Record) -> None:
        await self._check()
        assert self.name == "shared" or hold in self._holds
        if self.generation >= record.generation:
            raise StaleRecordError
        await trio.sleep(self.write_seconds)
        self.records[hold.credential_id] = record

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        await self._check()
        assert credential_id == NAME
        self.notes = merge_notes(self.notes, told)
        return self.notes

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.is_closed = True

    async def _check(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self.is_up:
            raise StateError(f"{self.name} down")


@dataclass(kw_only=True)
class Pair:
    """Both stores, the one in front, and what was logged."""

    local: FakeStore = field(default_factory=partial(FakeStore, "local"))
    shared: FakeStore = field(default_factory=partial(FakeStore, "shared"))
    events: list[tuple[int, str, dict[str, object]]] = field(default_factory=list)

    def build(self, *, replicas: int = 2) -> ReplicatedStore:
        """The store in front of both."""
        return ReplicatedStore(self.local, self.shared, replicas=replicas, log=self._log)

    def turn(self, *, local: bool = True, shared: bool = True) -> None:
        """Brings both to these states."""
        self.local.turn(up=local)
        self.shared.turn(up=shared)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[ReplicatedStore]:
        """The store in front of both, while it runs."""
        store = self.build()
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            yield store
            nursery.cancel_scope.cancel("the test is over")

    def _log(self, level: int, event: str, /, **fields: object) -> None:
        self.events.append((level, event, fields))


def build_record(generation: int, origin: str = "o") -> Record:
    """A record, told apart by ``origin``."""
    return Record(
        generation=generation, origin=origin, refresh_token="r", access_token="a", expires_at=9.0, refreshed_at=1.0
    )


@pytest.mark.parametrize(
    ("local", "shared", "origin"),
    [(0, 0, ""), (1, 0, "local"), (0, 1, "shared"), (2, 1, "local"), (1, 2, "shared"), (2, 2, "shared")],
)
async def test_the_higher_generation_is_read(local: int, shared: int, origin: str) -> None:
    """At the same generation the shared record counts, which is the one that the others have."""
    pair = Pair()
    pair.local.keep(local)
    pair.shared.keep(shared)
    record = await pair.build().read(NAME)
    assert (record.origin if record else "") == origin


@pytest.mark.parametrize(("local", "shared", "origin"), [(True, False, "local"), (False, True, "shared")])
async def test_one_store_is_enough_to_read(*, local: bool, shared: bool, origin: str) -> None:
    """Whatever the other has."""
    pair = Pair()
    pair.local.keep(1)
    pair.shared.keep(2)
    pair.turn(local=local, shared=shared)
    assert await pair.build().read(NAME) == build_record(1 if local else 2, origin)


async def test_both_stores_down_is_an_error() -> None:
    """For every method; what is wrong is told of both."""
    pair = Pair()
    store = pair.build()
    pair.turn(local=False, shared=False)
    with pytest.raises(StateError) as read:
        await store.read(NAME)
    with pytest.raises(StateError) as written:
        await store.write(Hold(credential_id=NAME), build_record(1))
    with pytest.raises(StateError) as told:
        await store.exchange_notes(NAME, Notes())
    with pytest.raises(StateError) as held:
        async with store.hold(NAME):
            pass
    assert [error.value.detail for error in (read, written, told)] == [
        "local down; shared down",
        "local down",
        "local down",
    ]
    assert held.value.detail == store.trouble


@pytest.mark.parametrize(
    ("local", "shared", "exclusive"), [(True, True, True), (True, False, False), (False, True, True)]
)
async def test_a_hold_is_exclusive_with_the_consent_of_the_shared_store(
    *, local: bool, shared: bool, exclusive: bool
) -> None:
    """Without it a hold of this machine is given all the same, and says so."""
    pair = Pair()
    pair.turn(local=local, shared=shared)
    async with pair.build().hold(NAME) as hold:
        assert (hold.credential_id, hold.is_exclusive, hold.was_interrupted) == (NAME, exclusive, False)


@pytest.mark.parametrize(("local", "shared"), [(True, False), (False, True)])
async def test_either_store_may_know_of_an_interrupted_hold(*, local: bool, shared: bool) -> None:
    """The dead holder may have had the hold of one of them only."""
    pair = Pair()
    pair.local.was_interrupted = local
    pair.shared.was_interrupted = shared
    async with pair.build().hold(NAME) as hold:
        assert hold.was_interrupted


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_hold_excludes_others(autojump_clock: MockClock, *, is_up: bool) -> None:
    """On this machine also while the shared store is down."""
    pair = Pair()
    store = pair.build()
    pair.turn(shared=is_up)
    async with store.hold(NAME):
        with trio.move_on_after(1000) as patience:
            async with store.hold(NAME):
                pass
    assert patience.cancelled_caught
    async with store.hold(NAME):
        pass
    assert autojump_clock.current_time() >= 1000


async def test_a_hold_excludes_other_replicas(autojump_clock: MockClock) -> None:
    """Who have another local store."""
    pair = Pair()
    elsewhere = Pair(shared=pair.shared).build()
    async with pair.build().hold(NAME):
        with trio.move_on_after(1000) as patience:
            async with elsewhere.hold(NAME):
                pass
    assert patience.cancelled_caught
    assert autojump_clock.current_time() >= 1000


@pytest.mark.parametrize(
    ("local", "shared", "generations"), [(True, True, (1, 1)), (True, False, (1, 0)), (False, True, (0, 1))]
)
async def test_a_record_is_written_where_it_can_be(*, local: bool, shared: bool, generations: tuple[int, int]) -> None:
    """One store that keeps it is enough."""
    pair = Pair()
    store = pair.build()
    pair.turn(local=local, shared=shared)
    async with store.hold(NAME) as hold:
        await store.write(hold, build_record(1))
    assert (pair.local.generation, pair.shared.generation) == generations


@pytest.mark.parametrize(("local", "shared"), [(2, 0), (0, 2), (1, 2)])
async def test_a_record_that_is_not_newer_is_refused_by_either_store(local: int, shared: int) -> None:
    """Another process was faster, here or elsewhere."""
    pair = Pair()
    store = pair.build()
    pair.local.keep(local)
    pair.shared.keep(shared)
    async with store.hold(NAME) as hold:
        with pytest.raises(StaleRecordError):
            await store.write(hold, build_record(2))


async def test_the_local_store_has_the_record_before_the_shared_one_is_asked(autojump_clock: MockClock) -> None:
    """Whoever dies meanwhile has lost nothing."""
    pair = Pair()
    store = pair.build()
    pair.shared.write_seconds = 1000
    async with store.hold(NAME) as hold:
        with trio.move_on_after(500):
            await store.write(hold, build_record(1))
    assert (pair.local.generation, pair.shared.generation) == (1, 0)
    assert autojump_clock.current_time() == 500


async def test_what_was_written_while_the_shared_store_was_down_is_published(autojump_clock: MockClock) -> None:
    """As soon as it is back, not at the next refresh."""
    pair = Pair()
    async with pair.run() as store:
        pair.turn(shared=False)
        async with store.hold(NAME) as hold:
            await store.write(hold, build_record(1))
        await trio.sleep(1000)
        assert (pair.local.generation, pair.shared.generation) == (1, 0)
        pair.turn(shared=True)
        await wait_all_tasks_blocked()
        assert (pair.local.generation, pair.shared.generation) == (1, 1)
    assert autojump_clock.current_time() == 1000


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_shared_store_that_has_lost_everything_gets_it_again(
    autojump_clock: MockClock, *, is_noticed: bool
) -> None:
    """When somebody reads, else after a while; an outage need not have been seen."""
    pair = Pair()
    async with pair.run() as store:
        async with store.hold(NAME) as hold:
            await store.write(hold, build_record(3))
        await wait_all_tasks_blocked()
        pair.shared.records.clear()
        if is_noticed:
            assert await store.read(NAME) == build_record(3)
            await wait_all_tasks_blocked()
        else:
            await trio.sleep(SYNCHRONISE_SECONDS + 1)
        assert pair.shared.generation == 3
    assert autojump_clock.current_time() == (0 if is_noticed else SYNCHRONISE_SECONDS + 1)


async def test_what_another_replica_has_refreshed_is_kept_here_too() -> None:
    """So that the loss of the shared store and of that replica is not the loss of the login."""
    pair = Pair()
    pair.local.keep(1)
    pair.shared.keep(2)
    async with pair.run() as store:
        await store.read(NAME)
        await wait_all_tasks_blocked()
    assert pair.local.records[NAME] == build_record(2, "shared")


async def test_a_comparison_waits_for_no_refresh(autojump_clock: MockClock) -> None:
    """What is found while somebody holds the credential is kept here later."""
    pair = Pair()
    pair.shared.keep(1)
    async with pair.run() as store:
        async with pair.local.hold(NAME):
            await store.read(NAME)
            await trio.sleep(2)
        assert pair.local.generation == 0
        await trio.sleep(SYNCHRONISE_SECONDS)
        assert pair.local.generation == 1
    assert autojump_clock.current_time() > SYNCHRONISE_SECONDS


async def test_a_store_that_fails_while_it_is_compared_is_compared_later(autojump_clock: MockClock) -> None:
    """The task goes on."""
    pair = Pair()
    async with pair.run() as store:
        async with store.hold(NAME) as hold:
            await store.write(hold, build_record(1))
        pair.shared.records.clear()
        pair.local.turn(up=False)
        await trio.sleep(SYNCHRONISE_SECONDS + 1)
        assert pair.shared.generation == 0
        pair.local.turn(up=True)
        await trio.sleep(SYNCHRONISE_SECONDS + 1)
        assert pair.shared.generation == 1
    assert autojump_clock.current_time() == 2 * (SYNCHRONISE_SECONDS + 1)


async def test_uses_are_told_to_one_store_only() -> None:
    """To the shared one while it is up, else to the local one, and never again to the other."""
    pair = Pair()
    async with pair.run() as store:
        first = await store.exchange_notes(NAME, Notes(uses=1))
        pair.turn(shared=False)
        second = await store.exchange_notes(NAME, Notes(uses=10))
        pair.turn(shared=True)
        third = await store.exchange_notes(NAME, Notes(uses=100))
        await wait_all_tasks_blocked()
    assert (first.uses, second.uses, third.uses) == (1, 10, 101)
    assert (pair.local.notes.uses, pair.shared.notes.uses) == (10, 101)


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(autojump_clock: MockClock) -> None:
    """Not with each call, and not a start at which all is well."""
    pair = Pair()
    async with pair.run() as store:
        await wait_all_tasks_blocked()
        assert pair.events == []
        for is_up in (False, True, False):
            pair.turn(shared=is_up)
            for _ in range(5):
                await store.read(NAME)
                await store.exchange_notes(NAME, Notes())
                await trio.sleep(100)
    assert pair.events == [
        (logging.WARNING, "state_store_down", {"reason": "shared trouble", "replicas": 2}),
        (logging.INFO, "state_store_up", {}),
        (logging.WARNING, "state_store_down", {"reason": "shared trouble", "replicas": 2}),
    ]
    assert autojump_clock.current_time() == 1500


async def test_a_store_that_is_down_at_the_start_is_told() -> None:
    """The start does not wait for it."""
    pair = Pair()
    pair.turn(shared=False)
    async with pair.run():
        await wait_all_tasks_blocked()
    assert [event for _, event, _ in pair.events] == ["state_store_down"]


@pytest.mark.parametrize(
    ("local", "shared", "replicas", "trouble"),
    [
        (True, True, 2, ""),
        (False, True, 2, "local trouble"),
        (True, False, 1, "shared trouble"),
        (False, False, 1, "local trouble; shared trouble"),
        (True, False, 2, f"shared trouble; {LEFT_ALONE}"),
    ],
)
async def test_trouble_is_told_of_both(*, local: bool, shared: bool, replicas: int, trouble: str) -> None:
    """And what follows from it for several replicas."""
    pair = Pair()
    store = pair.build(replicas=replicas)
    pair.turn(local=local, shared=shared)
    assert store.trouble == trouble


async def test_both_stores_are_closed() -> None:
    """With the one in front of them; twice does no harm."""
    pair = Pair()
    store = pair.build()
    await store.aclose()
    await store.aclose()
    assert (pair.local.is_closed, pair.shared.is_closed) == (True, True)
