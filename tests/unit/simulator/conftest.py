"""A simulator that listens, and a client for it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from kiro2api.simulator.server import Simulator

TIMEOUT_SECONDS = 30
"""Of silence, after which a test has failed."""


@pytest.fixture
async def simulator(nursery: trio.Nursery) -> Simulator:
    """A simulator on a free port, stopped with the test."""
    simulator = Simulator()
    await nursery.start(simulator.serve)
    return simulator


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows a good access token of the credential ``mine``."""
    access_token = simulator.accounts.issue("mine", now=trio.current_time())
    headers = {"authorization": f"Bearer {access_token}", "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=simulator.base_url,
        headers=headers,
        trust_env=False,
        timeout=TIMEOUT_SECONDS,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        yield client
