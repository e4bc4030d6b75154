"""Renewals: what is stored before it is used, what is taken over from others, what happens when the store fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.credentials import AccessToken, Outcome, build_fingerprint
from kiro2api.auth.errors import NoCredentialError
from kiro2api.auth.pool import Standing
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.store import Hold, StateError
from tests.unit.auth.fakes import EPOCH, FakeRefreshService, LogBook, grant, open_broker, refuse

A = build_fingerprint("a")
DEAD = refuse(400, '{"error":"invalid_grant"}')


@dataclass
class FlakyStore:
    """A store that fails where it is told to, and tells of what is written."""

    inner: MemoryStore = field(default_factory=MemoryStore)
    failing: set[str] = field(default_factory=set)
    written: list[Record] = field(default_factory=list)
    is_exclusive: bool = True
    was_interrupted: bool = False
    write_delay: float = 0.0
    trouble: str = ""
    _inner_holds: dict[Hold, Hold] = field(default_factory=dict)

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        if "hold" in self.failing:
            raise StateError("hold fails")
        async with self.inner.hold(credential_id) as hold:
            told = replace(hold, is_exclusive=self.is_exclusive, was_interrupted=self.was_interrupted)
            self._inner_holds[told] = hold
            yield told

    async def read(self, credential_id: str) -> Record | None:
        if "read" in self.failing:
            raise StateError("read fails")
        return await self.inner.read(credential_id)

    async def write(self, hold: Hold, record: Record) -> None:
        if "write" in self.failing:
            raise StateError("write fails")
        await trio.sleep(self.write_delay)
        await self.inner.write(self._inner_holds.get(hold, hold), record)
        self.written.append(record)

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        if "notes" in self.failing:
            raise StateError("notes fail")
        return await self.inner.exchange_notes(credential_id, told)

    async def aclose(self) -> None:
        await self.inner.aclose()


def rotate(service: FakeRefreshService, chain: str = "abcdef") -> None:
    """Makes each refresh bring the next letter as refresh token; a letter is good once."""
    for shown, following in pairwise(chain):

        def trade(shown: str = shown, following: str = following) -> httpx.Response:
            service.answers[shown] = DEAD
            return grant(f"access-{following}", refreshToken=following)

        service.answers[shown] = trade


async def test_what_a_refresh_brings_is_stored_before_it_is_used(autojump_clock: MockClock) -> None:
    """A lease comes only when the store has the record."""
    store, service = FlakyStore(write_delay=3), FakeRefreshService()
    rotate(service)
    async with open_broker(autojump_clock, service, store=store) as broker:
        lease = await broker.lease()

        assert trio.current_time() == 4
        assert lease.access_token.value == "access-b"
        assert [record.refresh_token for record in store.written] == ["b"]
        assert (store.written[0].previous_refresh_token, store.written[0].is_rotating) == ("a", True)


async def test_a_refresh_under_way_is_stored_though_the_process_is_told_to_stop(autojump_clock: MockClock) -> None:
    """The answer may be the only copy of the new refresh token."""
    store, service = FlakyStore(write_delay=1), FakeRefreshService()
    rotate(service)
    async with open_broker(autojump_clock, service, store=store):
        await trio.sleep(0.5)
        service.broker_scope.cancel("stop")

    assert [record.refresh_token for record in store.written] == ["b"]


async def test_a_stored_access_token_is_used_at_once_after_a_restart(autojump_clock: MockClock) -> None:
    """Nobody is asked for another while it lives, and the rotated refresh token is used when it ends."""
    store, service = MemoryStore(), FakeRefreshService()
    rotate(service)
    async with open_broker(autojump_clock, service, store=store) as broker:
        await broker.lease()
    service.broker_scope = trio.CancelScope()
    async with open_broker(autojump_clock, service, store=store) as broker:
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(0):
            lease = await broker.lease()
        await trio.sleep(3600)

    assert lease.access_token == AccessToken(
        value="access-b", expires_at=EPOCH + 3601, generation=1, profile_arn=None, is_second_hand=True
    )
    assert [called for _, called in service.calls] == ["a", "b"]


async def test_a_request_that_is_there_first_is_served_from_the_store_too(autojump_clock: MockClock) -> None:
    """It asks before the store has been read; nothing is refreshed for its sake."""
    store, service = MemoryStore(), FakeRefreshService()
    async with open_broker(autojump_clock, service, store=store) as broker:
        await broker.lease()
    service.broker_scope = trio.CancelScope()
    async with open_broker(autojump_clock, service, store=store) as broker:
        await broker.lease()
        await trio.sleep(10)

    assert len(service.calls) == 1


async def test_processes_that_share_a_store_make_one_refresh(autojump_clock: MockClock) -> None:
    """Whoever comes later takes over what the first one got, at the start, ahead of expiry and after a refusal."""
    store, service = MemoryStore(), FakeRefreshService()
    rotate(service)
    async with (
        open_broker(autojump_clock, service, store=store) as first,
        open_broker(autojump_clock, replace(service, broker_scope=trio.CancelScope()), store=store) as second,
    ):
        leases = [await first.lease(), await second.lease()]
        assert {lease.access_token.value for lease in leases} == {"access-b"}
        renewed = [await first.renew(leases[0]), await second.renew(leases[1])]
        assert {lease.access_token.value for lease in renewed} == {"access-c"}
        await trio.sleep(3400)

        assert {(await broker.lease()).access_token.value for broker in (first, second)} == {"access-d"}
    assert [called for _, called in service.calls] == ["a", "b", "c"]


async def test_an_older_refresh_token_is_tried_when_the_newest_is_dead(autojump_clock: MockClock) -> None:
    """A rotation whose answer was lost on the way to us left the older one alive."""
    log, store, service = LogBook(), MemoryStore(), FakeRefreshService(answers={"b": DEAD, "a": lambda: grant("aoa")})
    record = Record(
        generation=5,
        origin=A,
        refresh_token="b",
        previous_refresh_token="a",
        access_token="old",
        expires_at=EPOCH,
        refreshed_at=EPOCH - 3600,
    )
    async with store.hold(A) as hold:
        await store.write(hold, record)
    async with open_broker(autojump_clock, service, log=log, store=store) as broker:
        lease = await broker.lease()

    assert (lease.access_token.value, lease.access_token.generation) == ("aoa", 6)
    assert "older_refresh_token_used" in log.events


async def test_an_interrupted_refresh_is_told_with_the_rejection(autojump_clock: MockClock) -> None:
    """The operator learns why a login that was good is not."""
    log, store = LogBook(), FlakyStore(was_interrupted=True)
    async with open_broker(autojump_clock, FakeRefreshService(answers={"a": DEAD}), log=log, store=store) as broker:
        with pytest.raises(NoCredentialError):
            await broker.lease()

    assert "the answer to an earlier refresh was lost when its process was killed" in log.text


@pytest.mark.parametrize("failing", [{"read"}, {"hold", "read", "write"}, {"write"}, {"notes"}])
async def test_a_store_that_fails_stops_nobody(autojump_clock: MockClock, failing: set[str]) -> None:
    """The process works alone meanwhile, says so, and stores what it has when the store is back."""
    log, store, service = LogBook(), FlakyStore(failing=failing), FakeRefreshService()
    rotate(service)
    async with open_broker(autojump_clock, service, log=log, store=store) as broker:
        lease = await broker.renew(await broker.lease())
        await trio.sleep(10)
        store.failing = set()
        await trio.sleep(10)

        assert lease.access_token.value == "access-c"
        assert (record := await store.read(A)) is not None
        assert (record.refresh_token, record.generation) == ("c", 2)
    assert "fail" in log.text
    assert "access-" not in log.text


async def test_a_rotating_token_is_not_traded_without_the_lock_of_all_replicas(autojump_clock: MockClock) -> None:
    """Another replica may be at it; an access token that lives is used on until the lock is back."""
    store, service = FlakyStore(), FakeRefreshService()
    rotate(service)
    async with open_broker(autojump_clock, service, store=store, has_replicas=True) as broker:
        lease = await broker.lease()
        store.is_exclusive = False
        await trio.sleep(3400)
        assert (await broker.lease()).access_token == lease.access_token
        await trio.sleep(300)
        with pytest.raises(NoCredentialError):
            await broker.lease()
        store.is_exclusive = True
        await trio.sleep(400)

        assert (await broker.lease()).access_token.value == "access-c"
    assert [called for _, called in service.calls] == ["a", "b"]


@pytest.mark.parametrize("generation", [0, 1])
async def test_a_token_that_does_not_rotate_is_traded_without_the_lock(
    autojump_clock: MockClock, generation: int
) -> None:
    """As soon as that is known: without a record, another replica may have rotated it long ago."""
    store, service = FlakyStore(), FakeRefreshService()
    async with open_broker(autojump_clock, service, store=store, has_replicas=True) as broker:
        if generation:
            await broker.lease()
        store.is_exclusive = False
        await trio.sleep(4000)

        assert broker.has_usable() is bool(generation)


async def test_a_hold_that_nobody_gives_back_is_waited_for_in_bounded_time(autojump_clock: MockClock) -> None:
    """The credential cools, and is tried again."""
    store, service = MemoryStore(), FakeRefreshService()
    async with open_broker(autojump_clock, service, store=store) as broker:
        async with store.hold(A):
            with pytest.raises(NoCredentialError):
                await broker.lease()
            assert (trio.current_time(), service.calls) == (45, [])
        await trio.sleep(10)

        assert (await broker.lease()).access_token.generation == 1


async def test_cooldowns_and_uses_reach_the_other_processes(autojump_clock: MockClock) -> None:
    """Within a few seconds, by the store."""
    store, service = MemoryStore(wall=lambda: EPOCH + trio.current_time()), FakeRefreshService()
    async with (
        open_broker(autojump_clock, service, store=store) as first,
        open_broker(autojump_clock, replace(service, broker_scope=trio.CancelScope()), store=store) as second,
    ):
        first.release(await first.lease(), Outcome.RATE_LIMITED, retry_after=60)
        await second.lease()
        await trio.sleep(5)

        (report,) = second.describe()
        assert (report.standing, report.uses) == (Standing.RATE_LIMITED, 2)
        assert report.until == pytest.approx(EPOCH + 61)
