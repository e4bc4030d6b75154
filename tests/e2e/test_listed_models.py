"""Models that the credentials may use, from the control plane to the client."""

import pytest

from kiro2api.simulator.account import Account
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.server import Simulator
from tests.support.proxy import HELLO, Proxy, running_proxy, until

ANTHROPIC = {"anthropic-version": "2023-06-01"}


def _simulate(*models: str) -> Simulator:
    accounts = Accounts([])
    accounts.add(Account(refresh_token="refresh-a", models=models))
    return Simulator(accounts=accounts)


async def _know_models(proxy: Proxy) -> None:
    await until(lambda: proxy.broker.list_models() is not None)


async def test_the_list_is_what_the_credentials_may_use() -> None:
    """In both shapes; a name that is not in it is unknown, unless it is a Claude model's."""
    async with running_proxy(_simulate("claude-sonnet-4.5", "glm-5", "auto"), limits_interval=0.1) as proxy:
        await _know_models(proxy)
        names = ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "glm-5", "auto"]
        for headers in ({}, ANTHROPIC):
            answer = (await proxy.client.get("/v1/models", headers=headers)).json()
            assert [model["id"] for model in answer["data"]] == names
        assert (await proxy.client.get("/v1/models/glm-5")).status_code == 200
        assert (await proxy.client.get("/v1/models/gpt-5.6-sol")).status_code == 404
        response = await proxy.client.post("/v1/messages", json=HELLO | {"model": "gpt-5.6-sol"})
        assert (response.status_code, len(proxy.simulator.generations)) == (404, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_replacement_is_said(*, stream: bool) -> None:
    """To the client in a header, to the operator in the log; the answer repeats the client's own word."""
    async with running_proxy(_simulate("claude-sonnet-4.5", "claude-opus-4.6"), limits_interval=0.1) as proxy:
        await _know_models(proxy)
        body = HELLO | {"model": "claude-opus-5-5", "stream": stream}
        response = await proxy.client.post("/v1/messages", json=body)
        assert (response.status_code, response.headers["x-kiro2api-model"]) == (200, "claude-opus-4.6")
        assert '"model":"claude-opus-5-5"' in response.text
        (line,) = await proxy.log.wait("exchange")
        assert (line["model"], line["model_fallback"]) == ("claude-opus-5-5", "claude-opus-4.6")


async def test_what_is_listed_is_no_replacement() -> None:
    """Under whatever name; and each line of the log says who was asked, and why."""
    async with running_proxy(_simulate("claude-sonnet-4"), limits_interval=0.1) as proxy:
        await _know_models(proxy)
        response = await proxy.client.post("/v1/messages", json=HELLO | {"model": "claude-sonnet-4-20250514"})
        assert "x-kiro2api-model" not in response.headers
        (line,) = await proxy.log.wait("exchange")
        assert "model_fallback" not in line
        assert (line["upstream_host"], line["credential"]) == ("127.0.0.1", "social-1")
        assert line["choice"]


async def test_replacements_can_be_turned_off() -> None:
    """Then the upstream decides."""
    simulator = _simulate("claude-sonnet-4.5")
    async with running_proxy(simulator, limits_interval=0.1, model_fallback=False) as proxy:
        await _know_models(proxy)
        response = await proxy.client.post("/v1/messages", json=HELLO | {"model": "claude-sonnet-9"})
        assert response.status_code == 404
        assert "x-kiro2api-model" not in response.headers
