"""A request that is cancelled at its n-th step, for every n: nothing may be left of it."""

import gc
import json
from typing import TYPE_CHECKING, cast

import pytest
import trio

from kiro2api.simulator.server import Simulator
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy, until

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope

TOOLS = HELLO | {"messages": [{"role": "user", "content": 'use read {"path": "a.txt"}'}]}
MAX_STEPS = 2000
"""A request takes a few hundred; more would mean that it never ends."""


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope right before the n-th step that the tasks of one request take together."""

    def __init__(self, root: trio.lowlevel.Task, scope: trio.CancelScope, number: int) -> None:
        self._tasks = {root}
        self._scope = scope
        self._left = number

    @property
    def has_fired(self) -> bool:
        return self._left <= 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        if task.parent_nursery is not None and task.parent_nursery.parent_task in self._tasks:
            self._tasks.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._tasks:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel("n-th step")


async def _ask(proxy: Proxy, path: str, body: dict[str, object]) -> None:
    """One request as the server would hand it to the application, from its first step to its last."""
    encoded = json.dumps(body).encode()
    headers = [
        (b"host", b"test"),
        (b"authorization", f"Bearer {CLIENT_KEY}".encode()),
        (b"content-length", str(len(encoded)).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
        "extensions": {},
    }
    messages: list[object] = [{"type": "http.request", "body": encoded, "more_body": False}]

    async def receive() -> "ASGIReceiveEvent":
        if not messages:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return cast("ASGIReceiveEvent", messages.pop())

    async def send(_event: "ASGISendEvent") -> None:
        await trio.lowlevel.checkpoint()

    await proxy.app(cast("HTTPScope", scope), receive, send)


async def _ask_until_step(proxy: Proxy, path: str, body: dict[str, object], number: int) -> bool:
    """Whether the request was cancelled before it ended by itself."""
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(trio.lowlevel.current_task(), scope, number)
        trio.lowlevel.add_instrument(instrument)
        try:
            await _ask(proxy, path, body)
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.has_fired


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_nothing_is_left_of_a_request_cancelled_at_any_step(path: str, *, stream: bool) -> None:
    """No open upstream stream, no lease, no task, no living request, whichever step was its last."""
    tool = {"name": "read", "input_schema": {"type": "object"}}
    tools = [tool] if path == "/v1/messages" else [{"type": "function", "function": {"name": "read"}}]
    body = TOOLS | {"stream": stream, "tools": tools}
    simulator = Simulator()
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b", max_streams=1, max_waiting=0) as proxy:
        await _ask(proxy, path, body)
        await until(lambda: simulator.streams_open == 0)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(1, MAX_STEPS):
            cancelled = await _ask_until_step(proxy, path, body, number)
            await until(lambda: simulator.streams_open == 0)
            assert proxy.broker.statistics().in_flight == 0
            assert len(proxy.service.lives) == 0
            assert proxy.service.admission.statistics().in_use == 0
            assert trio.lowlevel.current_statistics().tasks_living <= tasks + 2  # idle upstream connections' peers
            if not cancelled:
                break
        else:
            pytest.fail("the request never ended")
        assert number > 10
        gc.collect()
