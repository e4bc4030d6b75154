"""Where a request is computed: on the loop when it is light, in a thread when it is heavy."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.routes.intake import HEAVY_BYTES, Intake
from kiro2api.routes.life import IncomingBody, RequestLife


@asynccontextmanager
async def _life(size: int = HEAVY_BYTES) -> AsyncIterator[RequestLife]:
    """A request with a body of ``size`` bytes."""
    body = IncomingBody(limit=size, seconds=5, is_expected=True)
    body.receive_data(bytes(size), more=False)
    async with trio.open_nursery() as nursery:
        yield RequestLife(request_id="r", began_at=0, nursery=nursery, body=body)


@pytest.mark.parametrize(("size", "is_on_the_loop"), [(0, True), (HEAVY_BYTES - 1, True), (HEAVY_BYTES, False)])
async def test_only_what_is_heavy_goes_to_a_thread(size: int, is_on_the_loop: bool) -> None:  # noqa: FBT001  a parameter
    """A light request is not even held up by a checkpoint."""
    async with _life(size) as life:
        with trio.CancelScope() as scope:
            scope.cancel()
            assert await Intake().compute(life, threading.get_ident) == threading.get_ident()
    assert scope.cancelled_caught is not is_on_the_loop
    async with _life(size) as life:
        thread = await Intake().compute(life, threading.get_ident)
    assert (thread == threading.get_ident()) is is_on_the_loop


@pytest.mark.parametrize("size", [1, HEAVY_BYTES])
async def test_what_is_raised_arrives(size: int) -> None:
    """From either place."""

    def refuse() -> None:
        raise InvalidRequestError("no", path="messages")

    async with _life(size) as life:
        with pytest.raises(InvalidRequestError, match="no"):
            await Intake().compute(life, refuse)


async def test_a_cancelled_request_lasts_as_long_as_its_thread() -> None:
    """Nothing goes on behind its back."""
    done: list[str] = []

    def work() -> None:
        trio.from_thread.run_sync(scope.cancel)
        done.append("all of it")

    async with _life() as life:
        with trio.CancelScope() as scope:
            await Intake().compute(life, work)
            assert done == ["all of it"]
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def test_who_is_cancelled_while_waiting_is_never_computed() -> None:
    """Heavy requests wait for each other, without a thread."""
    intake, gate, done = Intake(), threading.Event(), list[str]()

    def work(name: str) -> None:
        assert gate.wait(5)
        done.append(name)

    async with _life() as life, trio.open_nursery() as nursery:
        nursery.start_soon(intake.compute, life, partial(work, "first"))
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as waiting:
                waiting.start_soon(intake.compute, life, partial(work, "second"))
                await wait_all_tasks_blocked()
                scope.cancel()
        gate.set()
    assert done == ["first"]
