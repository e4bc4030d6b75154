"""Where a request is computed: on the loop when it is light, in a thread when it is heavy."""

import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kiro2api.conversion.converter import Converter
from kiro2api.protocol.attachments import Conversion, ConversionKind, Converted, Refusal, UnconvertedError
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.routes.intake import HEAVY_BYTES, Intake
from kiro2api.routes.life import IncomingBody, RequestLife

PROGRAM = 'import json, sys; print(json.dumps({"type": "refusal", "message": sys.stdin.read()}))'
"""Converts by repeating."""


def _intake() -> Intake:
    command = (sys.executable, "-c", PROGRAM)
    return Intake(Converter(lambda *_, **__: None, programs=dict.fromkeys(ConversionKind, command)))


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
            assert await _intake().compute(life, threading.get_ident) == threading.get_ident()
    assert scope.cancelled_caught is not is_on_the_loop
    async with _life(size) as life:
        thread = await _intake().compute(life, threading.get_ident)
    assert (thread == threading.get_ident()) is is_on_the_loop


@pytest.mark.parametrize(("remembered", "is_on_the_loop"), [(HEAVY_BYTES - 2, True), (HEAVY_BYTES - 1, False)])
async def test_what_a_request_continues_weighs_too(remembered: int, *, is_on_the_loop: bool) -> None:
    """However short the request itself is."""
    async with _life(1) as life:
        life.remembered = remembered
        thread = await _intake().compute(life, threading.get_ident)
    assert (thread == threading.get_ident()) is is_on_the_loop


@pytest.mark.parametrize("size", [1, HEAVY_BYTES])
async def test_what_is_raised_arrives(size: int) -> None:
    """From either place."""

    def refuse() -> None:
        raise InvalidRequestError("no", path="messages")

    async with _life(size) as life:
        with pytest.raises(InvalidRequestError, match="no"):
            await _intake().compute(life, refuse)


async def test_a_cancelled_request_lasts_as_long_as_its_thread() -> None:
    """Nothing goes on behind its back."""
    done: list[str] = []

    def work() -> None:
        trio.from_thread.run_sync(scope.cancel)
        done.append("all of it")

    async with _life() as life:
        with trio.CancelScope() as scope:
            await _intake().compute(life, work)
            assert done == ["all of it"]
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def test_who_is_cancelled_while_waiting_is_never_computed() -> None:
    """Heavy requests wait for each other, without a thread."""
    intake, gate, done = _intake(), threading.Event(), list[str]()

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


@pytest.mark.parametrize("size", [1, HEAVY_BYTES])
async def test_what_is_missing_is_converted(size: int) -> None:
    """The work is done again with all that was found, as often as something is missing."""
    jobs = [Conversion.of(ConversionKind.PDF, digits) for digits in ("AAAA", "BBBB")]
    calls: list[int] = []

    def build(converted: Mapping[str, Converted]) -> list[Converted]:
        calls.append(len(converted))
        if len(converted) < len(jobs):
            raise UnconvertedError((jobs[len(converted)],))
        return [converted[job.digest] for job in jobs]

    async with _life(size) as life:
        assert await _intake().build(life, build) == [Refusal(message="AAAA"), Refusal(message="BBBB")]
    assert calls == [0, 1, 2]
