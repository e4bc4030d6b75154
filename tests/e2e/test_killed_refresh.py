"""A process that is killed about the time at which a refresh is answered, and started again.

The old refresh token is worth nothing from the moment of the answer, so that the account depends on what was stored.
"""

import os
import random
from pathlib import Path

import pytest
import trio

from kiro2api.auth.credentials import build_fingerprint
from kiro2api.auth.state.files import open_file_store
from kiro2api.simulator.script import Hang, Proceed
from tests.support.sharer import STATE_KEY
from tests.support.sharers import Group, running_group

ROUNDS = int(os.environ.get("KILLS", "30"))
"""100 for a long look."""
SPREAD_SECONDS = 0.02
"""After the answer has left the upstream, a process is killed at random within so many seconds."""
MAX_LOST_SHARE = 0.5
"""Of rounds in which the process died before it had the answer: an eighth on a quiet machine. More than this would mean
that storing takes ten milliseconds."""


async def kill_at_random(group: Group, directory: Path, refresh_token: str, *, wait: float) -> bool:
    """One round: whether the answer had reached the process that was killed. The account has to live on if so."""
    group.state, group.refresh_tokens = str(directory), (refresh_token,)
    count = len(group.simulator.accounts.grants) + 1
    await group.add()
    grant = (await group.simulator.wait_grants(count))[-1]
    await trio.sleep(wait)
    (name,) = group.members
    await group.kill(name)
    record = await open_file_store(directory, STATE_KEY).read(build_fingerprint(refresh_token))
    await group.add()
    (member,) = group.members.values()
    if record is None:
        await group.wait(lambda: bool(member.failures))
        assert "the answer to an earlier refresh was lost when its process was killed" in member.failures[0]
    else:
        assert record.refresh_token == grant.refresh_token
        await group.wait_all_live()
        await group.expire()
        await group.wait_all_live()
    await group.kill(*group.members)
    return record is not None


@pytest.mark.slow
async def test_an_account_lives_on_whenever_the_answer_had_reached_us(tmp_path: Path) -> None:
    """A kill at any moment after that loses nothing; one before it is told as what it is."""
    chance = random.Random(11)  # noqa: S311 - the same moments in each run
    async with running_group(str(tmp_path / "first"), ("aor-first",), processes=1, is_open=True) as group:
        await group.kill(*group.members)
        reached = [
            await kill_at_random(
                group, tmp_path / f"state-{number}", f"aor-{number}", wait=chance.uniform(0, SPREAD_SECONDS)
            )
            for number in range(ROUNDS)
        ]

        assert reached.count(False) <= MAX_LOST_SHARE * ROUNDS


@pytest.mark.slow
async def test_an_answer_that_never_came_is_told_as_lost(tmp_path: Path) -> None:
    """The upstream has rotated the refresh token, and the process died before it heard of it."""
    async with running_group(str(tmp_path / "first"), ("aor-first",), processes=1, is_open=True) as group:
        await group.kill(*group.members)
        group.simulator.enqueue_refresh([Proceed(hold=(Hang(),))])

        assert not await kill_at_random(group, tmp_path / "state", "aor-lost", wait=0.0)
