"""What the edge does when there are too many connections, or no descriptors for more."""

import errno
from collections import deque
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from kiro2api.edge.server import Edge, Listener
from kiro2api.edge.terms import EdgeConfig, Faults
from tests.support.edge import Lines, Message, Receive, Send, answer, serving
from tests.support.rawhttp import render_head

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

GET = render_head("GET", "/")


class _Listener:
    """Fails as it is told to, and then waits."""

    def __init__(self, *codes: int) -> None:
        self._codes = deque(codes)
        self.accepts = 0

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass

    async def accept(self) -> object:
        self.accepts += 1
        if not self._codes:
            await trio.sleep_forever()
        raise OSError(self._codes.popleft(), "x")


async def _serve(listener: _Listener, seconds: float) -> list[tuple[str, dict[str, object]]]:
    """What is logged in so many seconds."""
    log = Lines()
    edge = Edge(cast("ASGIFramework", None), EdgeConfig(faults=Faults(log)))
    with trio.move_on_after(seconds):
        await edge.serve([cast("Listener", listener)], stop=trio.sleep_forever)
    return log.lines


async def test_no_descriptors_cost_a_line_in_ten_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """It is tried again ten times a second, and the second line says how often it has failed."""
    del autojump_clock
    lines = await _serve(_Listener(*[errno.EMFILE] * 150), 60)

    about = pytest.approx(100, abs=1)
    assert lines == [("descriptors_exhausted", {"times": 1}), ("descriptors_exhausted", {"times": about})]


async def test_another_failure_of_the_listener_is_not_survived() -> None:
    """There is nothing to wait for."""
    with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesGroup(OSError))):
        await _serve(_Listener(errno.EBADF), 60)


async def test_a_connection_is_idle_between_requests(autojump_clock: trio.testing.MockClock) -> None:
    """From connecting to the end of a head, and again from the end of the answer."""
    del autojump_clock
    during: list[float | None] = []

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        during.append(peer.connection.idle_since)
        await trio.sleep(2)
        await answer(send)

    async with serving(app) as peer:
        began = trio.current_time()
        await trio.sleep(1)
        since = [peer.connection.idle_since]
        await peer.stream.send_all(GET)
        await trio.sleep(3)
        since.append(peer.connection.idle_since)

        assert (since, during) == ([began, began + 3], [None])


async def test_a_dropped_connection_ends_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Without a word, and without a line in the log."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send)

    async with serving(app) as peer:
        await trio.sleep(1)
        began = trio.current_time()
        peer.connection.drop()
        await peer.ended.wait()

        assert (trio.current_time() - began, peer.log.lines) == (0, [])
