"""Which credential carries a request: the conversation's own, one that may have the model; and how the log says why."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kiro2api.simulator.account import Account, Throttle
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import USAGE_LIMITS_PATH
from kiro2api.simulator.server import Simulator
from tests.support.greetings import ask
from tests.support.proxy import HELLO, Proxy, running_proxy, until

SONNET, OPUS = "claude-sonnet-4.5", "claude-opus-4.6"
SESSION = "x-claude-code-session-id"


@asynccontextmanager
async def running_two(first: list[str] | None = None, *, limits_interval: float = 0.0) -> AsyncIterator[Proxy]:
    """A proxy with ``refresh-a``, which may use the models of ``first``, and ``refresh-b``, which may use all."""
    accounts = Accounts(["refresh-b"])
    accounts.add(Account(refresh_token="refresh-a", models=first))
    simulator = Simulator(accounts=accounts)
    tokens = "refresh-a,refresh-b"
    async with running_proxy(simulator, refresh_tokens=tokens, limits_interval=limits_interval) as proxy:
        await simulator.wait_grants(2)
        await until(lambda: len(proxy.log.find("credential_refreshed")) == 2)
        yield proxy


def list_users(proxy: Proxy) -> list[str | None]:
    """Whose calls reached the upstream, in their order."""
    return [record.credential for record in proxy.simulator.generations]


async def say(proxy: Proxy, session: str) -> int:
    """The status of one more request of a session; no two of them begin alike."""
    messages = [{"role": "user", "content": f"Hello for the {len(proxy.simulator.generations)}th time"}]
    headers = {SESSION: session}
    return (await proxy.client.post("/v1/messages", json=HELLO | {"messages": messages}, headers=headers)).status_code


async def test_a_session_stays_with_its_credential() -> None:
    """Whatever its requests begin with, and whatever goes on beside it; the log says so."""
    async with running_two() as proxy:
        for _ in range(3):
            assert [await say(proxy, "one"), await say(proxy, "two")] == [200, 200]

        assert list_users(proxy) == ["refresh-a", "refresh-b"] * 3
        choices = [line["choice"] for line in await proxy.log.wait("exchange", 6)]
        assert choices[2:] == ["own conversation"] * 4


async def test_a_session_moves_for_good_when_its_credential_is_throttled() -> None:
    """The request that meets the throttle is answered by the other one, and the log says why it was that one."""
    async with running_two() as proxy:
        assert await say(proxy, "one") == 200
        account = proxy.simulator.accounts["refresh-a"]
        account.throttle = Throttle(until=trio.current_time() + 60)
        assert await say(proxy, "one") == 200
        account.throttle = None
        assert await say(proxy, "one") == 200

        assert list_users(proxy) == ["refresh-a", "refresh-a", "refresh-b", "refresh-b"]
        _, moved, stays = await proxy.log.wait("exchange", 3)
        reason = "only one usable, conversation moved from social-1 (rate_limited); passed over: social-1 rate_limited"
        assert str(moved["choice"]).startswith(reason)
        assert (moved["credential"], moved["failed_attempts"]) == ("social-2", ["rate"])
        assert str(stays["choice"]).startswith("own conversation; passed over: social-1 rate_limited")


async def test_one_whose_list_lacks_the_model_is_passed_over() -> None:
    """Nothing is asked of it for that model, and its share of the others is what it was."""
    async with running_two([SONNET], limits_interval=0.05) as proxy:

        def is_known() -> bool:
            """Whether each credential was looked at, with all that belongs to it, and is being looked at again."""
            asked = Counter(record.credential for record in proxy.simulator.find_requests(USAGE_LIMITS_PATH))
            return min(asked["refresh-a"], asked["refresh-b"]) >= 2

        await until(is_known)
        assert await ask(proxy, 4, model=OPUS) == [200] * 4
        assert list_users(proxy) == ["refresh-b"] * 4
        assert await ask(proxy, 4, first=4, model=SONNET) == [200] * 4
        assert set(list_users(proxy)[4:]) == {"refresh-a", "refresh-b"}
        first, *_ = await proxy.log.wait("exchange", 8)
        assert first["choice"] == "only one usable; passed over: social-1 lacks_model"


async def test_a_model_that_was_refused_is_not_asked_of_the_same_credential_again() -> None:
    """The request goes on to the other one, and so do the next ones for that model at once."""
    async with running_two([SONNET]) as proxy:
        assert await ask(proxy, 4, model=OPUS) == [200] * 4
        assert list_users(proxy) == ["refresh-a", *["refresh-b"] * 4]
        assert await ask(proxy, 4, first=4, model=SONNET) == [200] * 4
        assert set(list_users(proxy)[5:]) == {"refresh-a", "refresh-b"}
        lines = await proxy.log.wait("exchange", 8)
        assert [line.get("failed_attempts") for line in lines] == [["model"], *[None] * 7]
        assert lines[1]["choice"] == "only one usable; passed over: social-1 model_refused"
