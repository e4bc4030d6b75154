"""A server's stop, from the last connection taken to the last one ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest
import trio

from kiro2api.edge.server import Edge
from kiro2api.edge.terms import EdgeConfig, Faults
from tests.support.edge import Lines, Message, Receive, Send, answer
from tests.support.proxy import until
from tests.support.rawhttp import connect, read_all, render_head

GET = render_head("GET", "/")


@asynccontextmanager
async def _serving(release: trio.Event, *, grace: float) -> AsyncIterator[tuple[Edge, str, trio.Event, trio.Event]]:
    """An edge whose application answers when it is released, its address, its stop and its end."""

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await release.wait()
        await answer(send)

    edge = Edge(cast("Any", app), EdgeConfig(faults=Faults(Lines()), grace_seconds=grace))
    stop, started, ended = trio.Event(), trio.Event(), trio.Event()
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def note_end() -> None:
            async with trio.open_nursery() as serving:
                await serving.start(partial(edge.serve, [listener], stop=stop.wait))
                started.set()
            ended.set()

        nursery.start_soon(note_end)
        await started.wait()
        yield edge, f"http://127.0.0.1:{listener.socket.getsockname()[1]}", stop, ended
        nursery.cancel_scope.cancel()


async def test_a_stop_waits_for_answers_and_for_nothing_else() -> None:
    """Idle connections close at once, nobody new is let in, a running answer ends whole."""
    release = trio.Event()
    async with _serving(release, grace=30) as (edge, url, stop, ended):
        async with await connect(url) as busy, await connect(url) as idle:
            await busy.send_all(GET)
            with trio.fail_after(5):
                await until(lambda: len(edge.connections) == 2)
                await trio.testing.wait_all_tasks_blocked(0.05)
                stop.set()
                assert await read_all(idle) == b""
                with pytest.raises(OSError, match="failed"):
                    await connect(url)
                assert not ended.is_set()
                release.set()
                assert (await read_all(busy)).endswith(b"0\r\n\r\n")
                await ended.wait()
        assert edge.connections == set()


async def test_a_stop_is_over_with_its_grace() -> None:
    """What has not ended by then is cut, and looks so."""
    async with _serving(trio.Event(), grace=0.2) as (_, url, stop, ended), await connect(url) as stream:
        await stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked(0.05)
        stop.set()
        began = trio.current_time()
        assert await read_all(stream) == b""
        await ended.wait()
        assert 0.15 < trio.current_time() - began < 3


async def test_a_server_without_connections_stops_at_once() -> None:
    """Its grace is not waited for."""
    async with _serving(trio.Event(), grace=30) as (_, _, stop, ended):
        stop.set()
        with trio.fail_after(2):
            await ended.wait()


async def test_a_server_can_be_cancelled() -> None:
    """Without a stop; its listener is closed."""
    async with _serving(trio.Event(), grace=30) as (edge, url, _, _), await connect(url):
        await until(lambda: bool(edge.connections))
    with trio.fail_after(2), pytest.raises(OSError, match="failed"):
        await connect(url)
