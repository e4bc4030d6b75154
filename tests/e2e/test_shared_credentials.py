"""Processes that share credentials: one refresh for all, and nothing lost when one of them is killed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Proceed, Script, WaitFor
from tests.support.redis import redis_server
from tests.support.sharers import Group, running_group

KILLS = int(os.environ.get("KILLS", "20"))
"""Of processes in each of the tests that kill; 100 for a long look."""


@asynccontextmanager
async def open_state(kind: str, tmp_path: Path) -> AsyncIterator[str]:
    """A directory, or a Redis server's URL."""
    if kind == "files":
        yield str(tmp_path / "state")
        return
    async with redis_server(tmp_path) as server:
        yield server.url


@pytest.mark.parametrize("kind", ["files", "redis"])
async def test_processes_that_share_a_store_make_one_refresh(kind: str, tmp_path: Path) -> None:
    """At the start and at each expiry: one refresh for four processes, and no refresh token is ever shown twice."""
    tokens = ("aor-first", "aor-second")
    async with open_state(kind, tmp_path) as state, running_group(state, tokens) as group:
        for _ in range(3):
            await group.expire()
            await group.wait_all_live()

        assert len(group.simulator.refreshes) == 4 * len(tokens)
        assert not group.simulator.accounts.reuses


async def kill_a_holder(group: Group) -> None:
    """Kills whoever holds the right to refresh, after it has asked and before its refresh takes effect."""
    released = trio.Event()
    asked: list[Record] = []

    def keep_first(record: Record) -> Script:
        asked.append(record)
        return [WaitFor(released), Proceed()] if len(asked) == 1 else [Proceed()]

    group.simulator.refresh_responder = keep_first
    await group.expire()
    await group.simulator.wait_requests(len(group.simulator.requests) + 1)
    await group.kill(asked[0].headers["user-agent"])
    released.set()
    await group.wait_all_live()
    await group.add()
    await group.wait_all_live()
    assert len(asked) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "redis"])
async def test_a_holder_that_is_killed_in_the_middle_takes_nothing_along(kind: str, tmp_path: Path) -> None:
    """Its refresh had not taken effect: one of the others makes it instead, and the account lives on."""
    async with open_state(kind, tmp_path) as state, running_group(state, ("aor-first",)) as group:
        for _ in range(KILLS):
            await kill_a_holder(group)

        assert not group.simulator.accounts.reuses


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "redis"])
async def test_a_holder_that_is_killed_with_its_answer_has_stored_it(kind: str, tmp_path: Path) -> None:
    """As soon as any process uses an access token, all have it, whatever becomes of that process."""
    async with open_state(kind, tmp_path) as state, running_group(state, ("aor-first",)) as group:
        for _ in range(KILLS):
            before = len(group.simulator.refreshes)
            await group.expire()
            await group.wait(lambda: bool(group.find_live()))
            await group.kill(group.find_live()[0])
            await group.add()
            await group.wait_all_live()

            assert len(group.simulator.refreshes) == before + 1
        assert not group.simulator.accounts.reuses
