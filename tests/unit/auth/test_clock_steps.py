"""The time of day jumps: nobody's access token ends by it, none lives for ever by it, and what is stored is mended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.refresh import MAX_LIFETIME_SECONDS
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.state.memory import MemoryStore
from tests.unit.auth.fakes import EPOCH, FakeRefreshService, LogBook, build_wire

DAY = 86_400.0


@dataclass
class Machine:
    """A machine whose time of day can be set; its steady clock runs on."""

    clock: MockClock
    store: MemoryStore = field(default_factory=MemoryStore)
    service: FakeRefreshService = field(default_factory=FakeRefreshService)
    step: float = 0.0

    def wall(self) -> float:
        return EPOCH + self.clock.current_time() + self.step

    @asynccontextmanager
    async def run(self) -> AsyncIterator[CredentialBroker]:
        """A process, which begins with the time of day as it is now."""
        offset = self.step
        clocks = Clocks(now=lambda: EPOCH + self.clock.current_time() + offset, wall=self.wall, jitter=lambda: 0.5)
        transport = httpx.MockTransport(self.service)
        async with httpx.AsyncClient(transport=transport) as client, trio.open_nursery() as nursery:
            broker = CredentialBroker(
                parse_refresh_tokens("a"), wire=build_wire(client), log=LogBook(), store=self.store, clocks=clocks
            )
            nursery.start_soon(broker.run)
            yield broker
            nursery.cancel_scope.cancel("the process has ended")


@pytest.mark.parametrize("step", [DAY, -DAY, 400 * DAY, -400 * DAY])
async def test_a_step_changes_nothing_for_a_process(autojump_clock: MockClock, step: float) -> None:
    """Refreshes go on when they were due, and requests are served without waiting."""
    machine = Machine(autojump_clock)
    async with machine.run() as broker:
        await broker.lease()
        await trio.sleep(100)
        machine.step = step
        for _ in range(3):
            with trio.fail_after(0):
                await broker.lease()
            await trio.sleep(3301)

    assert [at for at, _ in machine.service.calls] == [0, 3301, 6602, 9903]


@pytest.mark.parametrize(("step", "refreshes"), [(DAY, 2), (-DAY, 1)])
async def test_a_step_between_two_processes_costs_a_refresh_at_the_most(
    autojump_clock: MockClock, step: float, refreshes: int
) -> None:
    """What was stored looks expired, or good for a day more: it is had anew at once, or when it is refused."""
    machine = Machine(autojump_clock)
    async with machine.run() as broker:
        await broker.lease()
    machine.step = step
    async with machine.run() as broker:
        lease = await broker.lease()
        assert len(machine.service.calls) == refreshes
        assert lease.access_token.expires_at <= machine.wall() + MAX_LIFETIME_SECONDS
        renewed = await broker.renew(lease)

        assert renewed.access_token.generation == lease.access_token.generation + 1
        assert len(machine.service.calls) == refreshes + 1


async def test_a_machine_that_slept_finds_out_by_one_refusal(autojump_clock: MockClock) -> None:
    """Its steady clock has stood still: the access token seems to live, the upstream says otherwise, once for all."""
    machine = Machine(autojump_clock)
    async with machine.run() as broker:
        leases = [await broker.lease() for _ in range(3)]
        machine.step = 8 * 3600
        renewed = [await broker.renew(lease) for lease in leases]

        assert {lease.access_token.generation for lease in renewed} == {2}
        with trio.fail_after(0):
            assert (await broker.lease()).access_token.generation == 2
    assert len(machine.service.calls) == 2
