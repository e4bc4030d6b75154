"""Several processes that share credentials, in front of one simulated upstream."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from kiro2api.auth.credentials import build_fingerprint
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.server import Simulator
from tests.support import sharer
from tests.support.forking import Child, Zygote, running_zygote

PATIENCE = 60.0


@dataclass
class Member:
    """One process, and what it has told."""

    child: Child
    access: dict[str, str] = field(default_factory=dict)
    """The fingerprint of the access token that it uses, by credential."""
    failures: list[str] = field(default_factory=list)


@dataclass
class Group:
    """The processes of a test, and their upstream."""

    simulator: Simulator
    zygote: Zygote
    nursery: trio.Nursery
    state: str
    refresh_tokens: tuple[str, ...]
    hold_seconds: float
    members: dict[str, Member] = field(default_factory=dict)
    _count: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    async def add(self) -> None:
        """Another process."""
        self._count += 1
        name = f"sharer-{self._count}"
        tokens = ",".join(self.refresh_tokens)
        child = await self.zygote.fork(
            sharer.share, name, self.simulator.base_url, self.state, tokens, self.hold_seconds
        )
        self.members[name] = Member(child)
        self.nursery.start_soon(self._listen, self.members[name])

    async def expire(self) -> None:
        """Ends all access tokens, and has all processes learn of it."""
        self.simulator.accounts.expire_access_tokens()
        for member in self.members.values():
            await member.child.kill(signal.SIGUSR1)

    async def kill(self, name: str) -> None:
        """Ends a process in the hardest way."""
        member = self.members.pop(name)
        await member.child.kill()
        assert await member.child.wait() == -signal.SIGKILL

    def find_live(self) -> list[str]:
        """The names of the processes that have a live access token of each credential."""
        accounts, now = self.simulator.accounts, trio.current_time()
        live = {
            build_fingerprint(g.access_token) for g in accounts.grants if accounts.authorize(g.access_token, now=now)
        }
        return [
            name
            for name, member in self.members.items()
            if len(member.access) == len(self.refresh_tokens) and live.issuperset(member.access.values())
        ]

    async def wait_all_live(self) -> None:
        """Waits until that is true of all."""
        await self.wait(lambda: len(self.find_live()) == len(self.members))

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Waits for something that the processes tell."""
        with trio.fail_after(PATIENCE):
            while not condition():
                await self._news.wait()

    async def _listen(self, member: Member) -> None:
        async for told in member.child.told:
            assert isinstance(told, dict)
            if "failed" in told:
                member.failures.append(told["failed"])
            else:
                member.access[told["credential"]] = told["access"]
            self._news.set()
            self._news = trio.Event()


@asynccontextmanager
async def running_group(
    state: str,
    refresh_tokens: tuple[str, ...],
    *,
    processes: int = 4,
    hold_seconds: float = 0.6,
    is_open: bool = False,
) -> AsyncIterator[Group]:
    """Processes with live access tokens, on an upstream that rotates refresh tokens and minds their being used twice.

    Args:
        state: A directory, or the URL of a Redis server.
        refresh_tokens: Of all of them.
        processes: How many.
        hold_seconds: How long a dead holder's hold lasts on a Redis server.
        is_open: Whether the upstream takes other refresh tokens as well.
    """
    simulator = Simulator(accounts=Accounts(None if is_open else refresh_tokens, rotate=True, detect_reuse=True))
    async with (
        running_zygote(sharer.__name__, "kiro2api.auth.state.redis_client") as zygote,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(simulator.serve)
        group = Group(
            simulator=simulator,
            zygote=zygote,
            nursery=nursery,
            state=state,
            refresh_tokens=refresh_tokens,
            hold_seconds=hold_seconds,
        )
        for _ in range(processes):
            await group.add()
        await group.wait_all_live()
        yield group
        nursery.cancel_scope.cancel("the test is over")
